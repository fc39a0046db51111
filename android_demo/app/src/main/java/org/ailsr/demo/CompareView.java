package org.ailsr.demo;

import android.content.Context;
import android.graphics.Bitmap;
import android.graphics.Canvas;
import android.graphics.Color;
import android.graphics.Matrix;
import android.graphics.Paint;
import android.os.Bundle;
import android.os.Parcelable;
import android.util.AttributeSet;
import android.view.GestureDetector;
import android.view.KeyEvent;
import android.view.MotionEvent;
import android.view.ScaleGestureDetector;
import android.view.View;
import org.ailsr.core.PixelFile;
import org.ailsr.core.Progress;
import org.ailsr.core.Rendering;
import org.ailsr.core.Viewport;

/**
 * An image before and after, side by side under a line that is dragged; two fingers zoom, one
 * pans. What is seen is drawn in the background; until it is there, the last drawing is stretched.
 */
public final class CompareView extends View {
  private static final double STEP = 0.05;
  private static final int GRIP = 24; // dp on either side of the line
  private static final int RENDER_AFTER = 60; // ms without a change

  private final Paint paint = new Paint(Paint.FILTER_BITMAP_FLAG);
  private final Paint line = new Paint(Paint.ANTI_ALIAS_FLAG);
  private final Work rendering = new Work("rendering");
  private final GestureDetector gestures;
  private final ScaleGestureDetector pinches;
  private final float density = getResources().getDisplayMetrics().density;

  private PixelFile before;
  private PixelFile after;
  private int scale;
  private double split = 0.5;
  private boolean dragging;
  private Viewport viewport;
  private Drawing drawing;
  private Bundle restored;

  /** Both layers as they look through a viewport. */
  private static final class Drawing {
    Viewport viewport;
    Bitmap before;
    Bitmap after;
  }

  public CompareView(Context context, AttributeSet attributes) {
    super(context, attributes);
    setFocusable(true);
    setSaveEnabled(true);
    line.setStrokeWidth(2 * density);
    gestures = new GestureDetector(context, new Gestures());
    pinches = new ScaleGestureDetector(context, new Pinches());
  }

  /** Shows these images from now on and closes them in the end; null: nothing. */
  void show(PixelFile newBefore, PixelFile newAfter, int newScale) {
    close();
    before = newBefore;
    after = newAfter;
    scale = newScale;
    drawing = null;
    if (after != null && viewport != null && viewport.pictureWidth != after.width()) {
      viewport = null; // otherwise the same place is seen with another model
    }
    setSplit(split);
    place();
  }

  /** Lets go of the images. */
  void close() {
    rendering.cancel();
    final PixelFile oldBefore = before;
    final PixelFile oldAfter = after;
    before = null;
    after = null;
    if (oldBefore != null) {
      rendering.start(new Work.Task() { // after what is still reading them
        @Override
        public void run(Progress progress) {
          oldBefore.close();
          oldAfter.close();
        }
      }, NOTHING);
    }
  }

  private static final Runnable NOTHING = new Runnable() {
    @Override
    public void run() {}
  };

  private void place() {
    if (after == null || getWidth() == 0 || getHeight() == 0) {
      invalidate();
      return;
    }
    Viewport fit = Viewport.fit(getWidth(), getHeight(), after.width(), after.height());
    if (viewport != null) {
      fit = viewport.onScreen(getWidth(), getHeight());
    } else if (restored != null && restored.getInt("width") == after.width()) {
      fit = fit.at(
          restored.getDouble("zoom"), restored.getDouble("x"), restored.getDouble("y"));
    }
    restored = null;
    look(fit);
  }

  private void look(Viewport at) {
    viewport = at;
    invalidate();
    removeCallbacks(render);
    postDelayed(render, RENDER_AFTER);
  }

  private final Runnable render = new Runnable() {
    @Override
    public void run() {
      if (after != null) {
        render(viewport);
      }
    }
  };

  private void render(final Viewport at) {
    final PixelFile source = before;
    final PixelFile result = after;
    final int factor = scale;
    final Drawing next = new Drawing();
    rendering.start(new Work.Task() {
      @Override
      public void run(Progress progress) {
        progress.report("render", 0, 2);
        next.viewport = at;
        next.after = bitmap(Rendering.argb(result, at));
        progress.report("render", 1, 2);
        next.before = bitmap(Rendering.enlarged(source, factor, at));
      }

      private Bitmap bitmap(int[] argb) {
        return Bitmap.createBitmap(
            argb, at.screenWidth, at.screenHeight, Bitmap.Config.ARGB_8888);
      }
    }, new Runnable() {
      @Override
      public void run() {
        drawing = next;
        invalidate();
      }
    });
  }

