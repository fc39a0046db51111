package org.ailsr.core;

import java.util.List;

/**
 * A fidelity probe: the right answer, condensed, to an image that every runtime can make of
 * integers alone. {@code runtime/probe.py} says what for; {@code tests/parity/probe.json} holds the
 * two together.
 */
public final class Probe {
  private static final int PLACES = 384; // samples whose levels are kept
  private static final int BORDER = 64; // of these, on the border of the image
  private static final int GRID = 4; // rows and columns over which samples are summed
  private static final int CELL = 16; // side of the patterns that the image is made of
  private static final int WITHIN_LEVELS = 8; // more is no rounding, not even that of float16
  private static final double WITHIN_MEAN = 0.5; // of a cell of the grid
  private static final int MOST_LEVELS = 128;
  private static final double MOST_MEAN = 4;

  /** Of {@link #PLACES} samples. */
  private final byte[] levels;

  /** Of the levels in each cell of the grid, by row, column, colour. */
  private final long[] sums;

  /** Levels by which a sample may differ, and the mean of a cell of the grid. */
  private final int withinLevels;
  private final double withinMean;

  private Probe(byte[] levels, long[] sums, int withinLevels, double withinMean) {
    this.levels = levels;
    this.sums = sums;
    this.withinLevels = withinLevels;
    this.withinMean = withinMean;
  }

  /** The one in a card. Throws AilsrException when it is none. */
  static Probe of(Fields fields) {
    String hex = fields.text("levels");
    List<?> numbers = fields.list("sums");
    if (!hex.matches("[0-9a-fA-F]{" + 2 * PLACES + "}")
        || numbers.size() != GRID * GRID * Picture.CHANNELS) {
      throw new AilsrException("a probe of another length");
    }
    byte[] levels = new byte[PLACES];
    for (int i = 0; i < PLACES; i++) {
      levels[i] = (byte) Integer.parseInt(hex.substring(2 * i, 2 * i + 2), 16);
    }
    long[] sums = new long[numbers.size()];
    for (int i = 0; i < sums.length; i++) {
      if (!(numbers.get(i) instanceof Long)) {
        throw new AilsrException("a probe whose sums are not whole numbers");
      }
      sums[i] = (Long) numbers.get(i);
    }
    int withinLevels = fields.given("within_levels")
        ? fields.integer("within_levels", WITHIN_LEVELS, MOST_LEVELS) : WITHIN_LEVELS;
    double withinMean = fields.given("within_mean") ? fields.number("within_mean") : WITHIN_MEAN;
    if (withinMean < WITHIN_MEAN || withinMean > MOST_MEAN) {
      throw new AilsrException("a probe whose 'within_mean' is " + withinMean);
    }
    return new Probe(levels, sums, withinLevels, withinMean);
  }

  /** How {@code upscaled}, an engine's answer, differs from the right one. */
  Fidelity fidelity(Picture upscaled) {
    byte[] found = atPlaces(upscaled);
    int most = 0;
    for (int i = 0; i < PLACES; i++) {
      most = Math.max(most, Math.abs((levels[i] & 0xff) - (found[i] & 0xff)));
    }
    long[] foundSums = sums(upscaled);
    double mean = 0;
    for (int i = 0; i < sums.length; i++) {
      int cell = i / Picture.CHANNELS;
      long samples = (long) side(upscaled.height(), cell / GRID)
          * side(upscaled.width(), cell % GRID);
      mean = Math.max(
          mean, (double) Math.abs(sums[i] - foundSums[i]) / Math.max(samples, 1));
    }
    int largest = Math.max(most, (int) Math.ceil(mean));
    Fidelity.Verdict verdict = largest == 0 ? Fidelity.Verdict.EXACT
        : most <= withinLevels && mean <= withinMean ? Fidelity.Verdict.WITHIN
        : Fidelity.Verdict.WRONG;
    return new Fidelity(verdict, largest);
  }

  /** The image: cells that are flat, ramps, edges, stripes or grain. */
  static Picture picture(Size size) {
    Picture picture = new Picture(size.height, size.width);
    for (int top = 0; top < size.height; top += CELL) {
      for (int left = 0; left < size.width; left += CELL) {
        int cell = hash(top / CELL * 1021 + left / CELL + 1);
        for (int channel = 0; channel < Picture.CHANNELS; channel++) {
          fill(picture, top, left, cell, channel);
        }
      }
    }
    return picture;
  }

