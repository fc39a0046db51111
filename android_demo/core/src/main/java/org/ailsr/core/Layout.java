package org.ailsr.core;

import java.util.Arrays;

/**
 * The channels of a file's input and output, and their conversion from and to RGB, as {@code
 * runtime/engines/layouts.py} has it. With a plane of luma, the chroma is enlarged by bicubic
 * interpolation.
 */
public enum Layout {
  RGB("rgb", 3),
  /** Alpha is ignored, and comes out opaque: what a bitmap holds. */
  RGBA("rgba", 4),
  /** Luma of BT.601 in studio range, 16 to 235, as video decoders give it. */
  Y("y", 1),
  /** Luma of full range, as JPEG has it. */
  Y_FULL("y-full", 1);

  private static final byte OPAQUE = (byte) 255;
  private static final double[] STUDIO = {65.481 / 255, 128.553 / 255, 24.966 / 255};
  private static final double STUDIO_BLACK = 16;
  private static final double STUDIO_WHITE = 235;
  private static final double[] FULL = {0.299, 0.587, 0.114};

  /** The name that cards use. */
  public final String label;

  public final int channels;

  Layout(String label, int channels) {
    this.label = label;
    this.channels = channels;
  }

  /** The layout of a card. Throws AilsrException for one that this version lacks. */
  static Layout ofLabel(String label) {
    for (Layout layout : values()) {
      if (layout.label.equals(label)) {
        return layout;
      }
    }
    throw new AilsrException("layout '" + label + "' is unknown: update the app");
  }

  /** {@code picture} in this layout, 8 bits a sample; RGBA is opaque. */
  byte[] levels(Picture picture) {
    if (this == RGB) {
      return picture.rgb;
    }
    byte[] rgb = picture.rgb;
    byte[] levels = new byte[channels * (rgb.length / 3)];
    for (int from = 0, to = 0; from < rgb.length; from += 3, to += channels) {
      if (this == RGBA) {
        levels[to] = rgb[from];
        levels[to + 1] = rgb[from + 1];
        levels[to + 2] = rgb[from + 2];
        levels[to + 3] = OPAQUE;
      } else {
        levels[to] = (byte) (int) Math.rint(luma(rgb, from));
      }
    }
    return levels;
  }

  /** The image in a file's output {@code levels}, {@code scale} times as large as its input. */
  Picture picture(byte[] levels, Picture input, int scale) {
    int height = scale * input.height();
    int width = scale * input.width();
    if (this == RGB) {
      return new Picture(height, width, levels);
    }
    if (this == RGBA) {
      return new Picture(height, width, colors(levels, false));
    }
    Picture result = Resize.enlarge(input, scale);
    byte[] rgb = result.rgb;
    double gain = this == Y ? 255 / (STUDIO_WHITE - STUDIO_BLACK) : 1;
    double[] weights = this == Y ? STUDIO : FULL;
    double black = this == Y ? STUDIO_BLACK : 0;
    for (int at = 0, from = 0; at < rgb.length; at += 3, from++) {
      int red = rgb[at] & 0xff;
      int green = rgb[at + 1] & 0xff;
      int blue = rgb[at + 2] & 0xff;
      double luma = weights[0] * red + weights[1] * green + weights[2] * blue + black;
      double difference = ((levels[from] & 0xff) - luma) * gain;
      rgb[at] = moved(red, difference);
      rgb[at + 1] = moved(green, difference);
      rgb[at + 2] = moved(blue, difference);
    }
    return result;
  }

  /** {@code level} with {@code difference} added, rounded to even and clamped. */
  private static byte moved(int level, double difference) {
    double sum = level + difference;
    return (byte) (sum <= 0 ? 0 : sum >= 255 ? 255 : (int) Math.rint(sum));
  }

  /** The probe image as a file is given it: of luma, its green channel. */
  byte[] probeLevels(Picture image) {
    if (channels != 1) {
      return levels(image);
    }
    byte[] green = new byte[image.rgb.length / 3];
    for (int i = 0; i < green.length; i++) {
      green[i] = image.rgb[3 * i + 1];
    }
    return green;
  }

  /** A file's {@code levels} for the probe image: luma is grey, what is not opaque black. */
  Picture probeAnswer(byte[] levels, int height, int width) {
    if (this == RGB) {
      return new Picture(height, width, levels);
    }
    if (this == RGBA) {
      return new Picture(height, width, colors(levels, true));
    }
    byte[] grey = new byte[3 * levels.length];
    for (int i = 0; i < levels.length; i++) {
      Arrays.fill(grey, 3 * i, 3 * i + 3, levels[i]);
    }
    return new Picture(height, width, grey);
  }

  /** R, G and B of {@code rgba}; black, if so wanted, where that is not opaque. */
  private static byte[] colors(byte[] rgba, boolean opaqueOnly) {
    byte[] rgb = new byte[3 * (rgba.length / 4)];
    for (int from = 0, to = 0; from < rgba.length; from += 4, to += 3) {
      if (!opaqueOnly || rgba[from + 3] == OPAQUE) {
        rgb[to] = rgba[from];
        rgb[to + 1] = rgba[from + 1];
        rgb[to + 2] = rgba[from + 2];
      }
    }
    return rgb;
  }

  /** Of the pixel at {@code at}, in the order of sums that the runtime has. */
  private double luma(byte[] rgb, int at) {
    double[] weights = this == Y ? STUDIO : FULL;
    double y = weights[0] * (rgb[at] & 0xff);
    y += weights[1] * (rgb[at + 1] & 0xff);
    y += weights[2] * (rgb[at + 2] & 0xff);
    return this == Y ? y + STUDIO_BLACK : y;
  }
}
