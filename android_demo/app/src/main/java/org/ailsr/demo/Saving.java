package org.ailsr.demo;

import android.content.ContentResolver;
import android.content.ContentValues;
import android.content.Context;
import android.net.Uri;
import android.os.Build;
import android.os.Environment;
import android.provider.MediaStore;
import java.io.BufferedOutputStream;
import java.io.File;
import java.io.FileOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import org.ailsr.core.AilsrException;
import org.ailsr.core.PixelFile;
import org.ailsr.core.PngWriter;
import org.ailsr.core.Progress;

/** Writes results as PNG, some rows at a time. */
final class Saving {
  private static final int ROWS = 64;

  private Saving() {}

  /** Whether images can be put into the gallery without a permission. */
  static boolean hasGallery() {
    return Build.VERSION.SDK_INT >= 29;
  }

  /** Puts the image into the gallery, whole or not at all. */
  static void toGallery(Context context, PixelFile picture, String name, Progress progress) {
    ContentResolver resolver = context.getContentResolver();
    ContentValues values = new ContentValues();
    values.put(MediaStore.MediaColumns.DISPLAY_NAME, name);
    values.put(MediaStore.MediaColumns.MIME_TYPE, "image/png");
    values.put("relative_path", Environment.DIRECTORY_PICTURES + "/ailsr"); // both since API 29
    values.put("is_pending", 1);
    Uri uri = resolver.insert(MediaStore.Images.Media.EXTERNAL_CONTENT_URI, values);
    if (uri == null) {
      throw new AilsrException("the gallery does not take the image");
    }
    try {
      toDocument(context, picture, uri, progress);
      values.clear();
      values.put("is_pending", 0);
      resolver.update(uri, values, null, null);
    } catch (RuntimeException error) {
      resolver.delete(uri, null, null);
      throw error;
    }
  }

  /** Writes the image to a document that the user has named. */
  static void toDocument(Context context, PixelFile picture, Uri uri, Progress progress) {
    try {
      write(picture, context.getContentResolver().openOutputStream(uri), progress);
    } catch (IOException error) {
      throw new AilsrException("the image cannot be saved: " + error.getMessage(), error);
    }
  }

  /** Writes the image to a file. */
  static void toFile(PixelFile picture, File file, Progress progress) {
    try {
      write(picture, new FileOutputStream(file), progress);
    } catch (IOException error) {
      file.delete();
      throw new AilsrException("the image cannot be saved: " + error.getMessage(), error);
    }
  }

  private static void write(PixelFile picture, OutputStream output, Progress progress)
      throws IOException {
    if (output == null) {
      throw new IOException("there is no such place");
    }
    int height = picture.height();
    try (PngWriter png =
        new PngWriter(new BufferedOutputStream(output), height, picture.width())) {
      for (int row = 0; row < height; row += ROWS) {
        progress.report("save", row, height);
        png.write(picture.window(row, 0, Math.min(ROWS, height - row), picture.width()));
      }
    }
  }
}
