package org.ailsr.core;

import java.nio.ByteBuffer;

/**
 * One plane of a video's frame in a buffer: samples of 8 bits that lie {@code pixelStride} bytes
 * apart, in rows that lie {@code rowStride} bytes apart. What lies between them is of others and is
 * left as it is.
 */
public final class VideoPlane {
  public final int height;
  public final int width;

  private final ByteBuffer bytes;
  private final int start;
  private final int rowStride;
  private final int pixelStride;
  private byte[] gaps = new byte[0];

  /**
   * A window of a plane.
   *
   * @param buffer its first byte, whatever its position, is the plane's first sample; of the last
   *     row, what follows the last sample may be missing
   * @param top row of the plane at which the window begins; {@code left} likewise
   * @throws AilsrException when the buffer does not hold the window
   */
  public VideoPlane(
      ByteBuffer buffer, int rowStride, int pixelStride, int top, int left, int height, int width) {
    start = top * rowStride + left * pixelStride;
    long end = start + (long) (height - 1) * rowStride + (long) (width - 1) * pixelStride + 1;
    if (height < 1 || width < 1 || top < 0 || left < 0 || pixelStride < 1
        || rowStride < (width - 1) * pixelStride + 1 || end > buffer.limit()) {
      throw new AilsrException(
          "a plane of " + width + "x" + height + " samples from " + left + "," + top
              + " on does not lie in " + buffer.limit() + " bytes with strides of " + rowStride
              + " and " + pixelStride);
    }
    bytes = buffer.duplicate();
    this.rowStride = rowStride;
    this.pixelStride = pixelStride;
    this.height = height;
    this.width = width;
  }

  /** A plane of its own, without gaps. */
  VideoPlane(int height, int width) {
    this(ByteBuffer.allocate(height * width), width, 1, 0, 0, height, width);
  }

  /** Copies a row into the first {@link #width} of {@code samples}. */
  public void read(int row, byte[] samples) {
    if (pixelStride == 1) {
      at(row).get(samples, 0, width);
      return;
    }
    byte[] all = gaps();
    at(row).get(all);
    for (int i = 0, from = 0; i < width; i++, from += pixelStride) {
      samples[i] = all[from];
    }
  }

  /** Copies the first {@link #width} of {@code samples} into a row. */
  public void write(int row, byte[] samples) {
    if (pixelStride == 1) {
      at(row).put(samples, 0, width);
      return;
    }
    byte[] all = gaps();
    at(row).get(all);
    for (int i = 0, to = 0; i < width; i++, to += pixelStride) {
      all[to] = samples[i];
    }
    at(row).put(all);
  }

  /** Copies the upper left corner of {@code from}, which is no smaller. */
  void copyFrom(VideoPlane from) {
    byte[] row = new byte[from.width];
    for (int y = 0; y < height; y++) {
      from.read(y, row);
      write(y, row);
    }
  }

  /** Both are of one size and hold the same samples. */
  boolean sameAs(VideoPlane other) {
    if (height != other.height || width != other.width) {
      return false;
    }
    byte[] own = new byte[width];
    byte[] others = new byte[width];
    for (int y = 0; y < height; y++) {
      read(y, own);
      other.read(y, others);
      if (!java.util.Arrays.equals(own, others)) {
        return false;
      }
    }
    return true;
  }

  private ByteBuffer at(int row) {
    bytes.position(start + row * rowStride);
    return bytes;
  }

  /** Room for a row with what lies between its samples. */
  private byte[] gaps() {
    int length = (width - 1) * pixelStride + 1;
    if (gaps.length != length) {
      gaps = new byte[length];
    }
    return gaps;
  }
}
