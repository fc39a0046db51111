package org.ailsr.core;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * JSON as Java's own types: {@code Map<String, Object>} in the order of the text, {@code
 * List<Object>}, String, Long, Double, Boolean and null.
 */
public final class Json {
  private static final int DEPTH = 64;

  private final String text;
  private int at;
  private int depth;

  private Json(String text) {
    this.text = text;
  }

  /** The value that {@code text} holds. Throws AilsrException when it is no JSON. */
  public static Object parse(String text) {
    Json json = new Json(text);
    Object value = json.value();
    json.blanks();
    if (json.at < text.length()) {
      throw json.wrong("something after its end");
    }
    return value;
  }

  /** {@code value} as JSON text, indented by two blanks. Infinite numbers become null. */
  public static String write(Object value) {
    StringBuilder text = new StringBuilder();
    write(value, "\n", text);
    return text.append('\n').toString();
  }

  private Object value() {
    blanks();
    char next = peek();
    if (next == '{' || next == '[') {
      if (++depth > DEPTH) {
        throw wrong("more than " + DEPTH + " levels");
      }
      Object value = next == '{' ? object() : list();
      depth--;
      return value;
    }
    if (next == '"') {
      return string();
    }
    int start = at;
    while (at < text.length() && ",]} \t\r\n".indexOf(text.charAt(at)) < 0) {
      at++;
    }
    return scalar(text.substring(start, at));
  }

  private Object scalar(String word) {
    switch (word) {
      case "true":
        return Boolean.TRUE;
      case "false":
        return Boolean.FALSE;
      case "null":
        return null;
      default:
        if (word.matches("-?(0|[1-9]\\d{0,17})")) {
          return Long.valueOf(word);
        }
        if (word.matches("-?(0|[1-9]\\d*)(\\.\\d+)?([eE][+-]?\\d+)?")) {
          Double number = Double.valueOf(word);
          if (number.isInfinite()) {
            throw wrong("a number that is too large");
          }
          return number;
        }
        throw wrong("'" + (word.length() > 60 ? word.substring(0, 59) + "…" : word) + "'");
    }
  }

  private Map<String, Object> object() {
    Map<String, Object> object = new LinkedHashMap<>();
    at++;
    blanks();
    while (peek() != '}') {
      if (!object.isEmpty()) {
        take(',');
        blanks();
      }
      String key = string();
      blanks();
      take(':');
      object.put(key, value());
      blanks();
    }
    at++;
    return object;
  }

  private List<Object> list() {
    List<Object> list = new ArrayList<>();
    at++;
    blanks();
    while (peek() != ']') {
      if (!list.isEmpty()) {
        take(',');
      }
      list.add(value());
      blanks();
    }
    at++;
    return list;
  }

  private String string() {
    take('"');
    StringBuilder string = new StringBuilder();
    while (peek() != '"') {
      char next = text.charAt(at++);
      if (next < ' ') {
        throw wrong("a control character in a text");
      }
      if (next != '\\') {
        string.append(next);
        continue;
      }
      char escaped = peek();
      at++;
      int plain = "\"\\/bfnrt".indexOf(escaped);
      if (plain >= 0) {
        string.append("\"\\/\b\f\n\r\t".charAt(plain));
      } else if (escaped == 'u' && isHex(at)) {
        string.append((char) Integer.parseInt(text.substring(at, at + 4), 16));
        at += 4;
      } else {
        throw wrong("a bad escape");
      }
    }
    at++;
    checkPairs(string);
    return string.toString();
  }

  /** Throws AilsrException for half of a surrogate pair: no text that is written has one. */
  private void checkPairs(CharSequence string) {
    for (int i = 0; i < string.length(); i++) {
      boolean pair = Character.isHighSurrogate(string.charAt(i))
          && i + 1 < string.length()
          && Character.isLowSurrogate(string.charAt(i + 1));
      if (pair) {
        i++;
      } else if (Character.isSurrogate(string.charAt(i))) {
        throw wrong("half of a surrogate pair");
      }
    }
  }

  /** Whether the next four characters are hexadecimal digits. */
  private boolean isHex(int from) {
    return from + 4 <= text.length()
        && text.substring(from, from + 4).matches("[0-9a-fA-F]{4}");
  }

  private char peek() {
    if (at >= text.length()) {
      throw wrong("its end too early");
    }
    return text.charAt(at);
  }

  private void take(char wanted) {
    if (peek() != wanted) {
      throw wrong("'" + peek() + "' instead of '" + wanted + "'");
    }
    at++;
  }

  private void blanks() {
    while (at < text.length() && " \t\r\n".indexOf(text.charAt(at)) >= 0) {
      at++;
    }
  }

  private AilsrException wrong(String what) {
    return new AilsrException("no JSON: " + what + " at character " + at);
  }

  private static void write(Object value, String line, StringBuilder text) {
    if (value instanceof Map) {
      String separator = "";
      text.append('{');
      for (Map.Entry<?, ?> entry : ((Map<?, ?>) value).entrySet()) {
        text.append(separator).append(line).append("  ");
        quote(entry.getKey().toString(), text);
        write(entry.getValue(), line + "  ", text.append(": "));
        separator = ",";
      }
      text.append(separator.isEmpty() ? "" : line).append('}');
    } else if (value instanceof Iterable) {
      String separator = "";
      text.append('[');
      for (Object item : (Iterable<?>) value) {
        write(item, line + "  ", text.append(separator));
        separator = ", ";
      }
      text.append(']');
    } else if (value instanceof String) {
      quote((String) value, text);
    } else if (value instanceof Double && ((Double) value).isNaN()
        || value instanceof Double && ((Double) value).isInfinite()) {
      text.append("null");
    } else {
      text.append(value);
    }
  }

  private static void quote(String string, StringBuilder text) {
    text.append('"');
    for (int i = 0; i < string.length(); i++) {
      char next = string.charAt(i);
      if (next == '"' || next == '\\') {
        text.append('\\').append(next);
      } else if (next < ' ' || next >= 0x7f) {
        text.append(String.format("\\u%04x", (int) next));
      } else {
        text.append(next);
      }
    }
    text.append('"');
  }
}
