package org.ailsr.core;

import java.io.File;
import java.io.FileOutputStream;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.zip.CRC32;

/** Answers a list of questions on standard input, for comparison with the Python runtime. */
public final class ParityMain {
  private ParityMain() {}

  public static void main(String[] arguments) throws IOException {
    String text = new String(BenchFolder.readAll(System.in), StandardCharsets.UTF_8);
    List<Object> answers = new ArrayList<>();
    for (Object question : (List<?>) Json.parse(text)) {
      Fields fields = Fields.of(question);
      switch (fields.text("ask")) {
        case "latency":
          answers.add(latency(fields));
          break;
        case "tiles":
          answers.add(tiles(fields));
          break;
        case "score":
          answers.add(score(fields));
          break;
        case "resume":
          answers.add(resume(fields));
          break;
        case "probe":
          answers.add(probe(fields));
          break;
        case "fidelity":
          answers.add(fidelity(fields));
          break;
        case "resize":
          answers.add(resize(fields));
          break;
        default:
          throw new AilsrException("no such question: " + fields.text("ask"));
      }
    }
    System.out.print(Json.write(answers));
  }

  private static Object latency(Fields fields) {
    double[] samples = new double[fields.list("samples").size()];
    for (int i = 0; i < samples.length; i++) {
      samples[i] = ((Number) fields.list("samples").get(i)).doubleValue();
    }
    return new Latency(samples, 0, Latency.isSteady(samples)).toJson();
  }

  private static Object tiles(Fields fields) {
    List<Object> tiles = new ArrayList<>();
    for (Tile tile : Tile.along(
        fields.integer("length"), fields.integer("window"), fields.integer("radius"))) {
      List<Object> numbers = new ArrayList<>();
      numbers.add(tile.start);
      numbers.add(tile.stop);
      numbers.add(tile.first);
      numbers.add(tile.last);
      tiles.add(numbers);
    }
    return tiles;
  }

  /** The CRC-32 of the probe picture. */
  private static Object probe(Fields fields) {
    CRC32 crc32 = new CRC32();
    crc32.update(
        Probe.picture(new Size(fields.integer("height"), fields.integer("width"))).rgb);
    return crc32.getValue();
  }

  private static Object fidelity(Fields fields) throws IOException {
    Picture upscaled = read(fields.text("upscaled")).picture;
    return Probe.of(fields.object("probe")).fidelity(upscaled).toJson();
  }

  private static Object score(Fields fields) throws IOException {
    PngReader hr = read(fields.text("hr"));
    Pair pair =
        new Pair("picture", null, hr.picture, fields.integer("scale"), hr.grayscale);
    Protocol.Score score = Protocol.ofLabel(fields.text("protocol"))
        .score(read(fields.text("upscaled")).picture, pair);
    Map<String, Object> answer = new LinkedHashMap<>();
    answer.put("psnr", score.psnr);
    answer.put("ssim", score.ssim);
    return answer;
  }

  /** Writes the picture reduced, and the reduced one enlarged. */
  private static Object resize(Fields fields) throws IOException {
    int scale = fields.integer("scale");
    Picture small = Resize.shrink(
        read(fields.text("picture")).picture.cropToMultiple(scale), scale);
    write(small, fields.text("small"));
    write(Resize.enlarge(small, scale), fields.text("large"));
    return null;
  }

  /** Upscales a picture in two parts, as after the end of a process; the rows of the first. */
  private static Object resume(Fields fields) throws IOException {
    List<String> command = new ArrayList<>();
    for (Object part : fields.list("engine")) {
      command.add((String) part);
    }
    byte[] content = Files.readAllBytes(new File(fields.text("model")).toPath());
    ModelFile model = new ModelFile("model", content);
    Picture picture = read(fields.text("picture")).picture;
    File file = new File(fields.text("upscaled") + ".rgb");
    int height = model.scale * picture.height();
    int width = model.scale * picture.width();
    try (Engine engine = new PipeEngine.Opener(command).open(model, 1, "cpu")) {
      Upscaler upscaler = new Upscaler(model, engine);
      try (PixelFile result = new PixelFile(file, height, width)) {
        upscaler.upscale(picture, 0, result, (what, done, of) -> {
          if (2 * done > of) {
            throw new Progress.Cancelled();
          }
        });
      } catch (Progress.Cancelled cancelled) {
        // as was to be
      }
      try (FileOutputStream half = new FileOutputStream(file, true)) {
        half.write(new byte[width]); // a row that was being written
      }
      try (PixelFile result = new PixelFile(file, height, width)) {
        long before = result.finishedRows();
        upscaler.upscale(picture, (int) before, result, Progress.NONE);
        write(result.window(0, 0, height, width), fields.text("upscaled"));
        return before;
      }
    }
  }

  private static PngReader read(String path) throws IOException {
    return new PngReader(path, Files.readAllBytes(new File(path).toPath()));
  }

  private static void write(Picture picture, String path) throws IOException {
    try (PngWriter png =
        new PngWriter(new FileOutputStream(path), picture.height(), picture.width())) {
      png.write(picture);
    }
  }
}
