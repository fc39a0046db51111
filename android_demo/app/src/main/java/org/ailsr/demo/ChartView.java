package org.ailsr.demo;

import android.content.Context;
import android.graphics.Canvas;
import android.graphics.Paint;
import android.util.AttributeSet;
import android.view.View;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;

/**
 * Latency of files as bars: p50 of the inference in full colour, of the whole path paler behind it;
 * a line from p50 to p99 of the whole path with a tick at p90.
 */
public final class ChartView extends View {
  private static final int ROW = 56; // dp

  private final float density = getResources().getDisplayMetrics().density;
  private final Paint paint = new Paint(Paint.ANTI_ALIAS_FLAG);
  private List<Figures> figures = new ArrayList<>();

  public ChartView(Context context, AttributeSet attributes) {
    super(context, attributes);
    paint.setTextSize(getResources().getDimension(R.dimen.chart_text));
  }

  /** Shows these from now on; files that failed are left out. */
  void show(List<Figures> all) {
    figures = new ArrayList<>();
    StringBuilder description = new StringBuilder();
    for (Figures file : all) {
      if (file.error == null) {
        figures.add(file);
        description.append(getResources().getString(R.string.chart_row, file.file,
            file.inference[0], file.wholePath[0], file.wholePath[1], file.wholePath[2]));
      }
    }
    setContentDescription(description);
    requestLayout();
    invalidate();
  }

  @Override
  protected void onMeasure(int width, int height) {
    setMeasuredDimension(
        MeasureSpec.getSize(width), (int) (figures.size() * ROW * density));
  }

  @Override
  protected void onDraw(Canvas canvas) {
    double longest = 0;
    for (Figures file : figures) {
      longest = Math.max(longest, file.wholePath[2]);
    }
    int accent = color(android.R.attr.colorAccent);
    int text = color(android.R.attr.textColorPrimary);
    double unit = longest == 0 ? 0 : (getWidth() - 8 * density) / longest;
    boolean mirrored = getLayoutDirection() == LAYOUT_DIRECTION_RTL;
    for (int i = 0; i < figures.size(); i++) {
      Figures file = figures.get(i);
      float top = i * ROW * density;
      paint.setColor(text);
      paint.setTextAlign(mirrored ? Paint.Align.RIGHT : Paint.Align.LEFT);
      String label = String.format(
          Locale.getDefault(), "%s  %.1f ms", file.file, file.wholePath[0]);
      canvas.drawText(label, mirrored ? getWidth() : 0, top + 20 * density, paint);
      float bar = top + 28 * density;
      paint.setColor(accent & 0x66ffffff);
      canvas.drawRect(0, bar, (float) (file.wholePath[0] * unit), bar + 16 * density, paint);
      paint.setColor(accent);
      canvas.drawRect(0, bar, (float) (file.inference[0] * unit), bar + 16 * density, paint);
      paint.setColor(text);
      paint.setStrokeWidth(density);
      float middle = bar + 8 * density;
      canvas.drawLine((float) (file.wholePath[0] * unit), middle,
          (float) (file.wholePath[2] * unit), middle, paint);
      for (int tick = 1; tick < 3; tick++) {
        float x = (float) (file.wholePath[tick] * unit);
        canvas.drawLine(x, middle - 4 * density, x, middle + 4 * density, paint);
      }
    }
  }

  private int color(int attribute) {
    android.content.res.TypedArray values =
        getContext().obtainStyledAttributes(new int[] {attribute});
    try {
      return values.getColor(0, 0xff000000);
    } finally {
      values.recycle();
    }
  }
}
