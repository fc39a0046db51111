package org.ailsr.demo;

import android.media.MediaCodec;
import android.media.MediaCodecInfo;
import android.media.MediaCodecList;
import android.media.MediaExtractor;
import android.media.MediaFormat;
import android.media.MediaMuxer;
import java.io.File;
import java.io.IOException;
import java.nio.ByteBuffer;
import org.ailsr.core.AilsrException;
import org.ailsr.core.Size;
import org.ailsr.core.VideoColors;
import org.ailsr.core.VideoFrame;
import org.ailsr.core.VideoSink;

/** Writes an MP4 file: frames as H.264 by the device's own codec, and sound as it is. */
final class VideoEncoder implements VideoSink, AutoCloseable {
  private static final String MIME = MediaFormat.MIMETYPE_VIDEO_AVC;
  private static final int FLEXIBLE = MediaCodecInfo.CodecCapabilities.COLOR_FormatYUV420Flexible;
  private static final int KEY_FRAME_SECONDS = 2;
  private static final double BITS_A_PIXEL = 0.12;
  private static final int LEAST_BITS = 1_000_000;
  private static final int SOUND_BYTES = 1 << 18;

  private final File file;
  private final VideoTrack sound;
  private final int rotation;
  private final int frameRate;
  private final MediaCodec.BufferInfo info = new MediaCodec.BufferInfo();
  private final MediaCodec.BufferInfo soundInfo = new MediaCodec.BufferInfo();
  private MediaCodec codec;
  private MediaMuxer muxer;
  private boolean muxing;
  private int track;
  private int soundTrack;
  private ByteBuffer soundBytes;

  /**
   * Writes to {@code file}.
   *
   * @param rotation degrees by which players turn the frames to the right
   */
  VideoEncoder(File file, VideoTrack sound, int rotation, int frameRate) {
    this.file = file;
    this.sound = sound;
    this.rotation = rotation;
    this.frameRate = frameRate;
  }

  @Override
  public void start(Size size, VideoColors colors) {
    MediaCodecInfo encoder = encoder(size);
    double bits = Math.max(LEAST_BITS, BITS_A_PIXEL * size.area() * frameRate);
    MediaFormat format = MediaFormat.createVideoFormat(MIME, size.width, size.height);
    format.setInteger(MediaFormat.KEY_COLOR_FORMAT, FLEXIBLE);
    format.setInteger(MediaFormat.KEY_FRAME_RATE, frameRate);
    format.setInteger(MediaFormat.KEY_I_FRAME_INTERVAL, KEY_FRAME_SECONDS);
    format.setInteger(
        MediaFormat.KEY_BIT_RATE,
        encoder.getCapabilitiesForType(MIME).getVideoCapabilities().getBitrateRange()
            .clamp((int) Math.min(bits, Integer.MAX_VALUE)));
    Frames.setColors(format, colors);
    try {
      codec = MediaCodec.createByCodecName(encoder.getName());
      codec.configure(format, null, null, MediaCodec.CONFIGURE_FLAG_ENCODE);
      codec.start();
      muxer = new MediaMuxer(file.getPath(), MediaMuxer.OutputFormat.MUXER_OUTPUT_MPEG_4);
      muxer.setOrientationHint(rotation);
    } catch (IOException | RuntimeException error) {
      throw new AilsrException(
          "a video of " + size + " pixels cannot be encoded here: " + AilsrException.lineOf(error),
          error);
    }
  }

  /** The first encoder that takes frames of {@code size}. Throws AilsrException for none. */
  private static MediaCodecInfo encoder(Size size) {
    for (MediaCodecInfo codec : new MediaCodecList(MediaCodecList.REGULAR_CODECS).getCodecInfos()) {
      if (!codec.isEncoder() || !takesH264(codec)) {
        continue;
      }
      MediaCodecInfo.CodecCapabilities its = codec.getCapabilitiesForType(MIME);
      for (int format : its.colorFormats) {
        if (format == FLEXIBLE
            && its.getVideoCapabilities().isSizeSupported(size.width, size.height)) {
          return codec;
        }
      }
    }
    throw new AilsrException(
        "this device has no H.264 encoder for " + size + " pixels: take a smaller video, or a file"
            + " of a smaller scale");
  }

