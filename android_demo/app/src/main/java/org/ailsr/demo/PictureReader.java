package org.ailsr.demo;

import android.content.ContentResolver;
import android.database.Cursor;
import android.graphics.Bitmap;
import android.graphics.BitmapFactory;
import android.graphics.BitmapRegionDecoder;
import android.graphics.Rect;
import android.media.ExifInterface;
import android.net.Uri;
import android.provider.OpenableColumns;
import java.io.BufferedInputStream;
import java.io.File;
import java.io.FileInputStream;
import java.io.FileOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import org.ailsr.core.AilsrException;
import org.ailsr.core.JpegQuality;
import org.ailsr.core.Orientation;
import org.ailsr.core.Picture;
import org.ailsr.core.PixelFile;
import org.ailsr.core.Progress;
import org.ailsr.core.Size;

/** Reads an image of any app upright into a {@link PixelFile}, in bands where it is large. */
final class PictureReader {
  private static final int WHOLE = 16_000_000; // pixels that are decoded at once: 64 MB
  private static final int BAND = 4_000_000; // pixels at a time otherwise
  private static final int ROWS = 64;

  private final ContentResolver resolver;
  private final File copy;

  /** Of the file that was read last, 1 to 100; null: it was no JPEG. */
  Integer jpegQuality;

  /** {@code copy}: where the image's file is put meanwhile. */
  PictureReader(ContentResolver resolver, File copy) {
    this.resolver = resolver;
    this.copy = copy;
  }

  /** What the app of a document calls it; {@code absent} if it does not. */
  static String name(ContentResolver resolver, Uri uri, String absent) {
    String[] columns = {OpenableColumns.DISPLAY_NAME};
    try (Cursor cursor = resolver.query(uri, columns, null, null, null)) {
      if (cursor != null && cursor.moveToFirst() && !cursor.isNull(0)) {
        return cursor.getString(0);
      }
    } catch (RuntimeException error) {
      // An app that does not answer; the name is a nicety.
    }
    return absent;
  }

  /**
   * Reads the image at {@code uri} into {@code pixels}; its size, upright.
   *
   * @throws AilsrException when it cannot be read
   */
  Size read(Uri uri, File pixels, Progress progress) {
    try {
      copy(uri);
      try (InputStream file = new BufferedInputStream(new FileInputStream(copy))) {
        jpegQuality = JpegQuality.of(file);
      }
      Orientation orientation = new Orientation(new ExifInterface(copy.getPath()).getAttributeInt(
          ExifInterface.TAG_ORIENTATION, ExifInterface.ORIENTATION_NORMAL));
      BitmapFactory.Options options = new BitmapFactory.Options();
      options.inJustDecodeBounds = true;
      BitmapFactory.decodeFile(copy.getPath(), options);
      Size stored = new Size(options.outHeight, options.outWidth);
      if (stored.height < 1 || stored.width < 1) {
        throw new AilsrException("this is no image that Android can read");
      }
      Size size = orientation.upright(stored);
      try (PixelFile upright = new PixelFile(pixels, size.height, size.width)) {
        if (stored.area() <= WHOLE) {
          Bitmap bitmap = BitmapFactory.decodeFile(copy.getPath());
          put(bitmap, upright, orientation, 0);
        } else {
          putBands(stored, upright, orientation, progress);
        }
      }
      return size;
    } catch (IOException error) {
      throw new AilsrException("the image cannot be read: " + error.getMessage(), error);
    } finally {
      copy.delete();
    }
  }

  private void copy(Uri uri) throws IOException {
    try (InputStream input = resolver.openInputStream(uri);
        OutputStream output = new FileOutputStream(copy)) {
      if (input == null) {
        throw new IOException("its app does not give it");
      }
      byte[] buffer = new byte[1 << 16];
      for (int n = input.read(buffer); n >= 0; n = input.read(buffer)) {
        output.write(buffer, 0, n);
      }
    } catch (SecurityException error) {
      throw new IOException("its app does not allow it");
    }
  }

  @SuppressWarnings("deprecation") // the successor of newInstance(String, boolean) is of API 31
  private void putBands(
      Size stored, PixelFile upright, Orientation orientation, Progress progress)
      throws IOException {
    BitmapRegionDecoder decoder = BitmapRegionDecoder.newInstance(copy.getPath(), false);
    try {
      int rows = Math.max(1, BAND / stored.width);
      int bands = (stored.height + rows - 1) / rows;
      for (int band = 0; band < bands; band++) {
        progress.report("decode", band, bands);
        int top = band * rows;
        int bottom = Math.min(top + rows, stored.height);
        Rect region = new Rect(0, top, stored.width, bottom);
        put(decoder.decodeRegion(region, null), upright, orientation, top);
      }
    } finally {
      decoder.recycle();
    }
  }

  /** Puts the pixels of {@code bitmap}, which begin at row {@code top}, where they belong. */
  private static void put(Bitmap bitmap, PixelFile upright, Orientation orientation, int top)
      throws IOException {
    if (bitmap == null) {
      throw new IOException("it is damaged, or of a kind that Android cannot read");
    }
    int width = bitmap.getWidth();
    int[] argb = new int[ROWS * width];
    for (int first = 0; first < bitmap.getHeight(); first += ROWS) {
      int rows = Math.min(ROWS, bitmap.getHeight() - first);
      bitmap.getPixels(argb, 0, width, 0, first, width, rows);
      Picture picture = new Picture(rows, width);
      for (int i = 0; i < rows * width; i++) {
        int opacity = argb[i] >>> 24;
        for (int channel = 0; channel < Picture.CHANNELS; channel++) {
          int level = argb[i] >> 16 - 8 * channel & 0xff;
          int onWhite = (level * opacity + 255 * (255 - opacity) + 127) / 255;
          picture.rgb[Picture.CHANNELS * i + channel] = (byte) onWhite;
        }
      }
      orientation.put(upright, top + first, picture);
    }
    bitmap.recycle();
  }
}
