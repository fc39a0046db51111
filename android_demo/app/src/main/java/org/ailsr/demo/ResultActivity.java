package org.ailsr.demo;

import android.app.Activity;
import android.view.Menu;
import android.view.View;
import android.widget.ArrayAdapter;
import android.widget.ProgressBar;
import android.widget.Spinner;
import android.widget.TextView;
import android.widget.Toast;
import java.util.List;

/** A screen that shows work with a chosen model, and has its result saved. */
public abstract class ResultActivity extends Activity implements Work.Listener {
  /** The models to choose from. */
  List<String> models;

  Spinner modelChoice;
  TextView status;
  private Work work;
  private Work saving;
  private ProgressBar progressBar;
  private View cancel;

  /** Shows {@code layout}. The work is shown while none of saving its result is. */
  final void open(int layout, List<String> names, Work ofResult, Work ofSaving) {
    setContentView(layout);
    models = names;
    work = ofResult;
    saving = ofSaving;
    modelChoice = (Spinner) findViewById(R.id.model);
    status = (TextView) findViewById(R.id.status);
    progressBar = (ProgressBar) findViewById(R.id.progress);
    cancel = findViewById(R.id.cancel);
    ArrayAdapter<String> adapter =
        new ArrayAdapter<>(this, android.R.layout.simple_spinner_item, names);
    adapter.setDropDownViewResource(android.R.layout.simple_spinner_dropdown_item);
    modelChoice.setAdapter(adapter);
  }

  /** Whether there is a result. */
  abstract boolean isReady();

  /** How {@code shown}, work or saving, goes or what came of it, where nothing went wrong. */
  abstract String statusText(Work shown);

  @Override
  protected void onStart() {
    super.onStart();
    work.listen(this);
    saving.listen(this);
    onWorkChanged();
  }

  @Override
  protected void onStop() {
    super.onStop();
    work.listen(null);
    saving.listen(null);
  }

  @Override
  public void onWorkChanged() {
    boolean aboutSaving = saving.isRunning() || saving.error != null && !work.isRunning();
    Work shown = aboutSaving ? saving : work;
    boolean running = shown.isRunning();
    progressBar.setVisibility(running ? View.VISIBLE : View.GONE);
    progressBar.setIndeterminate(running && (shown.step == null || shown.of == 0));
    progressBar.setMax(Math.max(1, shown.of));
    progressBar.setProgress(shown.done);
    cancel.setVisibility(running ? View.VISIBLE : View.GONE);
    status.setText(
        models.isEmpty() ? getString(R.string.no_models)
            : shown.error != null ? getString(R.string.failed, shown.error)
            : statusText(shown));
    invalidateOptionsMenu();
  }

  /** Called by the layout's buttons. */
  public void onCancel(View view) {
    (saving.isRunning() ? saving : work).cancel();
  }

  @Override
  public boolean onPrepareOptionsMenu(Menu menu) {
    boolean ready = isReady() && !saving.isRunning();
    menu.findItem(R.id.save).setVisible(ready);
    menu.findItem(R.id.share).setVisible(ready);
    return true;
  }

  /** Says that the result is saved. */
  final Runnable saidSaved() {
    return new Runnable() {
      @Override
      public void run() {
        Toast.makeText(ResultActivity.this, R.string.saved, Toast.LENGTH_SHORT).show();
      }
    };
  }
}
