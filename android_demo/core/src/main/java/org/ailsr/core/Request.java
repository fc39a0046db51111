package org.ailsr.core;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** What is to be measured: a file {@code requests/ID.json} in the folder of measurements. */
public final class Request {
  public static final String SCHEMA = "ailsr-request";
  public static final int SCHEMA_VERSION = 1;

  /** A model file by its name and its content's SHA-256. */
  public static final class File {
    public final String name;
    public final String sha256;

    public File(String name, String sha256) {
      this.name = name;
      this.sha256 = sha256;
    }
  }

  /** An image by its name and its content's SHA-256. */
  public static final class Photograph {
    public final String name;

    /** Null: it is made by the protocol. */
    public final String lr;

    public final String hr;

    public Photograph(String name, String lr, String hr) {
      this.name = name;
      this.lr = lr;
      this.hr = hr;
    }
  }

  public final List<File> files = new ArrayList<>();

  /** CPU threads; null: every core. */
  public Integer threads;

  /** Runs measured of the inference and of the whole path. */
  public int runs = 50;

  /** Time allowed for each of the two. */
  public double seconds = 10;

  /** For how long inference goes on without a pause after that; 0: not at all. */
  public double sustainedMinutes;

  /** {@code cpu}, {@code gpu} or {@code nnapi}. */
  public String delegate = "cpu";

  public Protocol protocol = Protocol.Y_SHAVE_S;

  /** The images for PSNR, by scale. */
  public final Map<Integer, List<Photograph>> pictures = new LinkedHashMap<>();

  /** Images for files of this scale; none when there are none. */
  public List<Photograph> pictures(int scale) {
    List<Photograph> found = pictures.get(scale);
    return found == null ? new ArrayList<Photograph>() : found;
  }

  /** The request in {@code text}. Throws AilsrException when it cannot be carried out. */
  public static Request parse(String text) {
    Fields fields = Fields.parse(text);
    if (!SCHEMA.equals(fields.text("schema"))
        || fields.integer("schema_version") != SCHEMA_VERSION) {
      throw new AilsrException(
          "it is no " + SCHEMA + " of version " + SCHEMA_VERSION + ": the app and ailsr-bench "
              + "must be of the same version");
    }
    Request request = new Request();
    for (Fields file : fields.objects("files")) {
      request.files.add(new File(file.text("name"), file.text("sha256")));
    }
    request.threads = fields.has("threads") ? fields.integer("threads") : null;
    request.runs = fields.integer("runs");
    request.seconds = fields.number("seconds");
    request.sustainedMinutes =
        fields.has("sustained_minutes") ? fields.number("sustained_minutes") : 0;
    request.delegate = fields.text("delegate", "cpu");
    request.protocol = Protocol.ofLabel(fields.text("protocol"));
    for (String scale : fields.object("pictures").names()) {
      List<Photograph> photographs = new ArrayList<>();
      for (Fields photograph : fields.object("pictures").objects(scale)) {
        photographs.add(new Photograph(
            photograph.text("name"), photograph.text("lr", null), photograph.text("hr")));
      }
      request.pictures.put(Integer.valueOf(scale), photographs);
    }
    if (request.files.isEmpty() || request.runs < 1
        || request.threads != null && request.threads < 1
        || !request.delegate.matches("cpu|gpu|nnapi")) {
      throw new AilsrException(
          "it needs files, at least one run and thread, and cpu, gpu or nnapi");
    }
    return request;
  }

  /** The JSON text of this request. */
  public String toJson(String id) {
    Map<String, Object> document = new LinkedHashMap<>();
    document.put("schema", SCHEMA);
    document.put("schema_version", SCHEMA_VERSION);
    document.put("id", id);
    List<Object> entries = new ArrayList<>();
    for (File file : files) {
      Map<String, Object> entry = new LinkedHashMap<>();
      entry.put("name", file.name);
      entry.put("sha256", file.sha256);
      entries.add(entry);
    }
    document.put("files", entries);
    document.put("threads", threads);
    document.put("runs", runs);
    document.put("seconds", seconds);
    document.put("sustained_minutes", sustainedMinutes);
    document.put("delegate", delegate);
    document.put("protocol", protocol.label);
    Map<String, Object> scales = new LinkedHashMap<>();
    for (Map.Entry<Integer, List<Photograph>> scale : pictures.entrySet()) {
      List<Object> photographs = new ArrayList<>();
      for (Photograph photograph : scale.getValue()) {
        Map<String, Object> entry = new LinkedHashMap<>();
        entry.put("name", photograph.name);
        entry.put("lr", photograph.lr);
        entry.put("hr", photograph.hr);
        photographs.add(entry);
      }
      scales.put(scale.getKey().toString(), photographs);
    }
    document.put("pictures", scales);
    return Json.write(document);
  }
}
