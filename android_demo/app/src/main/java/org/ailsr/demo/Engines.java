package org.ailsr.demo;

import android.os.Build;
import org.ailsr.core.AilsrException;
import org.ailsr.core.Engine;
import org.ailsr.core.LiteRtEngine;
import org.ailsr.core.ModelFile;

/** LiteRT, which would take the CPU in silence where Android has no NNAPI. */
final class Engines extends LiteRtEngine.Opener {
  private static final int NNAPI_SINCE = 27;

  @Override
  public Engine open(ModelFile model, int threads, String delegate) {
    if (delegate.equals("nnapi") && Build.VERSION.SDK_INT < NNAPI_SINCE) {
      throw new AilsrException("Android " + Build.VERSION.RELEASE + " has no NNAPI");
    }
    return super.open(model, threads, delegate);
  }
}
