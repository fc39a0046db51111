package org.ailsr.demo;

import android.app.Activity;
import android.content.Intent;
import android.net.Uri;
import android.os.Bundle;
import android.view.Menu;
import android.view.MenuItem;
import android.view.View;
import android.view.WindowManager;
import android.widget.CheckBox;
import android.widget.LinearLayout;
import android.widget.ProgressBar;
import android.widget.Spinner;
import android.widget.TextView;
import android.widget.Toast;
import java.io.File;
import java.io.FileInputStream;
import java.io.FileOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.ailsr.core.AilsrException;
import org.ailsr.core.BenchFolder;
import org.ailsr.core.Request;

/**
 * Measures model files. {@code am start -n org.ailsr.demo/.BenchmarkActivity --es request ID}
 * starts the request of that name without a tap; {@code ailsr-bench --device adb} does so.
 */
public final class BenchmarkActivity extends Activity implements Work.Listener {
  private static final int ADD = 1;
  private static final int SAVE = 2;
  private static final String[] DELEGATES = {"cpu", "gpu", "nnapi"};

  private Measuring measuring;
  private final Set<String> listed = new HashSet<>();
  private LinearLayout files;
  private Spinner threads;
  private Spinner delegate;
  private View add;
  private View start;
  private View cancel;
  private ProgressBar progressBar;
  private TextView status;
  private TextView result;
  private ChartView chart;

  @Override
  protected void onCreate(Bundle state) {
    super.onCreate(state);
    setContentView(R.layout.benchmark);
    getActionBar().setDisplayHomeAsUpEnabled(true);
    measuring = Measuring.of(this);
    files = (LinearLayout) findViewById(R.id.files);
    threads = (Spinner) findViewById(R.id.threads);
    delegate = (Spinner) findViewById(R.id.delegate);
    add = findViewById(R.id.add);
    start = findViewById(R.id.start);
    cancel = findViewById(R.id.cancel);
    progressBar = (ProgressBar) findViewById(R.id.progress);
    status = (TextView) findViewById(R.id.status);
    result = (TextView) findViewById(R.id.result);
    chart = (ChartView) findViewById(R.id.chart);
    List<String> checked =
        state == null ? new ArrayList<String>() : state.getStringArrayList("checked");
    for (String name : new BundledFiles(getAssets()).models()) {
      addFile(name, state == null || checked.contains(name));
    }
    for (String name : measuring.added.keySet()) {
      addFile(name, state == null || checked.contains(name));
    }
    listed.addAll(measuring.added.keySet());
    measuring.startFrom(getIntent());
  }

  @Override
  protected void onNewIntent(Intent intent) {
    super.onNewIntent(intent);
    measuring.startFrom(intent);
  }

  @Override
  protected void onStart() {
    super.onStart();
    measuring.work.listen(this);
    onWorkChanged();
  }

  @Override
  protected void onStop() {
    super.onStop();
    measuring.work.listen(null);
  }

  @Override
  protected void onSaveInstanceState(Bundle state) {
    super.onSaveInstanceState(state);
    state.putStringArrayList("checked", checked());
  }

  private void addFile(String name, boolean checked) {
    CheckBox box = new CheckBox(this);
    box.setText(name);
    box.setChecked(checked);
    box.setSaveEnabled(false);
    box.setMinHeight(getResources().getDimensionPixelSize(R.dimen.touch));
    files.addView(box);
  }

  private ArrayList<String> checked() {
    ArrayList<String> names = new ArrayList<>();
    for (int i = 0; i < files.getChildCount(); i++) {
      CheckBox box = (CheckBox) files.getChildAt(i);
      if (box.isChecked()) {
        names.add(box.getText().toString());
      }
    }
    return names;
  }

  /** Called by the layout's buttons. */
  public void onAdd(View view) {
    Documents.open(this, "*/*", ADD); // no type is registered for .tflite
  }

  /** Called by the layout's buttons. */
  public void onBegin(View view) {
    List<String> names = checked();
    if (names.isEmpty()) {
      Toast.makeText(this, R.string.choose_files, Toast.LENGTH_LONG).show();
      return;
    }
    Request settings = new Request();
    settings.delegate = DELEGATES[delegate.getSelectedItemPosition()];
    int position = threads.getSelectedItemPosition(); // all, 1, 2, 4, 8
    settings.threads = position == 0 ? null : Integer.valueOf(1 << position - 1);
    measuring.start(names, settings);
  }

