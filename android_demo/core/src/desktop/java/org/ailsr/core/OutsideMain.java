package org.ailsr.core;

import java.io.File;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.util.Arrays;

/**
 * {@code OutsideMain RUNS FILE...}: for each file the least time in milliseconds, of RUNS, from a
 * bitmap's bytes to those of the upscaled one, by an engine that answers at once: what the core adds
 * to an inference.
 */
public final class OutsideMain {
  private OutsideMain() {}

  public static void main(String[] arguments) throws IOException {
    int runs = Integer.parseInt(arguments[0]);
    for (String path : Arrays.asList(arguments).subList(1, arguments.length)) {
      ModelFile model = new ModelFile(path, Files.readAllBytes(new File(path).toPath()));
      System.out.println(leastMs(new Upscaler(model, new Instant(model)), runs));
    }
  }

  private static double leastMs(Upscaler upscaler, int runs) {
    Size size = upscaler.model.inputSize();
    int bytes = 4 * (int) size.area();
    ByteBuffer before = PixelType.UINT8.buffer(bytes);
    ByteBuffer after = PixelType.UINT8.buffer((long) upscaler.scale * upscaler.scale * bytes);
    double least = Double.POSITIVE_INFINITY;
    for (int run = 0; run < runs; run++) {
      long start = System.nanoTime();
      upscaler.upscale(before, size, after, Progress.NONE);
      least = Math.min(least, (System.nanoTime() - start) / 1e6);
    }
    return least;
  }

  /** Its answer is black. */
  private static final class Instant implements Engine {
    private final ByteBuffer answer;

    Instant(ModelFile model) {
      answer = model.pixels.buffer(
          (long) model.layout.channels * model.scale * model.scale * model.inputSize().area());
    }

    @Override
    public String name() {
      return "none";
    }

    @Override
    public String delegate() {
      return "none";
    }

    @Override
    public ByteBuffer run(ByteBuffer input, int height, int width) {
      return answer.duplicate().order(answer.order());
    }

    @Override
    public Long peakBytes() {
      return null;
    }

    @Override
    public void close() {}
  }
}
