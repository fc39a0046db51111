package org.ailsr.core;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** The card that every exported file carries: what it is, how it was made, how good it is. */
public final class Card {
  /**
   * The highest format of cards that is understood here. Since 2, a file with one is sealed; since
   * 3, it has a probe.
   */
  public static final int FORMAT = 3;

  private static final int LONGEST = 1 << 20;
  private static final int LONGEST_SIDE = 1 << 16;

  public final int format;
  public final String network;

  /** Output pixels per input pixel along each side. */
  public final int scale;

  /** {@code rgb} or {@code y}: what the network inside computes on. */
  public final String color;

  public final String precision;
  public final PixelType pixels;

  /** Of the file's input and output. */
  public final Layout layout;

  /** Every input size that the file takes; its tensors have the first. */
  public final List<Size> sizes;

  /** How many input pixels around a pixel can reach its output. */
  public final int radius;

  /** Evaluation protocol of {@link #psnr}; null when nothing was measured. */
  public final String protocol;

  /** PSNR in dB by the name of the image set. */
  public final Map<String, Double> psnr;

  /** How an int8 file was kept close to the network; null for others. */
  public final String means;

  /** Summary of the training run, as text, by name. */
  public final Map<String, String> training;

  /** What made the low-resolution images of its training; null: bicubic interpolation. */
  public final String degradation;

  /** The right answer to the probe image at the first of {@link #sizes}; null: not known. */
  final Probe probe;

  /** The rules are those of {@code runtime/card.py}: types, ranges and lengths. */
  private Card(Fields fields) {
    format = fields.given("format") ? fields.integer("format", 0, 1 << 30) : FORMAT;
    if (format > FORMAT) {
      throw new AilsrException(
          "the file's card has format " + format + ", this app reads up to " + FORMAT
              + ": update the app");
    }
    network = fields.text("network");
    scale = fields.integer("scale", 1, 64);
    color = fields.oneOf("color", "rgb", "y");
    precision = fields.oneOf("precision", "float32", "float16", "int8", "int8x16");
    pixels = PixelType.ofLabel(fields.oneOf("pixels", "float32", "uint8", "int8"));
    sizes = new ArrayList<>();
    sizes.add(size(fields.items("input_size")));
    radius = fields.integer("radius", 0, LONGEST_SIDE);
    if (fields.given("other_sizes")) {
      for (Object other : fields.items("other_sizes")) {
        if (!(other instanceof List)) {
          throw new AilsrException("one of its 'other_sizes' is not a list");
        }
        sizes.add(size((List<?>) other));
      }
    }
    protocol = fields.text("protocol", null);
    means = fields.text("means", null);
    for (String name : new String[] {"calibration", "checkpoint_sha256", "ailsr_version"}) {
      fields.text(name, null); // not shown here, but a card is right as a whole
    }
    psnr = new LinkedHashMap<>();
    Fields scores = fields.given("psnr") ? fields.map("psnr") : Fields.NONE;
    for (String name : scores.names()) {
      psnr.put(name, scores.has(name) ? scores.number(name) : Double.POSITIVE_INFINITY);
    }
    training = new LinkedHashMap<>();
    Fields summary = fields.given("training") ? fields.map("training") : Fields.NONE;
    for (String name : summary.names()) {
      Fields.checkPlain(name, summary.value(name), 4);
      training.put(name, String.valueOf(summary.value(name)));
    }
    degradation = fields.text("degradation", null);
    layout = Layout.ofLabel(fields.text("layout", "rgb"));
    probe = fields.has("probe") ? Probe.of(fields.object("probe")) : null;
  }

  /** The card in {@code text}. Throws AilsrException when it cannot be read. */
  static Card parse(String text) {
    try {
      if (text.length() > LONGEST) {
        throw new AilsrException("it has more than " + LONGEST + " characters");
      }
      return new Card(Fields.parse(text));
    } catch (AilsrException error) {
      throw new AilsrException(
          "the file's ailsr card cannot be read (" + AilsrException.lineOf(error) + ")");
    }
  }

  /** The low-resolution images of its training were bicubic reductions alone. */
  boolean isTrainedOnClean() {
    return !isTrainedOnDegraded() && !training.isEmpty() && !training.containsKey("train_lr");
  }

  boolean isTrainedOnDegraded() {
    return degradation != null && !degradation.equals("bicubic");
  }

  /** {@code [height, width]}. */
  private static Size size(List<?> sides) {
    if (sides.size() != 2) {
      throw new AilsrException("a size is not height and width");
    }
    return new Size(
        Fields.integer("size", sides.get(0), 1, LONGEST_SIDE),
        Fields.integer("size", sides.get(1), 1, LONGEST_SIDE));
  }
}
