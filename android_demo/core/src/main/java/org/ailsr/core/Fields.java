package org.ailsr.core;

import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Map;

/** The fields of a JSON object, each of the type that is asked for, or a one-line error. */
final class Fields {
  private final Map<?, ?> values;

  private Fields(Map<?, ?> values) {
    this.values = values;
  }

  /** The fields of {@code value}. Throws AilsrException when it is no object. */
  static Fields of(Object value) {
    if (!(value instanceof Map)) {
      throw new AilsrException("it is no object");
    }
    return new Fields((Map<?, ?>) value);
  }

  /** Those of the object that {@code text} holds. */
  static Fields parse(String text) {
    return of(Json.parse(text));
  }

  boolean has(String name) {
    return values.get(name) != null;
  }

  Object value(String name) {
    return values.get(name);
  }

  /** The names in their order. */
  List<String> names() {
    List<String> names = new ArrayList<>();
    for (Object key : values.keySet()) {
      names.add((String) key);
    }
    return names;
  }

  String text(String name) {
    return typed(name, String.class, "a text");
  }

  /** The text, or {@code absent} when the field is left out or null. */
  String text(String name, String absent) {
    return has(name) ? text(name) : absent;
  }

  double number(String name) {
    return typed(name, Number.class, "a number").doubleValue();
  }

  int integer(String name) {
    Long value = typed(name, Long.class, "an integer");
    if (value != value.intValue()) {
      throw wrong(name, "an integer");
    }
    return value.intValue();
  }

  /** The object in a field; one without fields when it is left out or null. */
  Fields object(String name) {
    return has(name)
        ? new Fields(typed(name, Map.class, "an object"))
        : new Fields(Collections.emptyMap());
  }

  /** The list in a field; an empty one when it is left out or null. */
  List<?> list(String name) {
    return has(name) ? typed(name, List.class, "a list") : Collections.emptyList();
  }

  /** The objects in a list. */
  List<Fields> objects(String name) {
    List<Fields> objects = new ArrayList<>();
    for (Object item : list(name)) {
      objects.add(of(item));
    }
    return objects;
  }

  private <T> T typed(String name, Class<T> type, String kind) {
    Object value = values.get(name);
    if (!type.isInstance(value)) {
      throw wrong(name, kind);
    }
    return type.cast(value);
  }

  private AilsrException wrong(String name, String kind) {
    return new AilsrException("its '" + name + "' is " + values.get(name) + ", not " + kind);
  }
}
