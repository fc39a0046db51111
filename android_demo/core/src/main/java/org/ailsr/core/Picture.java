package org.ailsr.core;

/** 8-bit RGB pixels in memory, row by row, three bytes a pixel. */
public final class Picture implements PixelSource {
  public static final int CHANNELS = 3;

  private final int height;
  private final int width;

  /** R, G and B of each pixel, rows from the top, without gaps. */
  public final byte[] rgb;

  /** A black image. */
  public Picture(int height, int width) {
    this(height, width, new byte[bytes(height, width)]);
  }

  /** The image that {@code rgb} holds; the array is not copied. */
  public Picture(int height, int width, byte[] rgb) {
    if (height < 1 || width < 1 || rgb.length != bytes(height, width)) {
      throw new AilsrException(
          rgb.length + " bytes are no image of " + width + "x" + height + " RGB pixels");
    }
    this.height = height;
    this.width = width;
    this.rgb = rgb;
  }

  private static int bytes(int height, int width) {
    long bytes = (long) CHANNELS * height * width;
    if (bytes > Integer.MAX_VALUE - 8) {
      throw new AilsrException(width + "x" + height + " pixels are too many for one array");
    }
    return (int) bytes;
  }

  @Override
  public int height() {
    return height;
  }

  @Override
  public int width() {
    return width;
  }

  /** Where in {@link #rgb} a pixel begins. */
  public int at(int row, int column) {
    return CHANNELS * (row * width + column);
  }

  @Override
  public Picture window(int top, int left, int windowHeight, int windowWidth) {
    Picture window = new Picture(windowHeight, windowWidth);
    window.paste(this, top, left, windowHeight, windowWidth, 0, 0);
    return window;
  }

  /** Copies a window of {@code from} to where its upper left corner is to lie in this image. */
  public void paste(
      Picture from, int fromTop, int fromLeft, int rows, int columns, int top, int left) {
    for (int row = 0; row < rows; row++) {
      System.arraycopy(
          from.rgb, from.at(fromTop + row, fromLeft), rgb, at(top + row, left), CHANNELS * columns);
    }
  }

  /** The image cut at the bottom and right to sides that {@code scale} divides. */
  public Picture cropToMultiple(int scale) {
    int rows = height - height % scale;
    int columns = width - width % scale;
    return rows == height && columns == width ? this : window(0, 0, rows, columns);
  }

  /** The image with its mirror image at the right and below until it has this size. */
  public Picture padded(int toHeight, int toWidth) {
    if (toHeight == height && toWidth == width) {
      return this;
    }
    Picture padded = new Picture(toHeight, toWidth);
    padded.paste(this, 0, 0, height, width, 0, 0);
    for (int column = width; column < toWidth; column++) {
      padded.paste(this, 0, mirrored(column, width), height, 1, 0, column);
    }
    for (int row = height; row < toHeight; row++) {
      padded.paste(padded, mirrored(row, height), 0, 1, toWidth, row, 0);
    }
    return padded;
  }

  /** The pixel of {@code count} that stands for the one at {@code index}, maybe behind the last. */
  static int mirrored(int index, int count) {
    int at = index % (2 * count);
    return Math.min(at, 2 * count - 1 - at);
  }
}
