package org.ailsr.demo;

import android.content.Intent;
import android.net.Uri;
import android.os.Bundle;
import android.view.Menu;
import android.view.MenuItem;
import android.view.View;
import java.io.File;
import org.ailsr.core.Progress;

/** Upscales a video that was picked, frame by frame. */
public final class VideoActivity extends ResultActivity {
  private static final int PICK = 1;
  private static final int SAVE = 2;
  private static final String TYPE = "video/mp4";

  private static final Work SAVING = new Work("saving video");

  private VideoUpscaling upscaling;

  @Override
  protected void onCreate(Bundle state) {
    super.onCreate(state);
    upscaling = VideoUpscaling.of(this);
    open(R.layout.video, new BundledFiles(getAssets()).models(), upscaling.work, SAVING);
  }

  @Override
  public void onWorkChanged() {
    super.onWorkChanged();
    status.setKeepScreenOn(SAVING.isRunning() || upscaling.work.isRunning());
  }

  @Override
  boolean isReady() {
    return upscaling.result != null;
  }

  @Override
  String statusText(Work shown) {
    if (shown.isRunning() && shown == SAVING) {
      return getString(R.string.saving_video, shown.done, shown.of);
    }
    if (shown.isRunning()) {
      double speed = upscaling.framesPerSecond();
      return shown.step == null ? getString(R.string.opening_video)
          : shown.of == 0 ? getString(R.string.frames_open, shown.done, speed)
          : getString(R.string.frames, shown.done, shown.of, speed);
    }
    if (!isReady()) {
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
    Documents.open(this, "video/*", PICK);
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
      SAVING.start(new Work.Task() {
        @Override
        public void run(Progress progress) {
          Saving.videoToDocument(getApplicationContext(), video, uri, progress);
        }
      }, saidSaved());
    }
  }

  @Override
  public boolean onCreateOptionsMenu(Menu menu) {
    getMenuInflater().inflate(R.menu.video, menu);
    return true;
  }

  @Override
  public boolean onOptionsItemSelected(MenuItem item) {
    int id = item.getItemId();
    if (isReady() && id == R.id.save) {
      onSave(upscaling.result);
    } else if (isReady() && id == R.id.share) {
      Sharing.share(getApplicationContext(), upscaling.result, TYPE);
    } else {
      return super.onOptionsItemSelected(item);
    }
    return true;
  }

  private void onSave(final File video) {
    if (Saving.hasGallery()) {
      SAVING.start(new Work.Task() {
        @Override
        public void run(Progress progress) {
          Saving.videoToGallery(getApplicationContext(), video, progress);
        }
      }, saidSaved());
      return;
    }
    Documents.create(this, TYPE, video.getName(), SAVE);
  }
}
