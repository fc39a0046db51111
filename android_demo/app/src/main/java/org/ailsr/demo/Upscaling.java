package org.ailsr.demo;

import android.content.Context;
import android.net.Uri;
import java.io.File;
import java.io.FileInputStream;
import java.io.FileOutputStream;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.LinkedHashMap;
import java.util.Map;
import org.ailsr.core.AilsrException;
import org.ailsr.core.BenchFolder;
import org.ailsr.core.Condition;
import org.ailsr.core.Fidelity;
import org.ailsr.core.Json;
import org.ailsr.core.ModelFile;
import org.ailsr.core.PixelFile;
import org.ailsr.core.Progress;
import org.ailsr.core.Session;
import org.ailsr.core.Size;

/**
 * The image that is upscaled, or was last. Pixels lie on the disk, so that neither a large
 * photograph nor the end of the process loses anything: what was finished is gone on with.
 */
final class Upscaling {
  private static Upscaling instance;

  private final Context context;
  private final File folder;

  /** The work on it. */
  final Work work = new Work("upscaling");

  /** Name of the image; null: there is none. */
  String name;

  /** What it can be upscaled by. */
  final Choices choices;

  /** The chosen one of {@link #choices}; null: none was chosen yet. */
  String choice;

  /** Name of the model file. */
  String model;

  /** That of the image before. */
  Condition condition;

  /** Output pixels per input pixel along each side. */
  int scale;

  /** Size of the image before. */
  Size size;

  /** The result is whole. */
  boolean finished;

  /** What has computed the result; null: it was made before the app was started. */
  String delegate;

  /** That of {@link #delegate}; null: not known. */
  Fidelity fidelity;

  private Upscaling(Context context) {
    this.context = context;
    folder = new File(context.getCacheDir(), "upscaling");
    folder.mkdirs();
    choices = new Choices(context);
    restore();
  }

  /** That of the app. */
  static Upscaling of(Context context) {
    if (instance == null) {
      instance = new Upscaling(context.getApplicationContext());
    }
    return instance;
  }

  /** The image before. */
  PixelFile source() {
    return new PixelFile(sourceFile(), size.height, size.width);
  }

  /** The image after. */
  PixelFile result() {
    return new PixelFile(resultFile(), scale * size.height, scale * size.width);
  }

  /**
   * Reads the image at {@code uri} and upscales it by {@code chosen}, one of {@link #choices}.
   *
   * @param otherwise what the image is called if its app gives it no name
   */
  void start(final Uri uri, final String otherwise, final String chosen) {
    forget();
    choice = chosen;
    work.start(new Work.Task() {
      @Override
      public void run(Progress progress) {
        stateFile().delete();
        sourceFile().delete();
        resultFile().delete();
        PictureReader reader =
            new PictureReader(context.getContentResolver(), new File(folder, "copy"));
        final Size read = reader.read(uri, sourceFile(), progress);
        double noise;
        try (PixelFile source = new PixelFile(sourceFile(), read.height, read.width)) {
          noise = Condition.noise(source);
        }
        save(PictureReader.name(context.getContentResolver(), uri, otherwise), chosen, read,
            new Condition(reader.jpegQuality, noise));
      }
    }, new Runnable() {
      @Override
      public void run() {
        restore();
      }
    });
  }

  /** Upscales the same image by another choice. */
  void startAgain(String chosen) {
    choice = chosen;
    upscale(true);
  }

  /** Goes on with what a cancel or the end of the process has interrupted. */
  void resume() {
    upscale(false);
  }

  private void upscale(final boolean again) {
    final String pictureName = name;
    final Size before = size;
    final String chosen = choice;
    final Condition found = condition;
    final ModelFile file = choices.model(chosen, found);
    model = file.name;
    scale = file.scale;
    finished = false;
    final String[] delegates = new String[1];
    final Fidelity[] verdicts = new Fidelity[1];
    work.start(new Work.Task() {
      @Override
      public void run(Progress progress) {
        if (again) {
          resultFile().delete();
          save(pictureName, chosen, before, found);
        }
        int threads = Runtime.getRuntime().availableProcessors();
        try (Session session = Session.open(file, new Engines(), threads, "cpu");
            PixelFile source = new PixelFile(sourceFile(), before.height, before.width);
            PixelFile result = new PixelFile(
                resultFile(), file.scale * before.height, file.scale * before.width)) {
          delegates[0] = session.upscaler.engine.delegate();
          verdicts[0] = session.fidelity;
          session.upscaler.upscale(source, result.finishedRows(), result, progress);
        }
      }
    }, new Runnable() {
      @Override
      public void run() {
        delegate = delegates[0];
        fidelity = verdicts[0];
        finished = true;
      }
    });
  }

  private void forget() {
    work.cancel();
    name = null;
    size = null;
    finished = false;
  }

  /** Writes what is needed to go on after the end of the process. */
  private void save(String pictureName, String chosen, Size pictureSize, Condition found) {
    Map<String, Object> state = new LinkedHashMap<>();
    state.put("name", pictureName);
    state.put("choice", chosen);
    state.put("height", pictureSize.height);
    state.put("width", pictureSize.width);
    state.put("jpeg_quality", found.jpegQuality);
    state.put("noise", found.noise);
    File temporary = new File(folder, "state.tmp");
    try {
      try (FileOutputStream output = new FileOutputStream(temporary)) {
        output.write(Json.write(state).getBytes(StandardCharsets.UTF_8));
      }
      if (!temporary.renameTo(stateFile())) {
        throw new IOException("it cannot be renamed");
      }
    } catch (IOException error) {
      throw new AilsrException("no room for the image: " + error.getMessage(), error);
    }
  }

  /** Takes up what {@link #save} has written, if there is such a thing, and goes on with it. */
  private void restore() {
    try (FileInputStream input = new FileInputStream(stateFile())) {
      String text = new String(BenchFolder.readAll(input), StandardCharsets.UTF_8);
      Map<?, ?> state = (Map<?, ?>) Json.parse(text);
      Size saved = new Size(
          ((Long) state.get("height")).intValue(), ((Long) state.get("width")).intValue());
      if (sourceFile().length() != 3 * saved.area()) {
        return; // the system has cleared the cache
      }
      Number quality = (Number) state.get("jpeg_quality");
      condition = new Condition(
          quality == null ? null : quality.intValue(), ((Number) state.get("noise")).doubleValue());
      ModelFile file = choices.model((String) state.get("choice"), condition);
      choice = (String) state.get("choice");
      model = file.name;
      scale = file.scale;
      size = saved;
      name = (String) state.get("name");
    } catch (IOException | RuntimeException error) {
      return; // nothing to go on with, or a bundled file that is no more
    }
    finished = resultFile().length() == 3 * size.area() * scale * scale;
    if (!finished) {
      resume();
    }
  }

  private File stateFile() {
    return new File(folder, "state.json");
  }

  private File sourceFile() {
    return new File(folder, "source.rgb");
  }

  private File resultFile() {
    return new File(folder, "result.rgb");
  }
}
