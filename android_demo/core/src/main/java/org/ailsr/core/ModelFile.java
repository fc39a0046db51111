package org.ailsr.core;

import java.nio.charset.StandardCharsets;
import java.util.Collections;
import java.util.List;

/**
 * A TFLite file and how it takes images, read from the file itself: its card, and the shapes and
 * types of its tensors (TFLite's schema.fbs, version 3; the numbers are the slots of fields in it).
 */
public final class ModelFile {
  /** Height and width at which a file is run that has no card and leaves them open. */
  public static final int DEFAULT_SIDE = 256;

  /**
   * Overlap in pixels for files without a card, whose receptive field is not known: enough for 24
   * convolutions of 3×3. A quarter of the input where that is less.
   */
  public static final int UNKNOWN_RADIUS = 24;

  public final String name;
  public final byte[] content;

  /** Null: the file is not one of ours. */
  public final Card card;

  public final PixelType pixels;

  /** RGB, unless the card says otherwise. */
  public final Layout layout;

  /** What the levels of its input stand for; those of a file with a card are pixels. */
  final Levels inputLevels;

  /** As {@link #inputLevels}, of its output. */
  final Levels outputLevels;

  /** The input sizes that images are cut into; the file's own is the first. */
  public final List<Size> sizes;

  /** Height or width is open: images smaller than the input size are taken as they are. */
  public final boolean resizable;

  /** Output pixels per input pixel along each side; 0 when only running the file tells. */
  public final int scale;

  /** Input pixels by which tiles overlap on each side. */
  public final int radius;

  /**
   * Reads what {@code content} says of itself.
   *
   * @param name for messages and reports
   * @throws AilsrException when it is damaged or takes no RGB image
   */
  public ModelFile(String name, byte[] content) {
    this.name = name;
    this.content = content;
    try {
      if (!new String(content, 0, Math.min(8, content.length), StandardCharsets.ISO_8859_1)
          .endsWith("TFL3")) {
        throw new AilsrException("it is no TFLite file (no TFL3 at its start): export it again");
      }
      FlatBuffer root = FlatBuffer.root(content);
      boolean sealed = Seal.check(content);
      String text = metadata(root, "ailsr");
      card = text.isEmpty() ? null : Card.parse(text);
      if (card != null && card.format >= 2 && !sealed) {
        throw new AilsrException(
            "it is damaged (its card belongs to a sealed file, and the seal is gone): copy or "
                + "export it again");
      }
      layout = card == null ? Layout.RGB : card.layout;
      FlatBuffer graph = item(root.tables(2), 0);
      List<FlatBuffer> tensors = graph.tables(0);
      int[] inputs = graph.integers(1);
      int[] outputs = graph.integers(2);
      if (inputs.length != 1 || outputs.length != 1) {
        throw new AilsrException(
            "it has " + (inputs.length + outputs.length)
                + " inputs and outputs in all, not one of each");
      }
      FlatBuffer input = item(tensors, inputs[0]);
      FlatBuffer output = item(tensors, outputs[0]);
      pixels = PixelType.ofTensorType(input.integer(1, 1, 0));
      if (pixels == null || pixels != PixelType.ofTensorType(output.integer(1, 1, 0))) {
        throw new AilsrException(
            "it takes or returns no pixels: one of float32, uint8 and int8 is needed, the same "
                + "for both");
      }
      inputLevels = levels(input);
      outputLevels = levels(output);
      int[] source = shape(input);
      int[] result = shape(output);
      int channels = layout.channels;
      if (source.length != 4 || result.length != 4 || source[3] != channels || source[0] > 1
          || result[3] != channels && result[3] > 0) {
        throw new AilsrException(
            "it does not take and return one " + layout.name() + " image, [1, H, W, " + channels
                + "]");
      }
      resizable = source[1] < 1 || source[2] < 1;
      Size usual = card == null ? new Size(DEFAULT_SIDE, DEFAULT_SIDE) : card.sizes.get(0);
      Size size = new Size(
          source[1] < 1 ? usual.height : source[1], source[2] < 1 ? usual.width : source[2]);
      boolean open = resizable || result[1] < 1 || result[2] < 1;
      scale = open ? card == null ? 0 : card.scale : ratio(size, new Size(result[1], result[2]));
      if (card != null
          && (card.pixels != pixels || card.scale != scale || !card.sizes.get(0).equals(size))) {
        throw new AilsrException(
            "its card (" + card.pixels.label() + ", " + card.sizes.get(0) + ", x" + card.scale
                + ") contradicts its tensors (" + pixels.label() + ", " + size + ", x" + scale
                + "): export it again");
      }
      sizes = card == null ? Collections.singletonList(size) : card.sizes;
      radius = card == null
          ? Math.min(UNKNOWN_RADIUS, Math.min(size.height, size.width) / 4)
          : card.radius;
    } catch (AilsrException error) {
      throw new AilsrException(name + ": " + error.getMessage(), error);
    }
  }

  /** The file's own input size. */
  public Size inputSize() {
    return sizes.get(0);
  }

  /** By what whole number {@code upscaled} is larger. Throws AilsrException when there is none. */
  static int ratio(Size size, Size upscaled) {
    int scale = upscaled.height / size.height;
    if (scale < 1
        || !upscaled.equals(new Size(scale * size.height, scale * size.width))) {
      throw new AilsrException(
          "it turns " + size + " pixels into " + upscaled
              + ": it is no upscaler by a whole number");
    }
    return scale;
  }

  /** The metadata of this name; empty when there is none. */
  private static String metadata(FlatBuffer root, String wanted) {
    for (FlatBuffer entry : root.tables(6)) {
      if (entry.text(0).equals(wanted)) {
        return item(root.tables(4), entry.integer(1, 4, 0)).text(0);
      }
    }
    return "";
  }

  private Levels levels(FlatBuffer tensor) {
    FlatBuffer quantization = tensor.table(4);
    if (card != null || pixels == PixelType.FLOAT32 || quantization == null) {
      return Levels.PIXELS;
    }
    float[] scales = quantization.floats(2);
    long[] zeroPoints = quantization.longs(3);
    if (scales.length != 1 || zeroPoints.length != 1) {
      return Levels.PIXELS;
    }
    return new Levels(scales[0], zeroPoints[0] + (pixels == PixelType.INT8 ? 128 : 0));
  }

  /** The sides of a tensor, -1 for one that is open. */
  private static int[] shape(FlatBuffer tensor) {
    int[] signature = tensor.integers(7);
    return signature.length > 0 ? signature : tensor.integers(0);
  }

  private static FlatBuffer item(List<FlatBuffer> items, int index) {
    if (index < 0 || index >= items.size()) {
      throw new AilsrException(
          "it is damaged (number " + index + " of " + items.size() + "): copy it again");
    }
    return items.get(index);
  }
}
