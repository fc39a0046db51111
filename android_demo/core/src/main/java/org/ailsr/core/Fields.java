package org.ailsr.core;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collection;
import java.util.Collections;
import java.util.List;
import java.util.Map;

/** The fields of a JSON object, each of the type that is asked for, or a one-line error. */
final class Fields {
  /** No fields. */
  static final Fields NONE = new Fields(Collections.emptyMap());

  /** Most values of a list or object, characters of a text and of a name. */
  private static final int MOST = 1000;
  private static final int LONGEST_TEXT = 2000;
  private static final int LONGEST_NAME = 200;

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

  /** Whether the field is there, be it null. */
  boolean given(String name) {
    return values.containsKey(name);
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
    String text = typed(name, String.class, "a text");
    checkPlain(name, text, 0);
    return text;
  }

  /** One of {@code choices}. */
  String oneOf(String name, String... choices) {
    String text = text(name);
    if (!Arrays.asList(choices).contains(text)) {
      throw wrong(name, text, "one of " + Arrays.asList(choices));
    }
    return text;
  }

  /** The text, or {@code absent} when the field is left out or null. */
  String text(String name, String absent) {
    return has(name) ? text(name) : absent;
  }

  double number(String name) {
    return typed(name, Number.class, "a number").doubleValue();
  }

  int integer(String name) {
    return integer(name, Integer.MIN_VALUE, Integer.MAX_VALUE);
  }

  int integer(String name, int least, int most) {
    return integer(name, values.get(name), least, most);
  }

  /** {@code value} as a whole number in that range; 8.0 is one, too. */
  static int integer(String name, Object value, int least, int most) {
    double number = value instanceof Number ? ((Number) value).doubleValue() : Double.NaN;
    if (number != Math.rint(number) || number < least || number > most) {
      throw wrong(name, value, "a whole number from " + least + " to " + most);
    }
    return (int) number;
  }

  /** The object in a field that must be there, of a bounded number of values and short names. */
  Fields map(String name) {
    Map<?, ?> map = typed(name, Map.class, "an object");
    checkCount(name, map, map.values());
    return new Fields(map);
  }

  /** The list in a field that must be there, of a bounded number of values. */
  List<?> items(String name) {
    List<?> items = typed(name, List.class, "a list");
    checkCount(name, items, items);
    return items;
  }

  /**
   * Throws AilsrException when {@code value} is nested deeper than {@code levels}, or a text, list
   * or object in it is too long.
   */
  static void checkPlain(String name, Object value, int levels) {
    if (value instanceof String) {
      checkLength(name, (String) value, LONGEST_TEXT);
    }
    if (!(value instanceof Map || value instanceof List)) {
      return;
    }
    if (levels == 0) {
      throw wrong(name, value, "plain enough");
    }
    Collection<?> inner = value instanceof Map ? ((Map<?, ?>) value).values() : (List<?>) value;
    checkCount(name, value, inner);
    for (Object item : inner) {
      checkPlain(name, item, levels - 1);
    }
  }

  private static void checkCount(String name, Object value, Collection<?> inner) {
    if (inner.size() > MOST) {
      throw wrong(name, value, "of up to " + MOST + " values");
    }
    if (value instanceof Map) {
      for (Object key : ((Map<?, ?>) value).keySet()) {
        checkLength(name, (String) key, LONGEST_NAME);
      }
    }
  }

  private static void checkLength(String name, String text, int longest) {
    if (text.codePointCount(0, text.length()) > longest) {
      throw wrong(name, text, "up to " + longest + " characters long");
    }
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
      throw wrong(name, value, kind);
    }
    return type.cast(value);
  }

  private static AilsrException wrong(String name, Object value, String kind) {
    String text = String.valueOf(value);
    String shown = text.length() > 60 ? text.substring(0, 59) + "…" : text;
    return new AilsrException("its '" + name + "' is " + shown + ", not " + kind);
  }
}
