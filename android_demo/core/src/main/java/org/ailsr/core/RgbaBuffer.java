package org.ailsr.core;

import java.nio.ByteBuffer;

/**
 * An image in a buffer, four bytes a pixel, as {@code Bitmap.copyPixelsToBuffer} and {@code
 * copyPixelsFromBuffer} have it (ARGB_8888, whose bytes are R, G, B and alpha). Alpha is not read,
 * and is written as opaque.
 */
final class RgbaBuffer extends LevelsBuffer implements PixelSource, Upscaler.Sink {
  private static final int CHANNELS = 4;
  private static final byte OPAQUE = (byte) 255;

  /** The image of {@code size} from the position of {@code rgba} on, which stays where it is. */
  RgbaBuffer(ByteBuffer rgba, Size size) {
    super(rgba, size, CHANNELS);
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
}
