package org.ailsr.core;

/**
 * The value of white, 1 or 255, of a float file without a card, by the rule of {@code
 * runtime/engines/interface.py}.
 *
 * <p>Super-resolution keeps local means, so one picture is run in both ranges, and 255 it is when
 * [0, 1] does not keep them and 255 keeps them clearly better. (A network with small biases does
 * well in both, and even better where they count less.)
 */
final class WhiteLevel {
  /**
   * Mean error of local means, white being 1, below which a network has kept them: those trained for
   * [0, 1] make at most 0.003, those for [0, 255] at least 0.025 when they are run in [0, 1].
   */
  private static final double KEPT = 0.01;

  private WhiteLevel() {}

  /** Runs a file. */
  interface Run {
    /** Its output for samples by row, column and colour, in the same order. */
    float[] of(float[] samples);
  }

  /** White of a file that makes pictures of {@code size} {@code scale} times as large. */
  static float of(Size size, int scale, Run run) {
    float[] picture = waves(size);
    double asOne = error(picture, size.width, scale, 1, run);
    double asMany = error(picture, size.width, scale, 255, run);
    return asOne < KEPT || asMany > asOne / 2 ? 1 : 255;
  }

  /** Mean difference of the local means from {@code picture}, white being 1. */
  private static double error(
      float[] picture, int width, int scale, float white, Run run) {
    float[] samples = picture.clone();
    for (int i = 0; i < samples.length; i++) {
      samples[i] *= white;
    }
    float[] upscaled = run.of(samples);
    int stride = Picture.CHANNELS * width;
    double error = 0;
    for (int i = 0; i < picture.length; i++) {
      int x = i % stride / Picture.CHANNELS;
      double sum = 0;
      for (int cell = 0; cell < scale * scale; cell++) {
        int row = i / stride * scale + cell / scale;
        int at = row * stride * scale + Picture.CHANNELS * (x * scale + cell % scale);
        sum += Math.max(0, Math.min(1, upscaled[at + i % Picture.CHANNELS] / white));
      }
      error += Math.abs(sum / (scale * scale) - picture[i]);
    }
    return error / picture.length;
  }

  /** Smooth, and colours of which each has its own. */
  private static float[] waves(Size size) {
    float[] picture = new float[Picture.CHANNELS * size.height * size.width];
    for (int i = 0; i < picture.length; i += Picture.CHANNELS) {
      int pixel = i / Picture.CHANNELS;
      double row = pixel / size.width;
      double wave = 0.5 + 0.35 * Math.sin(row / 5) * Math.cos(pixel % size.width / 7.0);
      picture[i] = (float) wave;
      picture[i + 1] = (float) (1 - wave);
      picture[i + 2] = (float) (wave * wave);
    }
    return picture;
  }
}
