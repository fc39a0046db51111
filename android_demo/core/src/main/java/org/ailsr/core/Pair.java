package org.ailsr.core;

/** A low-resolution image and what it should become. */
public final class Pair {
  public final String name;
  public final Picture lr;
  public final Picture hr;
  public final int scale;

  /** The HR file holds one channel and is compared in its own levels. */
  public final boolean grayscale;

  /**
   * The pair of a high-resolution file.
   *
   * @param lr null: it is made by the protocol
   * @throws AilsrException when the two do not belong together
   */
  public Pair(String name, Picture lr, Picture hrFile, int scale, boolean grayscale) {
    this.name = name;
    this.scale = scale;
    this.grayscale = grayscale;
    if (hrFile.height() < scale || hrFile.width() < scale) {
      throw new AilsrException(name + " is too small to reduce by " + scale);
    }
    this.hr = hrFile.cropToMultiple(scale);
    this.lr = lr == null ? Resize.shrink(hr, scale) : lr;
    if (this.lr.height() * scale != hr.height() || this.lr.width() * scale != hr.width()) {
      throw new AilsrException(
          name + ": its low-resolution image of " + this.lr.width() + "x" + this.lr.height()
              + " pixels belongs to another image");
    }
  }
}
