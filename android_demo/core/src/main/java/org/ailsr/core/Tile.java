package org.ailsr.core;

import java.util.ArrayList;
import java.util.List;

/**
 * How a side of an image is cut into tiles of a model's input size so that no seam shows.
 *
 * <p>A network sees {@code radius} pixels around each pixel. At the edge of an image it sees its
 * own padding, which is part of its result; at the edge of a tile inside the image it must not.
 * So tiles overlap, and each loses {@code radius} pixels at the sides that lie inside the image
 * and none at the others. A tile of an image is a {@code Tile} of its rows and one of its columns.
 */
public final class Tile {
  /** It reads the pixels [start, stop). */
  public final int start;

  public final int stop;

  /** It yields what becomes of the pixels [first, last). */
  public final int first;

  public final int last;

  private Tile(int start, int stop, int first, int last) {
    this.start = start;
    this.stop = stop;
    this.first = first;
    this.last = last;
  }

  /** Pixels that it reads. */
  public int length() {
    return stop - start;
  }

  /** Pixels that it yields, before upscaling. */
  public int kept() {
    return last - first;
  }

  /**
   * The tiles along a side of {@code length} pixels; what they yield neither overlaps nor leaves
   * gaps.
   *
   * @throws AilsrException when it takes several, but {@code window} leaves nothing between two
   *     overlaps of {@code radius}
   */
  public static List<Tile> along(int length, int window, int radius) {
    List<Tile> tiles = new ArrayList<>();
    if (length <= window) {
      tiles.add(new Tile(0, length, 0, length));
      return tiles;
    }
    int step = window - 2 * radius;
    if (step < 1) {
      throw new AilsrException(
          "the model's input of " + window + " pixels is too small to tile a side of " + length
              + ": its receptive field needs " + (2 * radius + 1)
              + " or more; export it with a larger --input-size");
    }
    Tile tile = new Tile(0, window, 0, window - radius);
    tiles.add(tile);
    while (tile.stop < length) {
      // The last tile is moved back to end with the image; its overlap only grows.
      int start = Math.min(tile.start + step, length - window);
      int stop = start + window;
      tile = new Tile(start, stop, tile.last, stop < length ? stop - radius : stop);
      tiles.add(tile);
    }
    return tiles;
  }

  /**
   * Of {@code windows} the one with which the fewest pixels are computed for {@code picture}.
   *
   * @throws AilsrException when each is too small, as {@link #along}
   */
  static Size bestWindow(Size picture, List<Size> windows, int radius) {
    Size best = null;
    long leastPixels = 0;
    long fewestTiles = 0;
    AilsrException reason = null;
    for (Size window : windows) {
      try {
        long tiles = (long) along(picture.height, window.height, radius).size()
            * along(picture.width, window.width, radius).size();
        long pixels = tiles * window.area();
        if (best == null || pixels < leastPixels
            || pixels == leastPixels && tiles < fewestTiles) {
          best = window;
          leastPixels = pixels;
          fewestTiles = tiles;
        }
      } catch (AilsrException error) {
        reason = error;
      }
    }
    if (best == null) {
      throw reason;
    }
    return best;
  }
}
