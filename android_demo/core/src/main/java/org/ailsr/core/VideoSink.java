package org.ailsr.core;

/** Takes the frames of a video: an encoder. It throws AilsrException when it cannot. */
public interface VideoSink {
  /** Is called once, before the first frame: the size of all, of even sides, and their colours. */
  void start(Size size, VideoColors colors);

  /** The next frame, which is shown from {@code timeUs} on; it is valid during the call. */
  void put(VideoFrame frame, long timeUs);

  /** There are no more frames. It is not called when the work ends before. */
  void finish();
}
