package org.ailsr.core;

import java.io.ByteArrayOutputStream;
import java.io.File;
import java.io.FileInputStream;
import java.io.FileOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.Map;

/**
 * The folder through which measurements are asked for and answered:
 *
 * <pre>
 * files/SHA256         models and PNG images, named by their content
 * requests/ID.json     what to measure
 * progress/ID.json     {"what": ..., "done": n, "of": m}
 * reports/ID.json      at the end: the report, or {"error": "one line"}
 * </pre>
 */
public final class BenchFolder {
  public final File root;

  public BenchFolder(File root) {
    this.root = root;
  }

  /** The file that {@code kind} (requests, progress, reports) has for a request. */
  public File file(String kind, String id) {
    if (!id.matches("[A-Za-z0-9._-]{1,100}") || id.startsWith(".")) {
      throw new AilsrException("'" + id + "' is no name of a request");
    }
    return new File(new File(root, kind), id + ".json");
  }

  /** What {@code files} holds under this SHA-256. Throws AilsrException when it holds other. */
  public byte[] content(String name, String sha256) {
    if (!sha256.matches("[0-9a-f]{64}")) {
      throw new AilsrException(name + ": '" + sha256 + "' is no SHA-256");
    }
    byte[] content = read(new File(new File(root, "files"), sha256));
    if (!Seal.sha256(content).equals(sha256)) {
      throw new AilsrException(name + " was damaged on the way: send it again");
    }
    return content;
  }

  /** Puts {@code content} into {@code files}; its SHA-256. */
  public String add(byte[] content) {
    String sha256 = Seal.sha256(content);
    write(new File(new File(root, "files"), sha256), content);
    return sha256;
  }

  /** Puts {@code request} into {@code requests}. */
  public void ask(String id, Request request) {
    write(file("requests", id), request.toJson(id).getBytes(StandardCharsets.UTF_8));
  }

  /**
   * Carries out the request {@code id} and writes its report, whatever happens.
   *
   * @param also hears of the progress, too, and may cancel; the report then says so, and {@link
   *     Progress.Cancelled} goes on to the caller
   * @return the report
   */
  public Map<String, Object> serve(
      final String id, Engine.Opener opener, Device device, final Progress also) {
    Map<String, Object> document;
    try {
      Request request =
          Request.parse(new String(read(file("requests", id)), StandardCharsets.UTF_8));
      document = new Bench(this, request, opener, device).run(new Progress() {
        @Override
        public void report(String what, int done, int of) {
          Map<String, Object> step = new LinkedHashMap<>();
          step.put("what", what);
          step.put("done", done);
          step.put("of", of);
          writeJson(file("progress", id), step);
          also.report(what, done, of);
        }
      });
    } catch (Progress.Cancelled cancelled) {
      writeJson(file("reports", id), failure("it was cancelled on the device"));
      throw cancelled;
    } catch (RuntimeException error) {
      document = failure(AilsrException.lineOf(error));
    }
    writeJson(file("reports", id), document);
    return document;
  }

  private static Map<String, Object> failure(String line) {
    return Collections.<String, Object>singletonMap("error", line);
  }

  private static void writeJson(File file, Object value) {
    write(file, Json.write(value).getBytes(StandardCharsets.UTF_8));
  }

  /** Writes {@code file} so that a half-written one is never seen. */
  private static void write(File file, byte[] content) {
    File folder = file.getParentFile();
    File temporary = new File(folder, "." + file.getName() + ".tmp");
    folder.mkdirs();
    try {
      try (FileOutputStream output = new FileOutputStream(temporary)) {
        output.write(content);
      }
      if (!temporary.renameTo(file)) {
        throw new IOException("it cannot be renamed");
      }
    } catch (IOException error) {
      temporary.delete();
      throw new AilsrException(file + " cannot be written (" + error.getMessage() + ")", error);
    }
  }

  private static byte[] read(File file) {
    try (InputStream input = new FileInputStream(file)) {
      return readAll(input);
    } catch (IOException error) {
      throw new AilsrException(file + " cannot be read (" + error.getMessage() + ")", error);
    }
  }

  /** Everything that is left in {@code input}. */
  public static byte[] readAll(InputStream input) throws IOException {
    ByteArrayOutputStream content = new ByteArrayOutputStream();
    byte[] buffer = new byte[1 << 16];
    for (int n = input.read(buffer); n >= 0; n = input.read(buffer)) {
      content.write(buffer, 0, n);
    }
    return content.toByteArray();
  }
}
