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

  public final int format;
  public final String network;

  /** Output pixels per input pixel along each side. */
  public final int scale;

  /** {@code rgb} or {@code y}: what the network inside computes on. */
  public final String color;

  public final String precision;
  public final PixelType pixels;

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

  /** The right answer to the probe picture at the first of {@link #sizes}; null: not known. */
  public final Probe probe;

  private Card(Fields fields) {
    format = fields.has("format") ? fields.integer("format") : 0;
    if (format > FORMAT) {
      throw new AilsrException(
          "the file's card has format " + format + ", this app reads up to " + FORMAT
              + ": update the app");
    }
    network = fields.text("network");
    scale = fields.integer("scale");
    color = fields.text("color");
    precision = fields.text("precision");
    pixels = PixelType.ofLabel(fields.text("pixels"));
    radius = fields.integer("radius");
    sizes = new ArrayList<>();
    sizes.add(size(fields.list("input_size")));
    for (Object other : fields.list("other_sizes")) {
      sizes.add(size((List<?>) other));
    }
    if (pixels == null || scale < 1 || radius < 0) {
      throw new AilsrException("a value out of range");
    }
    protocol = fields.text("protocol", null);
    means = fields.text("means", null);
    psnr = new LinkedHashMap<>();
    for (String name : fields.object("psnr").names()) {
      psnr.put(name, fields.object("psnr").number(name));
    }
    training = new LinkedHashMap<>();
    for (String name : fields.object("training").names()) {
      training.put(name, String.valueOf(fields.object("training").value(name)));
    }
    String layout = fields.text("layout", "rgb");
    if (!layout.equals("rgb")) {
      throw new AilsrException("layout '" + layout + "' is unknown: update the app");
    }
    probe = fields.has("probe") ? Probe.of(fields.object("probe")) : null;
  }

  /** The card in {@code text}. Throws AilsrException when it cannot be read. */
  static Card parse(String text) {
    try {
      return new Card(Fields.parse(text));
    } catch (AilsrException | ClassCastException error) {
      throw new AilsrException(
          "the file's ailsr card cannot be read (" + AilsrException.lineOf(error) + ")");
    }
  }

  /** {@code [height, width]}. */
  private static Size size(List<?> sides) {
    Size size = new Size(((Long) sides.get(0)).intValue(), ((Long) sides.get(1)).intValue());
    if (sides.size() != 2 || size.height < 1 || size.width < 1) {
      throw new AilsrException("a size out of range");
    }
    return size;
  }
}
