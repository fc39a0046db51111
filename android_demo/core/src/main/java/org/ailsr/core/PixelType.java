package org.ailsr.core;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.Locale;

/** How a file takes and returns pixels. */
public enum PixelType {
  /** [0, 1]; TFLite's type 0. */
  FLOAT32(4),
  /** [0, 255]; TFLite's type 3. */
  UINT8(1),
  /** [-128, 127]: the level less 128; TFLite's type 9. */
  INT8(1);

  /** Bytes of an element. */
  public final int bytes;

  PixelType(int bytes) {
    this.bytes = bytes;
  }

  /** The name that cards and reports use: {@code float32}, {@code uint8}, {@code int8}. */
  public String label() {
    return name().toLowerCase(Locale.ROOT);
  }

  /** The type of a card's {@code pixels}; null for any other. */
  public static PixelType ofLabel(String label) {
    for (PixelType type : values()) {
      if (type.label().equals(label)) {
        return type;
      }
    }
    return null;
  }

  /** The type by its number in TFLite's schema; null for one that images do not have. */
  public static PixelType ofTensorType(int number) {
    return number == 0 ? FLOAT32 : number == 3 ? UINT8 : number == 9 ? INT8 : null;
  }

  /** A buffer for so many samples, in the order of bytes that engines use. */
  public ByteBuffer buffer(long samples) {
    long size = bytes * samples;
    if (size > Integer.MAX_VALUE) {
      throw new AilsrException(samples + " samples of " + label() + " are too many for one tile");
    }
    return ByteBuffer.allocateDirect((int) size).order(ByteOrder.nativeOrder());
  }

  /** Writes {@code levels}, 0 to 255, into {@code elements}, floats in {@code range}. */
  void fill(ByteBuffer elements, byte[] levels, Range range) {
    elements.clear();
    if (this == UINT8) {
      elements.put(levels);
    } else if (this == INT8) {
      elements.put(shifted(levels.clone()));
    } else {
      float[] values = range.encode(levels);
      elements.asFloatBuffer().put(values);
      elements.position(4 * values.length);
    }
    elements.flip();
  }

  /**
   * The {@code count} levels in {@code elements}; floats are in {@code range}, clipped to it and rounded half to
   * even.
   *
   * @throws AilsrException when they are not numbers
   */
  byte[] read(ByteBuffer elements, int count, Range range) {
    check(elements, count);
    if (this == FLOAT32) {
      float[] values = new float[count];
      elements.asFloatBuffer().get(values);
      return range.decode(values);
    }
    byte[] levels = new byte[count];
    elements.get(levels);
    return this == INT8 ? shifted(levels) : levels;
  }

  /** Throws AilsrException when {@code elements} are not {@code count} samples. */
  void check(ByteBuffer elements, long count) {
    if (elements.remaining() != count * bytes) {
      throw new AilsrException(
          "the file returned " + elements.remaining() / bytes + " numbers instead of " + count
              + ": export it again");
    }
  }

  /** Levels less 128, or 128 more: both change the highest bit. */
  private static byte[] shifted(byte[] levels) {
    for (int i = 0; i < levels.length; i++) {
      levels[i] ^= (byte) 0x80;
    }
    return levels;
  }
}
