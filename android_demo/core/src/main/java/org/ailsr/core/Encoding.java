package org.ailsr.core;

/**
 * The ranges of a float file's input and output. Those of a file without a card are found by the
 * rule of {@code runtime/engines/encoding.py}: an image is made small, enlarged by the file under
 * each encoding, and set against the original.
 */
final class Encoding {
  private static final int TRIAL_SIDE = 64;
  private static final double TIE_DB = 1;
  private static final double RESTORING_TIE_DB = 3; // of files of ×1
  private static final double TIE_ERROR = 4; // squared levels
  private static final double NO_IMAGE_DB = 10;
  private static final double LEAST_ERROR = 65; // squared levels

  final Range input;
  final Range output;

  Encoding(Range input, Range output) {
    this.input = input;
    this.output = output;
  }

  /** Runs a file. */
  interface Run {
    /** Its output for samples by row, column and channel, in the same order. */
    float[] of(float[] samples);
  }

  /** That of a file that makes images of {@code size} {@code scale} times as large. */
  static Encoding of(Size size, int scale, Run run) {
    int height = Math.min(size.height, TRIAL_SIDE);
    int width = Math.min(size.width, TRIAL_SIDE);
    Picture hr = Probe.picture(new Size(scale * height, scale * width));
    Picture lr = scale == 1 ? Probe.noisy(hr) : Resize.shrink(hr, scale);
    Picture filled = new Picture(size.height, size.width);
    for (int top = 0; top < size.height; top += height) {
      for (int left = 0; left < size.width; left += width) {
        filled.paste(
            lr, 0, 0, Math.min(height, size.height - top), Math.min(width, size.width - left), top,
            left);
      }
    }
    int count = Range.TRIED.size();
    double[][] errors = new double[count][count];
    double least = Double.POSITIVE_INFINITY;
    for (int i = 0; i < count; i++) {
      float[] upscaled = run.of(Range.TRIED.get(i).encode(filled.rgb));
      for (int o = 0; o < count; o++) {
        errors[i][o] = error(Range.TRIED.get(o), upscaled, scale * size.width, hr);
        least = Math.min(least, errors[i][o]);
      }
    }
    double bicubic = error(Resize.enlarge(lr, scale).rgb, scale * width, hr);
    if (least > Math.max(bicubic, LEAST_ERROR) * Math.pow(10, NO_IMAGE_DB / 10)) {
      return new Encoding(Range.UNIT, Range.UNIT);
    }
    double tie = scale == 1 ? RESTORING_TIE_DB : TIE_DB;
    double enough = least * Math.pow(10, tie / 10) + TIE_ERROR;
    int best = -1; // first those with equal ranges
    for (int at = 0; best < 0; at++) {
      int i = at < count ? at : (at - count) / count;
      int o = at < count ? at : (at - count) % count;
      best = errors[i][o] <= enough ? i * count + o : -1;
    }
    return new Encoding(Range.TRIED.get(best / count), Range.TRIED.get(best % count));
  }

  private static double error(Range range, float[] upscaled, int width, Picture hr) {
    try {
      return error(range.decode(upscaled), width, hr);
    } catch (AilsrException noNumbers) {
      return Double.POSITIVE_INFINITY;
    }
  }

  /** Mean squared difference of {@code hr} from what is at its place in rows of {@code width}. */
  private static double error(byte[] rgb, int width, Picture hr) {
    long sum = 0;
    for (int row = 0; row < hr.height(); row++) {
      for (int i = 0; i < Picture.CHANNELS * hr.width(); i++) {
        int difference = (rgb[Picture.CHANNELS * width * row + i] & 0xff)
            - (hr.rgb[Picture.CHANNELS * hr.width() * row + i] & 0xff);
        sum += (long) difference * difference;
      }
    }
    return (double) sum / hr.rgb.length;
  }
}
