package org.ailsr.core;

/** Whole levels of one channel, what PSNR and SSIM compare. */
final class Plane {
  static final double PEAK = 255;

  /** Side of SSIM's window in pixels: no plane may be smaller. */
  static final int WINDOW = 11;

  private static final double SIGMA = 1.5;
  private static final int BAND = 64;
  private static final double[] LUMA = {65.481 / 255, 128.553 / 255, 24.966 / 255};
  private static final double LUMA_OFFSET = 16;
  private static final double LUMA_RANGE = 65.481 + 128.553 + 24.966;

  final int height;
  final int width;
  private final byte[] levels;

  private Plane(int height, int width) {
    this.height = height;
    this.width = width;
    this.levels = new byte[height * width];
  }

  /** R, G or B (0, 1, 2) without a border of {@code shave} pixels. */
  static Plane channel(Picture picture, int channel, int shave) {
    Plane plane = new Plane(picture.height() - 2 * shave, picture.width() - 2 * shave);
    for (int i = 0; i < plane.levels.length; i++) {
      int at = picture.at(shave + i / plane.width, shave + i % plane.width);
      plane.levels[i] = picture.rgb[at + channel];
    }
    return plane;
  }

  /** Y of BT.601, studio range, rounded as MATLAB's rgb2ycbcr does. */
  static Plane luma(Picture picture, int shave) {
    return weighted(picture, shave, LUMA_OFFSET, 1);
  }

  /** Y in the range of the image's own levels: what is compared with a file of one channel. */
  static Plane gray(Picture picture, int shave) {
    return weighted(picture, shave, 0, 255 / LUMA_RANGE);
  }

  private static Plane weighted(Picture picture, int shave, double offset, double gain) {
    Plane plane = new Plane(picture.height() - 2 * shave, picture.width() - 2 * shave);
    for (int i = 0; i < plane.levels.length; i++) {
      int at = picture.at(shave + i / plane.width, shave + i % plane.width);
      double y = 0;
      for (int channel = 0; channel < Picture.CHANNELS; channel++) {
        y += LUMA[channel] * (picture.rgb[at + channel] & 0xff);
      }
      plane.levels[i] = (byte) (int) Math.rint(y * gain + offset);
    }
    return plane;
  }

  /** Sum of the squared differences of all pixels. */
  long squaredError(Plane reference) {
    long sum = 0;
    for (int i = 0; i < levels.length; i++) {
      long difference = (levels[i] & 0xff) - (reference.levels[i] & 0xff);
      sum += difference * difference;
    }
    return sum;
  }

  /**
   * Mean structural similarity (Wang et al. 2004): 11×11 Gaussian, windows inside only. Computed in
   * bands of rows, as five planes of doubles are more than a phone has for a large image.
   */
  double ssim(Plane reference) {
    int rows = height - WINDOW + 1;
    double sum = 0;
    for (int first = 0; first < rows; first += BAND) {
      sum += ssim(reference, first, Math.min(BAND, rows - first));
    }
    return sum / ((double) rows * (width - WINDOW + 1));
  }

  /** Sum of the similarity of the windows that begin in {@code rows} rows from {@code first} on. */
  private double ssim(Plane reference, int first, int rows) {
    int size = (rows + WINDOW - 1) * width;
    double[] x = new double[size];
    double[] y = new double[size];
    double[] xx = new double[size];
    double[] yy = new double[size];
    double[] xy = new double[size];
    for (int i = 0; i < size; i++) {
      x[i] = levels[first * width + i] & 0xff;
      y[i] = reference.levels[first * width + i] & 0xff;
      xx[i] = x[i] * x[i];
      yy[i] = y[i] * y[i];
      xy[i] = x[i] * y[i];
    }
    x = blur(x, rows);
    y = blur(y, rows);
    xx = blur(xx, rows);
    yy = blur(yy, rows);
    xy = blur(xy, rows);
    double c1 = Math.pow(0.01 * PEAK, 2);
    double c2 = Math.pow(0.03 * PEAK, 2);
    double sum = 0;
    for (int i = 0; i < x.length; i++) {
      double meanX2 = x[i] * x[i];
      double meanY2 = y[i] * y[i];
      double meanXY = x[i] * y[i];
      sum += (2 * meanXY + c1) * (2 * (xy[i] - meanXY) + c2)
          / ((meanX2 + meanY2 + c1) * (xx[i] - meanX2 + yy[i] - meanY2 + c2));
    }
    return sum;
  }

  /** {@code values} under the Gaussian window, {@code rows} rows where it fits. */
  private double[] blur(double[] values, int rows) {
    double[] weights = new double[WINDOW];
    double total = 0;
    for (int i = 0; i < WINDOW; i++) {
      double offset = i - WINDOW / 2;
      weights[i] = Math.exp(-offset * offset / (2 * SIGMA * SIGMA));
      total += weights[i];
    }
    int columns = width - WINDOW + 1;
    double[] tall = new double[rows * width];
    double[] blurred = new double[rows * columns];
    for (int i = 0; i < WINDOW; i++) {
      double weight = weights[i] / total;
      for (int at = 0; at < tall.length; at++) {
        tall[at] += weight * values[at + i * width];
      }
    }
    for (int i = 0; i < WINDOW; i++) {
      double weight = weights[i] / total;
      for (int at = 0; at < blurred.length; at++) {
        blurred[at] += weight * tall[at / columns * width + at % columns + i];
      }
    }
    return blurred;
  }
}
