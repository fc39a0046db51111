package org.ailsr.core;

import java.nio.ByteBuffer;
import java.util.List;

/**
 * An exported file, ready to upscale images of any size.
 *
 * <p>An image larger than the file's input is cut into overlapping tiles, and the result is what
 * the network computes for the whole image; a smaller one is padded at the bottom and right with
 * its mirror image.
 */
public final class Upscaler {
  /** Takes the finished rows of an image, from top to bottom. */
  public interface Sink {
    /** Rows of the upscaled image from {@code firstRow} on. */
    void put(int firstRow, Picture rows);
  }

  private static final int TRIAL_SIDE = 64;

  public final ModelFile model;
  public final Engine engine;

  /** Output pixels per input pixel along each side. */
  public final int scale;

  private Encoding encoding = new Encoding(Range.UNIT, Range.UNIT);
  private ByteBuffer input;

  /**
   * What a file of others leaves open, its scale or its encoding, is found by running it.
   * Throws AilsrException when it is no upscaler.
   */
  public Upscaler(ModelFile model, Engine engine) {
    this.model = model;
    this.engine = engine;
    Size size = model.resizable ? new Size(TRIAL_SIDE, TRIAL_SIDE) : model.inputSize();
    this.scale = findScale(size);
    this.encoding = findEncoding(size);
  }

  /** {@code picture}, {@code scale} times as large. */
  public Picture upscale(Picture picture) {
    final Picture result = new Picture(scale * picture.height(), scale * picture.width());
    upscale(picture, 0, new Sink() {
      @Override
      public void put(int firstRow, Picture rows) {
        result.paste(rows, 0, 0, rows.height(), rows.width(), firstRow, 0);
      }
    }, Progress.NONE);
    return result;
  }

  /**
   * Upscales {@code picture} into {@code sink}, one row of tiles at a time.
   *
   * @param finishedRows rows of the result that the sink has already, from a run that was ended;
   *     rows of tiles that lie within them are left out
   */
  public void upscale(PixelSource picture, int finishedRows, Sink sink, Progress progress) {
    Size size = bestSize(picture.height(), picture.width());
    List<Tile> rows = Tile.along(picture.height(), size.height, model.radius);
    List<Tile> columns = Tile.along(picture.width(), size.width, model.radius);
    int all = rows.size() * columns.size();
    int done = 0;
    for (Tile row : rows) {
      if (scale * row.last <= finishedRows) {
        done += columns.size();
        continue;
      }
      Picture band = new Picture(scale * row.kept(), scale * picture.width());
      for (Tile column : columns) {
        progress.report("tiles", done++, all);
        Picture tile = run(
            picture.window(row.start, column.start, row.length(), column.length()));
        band.paste(
            tile,
            scale * (row.first - row.start),
            scale * (column.first - column.start),
            band.height(),
            scale * column.kept(),
            0,
            scale * column.first);
      }
      sink.put(scale * row.first, band);
    }
    progress.report("tiles", all, all);
  }

  /**
   * Upscales a bitmap's bytes: {@code rgba} holds the pixels of {@code size}, R, G, B and alpha
   * each, from its position on, as {@code Bitmap.copyPixelsToBuffer} writes them; {@code result}
   * has room for {@code scale} times {@code scale} as many, and alpha is 255 there. Neither buffer is
   * moved. A file of RGBA in 8 bits takes and gives them as they are; with all others they are
   * converted.
   *
   * @param progress may throw {@link Progress.Cancelled}; {@code result} is then whole as far as it
   *     goes
   * @throws AilsrException when a buffer has another size, or the engine fails
   */
  public void upscale(ByteBuffer rgba, Size size, ByteBuffer result, Progress progress) {
    RgbaBuffer before = new RgbaBuffer(rgba, size);
    RgbaBuffer after = new RgbaBuffer(result, new Size(scale * size.height, scale * size.width));
    if (model.layout != Layout.RGBA || model.pixels != PixelType.UINT8) {
      upscale(before, 0, after, progress);
      return;
    }
    upscale(before, after, progress);
  }

