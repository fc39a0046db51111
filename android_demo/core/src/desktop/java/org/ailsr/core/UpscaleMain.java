package org.ailsr.core;

import java.io.BufferedOutputStream;
import java.io.File;
import java.io.FileOutputStream;
import java.io.IOException;
import java.nio.file.Files;
import java.util.Arrays;

/**
 * {@code UpscaleMain MODEL PICTURE.png OUTPUT.png -- ENGINE_COMMAND...}: upscales an image by way
 * of the disk, as the app does.
 */
public final class UpscaleMain {
  private static final int ROWS = 64;

  private UpscaleMain() {}

  public static void main(String[] arguments) throws IOException {
    if (arguments.length < 5 || !arguments[3].equals("--")) {
      System.err.println("usage: UpscaleMain MODEL PICTURE.png OUTPUT.png -- ENGINE_COMMAND...");
      System.exit(2);
    }
    File temporary = File.createTempFile("upscaled", ".rgb");
    try {
      ModelFile model =
          new ModelFile(arguments[0], Files.readAllBytes(new File(arguments[0]).toPath()));
      Picture picture = new PngReader(
          arguments[1], Files.readAllBytes(new File(arguments[1]).toPath())).picture;
      Engine.Opener opener =
          new PipeEngine.Opener(Arrays.asList(arguments).subList(4, arguments.length));
      int threads = Runtime.getRuntime().availableProcessors();
      try (Session session = Session.open(model, opener, threads, "cpu")) {
        int scale = session.upscaler.scale;
        try (PixelFile result =
            new PixelFile(temporary, scale * picture.height(), scale * picture.width())) {
          session.upscaler.upscale(picture, 0, result, Progress.NONE);
          write(result, new File(arguments[2]));
        }
      }
    } catch (AilsrException error) {
      System.err.println("error: " + error.getMessage());
      System.exit(1);
    } finally {
      temporary.delete();
    }
  }

  private static void write(PixelFile result, File output) throws IOException {
    try (PngWriter png = new PngWriter(
        new BufferedOutputStream(new FileOutputStream(output)), result.height(), result.width())) {
      for (int row = 0; row < result.height(); row += ROWS) {
        int rows = Math.min(ROWS, result.height() - row);
        png.write(result.window(row, 0, rows, result.width()));
      }
    }
  }
}
