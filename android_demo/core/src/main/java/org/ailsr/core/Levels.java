package org.ailsr.core;

/**
 * Integer pixels of files whose levels are not pixels, as {@code runtime/engines/levels.py} has it.
 *
 * <p>Our int8 files take and return pixels: level 0 is black, 255 white. A file of another tool has
 * the scale and zero point of its calibration, and reads each level as {@code scale * (level -
 * zeroPoint)}. Levels count from 0 here, those of int8 from -128.
 */
final class Levels {
  static final Levels PIXELS = new Levels(0, 0);

  private static final int COUNT = 256;
  private static final double LARGEST_SCALE = 256;
  private static final double SMALLEST_SCALE = 1.0 / (1 << 20);

  /** By pixel, and by level; null: they are the same. */
  private final byte[] levelOf;

  private final byte[] pixelOf;

  /**
   * The levels of one input or output. White is 1 in some files, 255 in others, whichever the scale
   * is made for.
   *
   * @param scale 0 where the file states none
   */
  Levels(double scale, long zeroPoint) {
    if (scale != 0 && !(scale > SMALLEST_SCALE && scale < LARGEST_SCALE)
        || zeroPoint < 0 || zeroPoint >= COUNT) {
      throw new AilsrException(
          "the quantisation of its input or output is out of range: export or copy it again");
    }
    double white = scale > 1.0 / 16 ? 255 : 1;
    byte[] levels = new byte[COUNT];
    byte[] pixels = new byte[COUNT];
    boolean same = true;
    for (int i = 0; i < COUNT; i++) {
      double pixel = Math.rint(scale * (i - zeroPoint) * 255 / white);
      same &= pixel == i;
      pixels[i] = clipped(pixel);
      levels[i] = clipped(Math.rint(i * white / 255 / scale) + zeroPoint);
    }
    same |= scale == 0;
    levelOf = same ? null : levels;
    pixelOf = same ? null : pixels;
  }

  /** The level nearest to each of {@code pixels}. */
  Picture of(Picture pixels) {
    return levelOf == null
        ? pixels
        : new Picture(pixels.height(), pixels.width(), mapped(pixels.rgb, levelOf));
  }

  /** The pixel nearest to each of {@code levels}, between black and white. */
  byte[] pixels(byte[] levels) {
    return mapped(levels, pixelOf);
  }

  private static byte[] mapped(byte[] values, byte[] table) {
    if (table == null) {
      return values;
    }
    byte[] mapped = new byte[values.length];
    for (int i = 0; i < mapped.length; i++) {
      mapped[i] = table[values[i] & 0xff];
    }
    return mapped;
  }

  private static byte clipped(double value) {
    return (byte) (int) Math.max(0, Math.min(COUNT - 1, value));
  }
}
