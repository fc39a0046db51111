package org.ailsr.demo;

import android.content.Context;
import android.net.Uri;
import java.io.File;
import org.ailsr.core.ModelFile;
import org.ailsr.core.Progress;
import org.ailsr.core.Session;
import org.ailsr.core.VideoUpscaler;
import org.ailsr.core.WholeFile;

/** The video that is upscaled, or was last. What is not finished when the process ends is lost. */
final class VideoUpscaling {
  private static final String ENDING = ".mp4";

  private static VideoUpscaling instance;

  private final Context context;
  private final BundledFiles files;

  /** The work on it. */
  final Work work = new Work("video");

  /** What upscales it; null: it has not begun. */
  private volatile VideoUpscaler upscaler;

  /** The whole result; null: there is none. */
  File result;

  /** Frames of {@link #result}. */
  int frames;

  /** Kind of sound that {@link #result} lacks; null: it has all. */
  String omittedSound;

  private VideoUpscaling(Context context) {
    this.context = context;
    files = new BundledFiles(context.getAssets());
  }

  /** That of the app. */
  static VideoUpscaling of(Context context) {
    if (instance == null) {
      instance = new VideoUpscaling(context.getApplicationContext());
    }
    return instance;
  }

  /** Mean of the frames per second so far; 0: none is done. */
  double framesPerSecond() {
    VideoUpscaler running = upscaler;
    return running == null ? 0 : running.framesPerSecond();
  }

  /** Frames of the result that were computed. */
  int computed() {
    return upscaler.computed();
  }

  /**
   * Upscales the video at {@code uri} by the bundled file {@code model}.
   *
   * @param otherwise what the video is called if its app gives it no name
   */
  void start(final Uri uri, final String otherwise, final String model) {
    result = null;
    upscaler = null;
    final File[] made = new File[1];
    final int[] count = new int[1];
    final String[] omitted = new String[1];
    work.start(new Work.Task() {
      @Override
      public void run(Progress progress) {
        File folder = PictureProvider.folder(context);
        deleteEarlier(folder);
        ModelFile file = files.model(model);
        String name = PictureReader.name(context.getContentResolver(), uri, otherwise);
        made[0] = new File(folder, name.replaceAll("\\.[A-Za-z0-9]{1,5}$", "")
            .replaceAll("^\\.|[/\\\\:]", "_") + "_x" + file.scale + ENDING);
        int threads = Runtime.getRuntime().availableProcessors();
        try (VideoTrack images = VideoTrack.images(context, uri);
            VideoTrack sound = VideoTrack.sound(context, uri);
            VideoDecoder decoder = new VideoDecoder(images);
            WholeFile whole = new WholeFile(made[0]);
            VideoEncoder encoder = new VideoEncoder(
                whole.part, sound, decoder.rotation(), decoder.frameRate());
            Session session = Session.open(file, new Engines(), threads, "cpu")) {
          upscaler = new VideoUpscaler(session.upscaler);
          count[0] = upscaler.run(decoder, encoder, progress);
          omitted[0] = sound.omitted;
          whole.finish();
        }
      }
    }, new Runnable() {
      @Override
      public void run() {
        result = made[0];
        frames = count[0];
        omittedSound = omitted[0];
      }
    });
  }

  /** Results of before, and what ended processes have left. */
  private static void deleteEarlier(File folder) {
    String[] names = folder.list();
    for (String name : names == null ? new String[0] : names) {
      if (name.endsWith(ENDING) || WholeFile.isPart(name)) {
        new File(folder, name).delete();
      }
    }
  }
}
