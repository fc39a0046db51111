package org.ailsr.core;

import java.io.ByteArrayOutputStream;
import java.io.Closeable;
import java.io.DataOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.util.zip.CRC32;
import java.util.zip.Deflater;
import java.util.zip.DeflaterOutputStream;

/** Writes an RGB image as PNG, some rows at a time, however large it is. */
public final class PngWriter implements Closeable {
  private static final int CHUNK = 1 << 16;
  private static final int LEVEL = 4; // 6 takes twice the time for 3 % of the size

  private final DataOutputStream file;
  private final OutputStream rows;
  private final ByteArrayOutputStream pending = new ByteArrayOutputStream();
  private byte[] above;

  public PngWriter(OutputStream output, int height, int width) throws IOException {
    file = new DataOutputStream(output);
    file.writeLong(0x89504e470d0a1a0aL);
    ByteArrayOutputStream header = new ByteArrayOutputStream();
    DataOutputStream fields = new DataOutputStream(header);
    fields.writeInt(width);
    fields.writeInt(height);
    fields.write(new byte[] {8, 2, 0, 0, 0}); // 8 bits, RGB
    chunk("IHDR", header.toByteArray());
    chunk("sRGB", new byte[] {0});
    above = new byte[Picture.CHANNELS * width];
    rows = new DeflaterOutputStream(pending, new Deflater(LEVEL), CHUNK);
  }

  /** Appends rows of the image's width. */
  public void write(Picture band) throws IOException {
    int stride = above.length;
    byte[] line = new byte[stride + 1];
    byte[] row = new byte[stride];
    line[0] = 4; // Paeth
    for (int y = 0; y < band.height(); y++) {
      System.arraycopy(band.rgb, y * stride, row, 0, stride);
      for (int i = 0; i < stride; i++) {
        int left = i < Picture.CHANNELS ? 0 : row[i - Picture.CHANNELS] & 0xff;
        int corner = i < Picture.CHANNELS ? 0 : above[i - Picture.CHANNELS] & 0xff;
        line[i + 1] = (byte) (row[i] - PngReader.paeth(left, above[i] & 0xff, corner));
      }
      rows.write(line);
      byte[] finished = row;
      row = above;
      above = finished;
      if (pending.size() >= CHUNK) {
        flushChunk();
      }
    }
  }

  /** Ends the file; the stream below is closed, too. */
  @Override
  public void close() throws IOException {
    rows.close();
    flushChunk();
    chunk("IEND", new byte[0]);
    file.close();
  }

  private void flushChunk() throws IOException {
    chunk("IDAT", pending.toByteArray());
    pending.reset();
  }

  private void chunk(String kind, byte[] content) throws IOException {
    byte[] name = kind.getBytes(java.nio.charset.StandardCharsets.US_ASCII);
    CRC32 sum = new CRC32();
    sum.update(name);
    sum.update(content);
    file.writeInt(content.length);
    file.write(name);
    file.write(content);
    file.writeInt((int) sum.getValue());
  }
}