  private static boolean takesH264(MediaCodecInfo codec) {
    for (String type : codec.getSupportedTypes()) {
      if (type.equalsIgnoreCase(MIME)) {
        return true;
      }
    }
    return false;
  }

  @Override
  public void put(VideoFrame frame, long timeUs) {
    try {
      int index = input();
      int size = codec.getInputBuffer(index).capacity();
      Frames.of(codec.getInputImage(index)).copyFrom(frame);
      codec.queueInputBuffer(index, 0, size, timeUs, 0);
      write(0);
    } catch (IllegalStateException error) { // a CodecException is one
      throw failed(error);
    }
  }

  @Override
  public void finish() {
    try {
      codec.queueInputBuffer(input(), 0, 0, 0, MediaCodec.BUFFER_FLAG_END_OF_STREAM);
      long start = System.nanoTime();
      while (!write(VideoDecoder.WAIT_US)) {
        refuseStuck(start);
      }
      copySound(Long.MAX_VALUE);
      muxer.stop();
      muxing = false;
    } catch (IllegalStateException error) {
      throw failed(error);
    }
  }

  /** The number of a free buffer. */
  private int input() {
    long start = System.nanoTime();
    int index = codec.dequeueInputBuffer(0);
    while (index < 0) {
      write(VideoDecoder.WAIT_US);
      refuseStuck(start);
      index = codec.dequeueInputBuffer(0);
    }
    return index;
  }

  private static void refuseStuck(long start) {
    if (System.nanoTime() - start > VideoDecoder.STUCK_NS) {
      throw new AilsrException("the encoder takes no more frames: take a smaller video");
    }
  }

  /** Writes what is encoded; whether that is all. */
  private boolean write(long waitUs) {
    while (true) {
      int index = codec.dequeueOutputBuffer(info, waitUs);
      if (index == MediaCodec.INFO_TRY_AGAIN_LATER) {
        return false;
      }
      if (index == MediaCodec.INFO_OUTPUT_FORMAT_CHANGED) {
        startMuxing();
      }
      if (index < 0) {
        continue;
      }
      boolean isConfiguration = (info.flags & MediaCodec.BUFFER_FLAG_CODEC_CONFIG) != 0;
      if (info.size > 0 && !isConfiguration) { // the format has the configuration already
        muxer.writeSampleData(track, codec.getOutputBuffer(index), info);
        copySound(info.presentationTimeUs);
      }
      codec.releaseOutputBuffer(index, false);
      if ((info.flags & MediaCodec.BUFFER_FLAG_END_OF_STREAM) != 0) {
        return true;
      }
    }
  }

  private void startMuxing() {
    track = muxer.addTrack(codec.getOutputFormat());
    if (sound.format != null) {
      soundTrack = muxer.addTrack(sound.format);
      int largest = Frames.integer(sound.format, MediaFormat.KEY_MAX_INPUT_SIZE, 0);
      soundBytes = ByteBuffer.allocateDirect(Math.max(SOUND_BYTES, largest));
    }
    muxer.start();
    muxing = true;
  }

  /** Copies sound up to a time, so that it lies in the file beside its images. */
  private void copySound(long untilUs) {
    MediaExtractor from = sound.extractor;
    while (sound.hasSample() && from.getSampleTime() <= untilUs) {
      int size = from.readSampleData(soundBytes, 0);
      if (size > 0) {
        boolean isKey = (from.getSampleFlags() & MediaExtractor.SAMPLE_FLAG_SYNC) != 0;
        soundInfo.set(
            0, size, from.getSampleTime(), isKey ? MediaCodec.BUFFER_FLAG_KEY_FRAME : 0);
        muxer.writeSampleData(soundTrack, soundBytes, soundInfo);
      }
      from.advance();
    }
  }

  private static AilsrException failed(IllegalStateException error) {
    return new AilsrException(
        "the video cannot be encoded: " + AilsrException.lineOf(error), error);
  }

  @Override
  public void close() {
    if (codec != null) {
      codec.release();
    }
    if (muxer != null) {
      try {
        if (muxing) {
          muxer.stop(); // it has a thread of its own
        }
      } catch (IllegalStateException unfinished) {
        // The file is deleted.
      }
      muxer.release();
    }
  }
}
