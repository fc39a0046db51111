package org.ailsr.core;

import java.io.DataInputStream;
import java.io.EOFException;
import java.io.IOException;
import java.io.InputStream;

/** The quality of a JPEG file as libjpeg counts it, by its quantisers ({@code jpeg_quality.py}). */
public final class JpegQuality {
  /** Quantisers of luminance at quality 50 (ITU-T T.81, table K.1). */
  private static final int[] LUMINANCE = {
    16, 11, 10, 16, 24, 40, 51, 61, 12, 12, 14, 19, 26, 58, 60, 55,
    14, 13, 16, 24, 40, 57, 69, 56, 14, 17, 22, 29, 51, 87, 80, 62,
    18, 22, 37, 56, 68, 109, 103, 77, 24, 35, 55, 64, 81, 104, 113, 92,
    49, 64, 78, 87, 103, 121, 120, 101, 72, 92, 95, 98, 112, 100, 103, 99,
  };

  private static final int START = 0xffd8;
  private static final int DQT = 0xdb;
  private static final int SOS = 0xda;
  private static final int TABLES = 16; // numbers that four bits can have

  private JpegQuality() {}

  /**
   * The quality, 1 to 100, whose quantisers of luminance have the sum nearest to the file's; null:
   * it is no whole JPEG. Reads up to the first scan.
   */
  public static Integer of(InputStream file) throws IOException {
    int found;
    try {
      found = sumOfQuantisers(new DataInputStream(file));
    } catch (EOFException error) {
      return null;
    }
    if (found == 0) {
      return null;
    }
    int nearest = 100;
    for (int quality = 99; quality > 0; quality--) {
      if (Math.abs(sumAt(quality) - found) < Math.abs(sumAt(nearest) - found)) {
        nearest = quality;
      }
    }
    return nearest;
  }

  private static int sumAt(int quality) {
    int percent = quality < 50 ? 5000 / quality : 200 - 2 * quality;
    int sum = 0;
    for (int value : LUMINANCE) {
      sum += Math.min(255, Math.max(1, (value * percent + 50) / 100));
    }
    return sum;
  }

  /** Of the table of the first component; 0: the file is no JPEG. */
  private static int sumOfQuantisers(DataInputStream file) throws IOException {
    if (file.readUnsignedShort() != START) {
      return 0;
    }
    int[] sums = new int[TABLES];
    int table = 0;
    while (file.readUnsignedByte() == 0xff) {
      int marker = file.readUnsignedByte();
      while (marker == 0xff) {
        marker = file.readUnsignedByte(); // after fill bytes
      }
      if (marker == SOS) {
        return sums[table];
      }
      int length = file.readUnsignedShort() - 2;
      if (length < 0) {
        return 0;
      }
      byte[] content = new byte[length];
      file.readFully(content);
      if (marker == DQT) {
        addSums(content, sums);
      } else if (isFrame(marker) && length > 8) {
        table = content[8] & TABLES - 1;
      }
    }
    return 0;
  }

  private static boolean isFrame(int marker) {
    boolean isOther = marker == 0xc4 || marker == 0xc8 || marker == 0xcc;
    return marker >= 0xc0 && marker <= 0xcf && !isOther;
  }

  /** Enters the sums of the tables of a DQT segment. */
  private static void addSums(byte[] content, int[] sums) {
    int bytes;
    for (int at = 0; at < content.length; at += 1 + 64 * bytes) {
      bytes = content[at] >> 4 == 0 ? 1 : 2;
      int sum = 0;
      for (int i = at + 1; i < Math.min(content.length, at + 1 + 64 * bytes); i += bytes) {
        int low = bytes == 2 && i + 1 < content.length ? content[i + 1] & 0xff : 0;
        sum += bytes == 2 ? (content[i] & 0xff) << 8 | low : content[i] & 0xff;
      }
      sums[content[at] & TABLES - 1] = sum;
    }
  }
}
