package org.ailsr.demo;

import android.app.Activity;
import android.content.ActivityNotFoundException;
import android.content.Intent;
import android.widget.Toast;

/** Asks the user, in another app, for documents. The activity that asks gets the answer. */
final class Documents {
  private Documents() {}

  /** Lets the user choose one of {@code type} to read. */
  static void open(Activity activity, String type, int request) {
    ask(activity, document(Intent.ACTION_OPEN_DOCUMENT, type), request);
  }

  /** Lets the user choose where one of {@code type} is written, by default as {@code name}. */
  static void create(Activity activity, String type, String name, int request) {
    Intent intent = document(Intent.ACTION_CREATE_DOCUMENT, type);
    intent.putExtra(Intent.EXTRA_TITLE, name);
    ask(activity, intent, request);
  }

  /** Starts another app, or says that there is none. */
  static void ask(Activity activity, Intent intent, int request) {
    try {
      activity.startActivityForResult(intent, request);
    } catch (ActivityNotFoundException error) {
      Toast.makeText(activity, R.string.no_app, Toast.LENGTH_LONG).show();
    }
  }

  private static Intent document(String action, String type) {
    Intent intent = new Intent(action);
    intent.addCategory(Intent.CATEGORY_OPENABLE);
    intent.setType(type);
    return intent;
  }
}
