package org.ailsr.core;

import java.io.BufferedOutputStream;
import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.File;
import java.io.FileOutputStream;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;

/**
 * An engine in a process of its own, for running the core where there is no LiteRT for Java.
 *
 * <p>The process gets a model file, a number of threads and a delegate as its last arguments. It
 * writes its name. Then it reads frames (height, width, elements) and answers each with elements. Numbers are
 * big-endian and of 4 bytes; what it writes begins with its length in bytes, negative for a message
 * that says what went wrong.
 */
final class PipeEngine implements Engine {
  /** Opens engines that {@code command} runs. */
  static final class Opener implements Engine.Opener {
    private final List<String> command;

    Opener(List<String> command) {
      this.command = command;
    }

    @Override
    public Engine open(ModelFile model, int threads, String delegate) {
      return new PipeEngine(command, model, threads, delegate);
    }

    @Override
    public Long peakBytes() {
      return null; // the process begins with the file
    }
  }

  private final File file;
  private final Process process;
  private final DataOutputStream frames;
  private final DataInputStream answers;
  private final String name;
  private final String delegateName;

  private PipeEngine(List<String> command, ModelFile model, int threads, String delegate) {
    delegateName = delegate.equals("cpu") ? "XNNPACK" : delegate.toUpperCase(Locale.ROOT);
    try {
      file = File.createTempFile("model", ".tflite");
      try (FileOutputStream output = new FileOutputStream(file)) {
        output.write(model.content);
      }
      List<String> all = new ArrayList<>(command);
      all.add(file.getPath());
      all.add(Integer.toString(threads));
      all.add(delegate);
      process = new ProcessBuilder(all).redirectError(ProcessBuilder.Redirect.INHERIT).start();
    } catch (IOException error) {
      throw new AilsrException("the engine does not start: " + error.getMessage(), error);
    }
    frames = new DataOutputStream(new BufferedOutputStream(process.getOutputStream(), 1 << 16));
    answers = new DataInputStream(process.getInputStream());
    try {
      name = new String(answer(), StandardCharsets.UTF_8);
    } catch (RuntimeException error) {
      close();
      throw error;
    }
  }

  @Override
  public String name() {
    return name;
  }

  @Override
  public String delegate() {
    return delegateName;
  }

  @Override
  public ByteBuffer run(ByteBuffer input, int height, int width) {
    byte[] elements = new byte[input.remaining()];
    input.duplicate().get(elements);
    try {
      frames.writeInt(height);
      frames.writeInt(width);
      frames.write(elements);
      frames.flush();
    } catch (IOException error) {
      throw ended(error);
    }
    return ByteBuffer.wrap(answer()).order(ByteOrder.nativeOrder());
  }

  @Override
  public Long peakBytes() {
    return Proc.peakBytes(Long.toString(process.pid()));
  }

  @Override
  public void close() {
    process.destroy();
    file.delete();
  }

  private byte[] answer() {
    try {
      int length = answers.readInt();
      byte[] content = new byte[Math.abs(length)];
      answers.readFully(content);
      if (length < 0) {
        throw new AilsrException(new String(content, StandardCharsets.UTF_8));
      }
      return content;
    } catch (IOException error) {
      throw ended(error);
    }
  }

  private AilsrException ended(IOException error) {
    String how = "the engine ended the process";
    try {
      how += " with exit code " + process.waitFor();
    } catch (InterruptedException interrupted) {
      Thread.currentThread().interrupt();
    }
    return new AilsrException(how, error);
  }
}
