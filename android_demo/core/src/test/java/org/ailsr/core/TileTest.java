package org.ailsr.core;

import static org.junit.Assert.assertEquals;
import static org.junit.Assert.assertThrows;
import static org.junit.Assert.assertTrue;

import java.util.List;
import org.junit.Test;

public final class TileTest {
  @Test
  public void whatTilesYieldCoversASideOnceAndSeesTheRadius() {
    for (int length = 1; length < 80; length++) {
      List<Tile> tiles = Tile.along(length, 20, 4);
      int end = 0;
      for (Tile tile : tiles) {
        assertEquals(end, tile.first);
        assertTrue(tile.start == 0 || tile.first - tile.start >= 4);
        assertTrue(tile.stop == length || tile.stop - tile.last >= 4);
        assertEquals(Math.min(20, length), tile.length());
        end += tile.kept();
      }
      assertEquals(length, end);
    }
  }

  @Test
  public void aWindowThatItsOverlapFillsIsRefused() {
    assertEquals(1, Tile.along(8, 8, 4).size());
    AilsrException error = assertThrows(AilsrException.class, () -> Tile.along(9, 8, 4));
    assertTrue(error.getMessage(), error.getMessage().contains("9 or more"));
  }
}
