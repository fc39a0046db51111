package org.ailsr.core;

import java.util.ArrayList;
import java.util.Collection;
import java.util.List;

/** Two files of one scale and one family: trained on clean images, and on degraded ones. */
public final class NetworkPair {
  public final ModelFile clean;
  public final ModelFile degraded;

  private NetworkPair(ModelFile clean, ModelFile degraded) {
    this.clean = clean;
    this.degraded = degraded;
  }

  /**
   * The pairs among {@code files}: for each file for clean images the first file of its scale
   * whose network has the same name, and was trained on degraded ones.
   */
  public static List<NetworkPair> of(Collection<ModelFile> files) {
    List<NetworkPair> pairs = new ArrayList<>();
    for (ModelFile clean : files) {
      for (ModelFile degraded : files) {
        if (isPair(clean.card, degraded.card)) {
          pairs.add(new NetworkPair(clean, degraded));
          break;
        }
      }
    }
    return pairs;
  }

  private static boolean isPair(Card clean, Card degraded) {
    return clean != null && degraded != null && clean.isTrainedOnClean()
        && degraded.isTrainedOnDegraded() && clean.scale == degraded.scale
        && clean.network.equals(degraded.network);
  }

  /** The file that suits an image in this condition. */
  public ModelFile suited(Condition condition) {
    return condition.isDegraded() ? degraded : clean;
  }
}
