package org.ailsr.core;

import java.util.Arrays;
import java.util.Locale;

/**
 * The condition of an image before it is upscaled: clean, or degraded by JPEG and noise ({@code
 * runtime/imaging/condition.py}).
 */
public final class Condition {
  private static final int LOW_QUALITY = 85;
  private static final double NOISY = 4;
  private static final int BLOCK = 8;
  private static final int ROWS = 64 * BLOCK; // of a band
  private static final double TENTH = 0.797;

  /** 1 to 100; null: it is no JPEG. */
  public final Integer jpegQuality;

  /** Standard deviation in levels of luma. */
  public final double noise;

  public Condition(Integer jpegQuality, double noise) {
    this.jpegQuality = jpegQuality;
    this.noise = noise;
  }

  /** Whether a network for photographs is to be taken. */
  public boolean isDegraded() {
    return jpegQuality != null && jpegQuality <= LOW_QUALITY || noise >= NOISY;
  }

  /** {@code JPEG quality 60, noise 1.2} */
  @Override
  public String toString() {
    String jpeg = jpegQuality == null ? "no JPEG" : "JPEG quality " + jpegQuality;
    return jpeg + String.format(Locale.ROOT, ", noise %.1f", noise);
  }

  /**
   * Noise of an image in levels of luma: Immerkær's estimate on the smoothest tenth of the blocks
   * without black or white; 0 for an image without such a block.
   */
  public static double noise(PixelSource image) {
    int columns = (image.width() - 2) / BLOCK;
    long[] sums = new long[Math.max(0, (image.height() - 2) / BLOCK * columns)];
    int count = 0;
    for (int top = 0; top + BLOCK + 2 <= image.height(); top += ROWS) {
      int height = Math.min(ROWS + 2, image.height() - top);
      int[] luma = luma(image.window(top, 0, height, image.width()));
      for (int row = 1; row + BLOCK < height; row += BLOCK) {
        for (int column = 1; column + BLOCK < image.width(); column += BLOCK) {
          long sum = response(luma, image.width(), row, column);
          if (sum >= 0) {
            sums[count++] = sum;
          }
        }
      }
    }
    if (count == 0) {
      return 0;
    }
    Arrays.sort(sums, 0, count);
    double smooth = sums[count / 10];
    return Math.sqrt(Math.PI / 2) / 6 * smooth / (BLOCK * BLOCK) / TENTH;
  }

  /** That of JPEG files (BT.601 in full range) in whole levels. */
  private static int[] luma(Picture picture) {
    int[] luma = new int[picture.rgb.length / Picture.CHANNELS];
    for (int i = 0; i < luma.length; i++) {
      int at = Picture.CHANNELS * i;
      int sum = 299 * (picture.rgb[at] & 0xff) + 587 * (picture.rgb[at + 1] & 0xff)
          + 114 * (picture.rgb[at + 2] & 0xff);
      luma[i] = (sum + 500) / 1000;
    }
    return luma;
  }

  /** Sum of |response| of a block to the difference of two Laplacians; −1: pixels are clipped. */
  private static long response(int[] luma, int width, int top, int left) {
    long sum = 0;
    for (int row = top; row < top + BLOCK; row++) {
      for (int at = row * width + left; at < row * width + left + BLOCK; at++) {
        if (luma[at] == 0 || luma[at] == 255) {
          return -1;
        }
        int response = across(luma, at - width) - 2 * across(luma, at) + across(luma, at + width);
        sum += Math.abs(response);
      }
    }
    return sum;
  }

  private static int across(int[] luma, int at) {
    return luma[at - 1] - 2 * luma[at] + luma[at + 1];
  }
}
