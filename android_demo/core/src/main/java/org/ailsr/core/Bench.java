package org.ailsr.core;

import java.nio.ByteBuffer;
import java.text.SimpleDateFormat;
import java.util.ArrayList;
import java.util.Date;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Random;
import java.util.TimeZone;
import java.util.TreeSet;

/**
 * Measures the files of a request: latency of the inference alone and of the whole path that an app
 * sees, memory, PSNR and SSIM. The report is that of {@code ailsr-bench} (report.schema.json).
 */
final class Bench {
  private static final int LATENCY_STEPS = 4; // loading one, latency three; then one per image

  private final BenchFolder folder;
  private final Request request;
  private final Engine.Opener opener;
  private final Device device;
  private final int threads;
  private final TreeSet<Integer> scales = new TreeSet<>();

  Bench(BenchFolder folder, Request request, Engine.Opener opener, Device device) {
    this.folder = folder;
    this.request = request;
    this.opener = opener;
    this.device = device;
    this.threads = request.threads == null ? device.cores() : request.threads;
  }

  /** The report. */
  Map<String, Object> run(Progress progress) {
    int pictures = 0;
    for (List<Request.Photograph> photographs : request.pictures.values()) {
      pictures = Math.max(pictures, photographs.size());
    }
    int perFile = LATENCY_STEPS + pictures;
    int ofFiles = perFile * request.files.size();
    int all = ofFiles + pictures * request.pictures.size();
    List<Object> entries = new ArrayList<>();
    for (Request.File file : request.files) {
      Steps steps = new Steps(progress, file.name + ": ", perFile * entries.size(), all);
      Map<String, Object> entry = new LinkedHashMap<>();
      try {
        measure(file, entry, steps);
      } catch (Progress.Cancelled cancelled) {
        throw cancelled;
      } catch (RuntimeException | OutOfMemoryError error) {
        entry.clear();
        entry.put("file", file.name);
        entry.put("error", withoutName(AilsrException.lineOf(error), file.name));
      }
      entries.add(entry);
    }
    Map<String, Object> report = new LinkedHashMap<>();
    report.put("schema", "ailsr-bench");
    report.put("schema_version", 1);
    report.put("ailsr_version", Version.NAME);
    report.put("date", now());
    report.put("host", device.host());
    report.put("settings", settings());
    report.put("files", entries);
    report.put("baselines", baselines(new Steps(progress, "", ofFiles, all)));
    return report;
  }

  private static ByteBuffer buffer(int bytes) {
    return PixelType.UINT8.buffer(bytes);
  }

  private void measure(Request.File file, Map<String, Object> entry, final Steps steps) {
    steps.report("load", 0);
    byte[] content = folder.content(file.name, file.sha256);
    final ModelFile model = new ModelFile(file.name, content);
    Map<String, Object> before = device.condition();
    try (Session session = Session.open(model, opener, threads, request.delegate)) {
      final Upscaler upscaler = session.upscaler;
      final Engine engine = upscaler.engine;
      final Size size = model.inputSize();
      final Picture noise = noise(size);
      final ByteBuffer prepared = upscaler.prepared(noise);
      final byte[] held = model.layout == Layout.RGB ? null : model.layout.levels(noise);
      final ByteBuffer bitmap = model.layout == Layout.RGBA ? buffer(held.length) : null;
      final ByteBuffer upscaled =
          bitmap == null ? null : buffer(upscaler.scale * upscaler.scale * held.length);
      if (bitmap != null) {
        bitmap.put(held).rewind();
      }
      Runnable inference = new Runnable() {
        @Override
        public void run() {
          engine.run(prepared, size.height, size.width);
        }
      };
      Runnable wholePath = new Runnable() {
        @Override
        public void run() {
          if (held == null) {
            upscaler.upscale(noise);
          } else if (bitmap != null) {
            upscaler.upscale(bitmap, size, upscaled, Progress.NONE);
          } else {
            upscaler.upscale(held);
          }
        }
      };
      steps.report("latency", 1);
      Latency[] latencies = Sampler.measure(
          new Runnable[] {inference, wholePath}, request.runs, request.seconds);
      Long peakMemory = engine.peakBytes();
      List<Object> sustained = null;
      if (request.sustainedMinutes > 0) {
        Sampler.Watch watch = new Sampler.Watch() {
          @Override
          public void at(double second) {
            steps.report("sustained latency, " + Math.round(second) + " s", 2);
          }
        };
        sustained = Sampler.sustain(inference, request.sustainedMinutes, device, watch);
      }
      entry.put("file", file.name);
      entry.put("error", null);
      entry.put("engine", engine.name());
      entry.put("network", model.card == null ? null : model.card.network);
      entry.put("precision", model.card == null ? null : model.card.precision);
      entry.put("pixels", model.pixels.label());
      entry.put("scale", upscaler.scale);
      entry.put("input_size", sides(size.height, size.width));
      entry.put("output_size",
          sides(upscaler.scale * size.height, upscaler.scale * size.width));
      entry.put("threads", threads);
      entry.put("size_bytes", content.length);
      entry.put("measurable", true);
      entry.put("load_ms", session.loadMs);
      entry.put("first_run_ms", session.firstRunMs);
      entry.put("inference", latencies[0].toJson());
      entry.put("whole_path", latencies[1].toJson());
      entry.put("engine_memory_bytes", session.engineMemoryBytes);
      entry.put("peak_memory_bytes", peakMemory);
      double perSecond = 1000 / latencies[1].mean;
      entry.put("frames_per_second", perSecond);
      entry.put("megapixels_per_second",
          perSecond * upscaler.scale * upscaler.scale * size.area() / 1e6);
      entry.put("delegate", engine.delegate());
      entry.put("fallback", session.fallback);
      entry.put("fidelity", session.fidelity == null ? null : session.fidelity.toJson());
      entry.put("quality", quality(upscaler, steps));
      Map<String, Object> conditions = new LinkedHashMap<>();
      conditions.put("before", before);
      conditions.put("after", device.condition());
      entry.put("conditions", conditions);
      entry.put("sustained", sustained);
    }
  }

