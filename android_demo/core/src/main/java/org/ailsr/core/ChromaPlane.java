package org.ailsr.core;

/** A plane of chroma, interpolated: to the luma of its frame, or to the chroma of a larger one. */
final class ChromaPlane {
  private final VideoPlane plane;
  private final ChromaTaps rows;
  private final ChromaTaps columns;
  private final int[][] samples;

  /** The row of the plane that a slot of {@link #samples} holds; -1: none. */
  private final int[] held;

  private final byte[] row;
  private final int[] mixed;

  ChromaPlane(VideoPlane plane, ChromaTaps rows, ChromaTaps columns) {
    this.plane = plane;
    this.rows = rows;
    this.columns = columns;
    samples = new int[ChromaTaps.COUNT][plane.width];
    held = new int[] {-1, -1, -1, -1};
    row = new byte[plane.width];
    mixed = new int[plane.width];
  }

  /** Writes a row of the result into {@code sums}, in units of {@code 1 >> 2 * ChromaTaps.BITS}. */
  void read(int y, int[] sums) {
    java.util.Arrays.fill(mixed, 0);
    for (int tap = 0; tap < ChromaTaps.COUNT; tap++) {
      int weight = rows.weight(y, tap);
      if (weight != 0) {
        int[] own = samples(rows.index(y, tap));
        for (int x = 0; x < mixed.length; x++) {
          mixed[x] += weight * own[x];
        }
      }
    }
    columns.apply(mixed, sums);
  }

  /** Fills {@code result} with what is interpolated, rounded and clipped. */
  void write(VideoPlane result) {
    int[] sums = new int[columns.length];
    byte[] levels = new byte[columns.length];
    int half = 1 << 2 * ChromaTaps.BITS - 1;
    for (int y = 0; y < rows.length; y++) {
      read(y, sums);
      for (int x = 0; x < sums.length; x++) {
        int level = sums[x] + half >> 2 * ChromaTaps.BITS;
        levels[x] = (byte) Math.max(0, Math.min(255, level));
      }
      result.write(y, levels);
    }
  }

  /** Four rows that follow each other lie in slots of their own. */
  private int[] samples(int y) {
    int slot = y % ChromaTaps.COUNT;
    if (held[slot] != y) {
      plane.read(y, row);
      for (int x = 0; x < row.length; x++) {
        samples[slot][x] = row[x] & 0xff;
      }
      held[slot] = y;
    }
    return samples[slot];
  }
}
