package org.ailsr.core;

import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.Map;

/** Statistics of the wall time of one call, in milliseconds. */
public final class Latency {
  public static final int WARM_UP_WINDOW = 5;
  public static final double WARM_UP_TOLERANCE = 0.05;

  /** Measured runs, in order, warm-up not among them. */
  public final double[] samples;

  public final double p50;
  public final double p90;
  public final double p99;
  public final double mean;

  /** Standard deviation of the runs (n − 1 in the denominator), 0 for a single run. */
  public final double sd;

  /** 95 % confidence interval of the median, from the order of the runs. */
  public final double p50Low;

  public final double p50High;
  public final int warmUpRuns;

  /** False: the warm-up ran out of time before the latency settled. */
  public final boolean steady;

  /** Statistics of one or more samples. */
  public Latency(double[] samples, int warmUpRuns, boolean steady) {
    this.samples = samples;
    this.warmUpRuns = warmUpRuns;
    this.steady = steady;
    double[] ordered = samples.clone();
    Arrays.sort(ordered);
    int n = ordered.length;
    p50 = percentile(ordered, 50);
    p90 = percentile(ordered, 90);
    p99 = percentile(ordered, 99);
    double sum = 0;
    for (double sample : samples) {
      sum += sample;
    }
    mean = sum / n;
    double squares = 0;
    for (double sample : samples) {
      squares += (sample - mean) * (sample - mean);
    }
    sd = n > 1 ? Math.sqrt(squares / (n - 1)) : 0;
    // Conover, Practical Nonparametric Statistics, 3.2: ranks n/2 ± 0.98·√n.
    double reach = 0.98 * Math.sqrt(n);
    int low = (int) Math.floor(n / 2.0 - reach);
    int high = (int) Math.ceil(n / 2.0 + reach);
    p50Low = ordered[Math.max(low, 1) - 1];
    p50High = ordered[Math.min(high + 1, n) - 1];
  }

  /** The percentile {@code q} of {@code ordered} samples, linear between samples. */
  static double percentile(double[] ordered, double q) {
    double place = q / 100 * (ordered.length - 1);
    int below = (int) Math.floor(place);
    double share = place - below;
    double from = ordered[below];
    double to = ordered[Math.min(below + 1, ordered.length - 1)];
    return share < 0.5 ? from + (to - from) * share : to - (to - from) * (1 - share);
  }

  /** The middle one of samples in any order, as of {@link #percentile}. */
  public static double median(double[] samples) {
    double[] ordered = samples.clone();
    Arrays.sort(ordered);
    return percentile(ordered, 50);
  }

  /** Whether the median of the last 5 samples is within 5 % of that of the 5 before them. */
  public static boolean isSteady(double[] samples) {
    int n = samples.length;
    if (n < 2 * WARM_UP_WINDOW) {
      return false;
    }
    double before =
        median(Arrays.copyOfRange(samples, n - 2 * WARM_UP_WINDOW, n - WARM_UP_WINDOW));
    double last = median(Arrays.copyOfRange(samples, n - WARM_UP_WINDOW, n));
    return Math.abs(last - before) <= WARM_UP_TOLERANCE * before;
  }

  /** As the report holds it. */
  Map<String, Object> toJson() {
    Map<String, Object> entry = new LinkedHashMap<>();
    entry.put("n", samples.length);
    entry.put("p50_ms", p50);
    entry.put("p90_ms", p90);
    entry.put("p99_ms", p99);
    entry.put("mean_ms", mean);
    entry.put("sd_ms", sd);
    entry.put("p50_low_ms", p50Low);
    entry.put("p50_high_ms", p50High);
    entry.put("warm_up_runs", warmUpRuns);
    entry.put("steady", steady);
    java.util.List<Object> list = new java.util.ArrayList<>();
    for (double sample : samples) {
      list.add(sample);
    }
    entry.put("samples_ms", list);
    return entry;
  }
}
