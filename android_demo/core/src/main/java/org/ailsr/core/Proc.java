package org.ailsr.core;

import java.io.BufferedReader;
import java.io.File;
import java.io.FileInputStream;
import java.io.FileOutputStream;
import java.io.IOException;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** What Linux, and so Android, tells of processes, memory and clocks under /proc and /sys. */
public final class Proc {
  private static final String CPU = "/sys/devices/system/cpu/";

  private Proc() {}

  /** Peak resident memory of a process ({@code self}, or a number) in bytes; null: not told. */
  public static Long peakBytes(String process) {
    return kilobytes("/proc/" + process + "/status", "VmHWM");
  }

  /** Lets the peak of this process begin anew; false where the system does not allow it. */
  public static boolean resetPeak() {
    try (FileOutputStream file = new FileOutputStream("/proc/self/clear_refs")) {
      file.write('5');
      return true;
    } catch (IOException error) {
      return false;
    }
  }

  /** Memory of the machine in bytes; null: not told. */
  public static Long memoryBytes() {
    return kilobytes("/proc/meminfo", "MemTotal");
  }

  /** Model name of the processor; null: not told. */
  public static String cpu() {
    Matcher found = find("/proc/cpuinfo", "(?m)^(?:model name|Hardware)\\s*:\\s*(.+)$");
    return found == null ? null : found.group(1).trim();
  }

  /** Frequency governor of the first core; null: not told. */
  public static String governor() {
    Matcher found = find(CPU + "cpu0/cpufreq/scaling_governor", "\\S+");
    return found == null ? null : found.group();
  }

  /** Mean clock of the cores in MHz; null: not told. */
  public static Double clockMhz() {
    double sum = 0;
    int cores = 0;
    Matcher found;
    while ((found = find(CPU + "cpu" + cores + "/cpufreq/scaling_cur_freq", "\\d+")) != null) {
      sum += Double.parseDouble(found.group()) / 1000;
      cores++;
    }
    return cores == 0 ? null : Double.valueOf(sum / cores);
  }

  private static Long kilobytes(String path, String name) {
    Matcher found = find(path, "(?m)^" + name + ":\\s*(\\d+) kB");
    return found == null ? null : Long.valueOf(Long.parseLong(found.group(1)) * 1024);
  }

  /** The first match in the file at {@code path}; null when there is none. */
  private static Matcher find(String path, String pattern) {
    StringBuilder text = new StringBuilder();
    try (BufferedReader reader = new BufferedReader(new InputStreamReader(
        new FileInputStream(new File(path)), StandardCharsets.UTF_8))) {
      for (String line = reader.readLine(); line != null; line = reader.readLine()) {
        text.append(line).append('\n');
      }
    } catch (IOException error) {
      return null;
    }
    Matcher matcher = Pattern.compile(pattern).matcher(text);
    return matcher.find() ? matcher : null;
  }
}
