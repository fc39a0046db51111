package org.ailsr.demo;

import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import org.ailsr.core.Fidelity;

/** What a screen shows of a file in a report. */
final class Figures {
  final String file;

  /** Why there are no figures, in one line; null: there are. */
  final String error;

  /** Milliseconds at the percentiles 50, 90 and 99: of the inference, then of the whole path. */
  final double[] inference = new double[3];

  final double[] wholePath = new double[3];

  private final Map<?, ?> entry;

  private Figures(Map<?, ?> entry) {
    this.entry = entry;
    file = (String) entry.get("file");
    error = (String) entry.get("error");
    if (error == null) {
      String[] names = {"p50_ms", "p90_ms", "p99_ms"};
      for (int i = 0; i < names.length; i++) {
        inference[i] = number(entry, "inference", names[i]);
        wholePath[i] = number(entry, "whole_path", names[i]);
      }
    }
  }

  /** Those of all files in a report, in its order. */
  static List<Figures> of(Map<String, Object> report) {
    List<Figures> figures = new ArrayList<>();
    if (report.get("files") instanceof List) {
      for (Object entry : (List<?>) report.get("files")) {
        figures.add(new Figures((Map<?, ?>) entry));
      }
    }
    return figures;
  }

  /** Peak memory in MB; a dash when it is not known. */
  String memory() {
    Object bytes = entry.get("peak_memory_bytes");
    return bytes == null
        ? "–"
        : String.format(Locale.getDefault(), "%.0f MB", ((Number) bytes).doubleValue() / 1e6);
  }

  /** PSNR in dB; a dash when it was not measured. */
  String psnr() {
    Object quality = entry.get("quality");
    return quality == null
        ? "–"
        : String.format(Locale.getDefault(), "%.2f dB", number(entry, "quality", "psnr_db"));
  }

  String delegate() {
    return String.valueOf(entry.get("delegate"));
  }

  /** Why another delegate than {@link #delegate} was not used, in one line; null: none was. */
  String fallback() {
    return (String) entry.get("fallback");
  }

  /** That of {@link #delegate}; null: not known. */
  Fidelity fidelity() {
    return Fidelity.ofJson(entry.get("fidelity"));
  }

  /** The state of the phone, {@code before} or {@code after}: thermal state, headroom, battery. */
  String condition(String when) {
    Map<?, ?> condition = (Map<?, ?>) ((Map<?, ?>) entry.get("conditions")).get(when);
    List<String> parts = new ArrayList<>();
    add(parts, condition.get("thermal_status"), "%s");
    add(parts, condition.get("thermal_headroom"), "%.2f");
    add(parts, condition.get("temperature_c"), "%.1f °C");
    add(parts, condition.get("battery_percent"), "%d %%");
    return parts.isEmpty() ? "–" : android.text.TextUtils.join(", ", parts);
  }

  private static void add(List<String> parts, Object value, String format) {
    if (value != null) {
      parts.add(String.format(Locale.getDefault(), format, value));
    }
  }

  private static double number(Map<?, ?> entry, String group, String name) {
    return ((Number) ((Map<?, ?>) entry.get(group)).get(name)).doubleValue();
  }
}
