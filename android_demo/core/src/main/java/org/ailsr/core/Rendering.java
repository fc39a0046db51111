package org.ailsr.core;

/** Draws what a viewport shows of an image, in bands, so that large ones take little memory. */
public final class Rendering {
  private static final int BAND = 64;

  private Rendering() {}

  /** Bicubic enlargement of {@code source}, seen by the viewport of the enlarged image. */
  public static int[] enlarged(final PixelSource source, final int scale, Viewport viewport) {
    if (viewport.zoom * scale <= 1) {
      return argb(source, viewport.ofSmaller(scale)); // reduced again, it looks like the source
    }
    return argb(new PixelSource() {
      @Override
      public int height() {
        return scale * source.height();
      }

      @Override
      public int width() {
        return scale * source.width();
      }

      @Override
      public Picture window(int top, int left, int height, int width) {
        return Resize.enlargedWindow(source, scale, top, left, height, width);
      }
    }, viewport);
  }

  /**
   * Colours of the screen's pixels (0xAARRGGBB), row by row; 0 beside the image. Reduced images
   * are averaged, enlarged ones show their pixels.
   */
  public static int[] argb(PixelSource source, Viewport viewport) {
    int width = viewport.screenWidth;
    int height = viewport.screenHeight;
    int[] argb = new int[width * height];
    int[] columns = edges(width, viewport.centerX, viewport.zoom, source.width());
    int[] rows = edges(height, viewport.centerY, viewport.zoom, source.height());
    int left = columns[0];
    int right = columns[2 * width - 1];
    for (int first = 0; first < height; first += BAND) {
      int last = Math.min(first + BAND, height) - 1;
      int top = rows[2 * first];
      int bottom = rows[2 * last + 1];
      if (right <= left || bottom <= top) {
        continue;
      }
      Picture band = source.window(top, left, bottom - top, right - left);
      for (int y = first; y <= last; y++) {
        for (int x = 0; x < width; x++) {
          argb[y * width + x] = mean(band, rows[2 * y] - top, rows[2 * y + 1] - top,
              columns[2 * x] - left, columns[2 * x + 1] - left);
        }
      }
    }
    return argb;
  }

  /**
   * First and end of the image's pixels that each pixel along a side of the screen shows; nothing
   * (first = end) beside the image.
   */
  private static int[] edges(int screen, double center, double zoom, int length) {
    int[] edges = new int[2 * screen];
    for (int i = 0; i < screen; i++) {
      double from = center + (i - screen / 2.0) / zoom;
      double middle = from + 0.5 / zoom;
      int first = (int) Math.floor(zoom < 1 ? from + 0.5 : middle);
      int end = zoom < 1 ? (int) Math.floor(from + 1 / zoom + 0.5) : first + 1;
      first = Math.max(0, Math.min(length, first));
      edges[2 * i] = first;
      edges[2 * i + 1] = Math.max(first, Math.min(length, Math.max(first, end)));
      if (middle < 0) {
        edges[2 * i + 1] = edges[2 * i];
      }
    }
    return edges;
  }

  private static int mean(Picture band, int top, int bottom, int left, int right) {
    int pixels = (bottom - top) * (right - left);
    if (pixels <= 0) {
      return 0;
    }
    long red = 0;
    long green = 0;
    long blue = 0;
    for (int y = top; y < bottom; y++) {
      int end = band.at(y, right);
      for (int at = band.at(y, left); at < end; at += Picture.CHANNELS) {
        red += band.rgb[at] & 0xff;
        green += band.rgb[at + 1] & 0xff;
        blue += band.rgb[at + 2] & 0xff;
      }
    }
    long half = pixels / 2;
    return (int) (0xff000000L | (red + half) / pixels << 16 | (green + half) / pixels << 8
        | (blue + half) / pixels);
  }
}