  /**
   * Upscales a plane of luma by a file whose layout is one: {@code luma} holds the levels of {@code
   * size} in the range of that {@link Layout}, from its position on; {@code result} has room for
   * {@code scale} times {@code scale} as many. Neither buffer is moved.
   *
   * @param progress may throw {@link Progress.Cancelled}; {@code result} is then whole as far as it
   *     goes
   * @throws AilsrException when the file takes colours, a buffer has another size, or the engine
   *     fails
   */
  public void upscaleLuma(ByteBuffer luma, Size size, ByteBuffer result, Progress progress) {
    if (model.layout.channels != 1) {
      throw new AilsrException(model.name + " takes colours, not a plane of luma");
    }
    Size large = new Size(scale * size.height, scale * size.width);
    upscale(new LevelsBuffer(luma, size, 1), new LevelsBuffer(result, large, 1), progress);
  }

  /** Upscales what is in the file's own layout, tile by tile. */
  private void upscale(LevelsBuffer before, LevelsBuffer after, Progress progress) {
    Size window = bestSize(before.size.height, before.size.width);
    List<Tile> rows = Tile.along(before.size.height, window.height, model.radius);
    List<Tile> columns = Tile.along(before.size.width, window.width, model.radius);
    int all = rows.size() * columns.size();
    int done = 0;
    for (Tile row : rows) {
      for (Tile column : columns) {
        progress.report("tiles", done++, all);
        Size padded = leastSize(row.length(), column.length());
        after.copyFrom(run(before, row, column, padded), row, column, scale * padded.width, scale);
      }
    }
    progress.report("tiles", all, all);
  }

  /** The levels of the file's output for a tile; those of 8 bits without a sign as they are. */
  private ByteBuffer run(LevelsBuffer before, Tile row, Tile column, Size padded) {
    ByteBuffer elements = inputOf(padded);
    if (model.pixels == PixelType.UINT8) {
      before.copyTo(elements, row, column, padded);
      ByteBuffer output = engine.run(elements, padded.height, padded.width);
      model.pixels.check(output, samplesOf(padded));
      return output;
    }
    byte[] levels = new byte[(int) (model.layout.channels * padded.area())];
    before.copyTo(ByteBuffer.wrap(levels), row, column, padded);
    model.pixels.fill(elements, levels, encoding.input);
    return ByteBuffer.wrap(read(engine.run(elements, padded.height, padded.width), padded));
  }

  /** Of the file's input sizes the one with which the fewest pixels are computed. */
  Size bestSize(int height, int width) {
    try {
      return Tile.bestWindow(new Size(height, width), model.sizes, model.radius);
    } catch (AilsrException error) {
      throw new AilsrException(model.name + ": " + error.getMessage(), error);
    }
  }

  /** The file's output for {@code tile}, padded to the least input size that holds it. */
  public Picture run(Picture tile) {
    Size size = leastSize(tile.height(), tile.width());
    Picture padded = tile.padded(size.height, size.width);
    return model.layout.picture(read(run(padded, size), size), padded, scale);
  }

  /** The least input size that holds a tile of so many pixels. */
  private Size leastSize(int height, int width) {
    if (model.resizable) {
      return new Size(height, width);
    }
    Size least = null;
    for (Size own : model.sizes) {
      if (own.holds(height, width) && (least == null || own.area() < least.area())) {
        least = own;
      }
    }
    return least;
  }

  /**
   * {@code picture} as the file's input, for running the engine alone. An app that holds an image
   * in the layout of a uint8 file fills such a buffer itself, as with {@code
   * Bitmap.copyPixelsToBuffer}, and reads the engine's output as it is.
   */
  public ByteBuffer prepared(Picture picture) {
    return prepared(model.layout.levels(model.inputLevels.of(picture)));
  }

