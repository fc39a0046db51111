package org.ailsr.core;

/**
 * Which part of an image a screen shows, and how large: the geometry of zooming and panning.
 * The image never leaves the screen.
 */
public final class Viewport {
  /** Screen pixels for each pixel of the image at the most. */
  public static final double LARGEST_ZOOM = 32;

  public final int screenWidth;
  public final int screenHeight;
  public final int pictureWidth;
  public final int pictureHeight;

  /** Screen pixels for each pixel of the image. */
  public final double zoom;

  /** What lies in the middle of the screen, in pixels of the image. */
  public final double centerX;

  public final double centerY;

  private Viewport(
      int screenWidth, int screenHeight, int pictureWidth, int pictureHeight,
      double zoom, double centerX, double centerY) {
    this.screenWidth = screenWidth;
    this.screenHeight = screenHeight;
    this.pictureWidth = pictureWidth;
    this.pictureHeight = pictureHeight;
    this.zoom = zoom;
    this.centerX = centerX;
    this.centerY = centerY;
  }

  /** The whole image, as large as the screen allows. */
  public static Viewport fit(
      int screenWidth, int screenHeight, int pictureWidth, int pictureHeight) {
    return new Viewport(screenWidth, screenHeight, pictureWidth, pictureHeight,
        fitting(screenWidth, screenHeight, pictureWidth, pictureHeight),
        pictureWidth / 2.0, pictureHeight / 2.0);
  }

  private static double fitting(int screenWidth, int screenHeight, int width, int height) {
    return Math.min((double) screenWidth / width, (double) screenHeight / height);
  }

  /** This image with another zoom and centre, as far as they are allowed. */
  public Viewport at(double wantedZoom, double x, double y) {
    double least = fitting(screenWidth, screenHeight, pictureWidth, pictureHeight);
    double allowed = Math.max(least, Math.min(Math.max(least, LARGEST_ZOOM), wantedZoom));
    return new Viewport(screenWidth, screenHeight, pictureWidth, pictureHeight, allowed,
        within(x, screenWidth / allowed / 2, pictureWidth),
        within(y, screenHeight / allowed / 2, pictureHeight));
  }

  /** A centre that leaves no gap at the borders; the middle where the image is smaller. */
  private static double within(double center, double half, int length) {
    return half >= length / 2.0
        ? length / 2.0
        : Math.max(half, Math.min(length - half, center));
  }

  /** Larger by {@code factor}; what is at this place of the screen stays there. */
  public Viewport zoomed(double factor, double screenX, double screenY) {
    double x = pictureX(screenX);
    double y = pictureY(screenY);
    Viewport larger = at(zoom * factor, centerX, centerY);
    return larger.at(
        larger.zoom,
        x - (screenX - screenWidth / 2.0) / larger.zoom,
        y - (screenY - screenHeight / 2.0) / larger.zoom);
  }

  /** The image moved by so many pixels of the screen. */
  public Viewport panned(double right, double down) {
    return at(zoom, centerX - right / zoom, centerY - down / zoom);
  }

  /** The same view on a screen of another size. */
  public Viewport onScreen(int width, int height) {
    return fit(width, height, pictureWidth, pictureHeight).at(zoom, centerX, centerY);
  }

  /** The same view of an image that is smaller by {@code scale}. */
  public Viewport ofSmaller(int scale) {
    return new Viewport(screenWidth, screenHeight, pictureWidth / scale, pictureHeight / scale,
        zoom * scale, centerX / scale, centerY / scale);
  }

  public double pictureX(double screenX) {
    return centerX + (screenX - screenWidth / 2.0) / zoom;
  }

  public double pictureY(double screenY) {
    return centerY + (screenY - screenHeight / 2.0) / zoom;
  }

  public double screenX(double pictureX) {
    return (pictureX - centerX) * zoom + screenWidth / 2.0;
  }

  public double screenY(double pictureY) {
    return (pictureY - centerY) * zoom + screenHeight / 2.0;
  }
}
