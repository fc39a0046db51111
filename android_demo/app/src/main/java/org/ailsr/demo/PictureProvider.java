package org.ailsr.demo;

import android.content.ContentProvider;
import android.content.ContentValues;
import android.content.Context;
import android.database.Cursor;
import android.database.MatrixCursor;
import android.net.Uri;
import android.os.ParcelFileDescriptor;
import android.provider.OpenableColumns;
import java.io.File;
import java.io.FileNotFoundException;

/**
 * Lends files to other apps: the camera writes its photograph here, and results that are shared are
 * read from here. Nothing is open to an app that was not granted the very address.
 */
public final class PictureProvider extends ContentProvider {
  private static final String AUTHORITY = "org.ailsr.demo.pictures";

  /** The folder of what is lent; its files have no folders of their own. */
  static File folder(Context context) {
    File folder = new File(context.getCacheDir(), "lent");
    folder.mkdirs();
    return folder;
  }

  /** The address of a file in {@link #folder}. */
  static Uri uri(File file) {
    return new Uri.Builder()
        .scheme("content")
        .authority(AUTHORITY)
        .appendPath(file.getName())
        .build();
  }

  private File file(Uri uri) throws FileNotFoundException {
    String name = uri.getLastPathSegment();
    if (uri.getPathSegments().size() != 1 || !name.equals(new File(name).getName())
        || name.startsWith(".")) {
      throw new FileNotFoundException("no such file is lent: " + uri);
    }
    return new File(folder(getContext()), name);
  }

  @Override
  public ParcelFileDescriptor openFile(Uri uri, String mode) throws FileNotFoundException {
    return ParcelFileDescriptor.open(file(uri), ParcelFileDescriptor.parseMode(mode));
  }

  @Override
  public Cursor query(
      Uri uri, String[] projection, String selection, String[] arguments, String order) {
    String[] columns = projection == null
        ? new String[] {OpenableColumns.DISPLAY_NAME, OpenableColumns.SIZE}
        : projection;
    Object[] values = new Object[columns.length];
    try {
      for (int i = 0; i < columns.length; i++) {
        if (columns[i].equals(OpenableColumns.DISPLAY_NAME)) {
          values[i] = file(uri).getName();
        } else if (columns[i].equals(OpenableColumns.SIZE)) {
          values[i] = file(uri).length();
        }
      }
    } catch (FileNotFoundException error) {
      return null;
    }
    MatrixCursor cursor = new MatrixCursor(columns, 1);
    cursor.addRow(values);
    return cursor;
  }

  @Override
  public String getType(Uri uri) {
    String name = String.valueOf(uri.getLastPathSegment());
    return name.endsWith(".png") ? "image/png"
        : name.endsWith(".mp4") ? "video/mp4"
        : name.endsWith(".json") ? "application/json" : "image/jpeg";
  }

  @Override
  public boolean onCreate() {
    return true;
  }

  @Override
  public Uri insert(Uri uri, ContentValues values) {
    throw new UnsupportedOperationException();
  }

  @Override
  public int delete(Uri uri, String selection, String[] arguments) {
    throw new UnsupportedOperationException();
  }

  @Override
  public int update(Uri uri, ContentValues values, String selection, String[] arguments) {
    throw new UnsupportedOperationException();
  }
}
