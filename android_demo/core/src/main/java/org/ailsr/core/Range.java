package org.ailsr.core;

import java.util.Arrays;
import java.util.Collections;
import java.util.List;

/** The numbers that are black and white in a float file's input or output, for R, G and B. */
public final class Range {
  /** That of every file with a card. */
  public static final Range UNIT = between("0..1", 0, 1);

  /** Those that are tried on files of others, the ones before preferred to those after. */
  static final List<Range> TRIED = Collections.unmodifiableList(Arrays.asList(
      UNIT,
      between("0..255", 0, 255),
      between("-1..1", -1, 1),
      normalized(
          "imagenet", new double[] {0.485, 0.456, 0.406}, new double[] {0.229, 0.224, 0.225})));

  /** As the options of ailsr-export have it. */
  public final String name;

  private final float[] black;
  private final float[] step; // white less black

  private Range(String name, double[] black, double[] white) {
    this.name = name;
    this.black = new float[Picture.CHANNELS];
    this.step = new float[Picture.CHANNELS];
    for (int c = 0; c < Picture.CHANNELS; c++) {
      this.black[c] = (float) black[c];
      this.step[c] = (float) (white[c] - black[c]);
    }
  }

  /** The same range for each channel. */
  public static Range between(String name, double black, double white) {
    return new Range(
        name, new double[] {black, black, black}, new double[] {white, white, white});
  }

  /** (level - mean) / std, levels being in [0, 1]. */
  private static Range normalized(String name, double[] mean, double[] std) {
    double[] black = new double[Picture.CHANNELS];
    double[] white = new double[Picture.CHANNELS];
    for (int c = 0; c < Picture.CHANNELS; c++) {
      black[c] = (0 - mean[c]) / std[c];
      white[c] = (1 - mean[c]) / std[c];
    }
    return new Range(name, black, white);
  }

  /** The numbers for {@code rgb}, by pixel and channel. */
  float[] encode(byte[] rgb) {
    float[] numbers = new float[rgb.length];
    for (int i = 0; i < numbers.length; i++) {
      int c = i % Picture.CHANNELS;
      numbers[i] = (rgb[i] & 0xff) / 255f * step[c] + black[c];
    }
    return numbers;
  }

  /**
   * The pixels that {@code numbers} stand for, clipped to black and white and rounded half to even.
   *
   * @throws AilsrException when they are not numbers
   */
  byte[] decode(float[] numbers) {
    byte[] rgb = new byte[numbers.length];
    for (int i = 0; i < rgb.length; i++) {
      int c = i % Picture.CHANNELS;
      float level = (numbers[i] - black[c]) / step[c] * 255f;
      if (level != level) {
        throw new AilsrException("the file computed NaN: it is damaged or was exported wrongly");
      }
      rgb[i] = (byte) (int) Math.rint(Math.max(0f, Math.min(255f, level)));
    }
    return rgb;
  }
}
