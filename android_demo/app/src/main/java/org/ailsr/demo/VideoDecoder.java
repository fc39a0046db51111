package org.ailsr.demo;

import android.media.MediaCodec;
import android.media.MediaCodecInfo;
import android.media.MediaCodecList;
import android.media.MediaFormat;
import java.io.IOException;
import java.nio.ByteBuffer;
import org.ailsr.core.AilsrException;
import org.ailsr.core.VideoColors;
import org.ailsr.core.VideoFrame;
import org.ailsr.core.VideoSource;

/** Decodes a video by the device's own codec, into buffers, not onto a surface. */
final class VideoDecoder implements VideoSource, AutoCloseable {
  static final long WAIT_US = 10_000;

  /** A codec that has done nothing for so long is stuck. */
  static final long STUCK_NS = 20_000_000_000L;

  private static final int NONE = -1;

  private final VideoTrack track;
  private final MediaCodec codec;
  private final MediaCodec.BufferInfo info = new MediaCodec.BufferInfo();
  private MediaFormat output;

  /** The buffer that holds the latest frame. */
  private int held = NONE;

  private boolean fed;
  private boolean ended;
  private VideoColors colors;

  /** Opens a decoder of the images of {@code track}. Throws AilsrException when there is none. */
  VideoDecoder(VideoTrack track) {
    this.track = track;
    MediaFormat format = track.format;
    String mime = format.getString(MediaFormat.KEY_MIME);
    Frames.refuseHdr(format);
    if (Frames.integer(format, "sar-width", 1) != Frames.integer(format, "sar-height", 1)) {
      throw new AilsrException(
          "the video's pixels are not square, which Android's encoders cannot say: convert it"
              + " first, or take ailsr-upscale on a computer");
    }
    output = format;
    format.setInteger(
        MediaFormat.KEY_COLOR_FORMAT,
        MediaCodecInfo.CodecCapabilities.COLOR_FormatYUV420Flexible);
    if (new MediaCodecList(MediaCodecList.REGULAR_CODECS).findDecoderForFormat(format) == null) {
      throw new AilsrException("this device has no decoder for this video (" + mime + ")");
    }
    MediaCodec made = null;
    try {
      made = MediaCodec.createDecoderByType(mime);
      made.configure(format, null, null, 0);
      made.start();
    } catch (IOException | RuntimeException error) {
      if (made != null) {
        made.release();
      }
      throw new AilsrException(
          "the video cannot be decoded here: " + AilsrException.lineOf(error), error);
    }
    codec = made;
  }

  @Override
  public VideoFrame next() {
    try {
      return decoded();
    } catch (IllegalStateException error) { // a CodecException is one
      throw new AilsrException(
          "the video cannot be decoded: " + AilsrException.lineOf(error), error);
    }
  }

  private VideoFrame decoded() {
    release();
    long start = System.nanoTime();
    while (!ended) {
      feed();
      int index = codec.dequeueOutputBuffer(info, WAIT_US);
      if (index == MediaCodec.INFO_OUTPUT_FORMAT_CHANGED) {
        output = codec.getOutputFormat();
        Frames.refuseHdr(output);
      }
      if (index < 0) {
        if (System.nanoTime() - start > STUCK_NS) {
          throw new AilsrException("the decoder gives no more frames: is the file whole?");
        }
        continue;
      }
      held = index;
      ended = (info.flags & MediaCodec.BUFFER_FLAG_END_OF_STREAM) != 0;
      if (info.size > 0) {
        VideoFrame frame = Frames.of(codec.getOutputImage(index));
        colors = Frames.colors(output, track.format, frame.size);
        return frame;
      }
      release();
    }
    return null;
  }

  /** Gives the codec samples as long as it takes some. */
  private void feed() {
    while (!fed) {
      int index = codec.dequeueInputBuffer(0);
      if (index < 0) {
        return;
      }
      ByteBuffer buffer = codec.getInputBuffer(index);
      fed = !track.hasSample();
      if (fed) {
        codec.queueInputBuffer(index, 0, 0, 0, MediaCodec.BUFFER_FLAG_END_OF_STREAM);
        return;
      }
      track.refuseEncrypted();
      int size = track.extractor.readSampleData(buffer, 0);
      codec.queueInputBuffer(index, 0, Math.max(0, size), track.extractor.getSampleTime(), 0);
      track.extractor.advance();
    }
  }

  private void release() {
    if (held != NONE) {
      codec.releaseOutputBuffer(held, false);
      held = NONE;
    }
  }

  @Override
  public long timeUs() {
    return info.presentationTimeUs;
  }

  @Override
  public VideoColors colors() {
    return colors;
  }

  @Override
  public int frames() {
    if (!track.format.containsKey(MediaFormat.KEY_DURATION)) {
      return 0;
    }
    double seconds = track.format.getLong(MediaFormat.KEY_DURATION) / 1e6;
    return (int) Math.rint(seconds * Frames.integer(track.format, MediaFormat.KEY_FRAME_RATE, 0));
  }

  /** Degrees by which players turn the frames to the right. */
  int rotation() {
    return Frames.integer(track.format, MediaFormat.KEY_ROTATION, 0);
  }

  /** Frames a second, as the file states it, or so that the bit rate is of use. */
  int frameRate() {
    int rate = Frames.integer(track.format, MediaFormat.KEY_FRAME_RATE, 0);
    return rate > 0 ? rate : 30;
  }

  @Override
  public void close() {
    codec.release();
  }
}
