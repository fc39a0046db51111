package org.ailsr.core;

import java.nio.ByteBuffer;

/**
 * An image in a buffer, four bytes a pixel, as {@code Bitmap.copyPixelsToBuffer} and {@code
 * copyPixelsFromBuffer} have it (ARGB_8888, whose bytes are R, G, B and alpha). Alpha is not read,
 * and is written as opaque.
 */
final class RgbaBuffer implements PixelSource, Upscaler.Sink {
  private static final int CHANNELS = 4;
  private static final byte OPAQUE = (byte) 255;

  /** A view of its own: it begins with the first pixel, and positions are not those of others. */
  private final ByteBuffer bytes;

  private final Size size;

  /** The image of {@code size} from the position of {@code rgba} on, which stays where it is. */
  RgbaBuffer(ByteBuffer rgba, Size size) {
    if (size.height < 1 || size.width < 1 || rgba.remaining() != CHANNELS * size.area()) {
      throw new AilsrException(
          rgba.remaining() + " bytes are no image of " + size + " RGBA pixels, which has "
              + CHANNELS * size.area());
    }
    bytes = rgba.slice();
    this.size = size;
  }

  @Override
  public int height() {
    return size.height;
  }

  @Override
  public int width() {
    return size.width;
  }

  @Override
  public Picture window(int top, int left, int height, int width) {
    Picture window = new Picture(height, width);
    byte[] row = new byte[CHANNELS * width];
    for (int y = 0, to = 0; y < height; y++) {
      rows(top + y, left, width).get(row);
      for (int from = 0; from < row.length; from += CHANNELS) {
        window.rgb[to++] = row[from];
        window.rgb[to++] = row[from + 1];
        window.rgb[to++] = row[from + 2];
      }
    }
    return window;
  }

  @Override
  public void put(int firstRow, Picture part) {
    byte[] row = new byte[CHANNELS * part.width()];
    for (int y = 0, from = 0; y < part.height(); y++) {
      for (int to = 0; to < row.length; to += CHANNELS) {
        row[to] = part.rgb[from++];
        row[to + 1] = part.rgb[from++];
        row[to + 2] = part.rgb[from++];
        row[to + 3] = OPAQUE;
      }
      rows(firstRow + y, 0, part.width()).put(row);
    }
  }

  /** Fills {@code input}, an image of {@code padded} pixels, with a tile and repeats its edges. */
  void copyTo(ByteBuffer input, Tile row, Tile column, Size padded) {
    input.clear();
    int height = row.length();
    int width = column.length();
    if (width == size.width && width == padded.width) {
      input.put(pixels(row.start * width, height * width));
    } else {
      for (int y = row.start; y < row.stop; y++) {
        input.put(rows(y, column.start, width));
        repeat(input, 1, padded.width - width);
      }
    }
    repeat(input, padded.width, padded.height - height);
    input.flip();
  }

  /** Copies what a tile yields, out of its {@code output} in rows of {@code stride} pixels. */
  void copyFrom(ByteBuffer output, Tile row, Tile column, int stride, int scale) {
    ByteBuffer from = output.duplicate();
    int top = scale * (row.first - row.start);
    int left = scale * (column.first - column.start);
    int width = scale * column.kept();
    int height = scale * row.kept();
    if (width == size.width && width == stride) {
      part(from, output.position(), top * stride, height * width);
      rows(scale * row.first, 0, height * width).put(from);
      return;
    }
    for (int y = 0; y < height; y++) {
      part(from, output.position(), (top + y) * stride + left, width);
      rows(scale * row.first + y, scale * column.first, width).put(from);
    }
  }

  /** Appends the last {@code count} pixels of {@code buffer} again, so many times. */
  private static void repeat(ByteBuffer buffer, int count, int times) {
    if (times < 1) {
      return;
    }
    ByteBuffer last = buffer.duplicate();
    int start = buffer.position() - CHANNELS * count;
    for (int i = 0; i < times; i++) {
      last.limit(start + CHANNELS * count).position(start);
      buffer.put(last);
    }
  }

  private ByteBuffer rows(int row, int column, int pixels) {
    return pixels(row * size.width + column, pixels);
  }

  /** A view of so many pixels from one on. */
  private ByteBuffer pixels(int first, int count) {
    bytes.clear();
    part(bytes, 0, first, count);
    return bytes;
  }

  private static void part(ByteBuffer buffer, int start, int first, int count) {
    buffer.limit(start + CHANNELS * (first + count)).position(start + CHANNELS * first);
  }
}
