package org.ailsr.core;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** Takes the latency of calls. */
final class Sampler {
  static final double WARM_UP_SECONDS = 2;
  static final String WARM_UP_RULE =
      "run until the median of the last 5 runs is within 5% of the median of the 5 before them, "
          + "but 2 s at most";

  /** Runs that are measured even when they take longer than the time allowed. */
  static final int MIN_RUNS = 3;

  /** Points of the curve of latency over time, at most; one lasts a second or more. */
  private static final int SUSTAINED_INTERVALS = 120;

  private Sampler() {}

  /** Wall time of one call in milliseconds. */
  static double time(Runnable call) {
    long start = System.nanoTime();
    call.run();
    return (System.nanoTime() - start) / 1e6;
  }

  /**
   * Latency of each of {@code calls}: all warmed up, then {@code runs} runs of each, in turn (A B A
   * B ...), so that whatever else the machine does burdens them alike. Each is given {@code
   * seconds} on average, but {@link #MIN_RUNS} at the least.
   */
  static Latency[] measure(Runnable[] calls, int runs, double seconds) {
    double[][] warmUp = new double[calls.length][0];
    boolean[] steady = new boolean[calls.length];
    long start = System.nanoTime();
    while (true) {
      boolean all = true;
      for (int i = 0; i < calls.length; i++) {
        steady[i] = Latency.isSteady(warmUp[i]);
        all &= steady[i];
      }
      if (all || secondsSince(start) > WARM_UP_SECONDS * calls.length) {
        break;
      }
      runEach(calls, warmUp);
    }
    double[][] measured = new double[calls.length][0];
    start = System.nanoTime();
    for (int done = 0; done < Math.max(runs, MIN_RUNS); done++) {
      if (done >= MIN_RUNS && secondsSince(start) > seconds * calls.length) {
        break;
      }
      runEach(calls, measured);
    }
    Latency[] latencies = new Latency[calls.length];
    for (int i = 0; i < calls.length; i++) {
      latencies[i] = new Latency(measured[i], warmUp[i].length, steady[i]);
    }
    return latencies;
  }

  /** Told the second at which an interval begins. */
  interface Watch {
    void at(double second);
  }

  /**
   * Latency over time of {@code call}, repeated for {@code minutes} without a pause: the median of
   * each interval by its middle, with the state of the device at its end.
   */
  static List<Object> sustain(Runnable call, double minutes, Device device, Watch watch) {
    List<Object> curve = new ArrayList<>();
    double length = Math.max(1, 60 * minutes / SUSTAINED_INTERVALS);
    long start = System.nanoTime();
    double begin = 0;
    while (begin < 60 * minutes) {
      watch.at(begin);
      double[] samples = new double[0];
      double end;
      do {
        samples = appended(samples, time(call));
        end = secondsSince(start);
      } while (end < begin + length);
      Map<String, Object> condition = device.condition();
      Map<String, Object> point = new LinkedHashMap<>();
      point.put("second", (begin + end) / 2);
      point.put("p50_ms", Latency.median(samples));
      point.put("clock_mhz", condition.get("clock_mhz"));
      point.put("temperature_c", condition.get("temperature_c"));
      curve.add(point);
      begin = end;
    }
    return curve;
  }

  private static double secondsSince(long start) {
    return (System.nanoTime() - start) / 1e9;
  }

  private static void runEach(Runnable[] calls, double[][] samples) {
    for (int i = 0; i < calls.length; i++) {
      samples[i] = appended(samples[i], time(calls[i]));
    }
  }

  private static double[] appended(double[] samples, double sample) {
    double[] longer = Arrays.copyOf(samples, samples.length + 1);
    longer[samples.length] = sample;
    return longer;
  }
}
