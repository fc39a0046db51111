package org.ailsr.core;

import java.nio.ByteBuffer;

/** How the numbers of a video are meant: matrix and range, and the way to RGBA and back. */
public final class VideoColors {
  private static final int BITS = 16;
  private static final int HALF = 1 << BITS - 1;

  /** Fractional bits of interpolated chroma, and of its factors. */
  private static final int CHROMA_BITS = 6;

  private static final int FACTOR_BITS = BITS - CHROMA_BITS;
  private static final int GREY = 128;

  /** The matrices that are understood. */
  public enum Matrix {
    BT601(0.299, 0.114), BT709(0.2126, 0.0722), BT2020(0.2627, 0.0593);

    final double red;
    final double blue;

    Matrix(double red, double blue) {
      this.red = red;
      this.blue = blue;
    }

    /** What players take for a video of {@code size} that does not say. */
    public static Matrix ofSize(Size size) {
      return size.width >= 1280 || size.height >= 720 ? BT709 : BT601;
    }
  }

  public final Matrix matrix;

  /** Black and white are 0 and 255, not 16 and 235. */
  public final boolean full;

  public VideoColors(Matrix matrix, boolean full) {
    this.matrix = matrix;
    this.full = full;
  }

  /** Bytes of {@code size} RGBA pixels. Throws AilsrException when no buffer holds so many. */
  static int rgbaBytes(Size size) {
    if (4 * size.area() > Integer.MAX_VALUE) {
      throw new AilsrException(size + " pixels are too many for one frame");
    }
    return (int) (4 * size.area());
  }

  /**
   * Writes {@code frame} from the position of {@code rgba} on, which stays where it is, opaque.
   * Chroma is interpolated by Keys' cubic.
   */
  public void toRgba(VideoFrame frame, ByteBuffer rgba) {
    Size size = frame.size;
    ByteBuffer to = rgba.duplicate();
    int rows = VideoFrame.half(size.height);
    int columns = VideoFrame.half(size.width);
    ChromaTaps tall = ChromaTaps.alongColumnOfLuma(rows, size.height);
    ChromaTaps wide = ChromaTaps.alongRowOfLuma(columns, size.width);
    ChromaPlane blues = new ChromaPlane(frame.blue, tall, wide);
    ChromaPlane reds = new ChromaPlane(frame.red, tall, wide);
    double gain = full ? 1 : 255.0 / 219;
    double swing = full ? 1 : 255.0 / 224;
    double green = 1 - matrix.red - matrix.blue;
    int luma = fixed(gain, BITS);
    int redByRed = fixed(2 * (1 - matrix.red) * swing, FACTOR_BITS);
    int blueByBlue = fixed(2 * (1 - matrix.blue) * swing, FACTOR_BITS);
    int greenByRed = fixed(2 * (1 - matrix.red) * matrix.red / green * swing, FACTOR_BITS);
    int greenByBlue = fixed(2 * (1 - matrix.blue) * matrix.blue / green * swing, FACTOR_BITS);
    byte[] levels = new byte[size.width];
    int[] blue = new int[size.width];
    int[] red = new int[size.width];
    byte[] pixels = new byte[4 * size.width];
    int shift = 2 * ChromaTaps.BITS - CHROMA_BITS;
    int rounding = (1 << shift - 1) - (GREY << 2 * ChromaTaps.BITS);
    for (int y = 0; y < size.height; y++) {
      frame.luma.read(y, levels);
      blues.read(y, blue);
      reds.read(y, red);
      for (int x = 0, at = 0; x < levels.length; x++, at += 4) {
        int level = luma * ((levels[x] & 0xff) - (full ? 0 : 16)) + HALF;
        int b = blue[x] + rounding >> shift;
        int r = red[x] + rounding >> shift;
        pixels[at] = clipped(level + redByRed * r);
        pixels[at + 1] = clipped(level - greenByRed * r - greenByBlue * b);
        pixels[at + 2] = clipped(level + blueByBlue * b);
        pixels[at + 3] = (byte) 255;
      }
      to.put(pixels);
    }
  }

