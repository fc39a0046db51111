package org.ailsr.core;

import java.io.File;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** Answers a list of questions on videos, as {@link ParityMain} does on images. */
public final class VideoParityMain {
  private static final byte UNTOUCHED = 77;

  private VideoParityMain() {}

  public static void main(String[] arguments) throws IOException {
    new Questions()
        .on("to_rgba", VideoParityMain::toRgba)
        .on("of_rgba", VideoParityMain::ofRgba)
        .on("video", VideoParityMain::video)
        .answer();
  }

  /** A frame in buffers as codecs have them, {@code 2 * crop} pixels inside larger planes. */
  private static final class CodecFrame {
    final ByteBuffer[] buffers = new ByteBuffer[3];
    final VideoFrame frame;

    /** At a stride of 2 the planes of chroma interleave: they lie in the same bytes. */
    CodecFrame(Size size, int padding, int stride, int crop) {
      int height = size.height + 2 * crop;
      int rowStride = size.width + 2 * crop + padding;
      int chromaHeight = VideoFrame.half(size.height) + crop;
      int chromaStride = stride * (VideoFrame.half(size.width) + crop) + padding;
      buffers[0] = filled(rowStride * height);
      buffers[1] = filled(chromaStride * chromaHeight);
      if (stride == 2) {
        buffers[1].position(1);
        buffers[2] = buffers[1].slice();
        buffers[1].rewind();
        buffers[1].limit(buffers[1].capacity() - 1); // the last byte is the other plane's
      } else {
        buffers[2] = filled(chromaStride * chromaHeight);
      }
      frame = new VideoFrame(
          new VideoPlane(buffers[0], rowStride, 1, 2 * crop, 2 * crop, size.height, size.width),
          chroma(buffers[1], chromaStride, stride, crop, size),
          chroma(buffers[2], chromaStride, stride, crop, size));
    }

    private static VideoPlane chroma(
        ByteBuffer buffer, int rowStride, int stride, int crop, Size size) {
      return new VideoPlane(buffer, rowStride, stride, crop, crop,
          VideoFrame.half(size.height), VideoFrame.half(size.width));
    }

    private static ByteBuffer filled(int bytes) {
      ByteBuffer buffer = ByteBuffer.allocateDirect(bytes);
      for (int i = 0; i < bytes; i++) {
        buffer.put(i, UNTOUCHED);
      }
      return buffer;
    }

    /** Bytes that no sample has been written to, if samples are of no such level. */
    int untouched() {
      int count = 0;
      boolean interleaved = buffers[1].limit() < buffers[1].capacity();
      for (ByteBuffer buffer : Arrays.asList(buffers).subList(0, interleaved ? 2 : 3)) {
        ByteBuffer whole = buffer.duplicate();
        whole.clear();
        while (whole.hasRemaining()) {
          count += whole.get() == UNTOUCHED ? 1 : 0;
        }
      }
      return count;
    }
  }

  private static Size size(Fields fields) {
    return new Size(fields.integer("height"), fields.integer("width"));
  }

  private static VideoColors colors(Fields fields) {
    return new VideoColors(
        VideoColors.Matrix.valueOf(fields.text("matrix")), fields.integer("full") == 1);
  }

  private static CodecFrame held(Fields fields) {
    return new CodecFrame(size(fields), fields.integer("padding"), fields.integer("stride"),
        fields.integer("crop"));
  }

  private static Object toRgba(Fields fields) throws IOException {
    Size size = size(fields);
    CodecFrame held = held(fields);
    held.frame.copyFrom(read(fields.text("planes"), size));
    byte[] rgba = new byte[(int) (4 * size.area())];
    colors(fields).toRgba(held.frame, ByteBuffer.wrap(rgba));
    Files.write(new File(fields.text("rgba")).toPath(), rgba);
    return held.untouched();
  }

  private static Object ofRgba(Fields fields) throws IOException {
    byte[] rgba = Files.readAllBytes(new File(fields.text("rgba")).toPath());
    CodecFrame held = held(fields);
    Size image = new Size(fields.integer("image_height"), fields.integer("image_width"));
    colors(fields).ofRgba(ByteBuffer.wrap(rgba), image, held.frame);
    Files.write(new File(fields.text("planes")).toPath(), bytes(held.frame));
    return held.untouched();
  }

