package org.ailsr.core;

import java.util.Arrays;

/**
 * MATLAB's {@code imresize(..., 'bicubic')}: Keys' cubic with a = -0.5, stretched by the factor
 * when an image shrinks, symmetric border, rounded after each pass, first along the height.
 */
public final class Resize {
  private Resize() {}

  /** {@code picture} 1/{@code scale} as large: the low-resolution image of the protocol. */
  public static Picture shrink(Picture picture, int scale) {
    if (picture.height() % scale != 0 || picture.width() % scale != 0) {
      throw new AilsrException(
          picture.width() + "x" + picture.height() + " is no multiple of " + scale);
    }
    return window(
        picture, picture.height() / scale, picture.width() / scale,
        0, 0, picture.height() / scale, picture.width() / scale);
  }

  /** {@code picture} {@code scale} times as large: the baseline. */
  public static Picture enlarge(PixelSource picture, int scale) {
    return enlargedWindow(
        picture, scale, 0, 0, picture.height() * scale, picture.width() * scale);
  }

  /** A window of {@link #enlarge}, from the pixels that it needs. */
  public static Picture enlargedWindow(
      PixelSource picture, int scale, int top, int left, int height, int width) {
    return window(
        picture, picture.height() * scale, picture.width() * scale, top, left, height, width);
  }

  private static Picture window(
      PixelSource picture, int fullHeight, int fullWidth,
      int top, int left, int height, int width) {
    Taps rows = new Taps(picture.height(), fullHeight, top, height);
    Taps columns = new Taps(picture.width(), fullWidth, left, width);
    Picture source = picture.window(
        rows.first, columns.first, rows.last - rows.first + 1, columns.last - columns.first + 1);

    Picture result = new Picture(height, width);
    int stride = Picture.CHANNELS * source.width();
    double[] sums = new double[stride];
    for (int row = 0; row < height; row++) {
      Arrays.fill(sums, 0);
      for (int tap = 0; tap < rows.count; tap++) {
        double weight = rows.weights[row][tap];
        if (weight != 0) {
          int at = (rows.indices[row][tap] - rows.first) * stride;
          for (int i = 0; i < stride; i++) {
            sums[i] += weight * (source.rgb[at + i] & 0xff);
          }
        }
      }
      for (int i = 0; i < stride; i++) {
        sums[i] = rounded(sums[i]);
      }
      widen(sums, columns, result.rgb, row * Picture.CHANNELS * width);
    }
    return result;
  }

  /** Write a row of {@code result}, from {@code to} on, made of {@code levels}. */
  private static void widen(double[] levels, Taps columns, byte[] result, int to) {
    for (int column = 0; column < columns.weights.length; column++) {
      double[] weights = columns.weights[column];
      int[] indices = columns.indices[column];
      double red = 0;
      double green = 0;
      double blue = 0;
      for (int tap = 0; tap < weights.length; tap++) {
        double weight = weights[tap];
        if (weight != 0) {
          int at = (indices[tap] - columns.first) * Picture.CHANNELS;
          red += weight * levels[at];
          green += weight * levels[at + 1];
          blue += weight * levels[at + 2];
        }
      }
      result[to++] = (byte) rounded(red);
      result[to++] = (byte) rounded(green);
      result[to++] = (byte) rounded(blue);
    }
  }

  /** Half away from zero, as MATLAB rounds, and clamped. */
  private static int rounded(double level) {
    return level <= 0 ? 0 : level >= 255 ? 255 : (int) (level + 0.5);
  }

  /** What each output pixel of a window is made of: the weights of input pixels, and which. */
  private static final class Taps {
    final int count;
    final double[][] weights;
    final int[][] indices;

    /** The least and the largest index with a weight. */
    int first = Integer.MAX_VALUE;

    int last;

    Taps(int length, int target, int start, int size) {
      double factor = (double) target / length;
      double stretch = Math.min(factor, 1);
      count = (int) Math.ceil(4 / stretch) + 2;
      weights = new double[size][count];
      indices = new int[size][count];
      for (int i = 0; i < size; i++) {
        double center = (start + i + 1) / factor + 0.5 * (1 - 1 / factor); // counted from 1
        double left = Math.floor(center - 2 / stretch);
        double sum = 0;
        for (int tap = 0; tap < count; tap++) {
          weights[i][tap] = stretch * cubic(stretch * (center - (left + tap)));
          sum += weights[i][tap];
        }
        for (int tap = 0; tap < count; tap++) {
          weights[i][tap] /= sum;
          indices[i][tap] = mirrored((int) left + tap - 1, length);
          if (weights[i][tap] != 0) {
            first = Math.min(first, indices[i][tap]);
            last = Math.max(last, indices[i][tap]);
          }
        }
        for (int tap = 0; tap < count; tap++) {
          if (weights[i][tap] == 0) {
            indices[i][tap] = Math.max(first, Math.min(last, indices[i][tap]));
          }
        }
      }
    }

    private static int mirrored(int index, int length) {
      int at = (index % (2 * length) + 2 * length) % (2 * length);
      return at < length ? at : 2 * length - 1 - at;
    }

    /** Keys 1981, eq. 15, a = -0.5. */
    private static double cubic(double distance) {
      double x = Math.abs(distance);
      if (x <= 1) {
        return 1.5 * x * x * x - 2.5 * x * x + 1;
      }
      return x <= 2 ? -0.5 * x * x * x + 2.5 * x * x - 4 * x + 2 : 0;
    }
  }
}
