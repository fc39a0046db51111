package android.graphics;

import java.nio.Buffer;
import java.nio.BufferOverflowException;
import java.nio.BufferUnderflowException;
import java.nio.ByteBuffer;

/** Android's bitmap with its methods that an app needs to upscale one, as its reference has them. */
public final class Bitmap {
  /** The kinds of pixels. */
  public enum Config {
    ARGB_8888
  }

  private final int width;
  private final int height;
  private final byte[] pixels;

  private Bitmap(int width, int height) {
    this.width = width;
    this.height = height;
    pixels = new byte[4 * width * height];
  }

  public static Bitmap createBitmap(int width, int height, Config config) {
    return new Bitmap(width, height);
  }

  public int getWidth() {
    return width;
  }

  public int getHeight() {
    return height;
  }

  public int getByteCount() {
    return pixels.length;
  }

  /** From the buffer's position on, which is then behind the pixels. */
  public void copyPixelsToBuffer(Buffer to) {
    if (to.remaining() < pixels.length) {
      throw new BufferOverflowException();
    }
    ((ByteBuffer) to).put(pixels);
  }

  /** As {@link #copyPixelsToBuffer}. */
  public void copyPixelsFromBuffer(Buffer from) {
    if (from.remaining() < pixels.length) {
      throw new BufferUnderflowException();
    }
    ((ByteBuffer) from).get(pixels);
  }
}
