package org.ailsr.core;

import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;

/**
 * A table of a flatbuffer, the format of TFLite files; fields are asked for by their slot in the
 * schema. Files may be damaged: every offset is checked before it is followed.
 */
final class FlatBuffer {
  private final byte[] data;
  private final int at;
  private final int vtable;

  private FlatBuffer(byte[] data, long at) {
    this.data = data;
    this.at = (int) at;
    this.vtable = (int) (at - (int) number(data, at, 4));
  }

  /** The table that the whole of {@code data} is. */
  static FlatBuffer root(byte[] data) {
    return new FlatBuffer(data, number(data, 0, 4));
  }

  /** The number of {@code size} bytes (1 or 4, signed) in a field. */
  int integer(int slot, int size, int absent) {
    long field = field(slot);
    if (field < 0) {
      return absent;
    }
    long value = number(data, field, size);
    return size == 1 ? (byte) value : (int) value;
  }

  /** The table in a field; null when it is left out. */
  FlatBuffer table(int slot) {
    long field = field(slot);
    return field < 0 ? null : new FlatBuffer(data, field + number(data, field, 4));
  }

  /** A vector of bytes or a string; empty when the field is left out. */
  byte[] content(int slot) {
    long field = field(slot);
    if (field < 0) {
      return new byte[0];
    }
    long start = vector(field, 1);
    return Arrays.copyOfRange(
        data, (int) start, (int) (start + number(data, start - 4, 4)));
  }

  /** The string in a field; empty when it is left out. */
  String text(int slot) {
    return new String(content(slot), StandardCharsets.UTF_8);
  }

  /** A vector of int32; empty when the field is left out. */
  int[] integers(int slot) {
    long[] values = longs(slot, 4);
    int[] integers = new int[values.length];
    for (int i = 0; i < integers.length; i++) {
      integers[i] = (int) values[i];
    }
    return integers;
  }

  /** A vector of float32; empty when the field is left out. */
  float[] floats(int slot) {
    int[] bits = integers(slot);
    float[] floats = new float[bits.length];
    for (int i = 0; i < floats.length; i++) {
      floats[i] = Float.intBitsToFloat(bits[i]);
    }
    return floats;
  }

  /** A vector of int64; empty when the field is left out. */
  long[] longs(int slot) {
    return longs(slot, 8);
  }

  /** A vector of numbers of {@code size} bytes. */
  private long[] longs(int slot, int size) {
    long field = field(slot);
    if (field < 0) {
      return new long[0];
    }
    long start = vector(field, size);
    long[] values = new long[(int) number(data, start - 4, 4)];
    for (int i = 0; i < values.length; i++) {
      values[i] = number(data, start + (long) size * i, size);
    }
    return values;
  }

  /** The tables of a vector; none when the field is left out. */
  List<FlatBuffer> tables(int slot) {
    long field = field(slot);
    if (field < 0) {
      return Collections.emptyList();
    }
    long start = vector(field, 4);
    long length = number(data, start - 4, 4);
    List<FlatBuffer> tables = new ArrayList<>();
    for (long i = 0; i < length; i++) {
      long place = start + 4 * i;
      tables.add(new FlatBuffer(data, place + number(data, place, 4)));
    }
    return tables;
  }

  /** Where a field is stored; -1 when it is left out. */
  private long field(int slot) {
    int entry = 4 + 2 * slot;
    if (entry >= number(data, vtable, 2)) {
      return -1;
    }
    long offset = number(data, vtable + entry, 2);
    return offset == 0 ? -1 : at + offset;
  }

  /** Where the items of the vector in a field begin; their number stands before them. */
  private long vector(long field, int item) {
    long start = field + number(data, field, 4);
    long length = number(data, start, 4);
    if (start + 4 + item * length > data.length) {
      throw new AilsrException("it is cut short at byte " + data.length + ": copy it again");
    }
    return start + 4;
  }

  /** The unsigned little-endian number of {@code size} bytes at {@code at}. */
  private static long number(byte[] data, long at, int size) {
    if (at < 0 || at > data.length - size) {
      throw new AilsrException(
          "it is damaged (offset to byte " + at + " of " + data.length + "): copy it again");
    }
    long value = 0;
    for (int i = size - 1; i >= 0; i--) {
      value = value << 8 | data[(int) at + i] & 0xff;
    }
    return value;
  }
}