  /** What becomes of frames that stand in files, each with its time: all that was done, in order. */
  private static Object video(Fields fields) throws IOException {
    byte[] content = Files.readAllBytes(new File(fields.text("model")).toPath());
    ModelFile model = new ModelFile("model.tflite", content);
    List<String> command = new ArrayList<>();
    for (Object part : fields.list("engine")) {
      command.add((String) part);
    }
    List<Object> events = new ArrayList<>();
    File output = new File(fields.text("output"));
    int end = fields.integer("cancel_at", -1, 1000);
    Map<String, Object> answer = new LinkedHashMap<>();
    try (Session session = Session.open(model, new PipeEngine.Opener(command), 1, "cpu");
        WholeFile whole = new WholeFile(output)) {
      VideoUpscaler upscaler = new VideoUpscaler(session.upscaler);
      try {
        answer.put("count", upscaler.run(
            new Decoder(fields), new Encoder(whole.part, events, fields), (what, done, of) -> {
              events.add(what + " " + done + " " + of);
              if (done == end) {
                throw new Progress.Cancelled();
              }
            }));
        whole.finish();
      } catch (Progress.Cancelled cancelled) {
        events.add("cancelled");
      } catch (AilsrException error) {
        events.add("error: " + error.getMessage());
      }
      answer.put("computed", upscaler.computed());
      answer.put("measured", upscaler.framesPerSecond() > 0 ? 1 : 0);
    }
    answer.put("events", events);
    return answer;
  }

  /** A decoder in the place of a phone's: every frame lies in the same buffers, as there. */
  private static final class Decoder implements VideoSource {
    private final List<?> frames;
    private final Fields fields;
    private int next;
    private long time;

    Decoder(Fields fields) {
      this.fields = fields;
      frames = fields.list("frames");
    }

    @Override
    public VideoFrame next() {
      if (next == fields.integer("damaged_at", -1, 1000)) {
        throw new AilsrException("frame " + next + " cannot be decoded");
      }
      if (next == frames.size()) {
        return null;
      }
      Fields frame = Fields.of(frames.get(next++));
      time = frame.integer("time_us");
      CodecFrame held = new CodecFrame(size(frame), 5, 2, 0);
      try {
        held.frame.copyFrom(read(frame.text("planes"), size(frame)));
      } catch (IOException error) {
        throw new AilsrException("no such frame", error);
      }
      return held.frame;
    }

    @Override
    public long timeUs() {
      return time;
    }

    @Override
    public VideoColors colors() {
      return VideoParityMain.colors(fields);
    }

    @Override
    public int frames() {
      return frames.size();
    }
  }

  /** An encoder in the place of a phone's. */
  private static final class Encoder implements VideoSink {
    private final File file;
    private final List<Object> events;
    private final Fields fields;
    private final List<byte[]> frames = new ArrayList<>();

    Encoder(File file, List<Object> events, Fields fields) {
      this.file = file;
      this.events = events;
      this.fields = fields;
    }

    @Override
    public void start(Size size, VideoColors colors) {
      events.add("start " + size + " " + colors);
      write();
    }

    @Override
    public void put(VideoFrame frame, long timeUs) {
      if (frames.size() == fields.integer("full_at", -1, 1000)) {
        throw new AilsrException("the encoder takes no more");
      }
      frames.add(bytes(frame));
      events.add("put " + timeUs);
      write();
    }

    @Override
    public void finish() {
      events.add("finish");
    }

    private void write() {
      try (java.io.FileOutputStream output = new java.io.FileOutputStream(file)) {
        for (byte[] frame : frames) {
          output.write(frame);
        }
      } catch (IOException error) {
        throw new AilsrException("no room", error);
      }
    }
  }

  /** The planes of a frame one after the other, without gaps. */
  private static VideoFrame read(String path, Size size) throws IOException {
    byte[] bytes = Files.readAllBytes(new File(path).toPath());
    VideoFrame frame = new VideoFrame(size);
    int at = 0;
    for (VideoPlane plane : new VideoPlane[] {frame.luma, frame.blue, frame.red}) {
      for (int y = 0; y < plane.height; y++, at += plane.width) {
        plane.write(y, Arrays.copyOfRange(bytes, at, at + plane.width));
      }
    }
    return frame;
  }

  private static byte[] bytes(VideoFrame frame) {
    java.io.ByteArrayOutputStream bytes = new java.io.ByteArrayOutputStream();
    for (VideoPlane plane : new VideoPlane[] {frame.luma, frame.blue, frame.red}) {
      byte[] row = new byte[plane.width];
      for (int y = 0; y < plane.height; y++) {
        plane.read(y, row);
        bytes.write(row, 0, row.length);
      }
    }
    return bytes.toByteArray();
  }
}
