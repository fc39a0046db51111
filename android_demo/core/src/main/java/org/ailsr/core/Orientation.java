package org.ailsr.core;

/** How an image lies in its file, by the number that EXIF has for it (1 to 8). */
public final class Orientation {
  private final boolean transposed;
  private final boolean fromBottom;
  private final boolean fromRight;

  /** Numbers out of range mean upright, as 1 does. */
  public Orientation(int exif) {
    transposed = exif >= 5 && exif <= 8;
    // After the transposition: is the first row of the upright image the last one, and so on?
    fromBottom = exif == 3 || exif == 4 || exif == 7 || exif == 8;
    fromRight = exif == 2 || exif == 3 || exif == 6 || exif == 7;
  }

  /** Size of the upright image. */
  public Size upright(Size stored) {
    return transposed ? new Size(stored.width, stored.height) : stored;
  }

  /**
   * Puts rows of the stored image where they belong in the upright one.
   *
   * @param firstRow of the stored image
   */
  public void put(PixelFile upright, int firstRow, Picture rows) {
    int height = transposed ? rows.width() : rows.height();
    int width = transposed ? rows.height() : rows.width();
    Picture turned = new Picture(height, width);
    for (int y = 0; y < rows.height(); y++) {
      for (int x = 0; x < rows.width(); x++) {
        int row = transposed ? x : y;
        int column = transposed ? y : x;
        turned.paste(rows, y, x, 1, 1,
            fromBottom ? height - 1 - row : row, fromRight ? width - 1 - column : column);
      }
    }
    int top = transposed ? 0 : firstRow;
    int left = transposed ? firstRow : 0;
    upright.put(
        fromBottom ? upright.height() - top - height : top,
        fromRight ? upright.width() - left - width : left,
        turned);
  }
}