  /**
   * Fills {@code frame} with the upper left corner of {@code rgba}, an image of {@code size} from
   * the position on, which stays where it is. Chroma is the mean of six pixels, 1 2 1 in a row.
   */
  public void ofRgba(ByteBuffer rgba, Size size, VideoFrame frame) {
    if (!size.holds(frame.size.height, frame.size.width)) {
      throw new AilsrException("an image of " + size + " does not fill a frame of " + frame.size);
    }
    double gain = (full ? 1 : 219.0 / 255) * (1 << BITS);
    int redOfLuma = (int) Math.rint(matrix.red * gain);
    int blueOfLuma = (int) Math.rint(matrix.blue * gain);
    int greenOfLuma = (int) Math.rint(gain) - redOfLuma - blueOfLuma;
    int offset = (full ? 0 : 16 << BITS) + HALF;
    int width = frame.size.width;
    byte[] upper = new byte[4 * width];
    byte[] lower = new byte[4 * width];
    byte[] levels = new byte[width];
    byte[] blue = new byte[frame.blue.width];
    byte[] red = new byte[frame.red.width];
    for (int y = 0; y < frame.size.height; y += 2) {
      for (int i = 0; i < 2 && y + i < frame.size.height; i++) {
        byte[] pixels = i == 0 ? upper : lower;
        ByteBuffer from = rgba.duplicate();
        from.position(rgba.position() + 4 * (y + i) * size.width);
        from.get(pixels);
        for (int x = 0, at = 0; x < width; x++, at += 4) {
          levels[x] = (byte) (redOfLuma * (pixels[at] & 0xff) + greenOfLuma
              * (pixels[at + 1] & 0xff) + blueOfLuma * (pixels[at + 2] & 0xff) + offset >> BITS);
        }
        frame.luma.write(y + i, levels);
      }
      chroma(upper, y + 1 < frame.size.height ? lower : upper, blue, red);
      frame.blue.write(y / 2, blue);
      frame.red.write(y / 2, red);
    }
  }

  /** The chroma of two rows of pixels. */
  private void chroma(byte[] upper, byte[] lower, byte[] blue, byte[] red) {
    double swing = (full ? 1 : 224.0 / 255) * (1 << FACTOR_BITS + 3); // eight pixels' sums
    double green = 1 - matrix.red - matrix.blue;
    double blues = swing / (2 * (1 - matrix.blue));
    double reds = swing / (2 * (1 - matrix.red));
    int redOfBlue = (int) Math.rint(-matrix.red * blues);
    int greenOfBlue = (int) Math.rint(-green * blues);
    int blueOfBlue = -redOfBlue - greenOfBlue; // grey has none
    int greenOfRed = (int) Math.rint(-green * reds);
    int blueOfRed = (int) Math.rint(-matrix.blue * reds);
    int redOfRed = -greenOfRed - blueOfRed;
    int last = upper.length - 4;
    int bits = FACTOR_BITS + 6;
    int offset = (GREY << bits) + (1 << bits - 1);
    for (int i = 0; i < blue.length; i++) {
      int at = 8 * i;
      int left = Math.max(0, at - 4);
      int right = Math.min(last, at + 4);
      int r = sum(upper, left, at, right) + sum(lower, left, at, right);
      int g = sum(upper, left + 1, at + 1, right + 1) + sum(lower, left + 1, at + 1, right + 1);
      int b = sum(upper, left + 2, at + 2, right + 2) + sum(lower, left + 2, at + 2, right + 2);
      blue[i] = level(redOfBlue * r + greenOfBlue * g + blueOfBlue * b + offset >> bits);
      red[i] = level(redOfRed * r + greenOfRed * g + blueOfRed * b + offset >> bits);
    }
  }

  private static int sum(byte[] pixels, int left, int at, int right) {
    return (pixels[left] & 0xff) + 2 * (pixels[at] & 0xff) + (pixels[right] & 0xff);
  }

  private static int fixed(double factor, int bits) {
    return (int) Math.rint(factor * (1 << bits));
  }

  private static byte clipped(int value) {
    return level(value >> BITS);
  }

  private static byte level(int value) {
    return (byte) Math.max(0, Math.min(255, value));
  }

  @Override
  public String toString() {
    return matrix + ", " + (full ? "full" : "studio") + " range";
  }
}
