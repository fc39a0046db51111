package org.ailsr.core;

import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.DataInputStream;
import java.io.IOException;
import java.util.zip.InflaterInputStream;

/**
 * A PNG file of 8 bits a channel, grayscale or RGB, not interlaced: the kind that measurements use,
 * read the same everywhere and without any conversion of colour.
 */
public final class PngReader {
  private static final long SIGNATURE = 0x89504e470d0a1a0aL;

  public final Picture picture;

  /** The file holds one channel; R, G and B are equal. */
  public final boolean grayscale;

  /**
   * Reads the image in {@code content}.
   *
   * @param name for messages
   * @throws AilsrException when it is damaged or of another kind
   */
  public PngReader(String name, byte[] content) {
    try (DataInputStream file = new DataInputStream(new ByteArrayInputStream(content))) {
      if (file.readLong() != SIGNATURE || file.readInt() != 13 || file.readInt() != 0x49484452) {
        throw new AilsrException(name + " is no PNG image");
      }
      int width = file.readInt();
      int height = file.readInt();
      int depth = file.readUnsignedByte();
      int color = file.readUnsignedByte();
      file.readUnsignedShort();
      int interlaced = file.readUnsignedByte();
      if (depth != 8 || color != 0 && color != 2 || interlaced != 0) {
        throw new AilsrException(
            name + " is no PNG of 8 bits, grayscale or RGB, without interlacing: convert it");
      }
      grayscale = color == 0;
      file.readInt();
      picture = rows(data(file), height, width, grayscale ? 1 : Picture.CHANNELS);
    } catch (IOException error) {
      throw new AilsrException(name + " cannot be read (it is damaged or cut short)", error);
    }
  }

  /** What the IDAT chunks hold, one after the other. */
  private static byte[] data(DataInputStream file) throws IOException {
    ByteArrayOutputStream data = new ByteArrayOutputStream();
    while (true) {
      int length = file.readInt();
      int kind = file.readInt();
      if (kind == 0x49454e44) { // IEND
        return data.toByteArray();
      }
      if (length < 0 || length > file.available()) {
        throw new IOException("cut short");
      }
      byte[] chunk = new byte[length];
      file.readFully(chunk);
      file.readInt();
      if (kind == 0x49444154) { // IDAT
        data.write(chunk);
      }
    }
  }

  private static Picture rows(byte[] data, int height, int width, int channels)
      throws IOException {
    Picture picture = new Picture(height, width);
    byte[] row = new byte[width * channels];
    byte[] above = new byte[width * channels];
    try (DataInputStream levels =
        new DataInputStream(new InflaterInputStream(new ByteArrayInputStream(data)))) {
      for (int y = 0; y < height; y++) {
        int filter = levels.readUnsignedByte();
        levels.readFully(row);
        for (int i = 0; i < row.length; i++) {
          int left = i < channels ? 0 : row[i - channels] & 0xff;
          int up = above[i] & 0xff;
          int corner = i < channels ? 0 : above[i - channels] & 0xff;
          row[i] += predicted(filter, left, up, corner);
        }
        for (int x = 0; x < width; x++) {
          for (int channel = 0; channel < Picture.CHANNELS; channel++) {
            picture.rgb[picture.at(y, x) + channel] =
                row[channels == 1 ? x : Picture.CHANNELS * x + channel];
          }
        }
        byte[] finished = row;
        row = above;
        above = finished;
      }
    }
    return picture;
  }

  private static int predicted(int filter, int left, int up, int corner) throws IOException {
    switch (filter) {
      case 0:
        return 0;
      case 1:
        return left;
      case 2:
        return up;
      case 3:
        return (left + up) / 2;
      case 4:
        return paeth(left, up, corner);
      default:
        throw new IOException("filter " + filter);
    }
  }

  /** The neighbour that is nearest to left + up - corner. */
  static int paeth(int left, int up, int corner) {
    int toLeft = Math.abs(up - corner);
    int toUp = Math.abs(left - corner);
    int toCorner = Math.abs(left + up - 2 * corner);
    return toLeft <= toUp && toLeft <= toCorner ? left : toUp <= toCorner ? up : corner;
  }
}
