package org.ailsr.core;

/** A frame of a video, 8 bits a sample, in 4:2:0: the chroma of odd sizes is rounded up. */
public final class VideoFrame {
  /** Pixels. */
  public final Size size;

  public final VideoPlane luma;

  /** Cb. */
  public final VideoPlane blue;

  /** Cr. */
  public final VideoPlane red;

  /** The frame that three planes hold. Throws AilsrException when they are not those of one. */
  public VideoFrame(VideoPlane luma, VideoPlane blue, VideoPlane red) {
    size = new Size(luma.height, luma.width);
    for (VideoPlane chroma : new VideoPlane[] {blue, red}) {
      if (chroma.height != half(luma.height) || chroma.width != half(luma.width)) {
        throw new AilsrException(
            "chroma of " + chroma.width + "x" + chroma.height + " is not that of " + size
                + " pixels in 4:2:0");
      }
    }
    this.luma = luma;
    this.blue = blue;
    this.red = red;
  }

  /** A frame of its own, all zero. */
  public VideoFrame(Size size) {
    this(
        new VideoPlane(size.height, size.width),
        new VideoPlane(half(size.height), half(size.width)),
        new VideoPlane(half(size.height), half(size.width)));
  }

  /** Samples of chroma along a side of so many pixels. */
  static int half(int pixels) {
    return (pixels + 1) / 2;
  }

  /** Copies the upper left corner of {@code from}, which is no smaller. */
  public void copyFrom(VideoFrame from) {
    if (!from.size.holds(size.height, size.width)) {
      throw new AilsrException("a frame of " + from.size + " pixels does not fill one of " + size);
    }
    luma.copyFrom(from.luma);
    blue.copyFrom(from.blue);
    red.copyFrom(from.red);
  }

  /** Both are of one size and hold the same samples. */
  public boolean sameAs(VideoFrame other) {
    return luma.sameAs(other.luma) && blue.sameAs(other.blue) && red.sameAs(other.red);
  }
}
