package org.tensorflow.lite;

import java.io.BufferedOutputStream;
import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;

/**
 * LiteRT's interpreter with its methods that the core calls: the same library, in a process of
 * Python (see interpreter.py), whose command is the system property {@code interpreter}.
 */
public class Interpreter implements AutoCloseable {
  /** What it is to run on. */
  public static class Options {
    private int threads = 1;

    public Options setNumThreads(int number) {
      threads = number;
      return this;
    }

    public Options addDelegate(Delegate delegate) {
      throw new IllegalArgumentException("no delegates here");
    }
  }

  private final Path file;
  private final Process process;
  private final DataOutputStream frames;
  private final DataInputStream answers;
  private int[] shape;
  private int outputBytes;

  public Interpreter(ByteBuffer model, Options options) {
    if (!model.isDirect()) {
      throw new IllegalArgumentException("Model ByteBuffer should be a direct one"); // as LiteRT
    }
    byte[] content = new byte[model.remaining()];
    model.duplicate().get(content);
    try {
      file = Files.createTempFile("model", ".tflite");
      Files.write(file, content);
      String[] command = System.getProperty("interpreter").split(" ");
      ProcessBuilder builder = new ProcessBuilder(command);
      builder.command().add(file.toString());
      builder.command().add(Integer.toString(options.threads));
      process = builder.redirectError(ProcessBuilder.Redirect.INHERIT).start();
    } catch (IOException error) {
      throw new UncheckedIOException(error);
    }
    frames = new DataOutputStream(new BufferedOutputStream(process.getOutputStream()));
    answers = new DataInputStream(process.getInputStream());
  }

  public void resizeInput(int index, int[] newShape) {
    shape = newShape;
  }

  public void allocateTensors() {
    ByteBuffer sides = ByteBuffer.allocate(4 * shape.length);
    sides.asIntBuffer().put(shape);
    outputBytes = ByteBuffer.wrap(answer('R', sides.array())).getInt();
  }

  public void run(Object input, Object output) {
    ByteBuffer from = (ByteBuffer) input;
    ByteBuffer to = (ByteBuffer) output;
    byte[] elements = new byte[from.remaining()];
    from.get(elements);
    to.put(answer('I', elements));
  }

  public Tensor getOutputTensor(int index) {
    return () -> outputBytes;
  }

  @Override
  public void close() {
    process.destroy();
    file.toFile().delete();
  }

  private byte[] answer(char kind, byte[] content) {
    try {
      frames.writeByte(kind);
      frames.writeInt(content.length);
      frames.write(content);
      frames.flush();
      byte[] answer = new byte[answers.readInt()];
      answers.readFully(answer);
      return answer;
    } catch (IOException error) {
      throw new IllegalStateException("Internal error: " + error.getMessage(), error);
    }
  }
}
