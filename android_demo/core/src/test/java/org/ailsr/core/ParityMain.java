package org.ailsr.core;

import java.io.File;
import java.io.FileInputStream;
import java.io.FileOutputStream;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.zip.CRC32;

/** Answers a list of questions on standard input, for comparison with the Python runtime. */
public final class ParityMain {
  private ParityMain() {}

  public static void main(String[] arguments) throws IOException {
    new Questions()
        .on("statistics", ParityMain::statistics)
        .on("tiles", ParityMain::tiles)
        .on("ranges", ParityMain::ranges)
        .on("levels", ParityMain::levels)
        .on("elements", ParityMain::elements)
        .on("score", ParityMain::score)
        .on("resume", ParityMain::resume)
        .on("probe", ParityMain::probe)
        .on("fidelity", ParityMain::fidelity)
        .on("resize", ParityMain::resize)
        .on("quality", ParityMain::quality)
        .on("noise", ParityMain::noise)
        .on("condition", ParityMain::condition)
        .on("pairs", ParityMain::pairs)
        .on("layouts", ParityMain::layouts)
        .on("card", ParityMain::card)
        .answer();
  }

  private static Object statistics(Fields fields) {
    double[] samples = new double[fields.list("samples_ms").size()];
    for (int i = 0; i < samples.length; i++) {
      samples[i] = ((Number) fields.list("samples_ms").get(i)).doubleValue();
    }
    return new Latency(samples, 0, Latency.isSteady(samples)).toJson();
  }

  /** Whether a card is accepted; it comes as a list of texts, since one of ours is bounded. */
  private static Object card(Fields fields) {
    StringBuilder text = new StringBuilder();
    for (Object part : fields.list("parts")) {
      text.append(part);
    }
    try {
      Card card = Card.parse(text.toString());
      return card.scale + " " + card.radius + " " + card.sizes;
    } catch (AilsrException error) {
      return false;
    }
  }

  private static Object tiles(Fields fields) {
    Size picture = size(fields.list("picture"));
    List<Size> windows = new ArrayList<>();
    for (Object window : fields.list("windows")) {
      windows.add(size((List<?>) window));
    }
    int radius = fields.integer("radius");
    Size best;
    try {
      best = Tile.bestWindow(picture, windows, radius);
    } catch (AilsrException error) {
      return null;
    }
    Map<String, Object> answer = new LinkedHashMap<>();
    answer.put("rows", numbers(Tile.along(picture.height, best.height, radius)));
    answer.put("columns", numbers(Tile.along(picture.width, best.width, radius)));
    return answer;
  }

  private static List<Object> numbers(List<Tile> tiles) {
    List<Object> numbers = new ArrayList<>();
    for (Tile tile : tiles) {
      numbers.add(Arrays.<Object>asList(tile.start, tile.stop, tile.first, tile.last));
    }
    return numbers;
  }

  /** The ranges of a file that repeats pixels, then computes gain·x + bias in [low, high]. */
  private static Object ranges(Fields fields) {
    Size size = size(fields.list("size"));
    int scale = fields.integer("scale");
    float gain = (float) fields.number("gain");
    float bias = (float) fields.number("bias");
    float low = (float) fields.number("low");
    float high = (float) fields.number("high");
    Encoding found = Encoding.of(size, scale, samples -> {
      int stride = Picture.CHANNELS * size.width * scale;
      float[] large = new float[samples.length * scale * scale];
      for (int i = 0; i < large.length; i++) {
        int pixel = i / stride / scale * size.width + i % stride / Picture.CHANNELS / scale;
        float sample = samples[Picture.CHANNELS * pixel + i % Picture.CHANNELS];
        large[i] = Math.max(low, Math.min(high, gain * sample + bias));
      }
      return large;
    });
    Map<String, Object> answer = new LinkedHashMap<>();
    answer.put("input", found.input.name);
    answer.put("output", found.output.name);
    return answer;
  }

  private static Object levels(Fields fields) {
    int first = fields.text("pixels").equals("int8") ? -128 : 0;
    Levels levels =
        new Levels((float) fields.number("scale"), fields.integer("zero_point", -128, 255) - first);
    Map<String, Object> answer = new LinkedHashMap<>();
    answer.put("level_of", hexadecimal(levels.of(everyLevel()).rgb));
    answer.put("pixel_of", hexadecimal(levels.pixels(everyLevel().rgb)));
    return answer;
  }

  /** One row: 256 samples, and two more. */
  private static Picture everyLevel() {
    Picture picture = new Picture(1, 86);
    for (int i = 0; i < picture.rgb.length; i++) {
      picture.rgb[i] = (byte) i;
    }
    return picture;
  }

  private static String hexadecimal(byte[] everyLevel) {
    StringBuilder text = new StringBuilder();
    for (int i = 0; i < 256; i++) {
      text.append(String.format("%02x", everyLevel[i]));
    }
    return text.toString();
  }

