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
   * The pairs among {@code files}: for each file for clean images the first of its scale that was
   * trained on degraded ones and whose network is its like, such as sesr_m5_photo for sesr_m5 and
   * sesr_m5_cc0.
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
        && isLike(clean.network, degraded.network);
  }

  /** Whether {@code degraded} is {@code clean}, or what that begins with and photo or web. */
  private static boolean isLike(String clean, String degraded) {
    if (degraded.endsWith("_photo") || degraded.endsWith("_web")) {
      String family = degraded.substring(0, degraded.lastIndexOf('_'));
      return (clean + "_").startsWith(family + "_");
    }
    return clean.equals(degraded);
  }

  /** The file that suits an image in this condition. */
  public ModelFile suited(Condition condition) {
    return condition.isDegraded() ? degraded : clean;
  }
}