  @Override
  protected void onSizeChanged(int width, int height, int oldWidth, int oldHeight) {
    place();
  }

  @Override
  protected void onDraw(Canvas canvas) {
    if (drawing == null || viewport == null) {
      return;
    }
    double ratio = viewport.zoom / drawing.viewport.zoom;
    Matrix matrix = new Matrix();
    matrix.setScale((float) ratio, (float) ratio);
    matrix.postTranslate(
        (float) viewport.screenX(drawing.viewport.pictureX(0)),
        (float) viewport.screenY(drawing.viewport.pictureY(0)));
    float x = (float) (split * getWidth());
    draw(canvas, drawing.before, matrix, 0, x);
    draw(canvas, drawing.after, matrix, x, getWidth());
    line.setColor(Color.WHITE);
    canvas.drawLine(x, 0, x, getHeight(), line);
    canvas.drawCircle(x, getHeight() / 2f, 12 * density, line);
    line.setColor(isFocused() ? Color.RED : Color.DKGRAY);
    canvas.drawCircle(x, getHeight() / 2f, 6 * density, line);
  }

  private void draw(Canvas canvas, Bitmap bitmap, Matrix matrix, float left, float right) {
    canvas.save();
    canvas.clipRect(left, 0, right, getHeight());
    canvas.drawBitmap(bitmap, matrix, paint);
    canvas.restore();
  }

  @Override
  public boolean onTouchEvent(MotionEvent event) {
    if (viewport == null || after == null) {
      return false;
    }
    if (event.getActionMasked() == MotionEvent.ACTION_DOWN) {
      dragging = Math.abs(event.getX() - split * getWidth()) < GRIP * density;
      getParent().requestDisallowInterceptTouchEvent(true);
    }
    pinches.onTouchEvent(event);
    if (dragging && event.getPointerCount() == 1) {
      if (event.getActionMasked() == MotionEvent.ACTION_MOVE) {
        setSplit(event.getX() / getWidth());
      }
    } else {
      dragging = false;
      gestures.onTouchEvent(event);
    }
    if (event.getActionMasked() == MotionEvent.ACTION_UP) {
      performClick();
    }
    return true;
  }

  @Override
  public boolean performClick() {
    return super.performClick();
  }

  @Override
  public boolean onKeyDown(int code, KeyEvent event) {
    if (code == KeyEvent.KEYCODE_DPAD_LEFT && split > 0) {
      setSplit(split - STEP);
      return true;
    }
    if (code == KeyEvent.KEYCODE_DPAD_RIGHT && split < 1) {
      setSplit(split + STEP);
      return true;
    }
    return super.onKeyDown(code, event);
  }

  private void setSplit(double position) {
    split = Math.max(0, Math.min(1, position));
    setContentDescription(
        getResources().getString(R.string.compare_description, Math.round(100 * split)));
    invalidate();
  }

  @Override
  protected Parcelable onSaveInstanceState() {
    Bundle state = new Bundle();
    state.putParcelable("view", super.onSaveInstanceState());
    state.putDouble("split", split);
    if (viewport != null) {
      state.putInt("width", viewport.pictureWidth);
      state.putDouble("zoom", viewport.zoom);
      state.putDouble("x", viewport.centerX);
      state.putDouble("y", viewport.centerY);
    }
    return state;
  }

  @Override
  protected void onRestoreInstanceState(Parcelable state) {
    restored = (Bundle) state;
    super.onRestoreInstanceState(restored.getParcelable("view"));
    setSplit(restored.getDouble("split"));
    if (viewport != null) {
      viewport = null;
      place();
    }
  }

  private final class Gestures extends GestureDetector.SimpleOnGestureListener {
    @Override
    public boolean onScroll(MotionEvent down, MotionEvent move, float left, float up) {
      look(viewport.panned(-left, -up));
      return true;
    }

    @Override
    public boolean onDoubleTap(MotionEvent event) {
      Viewport fit = Viewport.fit(getWidth(), getHeight(), after.width(), after.height());
      look(viewport.zoom > 1.01 * fit.zoom
          ? fit
          : viewport.zoomed(1 / viewport.zoom, event.getX(), event.getY()));
      return true;
    }
  }

  private final class Pinches extends ScaleGestureDetector.SimpleOnScaleGestureListener {
    @Override
    public boolean onScale(ScaleGestureDetector pinch) {
      look(viewport.zoomed(pinch.getScaleFactor(), pinch.getFocusX(), pinch.getFocusY()));
      return true;
    }
  }
}