  /** Called by the layout's buttons. */
  public void onCancel(View view) {
    measuring.work.cancel();
  }

  @Override
  public void onWorkChanged() {
    boolean running = measuring.work.isRunning();
    for (String name : measuring.added.keySet()) {
      if (listed.add(name)) {
        addFile(name, true);
      }
    }
    add.setEnabled(!running);
    start.setEnabled(!running);
    cancel.setVisibility(running ? View.VISIBLE : View.GONE);
    progressBar.setVisibility(running ? View.VISIBLE : View.GONE);
    progressBar.setMax(Math.max(1, measuring.work.of));
    progressBar.setProgress(measuring.work.done);
    if (running) { // a phone that sleeps measures nothing
      getWindow().addFlags(WindowManager.LayoutParams.FLAG_KEEP_SCREEN_ON);
    } else {
      getWindow().clearFlags(WindowManager.LayoutParams.FLAG_KEEP_SCREEN_ON);
    }
    String error = measuring.work.error;
    if (error == null && measuring.report != null) {
      error = (String) measuring.report.get("error");
    }
    status.setText(
        error != null ? getString(R.string.failed, error)
            : running && measuring.work.step != null ? measuring.work.step
            : running ? getString(R.string.starting) : "");
    if (measuring.report != null) {
      show(measuring.report);
    } else {
      chart.show(new ArrayList<Figures>());
      result.setText("");
    }
    invalidateOptionsMenu();
  }

  private void show(Map<String, Object> report) {
    List<Figures> all = Figures.of(report);
    chart.show(all);
    StringBuilder text = new StringBuilder();
    for (Figures file : all) {
      if (file.error != null) {
        text.append(getString(R.string.file_failed, file.file, file.error));
      } else {
        text.append(getString(R.string.file_measured, file.file, file.delegate(),
            file.inference[0], file.inference[1], file.inference[2],
            file.wholePath[0], file.wholePath[1], file.wholePath[2],
            file.memory(), file.psnr(), file.condition("before"), file.condition("after"),
            Verdicts.text(this, file.fidelity())));
        if (file.fallback() != null) {
          text.append('\n').append(file.fallback());
        }
      }
      text.append("\n\n");
    }
    result.setText(text.toString().trim());
  }

  @Override
  public boolean onCreateOptionsMenu(Menu menu) {
    getMenuInflater().inflate(R.menu.benchmark, menu);
    return true;
  }

  @Override
  public boolean onPrepareOptionsMenu(Menu menu) {
    boolean ready = measuring.report != null && !measuring.work.isRunning();
    menu.findItem(R.id.save).setVisible(ready);
    menu.findItem(R.id.share).setVisible(ready);
    return true;
  }

  @Override
  public boolean onOptionsItemSelected(MenuItem item) {
    int id = item.getItemId();
    if (id == R.id.save) {
      Documents.create(this, "application/json", "ailsr-bench.json", SAVE);
    } else if (id == R.id.share) {
      File file = new File(PictureProvider.folder(this), "ailsr-bench.json");
      try {
        write(new FileOutputStream(file));
        Sharing.share(this, file, "application/json");
      } catch (IOException | AilsrException error) {
        say(error);
      }
    } else if (id == android.R.id.home) {
      finish();
    } else {
      return super.onOptionsItemSelected(item);
    }
    return true;
  }

  @Override
  protected void onActivityResult(int request, int resultCode, Intent data) {
    if (resultCode != RESULT_OK || data == null || data.getData() == null) {
      return;
    }
    Uri uri = data.getData();
    try {
      if (request == ADD) {
        measuring.add(uri);
      } else if (request == SAVE) {
        write(getContentResolver().openOutputStream(uri));
      }
    } catch (IOException | RuntimeException error) {
      say(error);
    }
  }

  private void write(OutputStream output) throws IOException {
    File report = measuring.folder().file("reports", measuring.request);
    try (OutputStream target = output; FileInputStream input = new FileInputStream(report)) {
      target.write(BenchFolder.readAll(input));
    }
  }

  private void say(Exception error) {
    String message = getString(R.string.failed, AilsrException.lineOf(error));
    Toast.makeText(this, message, Toast.LENGTH_LONG).show();
  }
}
