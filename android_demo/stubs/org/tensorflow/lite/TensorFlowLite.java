package org.tensorflow.lite;

public final class TensorFlowLite {
  private TensorFlowLite() {}

  public static void init() {}

  public static String runtimeVersion() {
    return null;
  }
}
