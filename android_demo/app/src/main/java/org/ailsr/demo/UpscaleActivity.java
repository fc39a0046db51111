package org.ailsr.demo;

import android.content.ClipData;
import android.content.Intent;
import android.net.Uri;
import android.os.Bundle;
import android.provider.MediaStore;
import android.view.Menu;
import android.view.MenuItem;
import android.view.View;
import android.widget.AdapterView;
import java.io.File;
import org.ailsr.core.PixelFile;
import org.ailsr.core.Progress;

/** Upscales an image that was picked or taken, and compares it with bicubic interpolation. */
public final class UpscaleActivity extends ResultActivity {
  private static final int PICK = 1;
  private static final int TAKE = 2;
  private static final int SAVE = 3;

  private static final Work SAVING = new Work("saving");

  private Upscaling upscaling;
  private View resume;
  private CompareView compare;
  private boolean shown;

  @Override
  protected void onCreate(Bundle state) {
    super.onCreate(state);
    upscaling = Upscaling.of(this);
    open(R.layout.upscale, upscaling.choices.names(), upscaling.work, SAVING);
    resume = findViewById(R.id.resume);
    compare = (CompareView) findViewById(R.id.compare);
    modelChoice.setSelection(Math.max(0, models.indexOf(upscaling.choice)));
    modelChoice.setOnItemSelectedListener(new AdapterView.OnItemSelectedListener() {
      @Override
      public void onItemSelected(AdapterView<?> list, View view, int position, long id) {
        String chosen = models.get(position);
        if (upscaling.name != null && !chosen.equals(upscaling.choice)) {
          upscaling.startAgain(chosen);
        }
      }

      @Override
      public void onNothingSelected(AdapterView<?> list) {}
    });
  }

  @Override
  protected void onStop() {
    super.onStop();
    compare.close();
    shown = false;
  }

  @Override
  public void onWorkChanged() {
    super.onWorkChanged();
    resume.setVisibility(isInterrupted() ? View.VISIBLE : View.GONE);
    if (upscaling.finished && !shown) {
      compare.show(upscaling.source(), upscaling.result(), upscaling.scale);
      shown = true;
    } else if (!upscaling.finished && shown) {
      compare.show(null, null, 1);
      shown = false;
    }
    compare.setVisibility(shown ? View.VISIBLE : View.INVISIBLE);
  }

  @Override
  boolean isReady() {
    return upscaling.finished;
  }

  private boolean isInterrupted() {
    return !upscaling.work.isRunning() && upscaling.name != null && !upscaling.finished;
  }

  @Override
  String statusText(Work work) {
    if (work.isRunning()) {
      int what = work == SAVING ? R.string.saving
          : "tiles".equals(work.step) ? R.string.upscaling : R.string.reading;
      return getString(what, work.done, work.of);
    }
    if (isInterrupted()) {
      return getString(R.string.interrupted);
    }
    if (!upscaling.finished) {
      return getString(R.string.pick_first);
    }
    String compared = getString(R.string.compared, upscaling.name,
        upscaling.scale * upscaling.size.width, upscaling.scale * upscaling.size.height);
    if (upscaling.choices.isPair(upscaling.choice)) {
      compared += "\n" + getString(R.string.suits, upscaling.model, upscaling.condition);
    }
    return upscaling.delegate == null
        ? compared
        : compared + "\n" + getString(
            R.string.computed, upscaling.delegate, Verdicts.text(this, upscaling.fidelity));
  }

  /** Called by the layout's buttons. */
  public void onPick(View view) {
    Documents.open(this, "image/*", PICK);
  }

  /** Called by the layout's buttons. */
  public void onTake(View view) {
    Uri uri = PictureProvider.uri(photograph());
    Intent intent = new Intent(MediaStore.ACTION_IMAGE_CAPTURE);
    intent.putExtra(MediaStore.EXTRA_OUTPUT, uri);
    intent.setClipData(ClipData.newRawUri(null, uri));
    intent.addFlags(
        Intent.FLAG_GRANT_WRITE_URI_PERMISSION | Intent.FLAG_GRANT_READ_URI_PERMISSION);
    Documents.ask(this, intent, TAKE);
  }

  /** Called by the layout's buttons. */
  public void onResumeWork(View view) {
    upscaling.resume();
  }

  private File photograph() {
    return new File(PictureProvider.folder(this), "photograph.jpg");
  }

  private String resultName() {
    return upscaling.name.replaceAll("\\.[A-Za-z0-9]{1,5}$", "").replaceAll("[/\\\\:]", "_")
        + "_x" + upscaling.scale + ".png";
  }

  @Override
  protected void onActivityResult(int request, int result, final Intent data) {
    if (result != RESULT_OK || models.isEmpty()) {
      return;
    }
    String chosen = models.get(modelChoice.getSelectedItemPosition());
    if (request == TAKE) {
      upscaling.start(
          PictureProvider.uri(photograph()), getString(R.string.photograph), chosen);
    } else if (data != null && data.getData() != null) {
      final Uri uri = data.getData();
      if (request == PICK) {
        upscaling.start(uri, getString(R.string.picture), chosen);
      } else if (request == SAVE && upscaling.finished) {
        save(new Saver() {
          @Override
          public void save(PixelFile picture, Progress progress) {
            Saving.toDocument(getApplicationContext(), picture, uri, progress);
          }
        }, saidSaved());
      }
    }
  }

  @Override
  public boolean onCreateOptionsMenu(Menu menu) {
    getMenuInflater().inflate(R.menu.upscale, menu);
    return true;
  }

  @Override
  public boolean onOptionsItemSelected(MenuItem item) {
    int id = item.getItemId();
    if (id == R.id.save) {
      onSave();
    } else if (id == R.id.share) {
      onShare();
    } else if (id == R.id.video) {
      startActivity(new Intent(this, VideoActivity.class));
    } else if (id == R.id.benchmark) {
      startActivity(new Intent(this, BenchmarkActivity.class));
    } else if (id == R.id.about) {
      startActivity(new Intent(this, AboutActivity.class));
    } else {
      return super.onOptionsItemSelected(item);
    }
    return true;
  }

  private void onSave() {
    final String name = resultName();
    if (Saving.hasGallery()) {
      save(new Saver() {
        @Override
        public void save(PixelFile picture, Progress progress) {
          Saving.toGallery(getApplicationContext(), picture, name, progress);
        }
      }, saidSaved());
      return;
    }
    Documents.create(this, "image/png", name, SAVE);
  }

  private void onShare() {
    final File file = new File(PictureProvider.folder(this), resultName());
    save(new Saver() {
      @Override
      public void save(PixelFile picture, Progress progress) {
        Saving.toFile(picture, file, progress);
      }
    }, new Runnable() {
      @Override
      public void run() {
        Sharing.share(getApplicationContext(), file, "image/png");
      }
    });
  }

  /** One way of saving the result. */
  private interface Saver {
    void save(PixelFile picture, Progress progress);
  }

  private void save(final Saver saver, Runnable then) {
    final Upscaling source = upscaling;
    SAVING.start(new Work.Task() {
      @Override
      public void run(Progress progress) {
        try (PixelFile picture = source.result()) {
          saver.save(picture, progress);
        }
      }
    }, then);
  }
}
