package org.ailsr.demo;

import android.content.Context;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.ailsr.core.AilsrException;
import org.ailsr.core.Condition;
import org.ailsr.core.ModelFile;
import org.ailsr.core.NetworkPair;

/** What an image can be upscaled by: pairs of files, of which the one that suits it, and files. */
final class Choices {
  private final Map<String, NetworkPair> pairs = new LinkedHashMap<>();
  private final List<String> names = new ArrayList<>();
  private final BundledFiles files;

  Choices(Context context) {
    files = new BundledFiles(context.getAssets());
    List<ModelFile> models = new ArrayList<>();
    for (String name : files.models()) {
      models.add(files.model(name));
    }
    for (NetworkPair pair : NetworkPair.of(models)) {
      pairs.put(context.getString(R.string.suited, pair.clean.name), pair);
    }
    names.addAll(pairs.keySet());
    names.addAll(files.models());
  }

  /** The names, pairs first. */
  List<String> names() {
    return names;
  }

  /**
   * The file that {@code name} stands for.
   *
   * @throws AilsrException when this build lacks it
   */
  ModelFile model(String name, Condition condition) {
    NetworkPair pair = pairs.get(name);
    return pair == null ? files.model(name) : pair.suited(condition);
  }

  /** Whether {@code name} leaves it to the image which file is run. */
  boolean isPair(String name) {
    return pairs.containsKey(name);
  }
}
