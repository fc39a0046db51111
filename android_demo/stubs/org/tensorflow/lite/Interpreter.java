package org.tensorflow.lite;

import java.nio.ByteBuffer;

public class Interpreter implements AutoCloseable {
  public static class Options {
    public Options setNumThreads(int threads) {
      return this;
    }

    public Options addDelegate(Delegate delegate) {
      return this;
    }
  }

  public Interpreter(ByteBuffer model, Options options) {}

  public void resizeInput(int index, int[] shape) {}

  public void allocateTensors() {}

  public void run(Object input, Object output) {}

  public Tensor getOutputTensor(int index) {
    return null;
  }

  @Override
  public void close() {}
}
