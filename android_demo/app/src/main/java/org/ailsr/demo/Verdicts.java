package org.ailsr.demo;

import android.content.Context;
import org.ailsr.core.Fidelity;

/** Fidelity as text. */
final class Verdicts {
  private Verdicts() {}

  /** For example {@code exact}; null stands for what is not known. */
  static String text(Context context, Fidelity fidelity) {
    if (fidelity == null) {
      return context.getString(R.string.fidelity_unknown);
    }
    switch (fidelity.verdict) {
      case EXACT:
        return context.getString(R.string.fidelity_exact);
      case WITHIN:
        return context.getString(R.string.fidelity_within, fidelity.levels);
      default:
        return context.getString(R.string.fidelity_wrong, fidelity.levels);
    }
  }
}