  /** {@code picture} with noise, the same each time: triangular, its standard deviation 13 levels. */
  static Picture noisy(Picture picture) {
    Picture noisy = new Picture(picture.height(), picture.width());
    for (int i = 0; i < picture.rgb.length; i++) {
      int bits = hash(i / Picture.CHANNELS + 1);
      int first = 10 * (i % Picture.CHANNELS);
      int noise = bits(bits, first, 5) + bits(bits, first + 5, 5) - 31;
      noisy.rgb[i] = (byte) clipped((picture.rgb[i] & 0xff) + noise);
    }
    return noisy;
  }

  private static void fill(Picture picture, int top, int left, int cell, int channel) {
    int other = hash(cell);
    int kind = bits(cell, 29, 3);
    int grey = bits(cell, 0, 8);
    int secondGrey = grey + (bits(other, 0, 8) - 128 >> (kind < 5 ? 1 : 2));
    int tint = 8 - 8 * channel;
    int first = clipped(grey + tint + bits(cell, 8 + 5 * channel, 5) - 16);
    int second = clipped(secondGrey + tint + bits(other, 8 + 5 * channel, 5) - 16);
    if ((kind == 3 || kind == 4) && bits(other, 29, 2) == 0) {
      first = 0;
      second = 255;
    }
    int rows = Math.min(CELL, picture.height() - top);
    int columns = Math.min(CELL, picture.width() - left);
    for (int i = 0; i < rows; i++) {
      for (int j = 0; j < columns; j++) {
        int level = kind < 7
            ? pattern(kind, first, second, i, j)
            : first + bits(hash(cell + i * CELL + j), 4 * channel, 4) - 8;
        picture.rgb[picture.at(top + i, left + j) + channel] = (byte) clipped(level);
      }
    }
  }

  /** The level at row i and column j of a cell without grain. */
  private static int pattern(int kind, int first, int second, int i, int j) {
    int last = CELL - 1;
    switch (kind) {
      case 0:
        return first;
      case 1:
        return (first * (last - j) + second * j) / last;
      case 2:
        return (first * (last - i) + second * i) / last;
      case 3:
        return j < CELL / 2 ? first : second;
      case 4:
        return i + j < CELL ? first : second;
      case 5:
        return j / 2 % 2 == 0 ? first : second;
      default:
        return (i / 2 + j / 2) % 2 == 0 ? first : second;
    }
  }

  /** The levels of {@link #PLACES} samples; colours in turn, the first on the sides in turn. */
  private static byte[] atPlaces(Picture upscaled) {
    byte[] levels = new byte[PLACES];
    for (int number = 0; number < PLACES; number++) {
      int hash = hash(number + 1);
      int y = (int) ((hash & 0xffffffffL) % upscaled.height());
      int x = (int) ((hash(hash) & 0xffffffffL) % upscaled.width());
      if (number < BORDER) {
        int side = number % 4;
        y = side == 0 ? 0 : side == 1 ? upscaled.height() - 1 : y;
        x = side == 2 ? 0 : side == 3 ? upscaled.width() - 1 : x;
      }
      levels[number] = upscaled.rgb[upscaled.at(y, x) + number % Picture.CHANNELS];
    }
    return levels;
  }

  private static long[] sums(Picture upscaled) {
    long[] sums = new long[GRID * GRID * Picture.CHANNELS];
    int at = 0;
    for (int row = 0; row < GRID; row++) {
      for (int y = 0; y < side(upscaled.height(), row); y++) {
        for (int column = 0; column < GRID; column++) {
          int cell = Picture.CHANNELS * (row * GRID + column);
          for (int x = 0; x < side(upscaled.width(), column); x++) {
            for (int channel = 0; channel < Picture.CHANNELS; channel++) {
              sums[cell + channel] += upscaled.rgb[at++] & 0xff;
            }
          }
        }
      }
    }
    return sums;
  }

  /** Rows or columns of samples in one of the grid, which cuts {@code length} of them. */
  private static int side(int length, int number) {
    return (int) ((number + 1L) * length / GRID - (long) number * length / GRID);
  }

  /** 32 bits that have nothing to do with those of {@code value}, modulo 2^32. */
  private static int hash(int value) {
    for (int i = 0; i < 2; i++) {
      value = (value ^ value >>> 16) * 0x45d9f3b;
    }
    return value ^ value >>> 16;
  }

  private static int bits(int value, int first, int count) {
    return value >>> first & (1 << count) - 1;
  }

  private static int clipped(int level) {
    return Math.max(0, Math.min(255, level));
  }
}