  private static Object elements(Fields fields) {
    PixelType type = PixelType.ofLabel(fields.text("pixels"));
    String name = fields.text("range");
    Range range = Range.TRIED.stream().filter(r -> r.name.equals(name)).findFirst().get();
    ByteBuffer inputs = type.buffer(3 * 86);
    type.fill(inputs, everyLevel().rgb, range);
    List<Object> elements = new ArrayList<>();
    for (int i = 0; i < 256; i++) {
      elements.add(type == PixelType.FLOAT32 ? (Object) (double) inputs.getFloat(4 * i)
          : type == PixelType.INT8 ? (int) inputs.get(i) : inputs.get(i) & 0xff);
    }
    List<?> given = fields.list("outputs");
    ByteBuffer outputs = type.buffer(given.size());
    for (int i = 0; i < given.size(); i++) {
      double element = ((Number) given.get(i)).doubleValue();
      if (type == PixelType.FLOAT32) {
        outputs.putFloat(4 * i, (float) element);
      } else {
        outputs.put(i, (byte) (int) element);
      }
    }
    byte[] read = type.read(outputs, given.size(), range);
    List<Object> pixels = new ArrayList<>();
    for (int i = 0; i < given.size(); i++) {
      pixels.add(read[i] & 0xff);
    }
    Map<String, Object> answer = new LinkedHashMap<>();
    answer.put("inputs", elements);
    answer.put("pixels", pixels);
    return answer;
  }

  private static Size size(List<?> sides) {
    return new Size(((Number) sides.get(0)).intValue(), ((Number) sides.get(1)).intValue());
  }

  /** The CRC-32 of the probe image. */
  private static Object probe(Fields fields) {
    CRC32 crc32 = new CRC32();
    crc32.update(
        Probe.picture(new Size(fields.integer("height"), fields.integer("width"))).rgb);
    return crc32.getValue();
  }

  /** The CRC-32 of what a layout makes of the probe image, and of an output that is given. */
  private static Object layouts(Fields fields) {
    Layout layout = Layout.ofLabel(fields.text("layout"));
    Size size = size(fields.list("size"));
    int scale = fields.integer("scale");
    Picture input = Probe.picture(size);
    Size large = new Size(scale * size.height, scale * size.width);
    byte[] output = layout.levels(Probe.picture(large));
    for (int i = 0; i < output.length; i += 7) {
      output[i] ^= 3;
    }
    Map<String, Object> answer = new LinkedHashMap<>();
    answer.put("levels", crc32(layout.levels(input)));
    answer.put("rgb", crc32(layout.picture(output.clone(), input, scale).rgb));
    answer.put("probe", crc32(layout.probeLevels(input)));
    answer.put("answer", crc32(layout.probeAnswer(output, large.height, large.width).rgb));
    return answer;
  }

  private static long crc32(byte[] bytes) {
    CRC32 crc32 = new CRC32();
    crc32.update(bytes);
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

  /** Writes the image reduced, and the reduced one enlarged. */
  private static Object resize(Fields fields) throws IOException {
    int scale = fields.integer("scale");
    Picture small = Resize.shrink(
        read(fields.text("picture")).picture.cropToMultiple(scale), scale);
    write(small, fields.text("small"));
    write(Resize.enlarge(small, scale), fields.text("large"));
    return null;
  }

  /** Upscales an image in two parts, as after the end of a process; the rows of the first. */
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

  private static Object quality(Fields fields) throws IOException {
    try (FileInputStream file = new FileInputStream(fields.text("path"))) {
      Integer quality = JpegQuality.of(file);
      return quality == null ? null : (Object) (long) quality;
    }
  }

  private static Object noise(Fields fields) throws IOException {
    return Condition.noise(read(fields.text("image")).picture);
  }

  private static Object condition(Fields fields) {
    Integer quality = fields.has("jpeg_quality") ? fields.integer("jpeg_quality") : null;
    Condition condition = new Condition(quality, fields.number("noise"));
    Map<String, Object> answer = new LinkedHashMap<>();
    answer.put("degraded", condition.isDegraded());
    answer.put("words", condition.toString());
    return answer;
  }

  /** The pairs among model files, and the names of the files for an image with noise. */
  private static Object pairs(Fields fields) throws IOException {
    List<ModelFile> files = new ArrayList<>();
    for (Object path : fields.list("files")) {
      File file = new File((String) path);
      files.add(new ModelFile(file.getName(), Files.readAllBytes(file.toPath())));
    }
    List<Object> answer = new ArrayList<>();
    for (NetworkPair pair : NetworkPair.of(files)) {
      ModelFile suited = pair.suited(new Condition(null, fields.number("noise")));
      answer.add(Arrays.<Object>asList(pair.clean.name, pair.degraded.name, suited.name));
    }
    return answer;
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
