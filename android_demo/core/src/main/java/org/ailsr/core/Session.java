package org.ailsr.core;

import java.nio.ByteBuffer;

/**
 * A file with an engine whose answer to the file's {@link Probe} is known. A delegate that computes
 * something else than what was exported is not used: the CPU is.
 */
public final class Session implements AutoCloseable {
  private static final String CPU = "cpu";

  public final Upscaler upscaler;

  /** Null: not known, the file has no probe. */
  public final Fidelity fidelity;

  /** Why the delegate that was asked for is not used, in one line; null: it is. */
  public final String fallback;

  /** Peak resident memory before the file was opened; null: not told. */
  final Long engineMemoryBytes;

  final double loadMs;
  final double firstRunMs;

  /**
   * Opens {@code model}.
   *
   * @param delegate {@code cpu}, {@code gpu} or {@code nnapi}
   * @throws AilsrException when it cannot be opened or run
   */
  public static Session open(
      ModelFile model, Engine.Opener opener, int threads, String delegate) {
    Session session = new Session(model, opener, threads, delegate, null);
    Fidelity fidelity = session.fidelity;
    if (delegate.equals(CPU) || fidelity == null || fidelity.verdict != Fidelity.Verdict.WRONG) {
      return session;
    }
    String name = session.upscaler.engine.delegate();
    session.close();
    String levels = fidelity.levels + (fidelity.levels == 1 ? " level" : " levels");
    return new Session(model, opener, threads, CPU,
        name + " computes this file wrongly (" + levels + "): CPU instead");
  }

  private Session(
      ModelFile model, Engine.Opener opener, int threads, String delegate, String fallback) {
    this.fallback = fallback;
    engineMemoryBytes = opener.peakBytes();
    long start = System.nanoTime();
    Engine engine = opener.open(model, threads, delegate);
    try {
      upscaler = new Upscaler(model, engine);
      loadMs = (System.nanoTime() - start) / 1e6;
      Size size = model.inputSize();
      ByteBuffer picture = upscaler.preparedProbe();
      start = System.nanoTime();
      ByteBuffer answer = engine.run(picture, size.height, size.width);
      firstRunMs = (System.nanoTime() - start) / 1e6;
      fidelity = upscaler.fidelity(answer);
    } catch (RuntimeException | Error error) {
      engine.close();
      throw error;
    }
  }

  @Override
  public void close() {
    upscaler.engine.close();
  }
}
