package org.ailsr.demo;

import android.app.Activity;
import android.os.Bundle;
import android.view.MenuItem;
import android.widget.TextView;
import java.util.Locale;
import java.util.Map;
import org.ailsr.core.AilsrException;
import org.ailsr.core.Card;
import org.ailsr.core.ModelFile;
import org.ailsr.core.Version;

/** The card of every bundled file. */
public final class AboutActivity extends Activity {
  @Override
  protected void onCreate(Bundle state) {
    super.onCreate(state);
    setContentView(R.layout.about);
    getActionBar().setDisplayHomeAsUpEnabled(true);
    BundledFiles bundled = new BundledFiles(getAssets());
    StringBuilder text = new StringBuilder();
    text.append(getString(R.string.about, Version.NAME)).append("\n\n");
    for (String name : bundled.models()) {
      try {
        text.append(described(bundled.model(name)));
      } catch (AilsrException error) {
        text.append(getString(R.string.failed, error.getMessage()));
      }
      text.append("\n\n");
    }
    ((TextView) findViewById(R.id.cards)).setText(text.toString().trim());
  }

  private String described(ModelFile model) {
    if (model.card == null) {
      return getString(R.string.no_card, model.name);
    }
    Card card = model.card;
    StringBuilder psnr = new StringBuilder();
    for (Map.Entry<String, Double> set : card.psnr.entrySet()) {
      psnr.append(psnr.length() == 0 ? "" : ", ").append(
          String.format(Locale.getDefault(), "%s %.2f dB", set.getKey(), set.getValue()));
    }
    StringBuilder training = new StringBuilder();
    for (Map.Entry<String, String> fact : card.training.entrySet()) {
      training.append(training.length() == 0 ? "" : ", ").append(
          fact.getKey() + " " + fact.getValue());
    }
    return getString(R.string.card, model.name, card.network, card.scale,
        model.content.length / 1000.0, card.precision, card.pixels.label(), card.color,
        android.text.TextUtils.join(", ", card.sizes), card.radius,
        psnr.length() == 0 ? "–" : psnr + " (" + card.protocol + ")",
        training.length() == 0 ? "–" : training);
  }

  @Override
  public boolean onOptionsItemSelected(MenuItem item) {
    if (item.getItemId() == android.R.id.home) {
      finish();
      return true;
    }
    return super.onOptionsItemSelected(item);
  }
}
