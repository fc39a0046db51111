package org.ailsr.core;

import static org.junit.Assert.assertEquals;
import static org.junit.Assert.assertTrue;

import org.junit.Test;

/** What the comparison shows: geometry and drawing. */
public final class ViewportTest {
  private static final double TINY = 1e-9;

  @Test
  public void fitShowsTheWholePictureInTheMiddle() {
    Viewport fit = Viewport.fit(1000, 2000, 400, 300);
    assertEquals(2.5, fit.zoom, TINY);
    assertEquals(0, fit.screenX(0), TINY);
    assertEquals(1000, fit.screenX(400), TINY);
    assertEquals(1000, fit.screenY(150), TINY);
  }

  @Test
  public void zoomKeepsWhatIsUnderTheFingers() {
    Viewport zoomed = Viewport.fit(1000, 1000, 4000, 4000).zoomed(8, 300, 600);
    assertEquals(2, zoomed.zoom, TINY);
    assertEquals(1200, zoomed.pictureX(300), TINY);
    assertEquals(2400, zoomed.pictureY(600), TINY);
  }

  @Test
  public void thePictureNeverLeavesTheScreen() {
    Viewport view = Viewport.fit(1000, 500, 4000, 3000).zoomed(10, 0, 0);
    for (int i = 0; i < 20; i++) {
      view = view.panned(500, -900);
      assertTrue(view.screenX(0) <= TINY && view.screenX(4000) >= 1000 - TINY);
      assertTrue(view.screenY(0) <= TINY && view.screenY(3000) >= 500 - TINY);
    }
    assertEquals(Viewport.LARGEST_ZOOM, view.zoomed(1e6, 5, 5).zoom, TINY);
    assertEquals(500.0 / 3000, view.zoomed(1e-6, 5, 5).zoom, TINY);
  }

  @Test
  public void rotatingTheScreenKeepsZoomAndCentre() {
    Viewport view = Viewport.fit(1000, 2000, 4000, 3000).at(1, 2000, 1500);
    Viewport turned = view.onScreen(2000, 1000);
    assertEquals(1, turned.zoom, TINY);
    assertEquals(2000, turned.centerX, TINY);
  }

  @Test
  public void atFullSizeEachPixelOfTheScreenIsOneOfThePicture() {
    Picture picture = PictureTest.random(80, 120);
    Viewport view = Viewport.fit(60, 40, 120, 80).at(1, 60, 40);
    int[] argb = Rendering.argb(picture, view);
    for (int y = 0; y < 40; y++) {
      for (int x = 0; x < 60; x++) {
        assertEquals(color(picture, 20 + y, 30 + x), argb[y * 60 + x]);
      }
    }
  }

  @Test
  public void aReducedPictureIsAveraged() {
    Picture picture = new Picture(300, 300);
    for (int i = 0; i < picture.rgb.length; i++) {
      picture.rgb[i] = (byte) (i / 3 % 2 == 0 ? 200 : 100); // columns in turn
    }
    int[] argb = Rendering.argb(picture, Viewport.fit(150, 200, 300, 300));
    assertEquals(0, argb[10 * 150]); // above the image
    assertEquals(0, argb[190 * 150]);
    for (int x = 0; x < 150; x++) {
      assertEquals(0xff969696, argb[100 * 150 + x]);
    }
  }

  @Test
  public void theBaselineIsTheBicubicEnlargement() {
    Picture picture = PictureTest.random(40, 50);
    Picture enlarged = Resize.enlarge(picture, 3);
    Viewport view = Viewport.fit(30, 20, 150, 120).at(2, 70, 60);
    int[] expected = Rendering.argb(enlarged, view);
    int[] drawn = Rendering.enlarged(picture, 3, view);
    org.junit.Assert.assertArrayEquals(expected, drawn);
  }

  private static int color(Picture picture, int row, int column) {
    int at = picture.at(row, column);
    return 0xff000000 | (picture.rgb[at] & 0xff) << 16 | (picture.rgb[at + 1] & 0xff) << 8
        | picture.rgb[at + 2] & 0xff;
  }
}
