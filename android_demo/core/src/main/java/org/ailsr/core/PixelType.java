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

  /** A buffer for {@code pixels} pixels, in the order of bytes that engines use. */
  public ByteBuffer buffer(long pixels) {
    long size = Picture.CHANNELS * bytes * pixels;
    if (size > Integer.MAX_VALUE) {
      throw new AilsrException(pixels + " pixels of " + label() + " are too many for one tile");
    }
    return ByteBuffer.allocateDirect((int) size).order(ByteOrder.nativeOrder());
  }

  /** Writes {@code picture} into {@code elements}, floats in {@code range}. */
  public void fill(ByteBuffer elements, Picture picture, Range range) {
    elements.clear();
    if (this == UINT8) {
      elements.put(picture.rgb);
    } else if (this == INT8) {
      elements.put(shifted(picture.rgb.clone()));
    } else {
      float[] values = range.encode(picture.rgb);
      elements.asFloatBuffer().put(values);
      elements.position(4 * values.length);
    }
    elements.flip();
  }

  /**
   * The image in {@code elements}; floats are in {@code range}, clipped to it and rounded half to
   * even.
   *
   * @throws AilsrException when they are not numbers
   */
  public Picture read(ByteBuffer elements, int height, int width, Range range) {
    byte[] rgb = new byte[Picture.CHANNELS * height * width];
    if (elements.remaining() != rgb.length * bytes) {
      throw new AilsrException(
          "the file returned " + elements.remaining() / bytes + " numbers instead of "
              + rgb.length + ": export it again");
    }
    if (this == FLOAT32) {
      float[] values = new float[rgb.length];
      elements.asFloatBuffer().get(values);
      rgb = range.decode(values);
    } else {
      elements.get(rgb);
      if (this == INT8) {
        shifted(rgb);
      }
    }
    return new Picture(height, width, rgb);
  }

  /** Levels less 128, or 128 more: both change the highest bit. */
  private static byte[] shifted(byte[] levels) {
    for (int i = 0; i < levels.length; i++) {
      levels[i] ^= (byte) 0x80;
    }
    return levels;
  }
}