  private Map<String, Object> quality(Upscaler upscaler, Steps steps) {
    Map<String, Protocol.Score> scores = new LinkedHashMap<>();
    for (Request.Photograph photograph : request.pictures(upscaler.scale)) {
      steps.report("PSNR", LATENCY_STEPS + scores.size());
      Pair pair = pair(photograph, upscaler.scale);
      scores.put(pair.name, request.protocol.score(upscaler.upscale(pair.lr), pair));
    }
    if (scores.isEmpty()) {
      return null;
    }
    scales.add(upscaler.scale);
    return quality(scores);
  }

  /** The baseline of every scale on whose images a file was measured. */
  private List<Object> baselines(Steps steps) {
    List<Object> baselines = new ArrayList<>();
    int done = 0;
    for (int scale : scales) {
      Map<String, Protocol.Score> scores = new LinkedHashMap<>();
      for (Request.Photograph photograph : request.pictures(scale)) {
        steps.report("bicubic", done++);
        Pair pair = pair(photograph, scale);
        scores.put(pair.name, request.protocol.score(Resize.enlarge(pair.lr, scale), pair));
      }
      Map<String, Object> baseline = new LinkedHashMap<>();
      baseline.put("name", scale == 1 ? "input" : "bicubic");
      baseline.put("scale", scale);
      baseline.put("quality", quality(scores));
      baselines.add(baseline);
    }
    return baselines;
  }

  /** Read when it is needed: a phone cannot hold them all. */
  private Pair pair(Request.Photograph photograph, int scale) {
    String name = photograph.name;
    PngReader hr = new PngReader(name, folder.content(name, photograph.hr));
    Picture lr = photograph.lr == null
        ? null
        : new PngReader(name, folder.content(name, photograph.lr)).picture;
    return new Pair(name, lr, hr.picture, scale, hr.grayscale);
  }

  private Map<String, Object> quality(Map<String, Protocol.Score> scores) {
    double psnr = 0;
    double ssim = 0;
    Map<String, Object> images = new LinkedHashMap<>();
    for (Map.Entry<String, Protocol.Score> score : scores.entrySet()) {
      Map<String, Object> image = new LinkedHashMap<>();
      image.put("psnr_db", score.getValue().psnr);
      image.put("ssim", score.getValue().ssim);
      images.put(score.getKey(), image);
      psnr += score.getValue().psnr / scores.size();
      ssim += score.getValue().ssim / scores.size();
    }
    Map<String, Object> quality = new LinkedHashMap<>();
    quality.put("protocol", request.protocol.label);
    quality.put("psnr_db", psnr);
    quality.put("ssim", ssim);
    quality.put("images", images);
    return quality;
  }

  private Map<String, Object> settings() {
    Map<String, Object> settings = new LinkedHashMap<>();
    settings.put("threads", threads);
    settings.put("runs", request.runs);
    settings.put("seconds", request.seconds);
    settings.put("warm_up_rule", Sampler.WARM_UP_RULE);
    settings.put("protocol", request.protocol.label);
    settings.put("images", request.pictures.isEmpty() ? null : "images of the request");
    settings.put("sustained_minutes", request.sustainedMinutes);
    return settings;
  }

  /** Random pixels, always the same: latency does not depend on what an image shows. */
  private static Picture noise(Size size) {
    Picture noise = new Picture(size.height, size.width);
    new Random(0).nextBytes(noise.rgb);
    return noise;
  }

  private static List<Object> sides(int height, int width) {
    List<Object> sides = new ArrayList<>();
    sides.add(height);
    sides.add(width);
    return sides;
  }

  /** The report names the file beside its error, so the error need not. */
  private static String withoutName(String line, String name) {
    return line.startsWith(name + ": ") ? line.substring(name.length() + 2) : line;
  }

  private static String now() {
    SimpleDateFormat format = new SimpleDateFormat("yyyy-MM-dd'T'HH:mm:ss'Z'", Locale.ROOT);
    format.setTimeZone(TimeZone.getTimeZone("UTC"));
    return format.format(new Date());
  }

  /** Some of all steps. */
  private static final class Steps {
    private final Progress progress;
    private final String prefix;
    private final int offset;
    private final int all;

    Steps(Progress progress, String prefix, int offset, int all) {
      this.progress = progress;
      this.prefix = prefix;
      this.offset = offset;
      this.all = all;
    }

    void report(String what, int done) {
      progress.report(prefix + what, offset + done, all);
    }
  }
}
