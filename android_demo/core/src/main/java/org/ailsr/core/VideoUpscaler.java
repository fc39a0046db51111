package org.ailsr.core;

import java.nio.ByteBuffer;

/**
 * Upscales videos frame by frame. A file of RGB or RGBA sees the colours of a frame; one of luma
 * sees the plane of luma as it was decoded, and chroma is enlarged by bicubic interpolation.
 */
public final class VideoUpscaler {
  private final Upscaler upscaler;

  /** What {@link #result} was made of; null: it is not whole. */
  private VideoFrame latest;

  private VideoFrame source;
  private VideoFrame result;
  private ByteBuffer before;
  private ByteBuffer after;
  private int computed;
  private volatile double framesPerSecond;

  /** By a file that is open. This belongs to the thread of its session. */
  public VideoUpscaler(Upscaler upscaler) {
    this.upscaler = upscaler;
  }

  /** Of what becomes of frames of {@code size}: even, as 4:2:0 has it; an odd row or column goes. */
  public Size sizeOf(Size size) {
    int height = upscaler.scale * size.height;
    int width = upscaler.scale * size.width;
    if (height < 2 || width < 2) {
      throw new AilsrException("frames of " + size + " pixels are too small for a video");
    }
    return new Size(height - height % 2, width - width % 2);
  }

  /** Frames that were computed; the others are as those before them. */
  public int computed() {
    return computed;
  }

  /** The mean since the first frame; 0: there was none. It may be asked by any thread. */
  public double framesPerSecond() {
    return framesPerSecond;
  }

  /**
   * Upscales all of {@code video} into {@code sink}, every frame at its time.
   *
   * @param progress is told ("frames", done, of), and before each tile, too
   * @return the number of frames
   * @throws AilsrException when there is no frame, frames change their size, or one of the three
   *     fails; the sink is not finished then
   */
  public int run(final VideoSource video, VideoSink sink, final Progress progress) {
    VideoFrame frame = video.next();
    if (frame == null) {
      throw new AilsrException("the video holds no frame that can be decoded");
    }
    Size size = frame.size;
    VideoColors colors = video.colors();
    sink.start(sizeOf(size), colors);
    long start = System.nanoTime();
    int count = 0;
    for (; frame != null; frame = video.next()) {
      if (!frame.size.equals(size)) {
        throw new AilsrException(
            "frame " + (count + 1) + " is of " + frame.size + " pixels, those before it of " + size
                + ": videos that change their size cannot be upscaled");
      }
      final int done = count;
      VideoFrame large = upscale(frame, colors, new Progress() {
        @Override
        public void report(String what, int tiles, int of) {
          progress.report("frames", done, video.frames());
        }
      });
      progress.report("frames", done, video.frames());
      sink.put(large, video.timeUs());
      count++;
      framesPerSecond = count * 1e9 / Math.max(1, System.nanoTime() - start);
    }
    progress.report("frames", count, count);
    sink.finish();
    return count;
  }

  /**
   * The frame that becomes of {@code frame}, valid until the next call. One whose samples equal
   * those before is not computed again.
   */
  public VideoFrame upscale(VideoFrame frame, VideoColors colors, Progress progress) {
    if (latest != null && latest.sameAs(frame)) {
      return result;
    }
    latest = null;
    if (source == null || !source.size.equals(frame.size)) {
      source = new VideoFrame(frame.size);
      result = new VideoFrame(sizeOf(frame.size));
      Size large = new Size(
          upscaler.scale * frame.size.height, upscaler.scale * frame.size.width);
      boolean plane = upscaler.model.layout.channels == 1;
      int bytes = VideoColors.rgbaBytes(large);
      before = ByteBuffer.allocateDirect(VideoColors.rgbaBytes(frame.size) / (plane ? 4 : 1));
      after = ByteBuffer.allocateDirect(bytes / (plane ? 4 : 1));
    }
    source.copyFrom(frame);
    if (upscaler.model.layout.channels == 1) {
      upscaleLuma(colors.full, progress);
      enlarge(source.blue, result.blue);
      enlarge(source.red, result.red);
    } else {
      colors.toRgba(source, before);
      upscaler.upscale(before, source.size, after, progress);
      colors.ofRgba(
          after,
          new Size(upscaler.scale * source.size.height, upscaler.scale * source.size.width),
          result);
    }
    computed++;
    latest = source;
    return result;
  }

  private void upscaleLuma(boolean full, Progress progress) {
    boolean fullFile = upscaler.model.layout == Layout.Y_FULL;
    byte[] levels = levels(full, fullFile);
    byte[] row = new byte[source.size.width];
    for (int y = 0; y < source.size.height; y++) {
      source.luma.read(y, row);
      map(row, levels);
      at(before, y * row.length).put(row);
    }
    upscaler.upscaleLuma(before, source.size, after, progress);
    levels = levels(fullFile, full);
    row = new byte[upscaler.scale * source.size.width];
    for (int y = 0; y < result.size.height; y++) {
      at(after, y * row.length).get(row);
      map(row, levels);
      result.luma.write(y, row);
    }
  }

  private void enlarge(VideoPlane small, VideoPlane large) {
    new ChromaPlane(
        small,
        ChromaTaps.alongColumn(small.height, large.height, upscaler.scale),
        ChromaTaps.alongRow(small.width, large.width, upscaler.scale)).write(large);
  }

  private static ByteBuffer at(ByteBuffer buffer, int position) {
    ByteBuffer view = buffer.duplicate();
    view.position(position);
    return view;
  }

  /** By the level of luma in one range, that in the other; null: they are the same. */
  private static byte[] levels(boolean full, boolean becomesFull) {
    if (full == becomesFull) {
      return null;
    }
    byte[] levels = new byte[256];
    for (int i = 0; i < levels.length; i++) {
      double level = full ? i * (219.0 / 255) + 16 : (i - 16) * (255.0 / 219);
      levels[i] = (byte) (int) Math.max(0, Math.min(255, Math.rint(level)));
    }
    return levels;
  }

  private static void map(byte[] row, byte[] levels) {
    if (levels != null) {
      for (int i = 0; i < row.length; i++) {
        row[i] = levels[row[i] & 0xff];
      }
    }
  }
}
