package org.ailsr.demo;

import android.app.Activity;
import android.content.ActivityNotFoundException;
import android.content.Intent;
import android.net.Uri;
import android.os.Bundle;
import android.view.Menu;
import android.view.MenuItem;
import android.view.View;
import android.widget.ArrayAdapter;
import android.widget.ProgressBar;
import android.widget.Spinner;
import android.widget.TextView;
import android.widget.Toast;
import java.io.File;
import java.util.List;
import org.ailsr.core.Progress;

/** Upscales a video that was picked, frame by frame. */
public final class VideoActivity extends Activity implements Work.Listener {
  private static final int PICK = 1;
  private static final int SAVE = 2;
  private static final String TYPE = "video/mp4";

  private static final Work SAVING = new Work("saving video");

  private VideoUpscaling upscaling;
  private List<String> models;
  private Spinner modelChoice;
  private TextView status;
  private ProgressBar progressBar;
  private View cancel;

  @Override
  protected void onCreate(Bundle state) {
    super.onCreate(state);
    setContentView(R.layout.video);
    upscaling = VideoUpscaling.of(this);
    models = new BundledFiles(getAssets()).models();
    modelChoice = (Spinner) findViewById(R.id.model);
    status = (TextView) findViewById(R.id.status);
    progressBar = (ProgressBar) findViewById(R.id.progress);
    cancel = findViewById(R.id.cancel);
    ArrayAdapter<String> names =
        new ArrayAdapter<>(this, android.R.layout.simple_spinner_item, models);
    names.setDropDownViewResource(android.R.layout.simple_spinner_dropdown_item);
    modelChoice.setAdapter(names);
  }

  @Override
  protected void onStart() {
    super.onStart();
    upscaling.work.listen(this);
    SAVING.listen(this);
    onWorkChanged();
  }

  @Override
  protected void onStop() {
    super.onStop();
    upscaling.work.listen(null);
    SAVING.listen(null);
  }

  @Override
  public void onWorkChanged() {
    boolean aboutSaving =
        SAVING.isRunning() || SAVING.error != null && !upscaling.work.isRunning();
    Work work = aboutSaving ? SAVING : upscaling.work;
    boolean running = work.isRunning();
    progressBar.setVisibility(running ? View.VISIBLE : View.GONE);
    progressBar.setIndeterminate(running && (work.step == null || work.of == 0));
    progressBar.setMax(Math.max(1, work.of));
    progressBar.setProgress(work.done);
    cancel.setVisibility(running ? View.VISIBLE : View.GONE);
    status.setKeepScreenOn(running);
    status.setText(statusText(work, running));
    invalidateOptionsMenu();
  }

  private String statusText(Work work, boolean running) {
    if (models.isEmpty()) {
      return getString(R.string.no_models);
    }
    if (work.error != null) {
      return getString(R.string.failed, work.error);
    }
    if (running && work == SAVING) {
      return getString(R.string.saving_video, work.done, work.of);
    }
    if (running) {
      double speed = upscaling.framesPerSecond();
      return work.step == null ? getString(R.string.opening_video)
          : work.of == 0 ? getString(R.string.frames_open, work.done, speed)
          : getString(R.string.frames, work.done, work.of, speed);
    }
    if (upscaling.result == null) {
      return getString(R.string.video_first);
    }
    String done = getString(R.string.video_done, upscaling.result.getName(), upscaling.frames,
        upscaling.computed(), upscaling.framesPerSecond());
    return upscaling.omittedSound == null
        ? done
        : done + "\n" + getString(R.string.sound_omitted, upscaling.omittedSound);
  }

  /** Called by the layout's buttons. */
  public void onPickVideo(View view) {
    Intent intent = new Intent(Intent.ACTION_OPEN_DOCUMENT);
    intent.addCategory(Intent.CATEGORY_OPENABLE);
    intent.setType("video/*");
    startOrSay(intent, PICK);
  }

  /** Called by the layout's buttons. */
  public void onCancelVideo(View view) {
    (SAVING.isRunning() ? SAVING : upscaling.work).cancel();
  }

  @Override
  protected void onActivityResult(int request, int result, Intent data) {
    if (result != RESULT_OK || data == null || data.getData() == null || models.isEmpty()) {
      return;
    }
    final Uri uri = data.getData();
    final File video = upscaling.result;
    if (request == PICK) {
      SAVING.cancel();
      String model = models.get(modelChoice.getSelectedItemPosition());
      upscaling.start(uri, getString(R.string.video), model);
    } else if (request == SAVE && video != null) {
      save(new Work.Task() {
        @Override
        public void run(Progress progress) {
          Saving.videoToDocument(getApplicationContext(), video, uri, progress);
        }
      });
    }
  }

  @Override
  public boolean onCreateOptionsMenu(Menu menu) {
    getMenuInflater().inflate(R.menu.video, menu);
    return true;
  }

  @Override
  public boolean onPrepareOptionsMenu(Menu menu) {
    boolean ready = upscaling.result != null && !SAVING.isRunning();
    menu.findItem(R.id.save).setVisible(ready);
    menu.findItem(R.id.share).setVisible(ready);
    return true;
  }

  @Override
  public boolean onOptionsItemSelected(MenuItem item) {
    int id = item.getItemId();
    if (upscaling.result != null && id == R.id.save) {
      onSave(upscaling.result);
    } else if (upscaling.result != null && id == R.id.share) {
      Sharing.share(getApplicationContext(), upscaling.result, TYPE);
    } else {
      return super.onOptionsItemSelected(item);
    }
    return true;
  }

  private void onSave(final File video) {
    if (Saving.hasGallery()) {
      save(new Work.Task() {
        @Override
        public void run(Progress progress) {
          Saving.videoToGallery(getApplicationContext(), video, progress);
        }
      });
      return;
    }
    Intent intent = new Intent(Intent.ACTION_CREATE_DOCUMENT);
    intent.addCategory(Intent.CATEGORY_OPENABLE);
    intent.setType(TYPE);
    intent.putExtra(Intent.EXTRA_TITLE, video.getName());
    startOrSay(intent, SAVE);
  }

  private void save(Work.Task task) {
    SAVING.start(task, new Runnable() {
      @Override
      public void run() {
        Toast.makeText(VideoActivity.this, R.string.saved, Toast.LENGTH_SHORT).show();
      }
    });
  }

  private void startOrSay(Intent intent, int request) {
    try {
      startActivityForResult(intent, request);
    } catch (ActivityNotFoundException error) {
      Toast.makeText(this, R.string.no_app, Toast.LENGTH_LONG).show();
    }
  }
}
