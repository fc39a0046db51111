package org.ailsr.demo;

import android.content.ClipData;
import android.content.Context;
import android.content.Intent;
import android.net.Uri;
import java.io.File;

/** Hands a file of {@link PictureProvider} to another app. */
final class Sharing {
  private Sharing() {}

  /** Lets the user choose who gets {@code file}. */
  static void share(Context context, File file, String type) {
    Uri uri = PictureProvider.uri(file);
    Intent send = new Intent(Intent.ACTION_SEND);
    send.setType(type);
    send.putExtra(Intent.EXTRA_STREAM, uri);
    send.setClipData(ClipData.newRawUri(null, uri));
    send.addFlags(Intent.FLAG_GRANT_READ_URI_PERMISSION);
    Intent chooser = Intent.createChooser(send, null);
    chooser.addFlags(Intent.FLAG_ACTIVITY_NEW_TASK);
    context.startActivity(chooser);
  }
}