  /**
   * {@code held}, an image of the file's own input size in 8 bits and in its layout, upscaled, in
   * the same layout: the bytes of a bitmap by an RGBA file, a plane of luma by one of those.
   */
  public byte[] upscale(byte[] held) {
    Size size = model.inputSize();
    ByteBuffer elements = inputOf(size);
    if (held.length * model.pixels.bytes != elements.capacity()) {
      throw new AilsrException(
          held.length + " bytes are no " + model.layout.name() + " image of " + size + " pixels");
    }
    model.pixels.fill(elements, held, encoding.input);
    return read(engine.run(elements, size.height, size.width), size);
  }

  /** The probe image as the file's input. */
  ByteBuffer preparedProbe() {
    Picture image = Probe.picture(model.inputSize());
    return prepared(model.layout.probeLevels(model.inputLevels.of(image)));
  }

  private ByteBuffer prepared(byte[] levels) {
    ByteBuffer elements = model.pixels.buffer(levels.length);
    model.pixels.fill(elements, levels, encoding.input);
    return elements;
  }

  /**
   * How {@code answer}, the engine's to {@link Probe#picture} at the file's own input size, differs
   * from what was exported; null for files without a probe.
   */
  Fidelity fidelity(ByteBuffer answer) {
    if (model.card == null || model.card.probe == null) {
      return null;
    }
    Size size = model.inputSize();
    Picture upscaled;
    try {
      upscaled = model.layout.probeAnswer(
          read(answer, size), scale * size.height, scale * size.width);
    } catch (AilsrException noPicture) { // not a number, or another size
      return new Fidelity(Fidelity.Verdict.WRONG, 255);
    }
    return model.card.probe.fidelity(upscaled);
  }

  private ByteBuffer run(Picture padded, Size size) {
    ByteBuffer elements = inputOf(size);
    byte[] levels = model.layout.levels(model.inputLevels.of(padded));
    model.pixels.fill(elements, levels, encoding.input);
    return engine.run(elements, size.height, size.width);
  }

  private ByteBuffer inputOf(Size size) {
    long samples = model.layout.channels * size.area();
    if (input == null || input.capacity() != model.pixels.bytes * samples) {
      input = model.pixels.buffer(samples);
    }
    return input;
  }

  /** The levels, as pixels, in the file's output for an input of {@code size}. */
  private byte[] read(ByteBuffer output, Size size) {
    return model.outputLevels.pixels(
        model.pixels.read(output, (int) samplesOf(size), encoding.output));
  }

  /** Samples of the output for an input of {@code size}. */
  private long samplesOf(Size size) {
    return (long) model.layout.channels * scale * scale * size.area();
  }

  /** The scale, of a file whose shapes are open by running it. */
  private int findScale(Size size) {
    if (model.scale != 0) {
      return model.scale;
    }
    long pixels = run(new Picture(size.height, size.width), size).remaining()
        / (Picture.CHANNELS * model.pixels.bytes);
    int found = (int) Math.round(Math.sqrt((double) pixels / size.area()));
    if (found < 1 || pixels != found * found * size.area()) {
      throw new AilsrException(
          model.name + ": it turns " + size.area() + " pixels into " + pixels
              + ": it is no upscaler by a whole number");
    }
    return found;
  }

  private Encoding findEncoding(final Size size) {
    if (model.card != null || model.pixels != PixelType.FLOAT32) {
      return encoding;
    }
    return Encoding.of(size, scale, new Encoding.Run() {
      @Override
      public float[] of(float[] samples) {
        ByteBuffer elements = inputOf(size);
        elements.clear();
        elements.asFloatBuffer().put(samples);
        ByteBuffer output = engine.run(elements, size.height, size.width);
        float[] upscaled = new float[output.remaining() / model.pixels.bytes];
        output.asFloatBuffer().get(upscaled);
        return upscaled;
      }
    });
  }
}
