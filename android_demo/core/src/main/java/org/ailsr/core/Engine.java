package org.ailsr.core;

import java.nio.ByteBuffer;

/** What runs a file: LiteRT on a phone, a process behind a pipe on a desktop. */
public interface Engine extends AutoCloseable {
  /** Name and version, for example {@code LiteRT 1.4.2}. */
  String name();

  /** What computes: {@code XNNPACK}, {@code GPU} or {@code NNAPI}. */
  String delegate();

  /**
   * The file's output, all of the buffer, for an image of this height and width.
   *
   * <p>Both buffers hold elements of the file's {@link PixelType}, H×W×C by its {@link Layout}, in
   * native order. The
   * output is valid until the next run. Throws AilsrException when the engine fails.
   */
  ByteBuffer run(ByteBuffer input, int height, int width);

  /** Peak resident memory of the process that runs the file, in bytes; null: not told. */
  Long peakBytes();

  @Override
  void close();

  /** Opens engines. */
  interface Opener {
    /**
     * An engine for {@code model} on {@code threads} CPU threads.
     *
     * @param delegate {@code cpu}, {@code gpu} or {@code nnapi}
     * @throws AilsrException when there is none
     */
    Engine open(ModelFile model, int threads, String delegate);

    /** Peak resident memory with the library loaded, but no file; null: not told. */
    Long peakBytes();
  }
}
