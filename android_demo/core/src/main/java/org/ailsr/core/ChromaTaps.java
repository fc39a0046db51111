package org.ailsr.core;

/**
 * Keys' cubic (a = -0.5) over the chroma along one side: which four samples an output is made of,
 * and their weights. Chroma lies beside the left one of two samples of luma, and between the upper
 * and the lower one, as in H.264 unless a file says otherwise. Edges are repeated.
 */
final class ChromaTaps {
  /** Of weights: they sum to {@code 1 << BITS}. */
  static final int BITS = 10;

  static final int COUNT = 4;

  final int length;

  /** By output and tap. */
  private final int[] indices;

  private final int[] weights;

  private ChromaTaps(int samples, int length, double step, double first) {
    this.length = length;
    indices = new int[COUNT * length];
    weights = new int[COUNT * length];
    for (int i = 0; i < length; i++) {
      double position = first + i * step;
      int left = (int) Math.floor(position) - 1;
      int rest = 1 << BITS;
      int largest = COUNT * i;
      for (int at = COUNT * i; at < COUNT * (i + 1); at++) {
        int index = left + at - COUNT * i;
        indices[at] = Math.max(0, Math.min(samples - 1, index));
        weights[at] = (int) Math.rint(cubic(position - index) * (1 << BITS));
        rest -= weights[at];
        largest = weights[at] > weights[largest] ? at : largest;
      }
      weights[largest] += rest;
    }
  }

  /** From {@code samples} of chroma to luma of {@code length}, along a row. */
  static ChromaTaps alongRowOfLuma(int samples, int length) {
    return new ChromaTaps(samples, length, 0.5, 0);
  }

  /** As {@link #alongRowOfLuma}, from top to bottom. */
  static ChromaTaps alongColumnOfLuma(int samples, int length) {
    return new ChromaTaps(samples, length, 0.5, -0.25);
  }

  /** From {@code samples} of chroma to those of a frame {@code scale} times as wide. */
  static ChromaTaps alongRow(int samples, int length, int scale) {
    return new ChromaTaps(samples, length, 1.0 / scale, (1.0 / scale - 1) / 4);
  }

  /** As {@link #alongRow}, from top to bottom. */
  static ChromaTaps alongColumn(int samples, int length, int scale) {
    return new ChromaTaps(samples, length, 1.0 / scale, 0.5 / scale - 0.5);
  }

  /** The sample that a tap of output {@code at} takes. */
  int index(int at, int tap) {
    return indices[COUNT * at + tap];
  }

  int weight(int at, int tap) {
    return weights[COUNT * at + tap];
  }

  /** Writes each output of a row of {@code samples} into {@code sums}, {@link #BITS} bits more. */
  void apply(int[] samples, int[] sums) {
    for (int i = 0, at = 0; i < length; i++, at += COUNT) {
      sums[i] = weights[at] * samples[indices[at]]
          + weights[at + 1] * samples[indices[at + 1]]
          + weights[at + 2] * samples[indices[at + 2]]
          + weights[at + 3] * samples[indices[at + 3]];
    }
  }

  private static double cubic(double distance) {
    double x = Math.abs(distance);
    if (x <= 1) {
      return 1.5 * x * x * x - 2.5 * x * x + 1;
    }
    return x <= 2 ? -0.5 * x * x * x + 2.5 * x * x - 4 * x + 2 : 0;
  }
}
