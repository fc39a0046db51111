package org.ailsr.demo;

import android.content.Context;
import android.content.Intent;
import android.net.Uri;
import java.io.File;
import java.io.IOException;
import java.io.InputStream;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeSet;
import org.ailsr.core.AilsrException;
import org.ailsr.core.BenchFolder;
import org.ailsr.core.ModelFile;
import org.ailsr.core.Progress;
import org.ailsr.core.Request;

/**
 * The measurement that runs, or ran last. What the screen and what {@code ailsr-bench} asks for
 * through adb goes the same way: a request in the folder, answered there by a report.
 */
final class Measuring {
  /** The extra of an intent that names a request. */
  static final String EXTRA_REQUEST = "request";

  private static final String FROM_SCREEN = "screen";
  private static Measuring instance;

  private final Context context;
  private final BundledFiles bundled;

  /** The work on it. */
  final Work work = new Work("measuring");

  /** Name of the last request; null: there was none. */
  String request;

  /** What came out of it; null until then. */
  Map<String, Object> report;

  /** SHA-256 of files of the device that were added, by name. */
  final Map<String, String> added = new LinkedHashMap<>();

  private Measuring(Context context) {
    this.context = context;
    this.bundled = new BundledFiles(context.getAssets());
  }

  /** That of the app. */
  static Measuring of(Context context) {
    if (instance == null) {
      instance = new Measuring(context.getApplicationContext());
    }
    return instance;
  }

  /** The folder that adb reaches, too. Throws AilsrException while there is no storage. */
  BenchFolder folder() {
    File root = context.getExternalFilesDir("bench");
    if (root == null) {
      throw new AilsrException("the phone's storage is not there");
    }
    return new BenchFolder(root);
  }

  /** Carries out the request that {@code intent} names, once; false when it names none. */
  boolean startFrom(Intent intent) {
    String wanted = intent.getStringExtra(EXTRA_REQUEST);
    if (wanted == null) {
      return false;
    }
    intent.removeExtra(EXTRA_REQUEST); // or a rotation of the screen would start it again
    start(wanted, null, null);
    return true;
  }

  /**
   * Measures files on all bundled images.
   *
   * @param models names of bundled files and of added ones
   * @param settings threads, delegate, runs and seconds
   */
  void start(List<String> models, Request settings) {
    start(FROM_SCREEN, models, settings);
  }

  private void start(final String id, final List<String> models, final Request settings) {
    request = id;
    report = null;
    final List<Map<String, Object>> result = new ArrayList<>();
    work.start(new Work.Task() {
      @Override
      public void run(Progress progress) {
        BenchFolder folder = folder();
        if (settings != null) {
          fill(settings, models, folder);
          folder.ask(id, settings);
        }
        result.add(folder.serve(id, new Engines(), new Phone(context), progress));
      }
    }, new Runnable() {
      @Override
      public void run() {
        report = result.get(0);
      }
    });
  }

  /** Adds the files and images to {@code settings}. */
  private void fill(Request settings, List<String> models, BenchFolder folder) {
    TreeSet<Integer> scales = new TreeSet<>();
    for (String name : models) {
      String sha256 = added.get(name);
      ModelFile model = sha256 == null
          ? bundled.model(name)
          : new ModelFile(name, folder.content(name, sha256));
      settings.files.add(
          new Request.File(name, sha256 == null ? folder.add(model.content) : sha256));
      scales.add(model.scale);
    }
    List<Request.Photograph> photographs = new ArrayList<>();
    for (String picture : bundled.pictures()) {
      String name = picture.substring(0, picture.lastIndexOf('.'));
      photographs.add(new Request.Photograph(name, null, folder.add(bundled.picture(picture))));
    }
    for (int scale : scales) {
      settings.pictures.put(scale, photographs);
    }
  }

  /** Adds a model file of the device to {@link #added}, unless it is none. */
  void add(final Uri uri) {
    final Map<String, String> found = new LinkedHashMap<>();
    work.start(new Work.Task() {
      @Override
      public void run(Progress progress) {
        String name = PictureReader.name(context.getContentResolver(), uri, "model.tflite");
        try (InputStream input = context.getContentResolver().openInputStream(uri)) {
          if (input == null) {
            throw new IOException("its app does not give it");
          }
          ModelFile model = new ModelFile(name, BenchFolder.readAll(input));
          found.put(name, folder().add(model.content));
        } catch (IOException | SecurityException error) {
          throw new AilsrException(name + " cannot be read: " + error.getMessage(), error);
        }
      }
    }, new Runnable() {
      @Override
      public void run() {
        added.putAll(found);
      }
    });
  }
}
