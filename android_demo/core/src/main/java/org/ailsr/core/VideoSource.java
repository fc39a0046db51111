package org.ailsr.core;

/** The frames of a video in the order in which they are shown: what a decoder gives. */
public interface VideoSource {
  /**
   * The next frame, valid until the next call; null: there is no more. Throws AilsrException when
   * it cannot be decoded.
   */
  VideoFrame next();

  /** When the latest frame is shown, in microseconds. */
  long timeUs();

  /** Those of the latest frame. */
  VideoColors colors();

  /** About how many frames there are in all; 0: not known. */
  int frames();
}
