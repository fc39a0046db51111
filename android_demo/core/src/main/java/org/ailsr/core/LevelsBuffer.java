package org.ailsr.core;

import java.nio.ByteBuffer;

/** An image in a buffer, 8 bits a sample, pixel by pixel and without gaps: RGBA, or luma alone. */
class LevelsBuffer {
  final Size size;

  /** A view of its own: it begins with the first pixel, and positions are not those of others. */
  private final ByteBuffer bytes;

  /** Bytes of a pixel. */
  private final int channels;

  /** The image of {@code size} from the position of {@code levels} on, which stays where it is. */
  LevelsBuffer(ByteBuffer levels, Size size, int channels) {
    if (size.height < 1 || size.width < 1 || levels.remaining() != channels * size.area()) {
      throw new AilsrException(
          levels.remaining() + " bytes are no image of " + size + (channels == 4 ? " RGBA" : "")
              + " pixels, which has " + channels * size.area());
    }
    bytes = levels.slice();
    this.size = size;
    this.channels = channels;
  }

  /** Fills {@code input}, an image of {@code padded} pixels, with a tile and its mirror image. */
  void copyTo(ByteBuffer input, Tile row, Tile column, Size padded) {
    input.clear();
    int height = row.length();
    int width = column.length();
    if (width == size.width && width == padded.width) {
      input.put(pixels(row.start * width, height * width));
    } else {
      for (int y = row.start; y < row.stop; y++) {
        input.put(rows(y, column.start, width));
        int first = input.position() / channels - width;
        for (int x = width; x < padded.width; x++) {
          repeat(input, first + Picture.mirrored(x, width), 1);
        }
      }
    }
    for (int y = height; y < padded.height; y++) {
      repeat(input, Picture.mirrored(y, height) * padded.width, padded.width);
    }
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

  /** A view of so many pixels from a row and column on. */
  final ByteBuffer rows(int row, int column, int pixels) {
    return pixels(row * size.width + column, pixels);
  }

  /** Appends so many pixels of {@code buffer}, from one on, again. */
  private void repeat(ByteBuffer buffer, int first, int count) {
    ByteBuffer again = buffer.duplicate();
    part(again, 0, first, count);
    buffer.put(again);
  }

  /** A view of so many pixels from one on. */
  private ByteBuffer pixels(int first, int count) {
    bytes.clear();
    part(bytes, 0, first, count);
    return bytes;
  }

  private void part(ByteBuffer buffer, int start, int first, int count) {
    buffer.limit(start + channels * (first + count)).position(start + channels * first);
  }
}
