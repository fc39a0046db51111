package org.ailsr.demo;

import android.content.res.AssetManager;
import java.io.IOException;
import java.io.InputStream;
import java.util.ArrayList;
import java.util.List;
import org.ailsr.core.AilsrException;
import org.ailsr.core.BenchFolder;
import org.ailsr.core.ModelFile;

/** What `make android-assets` put into the app: model files, and images for PSNR. */
final class BundledFiles {
  private static final String MODELS = "models";
  private static final String PICTURES = "pictures";

  private final AssetManager assets;

  BundledFiles(AssetManager assets) {
    this.assets = assets;
  }

  /** Names of the model files, sorted. */
  List<String> models() {
    return names(MODELS, ".tflite");
  }

  ModelFile model(String name) {
    return new ModelFile(name, read(MODELS, name));
  }

  /** Names of the high-resolution images, sorted. */
  List<String> pictures() {
    return names(PICTURES, ".png");
  }

  /** A PNG file. */
  byte[] picture(String name) {
    return read(PICTURES, name);
  }

  private List<String> names(String folder, String ending) {
    List<String> names = new ArrayList<>();
    try {
      for (String name : assets.list(folder)) {
        if (name.endsWith(ending)) {
          names.add(name);
        }
      }
    } catch (IOException error) {
      throw new AilsrException("the app's own files cannot be listed", error);
    }
    java.util.Collections.sort(names);
    return names;
  }

  private byte[] read(String folder, String name) {
    try (InputStream input = assets.open(folder + "/" + name)) {
      return BenchFolder.readAll(input);
    } catch (IOException error) {
      throw new AilsrException(name + " is not in the app", error);
    }
  }
}
