package org.ailsr.core;

import java.io.File;
import java.util.Arrays;
import java.util.Map;

/** {@code BenchMain BENCH_FOLDER ID -- ENGINE_COMMAND...}: a desktop in the place of a phone. */
public final class BenchMain {
  private BenchMain() {}

  /** Serves one request; exit code 1 when it could not be carried out at all. */
  public static void main(String[] arguments) {
    if (arguments.length < 4 || !arguments[2].equals("--")) {
      System.err.println("usage: BenchMain BENCH_FOLDER ID -- ENGINE_COMMAND...");
      System.exit(2);
    }
    Engine.Opener opener =
        new PipeEngine.Opener(Arrays.asList(arguments).subList(3, arguments.length));
    try {
      Map<String, Object> report = new BenchFolder(new File(arguments[0]))
          .serve(arguments[1], opener, new Desktop(), Progress.NONE);
      if (report.containsKey("error")) {
        System.err.println("error: " + report.get("error"));
        System.exit(1);
      }
    } catch (AilsrException error) {
      System.err.println("error: " + error.getMessage());
      System.exit(1);
    }
  }

  /** The machine below a JVM. */
  private static final class Desktop extends Device {
    @Override
    protected String name() {
      return null;
    }

    @Override
    protected String cpu() {
      String cpu = Proc.cpu();
      return cpu == null ? System.getProperty("os.arch") : cpu;
    }

    @Override
    protected String os() {
      return System.getProperty("os.name") + " " + System.getProperty("os.version");
    }

    @Override
    protected Double temperature() {
      return null;
    }

    @Override
    protected Integer battery() {
      return null;
    }

    @Override
    protected String thermalStatus() {
      return null;
    }

    @Override
    protected Double thermalHeadroom() {
      return null;
    }
  }
}
