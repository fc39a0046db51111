package org.ailsr.core;

/** Which pixels are compared, so that figures can be; a border of {@code scale} pixels is not. */
public enum Protocol {
  /** On Y of BT.601. */
  Y_SHAVE_S("Y-shave-s"),
  /** On R, G and B. */
  RGB_DIV2K("RGB-DIV2K");

  public final String label;

  Protocol(String label) {
    this.label = label;
  }

  /** The protocol of this name. Throws AilsrException when there is none. */
  public static Protocol ofLabel(String label) {
    for (Protocol protocol : values()) {
      if (protocol.label.equals(label)) {
        return protocol;
      }
    }
    throw new AilsrException("no protocol '" + label + "': choose Y-shave-s or RGB-DIV2K");
  }

  /** PSNR and SSIM of an image against its ground truth. */
  public static final class Score {
    /** dB; infinite when the images are equal. */
    public final double psnr;

    /** At most 1. */
    public final double ssim;

    Score(double psnr, double ssim) {
      this.psnr = psnr;
      this.ssim = ssim;
    }
  }

  /** How good {@code upscaled} is. Throws AilsrException for a size that cannot be compared. */
  public Score score(Picture upscaled, Pair pair) {
    Picture hr = pair.hr;
    int smallest = Plane.WINDOW + 2 * pair.scale;
    if (upscaled.height() != hr.height() || upscaled.width() != hr.width()) {
      throw new AilsrException(
          pair.name + " came out as " + upscaled.width() + "x" + upscaled.height() + ", not as "
              + hr.width() + "x" + hr.height());
    }
    if (Math.min(hr.height(), hr.width()) < smallest) {
      throw new AilsrException(
          pair.name + " has " + hr.width() + "x" + hr.height() + " pixels, too few for " + label
              + " at x" + pair.scale + ": " + smallest + "x" + smallest + " is the least");
    }
    int planes = this == RGB_DIV2K ? Picture.CHANNELS : 1;
    long error = 0;
    long pixels = 0;
    double ssim = 0;
    for (int i = 0; i < planes; i++) {
      Plane result = plane(upscaled, pair, i);
      Plane reference =
          pair.grayscale && this == Y_SHAVE_S
              ? Plane.channel(hr, 0, pair.scale)
              : plane(hr, pair, i);
      error += result.squaredError(reference);
      pixels += (long) result.height * result.width;
      ssim += result.ssim(reference) / planes;
    }
    double mse = (double) error / pixels;
    double psnr = error == 0
        ? Double.POSITIVE_INFINITY
        : 10 * Math.log10(Plane.PEAK * Plane.PEAK / mse);
    return new Score(psnr, ssim);
  }

  private Plane plane(Picture picture, Pair pair, int channel) {
    if (this == RGB_DIV2K) {
      return Plane.channel(picture, channel, pair.scale);
    }
    return pair.grayscale
        ? Plane.gray(picture, pair.scale)
        : Plane.luma(picture, pair.scale);
  }
}
