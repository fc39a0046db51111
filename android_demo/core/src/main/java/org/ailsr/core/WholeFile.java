package org.ailsr.core;

import java.io.File;

/** A file that appears under its name whole or not at all. */
public final class WholeFile implements AutoCloseable {
  private static final String ENDING = ".part";

  private final File file;

  /** What is written to. */
  public final File part;

  /** Nothing is written yet. What an earlier process has left of the same file goes. */
  public WholeFile(File file) {
    this.file = file;
    part = new File(file.getParentFile(), "." + file.getName() + ENDING);
    part.delete();
  }

  /** Everything is written, and the part closed: it gets its name, in the place of another. */
  public void finish() {
    if (!part.renameTo(file)) {
      throw new AilsrException(file.getName() + " cannot be written: is there room on the device?");
    }
  }

  /** Deletes the part, unless it was finished. */
  @Override
  public void close() {
    part.delete();
  }

  /** Whether {@code name} is that of a part, which an ended process has left. */
  public static boolean isPart(String name) {
    return name.startsWith(".") && name.endsWith(ENDING);
  }
}
