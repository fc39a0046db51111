package org.ailsr.demo;

import android.content.ContentResolver;
import android.content.ContentValues;
import android.content.Context;
import android.net.Uri;
import android.os.Build;
import android.os.Environment;
import android.provider.DocumentsContract;
import android.provider.MediaStore;
import java.io.BufferedOutputStream;
import java.io.File;
import java.io.FileInputStream;
import java.io.FileOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import org.ailsr.core.AilsrException;
import org.ailsr.core.PixelFile;
import org.ailsr.core.PngWriter;
import org.ailsr.core.Progress;

/** Saves results: images as PNG, some rows at a time, and videos. */
final class Saving {
  private static final int ROWS = 64;
  private static final int MEGABYTE = 1 << 20;

  private Saving() {}

  /** Whether results can be put into the gallery without a permission. */
  static boolean hasGallery() {
    return Build.VERSION.SDK_INT >= 29;
  }

  /** Puts the image into the gallery, whole or not at all. */
  static void toGallery(Context context, PixelFile picture, String name, Progress progress) {
    toGallery(
        context, MediaStore.Images.Media.EXTERNAL_CONTENT_URI, Environment.DIRECTORY_PICTURES,
        "image/png", name, png(picture, progress));
  }

  /** Writes the image to a document that the user has named, or deletes that. */
  static void toDocument(Context context, PixelFile picture, Uri uri, Progress progress) {
    toDocument(context.getContentResolver(), uri, png(picture, progress));
  }

  /** Puts a video into the gallery, whole or not at all. */
  static void videoToGallery(Context context, File video, Progress progress) {
    toGallery(
        context, MediaStore.Video.Media.EXTERNAL_CONTENT_URI, Environment.DIRECTORY_MOVIES,
        "video/mp4", video.getName(), copy(video, progress));
  }

  /** Writes a video to a document that the user has named, or deletes that. */
  static void videoToDocument(Context context, File video, Uri uri, Progress progress) {
    toDocument(context.getContentResolver(), uri, copy(video, progress));
  }

  private static void toGallery(
      Context context, Uri collection, String folder, String type, String name, Content content) {
    ContentResolver resolver = context.getContentResolver();
    ContentValues values = new ContentValues();
    values.put(MediaStore.MediaColumns.DISPLAY_NAME, name);
    values.put(MediaStore.MediaColumns.MIME_TYPE, type);
    values.put("relative_path", folder + "/ailsr"); // both since API 29
    values.put("is_pending", 1);
    Uri uri = resolver.insert(collection, values);
    if (uri == null) {
      throw new AilsrException("the gallery does not take it");
    }
    try {
      write(resolver, uri, content);
      values.clear();
      values.put("is_pending", 0);
      resolver.update(uri, values, null, null);
    } catch (RuntimeException error) {
      resolver.delete(uri, null, null);
      throw error;
    }
  }

  private static void toDocument(ContentResolver resolver, Uri uri, Content content) {
    try {
      write(resolver, uri, content);
    } catch (RuntimeException error) {
      try {
        DocumentsContract.deleteDocument(resolver, uri);
      } catch (Exception kept) { // FileNotFoundException, too, since API 24
        // Its app does not delete it; the user is told that it is not whole.
      }
      throw error;
    }
  }

  private static void write(ContentResolver resolver, Uri uri, Content content) {
    try (OutputStream output = resolver.openOutputStream(uri)) {
      if (output == null) {
        throw new IOException("there is no such place");
      }
      content.write(output);
    } catch (IOException error) {
      throw notSaved(error);
    }
  }

  /** Writes the image to a file. */
  static void toFile(PixelFile picture, File file, Progress progress) {
    try (OutputStream output = new FileOutputStream(file)) {
      png(picture, progress).write(output);
    } catch (IOException error) {
      file.delete();
      throw notSaved(error);
    }
  }

  private static AilsrException notSaved(IOException error) {
    return new AilsrException("it cannot be saved: " + error.getMessage(), error);
  }

  /** What is saved. */
  private interface Content {
    void write(OutputStream output) throws IOException;
  }

  private static Content png(final PixelFile picture, final Progress progress) {
    return new Content() {
      @Override
      public void write(OutputStream output) throws IOException {
        int height = picture.height();
        try (PngWriter png =
            new PngWriter(new BufferedOutputStream(output), height, picture.width())) {
          for (int row = 0; row < height; row += ROWS) {
            progress.report("save", row, height);
            png.write(picture.window(row, 0, Math.min(ROWS, height - row), picture.width()));
          }
        }
      }
    };
  }

  /** Counts megabytes. */
  private static Content copy(final File file, final Progress progress) {
    return new Content() {
      @Override
      public void write(OutputStream output) throws IOException {
        byte[] buffer = new byte[MEGABYTE];
        int all = (int) (file.length() / MEGABYTE);
        try (InputStream input = new FileInputStream(file)) {
          long done = 0;
          for (int n = input.read(buffer); n >= 0; n = input.read(buffer)) {
            progress.report("save", (int) (done / MEGABYTE), all);
            output.write(buffer, 0, n);
            done += n;
          }
        }
      }
    };
  }
}
