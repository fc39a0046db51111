package org.ailsr.core;

import static org.junit.Assert.assertArrayEquals;
import static org.junit.Assert.assertEquals;
import static org.junit.Assert.assertThrows;
import static org.junit.Assert.assertTrue;

import java.io.ByteArrayOutputStream;
import java.io.File;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.Arrays;
import java.util.Random;
import org.junit.Rule;
import org.junit.Test;
import org.junit.rules.TemporaryFolder;

/** Images in memory, on the disk, as PNG and as a file's elements. */
public final class PictureTest {
  @Rule public final TemporaryFolder folder = new TemporaryFolder();

  static Picture random(int height, int width) {
    Picture picture = new Picture(height, width);
    new Random(height * 1000L + width).nextBytes(picture.rgb);
    return picture;
  }

  @Test
  public void paddingIsTheMirrorImage() {
    Picture picture = random(2, 3);
    Picture padded = picture.padded(7, 8);
    int[] rows = {0, 1, 1, 0, 0, 1, 1};
    int[] columns = {0, 1, 2, 2, 1, 0, 0, 1};
    for (int row = 0; row < rows.length; row++) {
      for (int column = 0; column < columns.length; column++) {
        Picture original = picture.window(rows[row], columns[column], 1, 1);
        assertArrayEquals(original.rgb, padded.window(row, column, 1, 1).rgb);
      }
    }
  }

  @Test
  public void pngComesBackAsItWas() throws IOException {
    Picture picture = random(300, 217);
    ByteArrayOutputStream file = new ByteArrayOutputStream();
    try (PngWriter png = new PngWriter(file, 300, 217)) {
      png.write(picture.window(0, 0, 100, 217));
      png.write(picture.window(100, 0, 200, 217));
    }
    byte[] content = file.toByteArray();
    assertArrayEquals(picture.rgb, new PngReader("random", content).picture.rgb);
    byte[] half = Arrays.copyOf(content, content.length / 2);
    AilsrException error = assertThrows(AilsrException.class, () -> new PngReader("half", half));
    assertTrue(error.getMessage(), error.getMessage().startsWith("half cannot be read"));
  }

  @Test
  public void aPictureOnTheDiskIsReadByWindowsAndKnowsItsRows() throws IOException {
    File path = folder.newFile();
    Picture picture = random(50, 40);
    try (PixelFile file = new PixelFile(path, 50, 40)) {
      file.put(0, picture.window(0, 0, 20, 40));
    }
    try (PixelFile file = new PixelFile(path, 50, 40)) {
      assertEquals(20, file.finishedRows());
      file.put(20, picture.window(20, 0, 30, 40));
      assertEquals(50, file.finishedRows());
      assertArrayEquals(picture.window(7, 3, 30, 11).rgb, file.window(7, 3, 30, 11).rgb);
    }
  }

  @Test
  public void everyLevelSurvivesTheConversionToElementsAndBack() {
    Picture levels = new Picture(1, 256);
    for (int i = 0; i < levels.rgb.length; i++) {
      levels.rgb[i] = (byte) (i / 3);
    }
    for (PixelType type : PixelType.values()) {
      for (Range range : Range.TRIED) {
        ByteBuffer elements = type.buffer(3 * 256);
        type.fill(elements, levels.rgb, range);
        assertArrayEquals(type.label(), levels.rgb, type.read(elements, 3 * 256, range));
      }
    }
  }

  @Test
  public void floatsAreClippedAndRoundedHalfToEvenAndNanIsAnError() {
    ByteBuffer elements = PixelType.FLOAT32.buffer(6);
    float[] values = {-0.3f, 0.5f / 255, 1.5f / 255, 2.5f / 255, 1.7f, 1};
    elements.asFloatBuffer().put(values);
    byte[] levels = PixelType.FLOAT32.read(elements, 6, Range.UNIT);
    assertArrayEquals(new byte[] {0, 0, 2, 2, (byte) 255, (byte) 255}, levels);
    ByteBuffer bad = PixelType.FLOAT32.buffer(3);
    bad.putFloat(4, Float.NaN);
    assertThrows(AilsrException.class, () -> PixelType.FLOAT32.read(bad, 3, Range.UNIT));
  }

  @Test
  public void eachOrientationPutsTheFirstPixelWhereExifSays() throws IOException {
    // EXIF 2.3: where row 0 and column 0 of the stored image are, seen upright.
    int[][] corners = {{0, 0}, {0, 1}, {1, 1}, {1, 0}, {0, 0}, {0, 1}, {1, 1}, {1, 0}};
    Picture stored = random(6, 4);
    for (int exif = 1; exif <= 8; exif++) {
      Orientation orientation = new Orientation(exif);
      Size size = orientation.upright(new Size(6, 4));
      assertEquals(exif >= 5 ? new Size(4, 6) : new Size(6, 4), size);
      try (PixelFile upright = new PixelFile(folder.newFile(), size.height, size.width)) {
        upright.put(0, new Picture(size.height, size.width));
        for (int row = 0; row < 6; row += 2) {
          orientation.put(upright, row, stored.window(row, 0, 2, 4));
        }
        int row = corners[exif - 1][0] * (size.height - 1);
        int column = corners[exif - 1][1] * (size.width - 1);
        assertArrayEquals(stored.window(0, 0, 1, 1).rgb, upright.window(row, column, 1, 1).rgb);
        // The pixel beside the first lies beside it, along the rows or, transposed, the columns.
        boolean transposed = exif >= 5;
        int nextRow = transposed ? (row == 0 ? 1 : row - 1) : row;
        int nextColumn = transposed ? column : (column == 0 ? 1 : column - 1);
        assertArrayEquals(
            stored.window(0, 1, 1, 1).rgb, upright.window(nextRow, nextColumn, 1, 1).rgb);
      }
    }
  }
}
