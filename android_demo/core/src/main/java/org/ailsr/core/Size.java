package org.ailsr.core;

/** Height and width in pixels. */
public final class Size {
  public final int height;
  public final int width;

  public Size(int height, int width) {
    this.height = height;
    this.width = width;
  }

  public long area() {
    return (long) height * width;
  }

  public boolean holds(int otherHeight, int otherWidth) {
    return otherHeight <= height && otherWidth <= width;
  }

  @Override
  public boolean equals(Object other) {
    return other instanceof Size
        && ((Size) other).height == height
        && ((Size) other).width == width;
  }

  @Override
  public int hashCode() {
    return 31 * height + width;
  }

  /** Width first, as in {@code 640x360}. */
  @Override
  public String toString() {
    return width + "x" + height;
  }
}
