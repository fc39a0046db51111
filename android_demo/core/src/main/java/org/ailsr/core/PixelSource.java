package org.ailsr.core;

/** An image that is read window by window: in memory, on the disk, or computed. */
public interface PixelSource {
  /** Pixels. */
  int height();

  /** Pixels. */
  int width();

  /** The pixels of a window that lies inside the image. */
  Picture window(int top, int left, int height, int width);
}
