package org.ailsr.core;

import java.util.LinkedHashMap;
import java.util.Locale;
import java.util.Map;

/** How an engine's answer to the {@link Probe} differs from that of the file. */
public final class Fidelity {
  /** The names in small letters are those of the report. */
  public enum Verdict {
    /** Every sample is the same. */
    EXACT,
    /** As rounding may differ. */
    WITHIN,
    /** More than that. */
    WRONG
  }

  public final Verdict verdict;

  /** The largest difference seen, in levels of 255. */
  public final int levels;

  Fidelity(Verdict verdict, int levels) {
    this.verdict = verdict;
    this.levels = levels;
  }

  /** The one that a report holds; null for null. */
  public static Fidelity ofJson(Object entry) {
    if (entry == null) {
      return null;
    }
    Fields fields = Fields.of(entry);
    return new Fidelity(
        Verdict.valueOf(fields.text("verdict").toUpperCase(Locale.ROOT)),
        ((Number) fields.value("levels")).intValue());
  }

  /** As the report holds it. */
  Map<String, Object> toJson() {
    Map<String, Object> entry = new LinkedHashMap<>();
    entry.put("verdict", verdict.name().toLowerCase(Locale.ROOT));
    entry.put("levels", levels);
    return entry;
  }
}
