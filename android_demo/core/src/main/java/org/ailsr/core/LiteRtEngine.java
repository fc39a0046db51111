package org.ailsr.core;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.Locale;
import org.tensorflow.lite.Delegate;
import org.tensorflow.lite.Interpreter;
import org.tensorflow.lite.TensorFlowLite;
import org.tensorflow.lite.gpu.GpuDelegate;
import org.tensorflow.lite.nnapi.NnApiDelegate;

/** LiteRT. Used by one thread, the one that opened it: the GPU delegate demands it. */
public final class LiteRtEngine implements Engine {
  /** Opens engines of this process. The app has LiteRT among its libraries. */
  public static class Opener implements Engine.Opener {
    private static boolean used;
    private boolean peakIsOwn;

    @Override
    public Engine open(ModelFile model, int threads, String delegate) {
      return new LiteRtEngine(model, threads, delegate, peakIsOwn);
    }

    /** Also lets the peak begin anew, so that a file is not charged with the one before it. */
    @Override
    public Long peakBytes() {
      load();
      peakIsOwn = Proc.resetPeak() || !used;
      used = true;
      return peakIsOwn ? Proc.peakBytes("self") : null;
    }
  }

  private final PixelType pixels;
  private final int channels;
  private final String name;
  private final String delegateName;
  private final boolean peakIsOwn;
  private final Delegate delegate;
  private final Interpreter interpreter;
  private Size size;
  private ByteBuffer output;

  private LiteRtEngine(ModelFile model, int threads, String delegateName, boolean peakIsOwn) {
    load();
    this.pixels = model.pixels;
    channels = model.layout.channels;
    this.peakIsOwn = peakIsOwn;
    this.name = "LiteRT " + TensorFlowLite.runtimeVersion();
    this.delegateName = delegateName.equals("cpu") ? "XNNPACK" : delegateName.toUpperCase(
        Locale.ROOT);
    ByteBuffer content =
        ByteBuffer.allocateDirect(model.content.length).order(ByteOrder.nativeOrder());
    content.put(model.content);
    content.rewind();
    Delegate opened = null;
    try {
      opened = delegate(delegateName);
      Interpreter.Options options = new Interpreter.Options().setNumThreads(threads);
      interpreter = new Interpreter(
          content, opened == null ? options : options.addDelegate(opened));
      resize(model.inputSize());
    } catch (RuntimeException | LinkageError error) {
      close(opened);
      throw new AilsrException(
          model.name + ": " + this.name + " cannot load it (" + AilsrException.lineOf(error) + ")",
          error);
    }
    delegate = opened;
  }

  private static void load() {
    try {
      TensorFlowLite.init();
    } catch (LinkageError error) {
      throw new AilsrException("LiteRT has no library for this processor", error);
    }
  }

  private static Delegate delegate(String name) {
    if (name.equals("gpu")) {
      return new GpuDelegate();
    }
    if (name.equals("nnapi")) {
      return new NnApiDelegate();
    }
    return null;
  }

  @Override
  public String name() {
    return name;
  }

  @Override
  public String delegate() {
    return delegateName;
  }

  @Override
  public ByteBuffer run(ByteBuffer input, int height, int width) {
    try {
      Size wanted = new Size(height, width);
      if (!wanted.equals(size)) {
        resize(wanted);
      }
      output.clear();
      input.rewind();
      interpreter.run(input, output);
      output.rewind();
      return output;
    } catch (RuntimeException error) {
      throw new AilsrException(name + " failed (" + AilsrException.lineOf(error) + ")", error);
    }
  }

  private void resize(Size wanted) {
    interpreter.resizeInput(0, new int[] {1, wanted.height, wanted.width, channels});
    interpreter.allocateTensors();
    size = wanted;
    int bytes = interpreter.getOutputTensor(0).numBytes();
    output = pixels.buffer(bytes / pixels.bytes);
  }

  @Override
  public Long peakBytes() {
    return peakIsOwn ? Proc.peakBytes("self") : null;
  }

  @Override
  public void close() {
    interpreter.close();
    close(delegate);
  }

  private static void close(Delegate delegate) {
    if (delegate instanceof GpuDelegate) {
      ((GpuDelegate) delegate).close();
    } else if (delegate instanceof NnApiDelegate) {
      ((NnApiDelegate) delegate).close();
    }
  }
}
