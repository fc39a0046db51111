package org.ailsr.core;

import java.io.Closeable;
import java.io.File;
import java.io.IOException;
import java.io.RandomAccessFile;

/**
 * An image on the disk, three bytes a pixel without a header: as large as there is room, read and
 * written window by window. May be used by several threads.
 */
public final class PixelFile implements PixelSource, Upscaler.Sink, Closeable {
  private final RandomAccessFile file;
  private final int height;
  private final int width;

  /** Opens the image of this size at {@code path}, which may hold no rows yet, or some. */
  public PixelFile(File path, int height, int width) {
    this.height = height;
    this.width = width;
    try {
      file = new RandomAccessFile(path, "rw");
    } catch (IOException error) {
      throw failed(error);
    }
  }

  @Override
  public int height() {
    return height;
  }

  @Override
  public int width() {
    return width;
  }

  /** Rows from the top that were put here, in this process or in one before. */
  public synchronized int finishedRows() {
    try {
      return (int) (file.length() / stride());
    } catch (IOException error) {
      throw failed(error);
    }
  }

  @Override
  public synchronized Picture window(int top, int left, int windowHeight, int windowWidth) {
    Picture window = new Picture(windowHeight, windowWidth);
    int bytes = Picture.CHANNELS * windowWidth;
    try {
      if (windowWidth == width) {
        file.seek(top * stride());
        file.readFully(window.rgb);
        return window;
      }
      for (int row = 0; row < windowHeight; row++) {
        file.seek((top + row) * stride() + (long) Picture.CHANNELS * left);
        file.readFully(window.rgb, row * bytes, bytes);
      }
      return window;
    } catch (IOException error) {
      throw failed(error);
    }
  }

  @Override
  public void put(int firstRow, Picture rows) {
    put(firstRow, 0, rows);
  }

  /** Puts {@code part} where its upper left corner is to lie. */
  public synchronized void put(int top, int left, Picture part) {
    try {
      if (part.width() == width) {
        file.seek(top * stride());
        file.write(part.rgb);
        return;
      }
      int bytes = Picture.CHANNELS * part.width();
      for (int row = 0; row < part.height(); row++) {
        file.seek((top + row) * stride() + (long) Picture.CHANNELS * left);
        file.write(part.rgb, row * bytes, bytes);
      }
    } catch (IOException error) {
      throw failed(error);
    }
  }

  @Override
  public synchronized void close() {
    try {
      file.close();
    } catch (IOException error) {
      throw failed(error);
    }
  }

  private long stride() {
    return (long) Picture.CHANNELS * width;
  }

  private static AilsrException failed(IOException error) {
    return new AilsrException("the image's temporary file fails: " + error.getMessage(), error);
  }
}
