package org.ailsr.demo;

import android.content.Context;
import android.media.MediaExtractor;
import android.media.MediaFormat;
import android.net.Uri;
import java.io.IOException;
import java.util.Arrays;
import java.util.List;
import org.ailsr.core.AilsrException;

/** The samples of one track of a video file, one after the other. */
final class VideoTrack implements AutoCloseable {
  /** Sound that MP4 files of every Android hold. */
  private static final List<String> SOUND = Arrays.asList(
      MediaFormat.MIMETYPE_AUDIO_AAC, MediaFormat.MIMETYPE_AUDIO_AMR_NB,
      MediaFormat.MIMETYPE_AUDIO_AMR_WB);

  final MediaExtractor extractor = new MediaExtractor();

  /** Of the track; null: the file has none of the kind. */
  final MediaFormat format;

  /** Kind of sound that was left out; null: none was. */
  final String omitted;

  private VideoTrack(Context context, Uri uri, String kind) {
    MediaFormat found = null;
    try {
      extractor.setDataSource(context, uri, null);
      if (extractor.getPsshInfo() != null) {
        throw new AilsrException("the video is protected (DRM): no app may read its frames");
      }
      for (int track = 0; found == null && track < extractor.getTrackCount(); track++) {
        MediaFormat its = extractor.getTrackFormat(track);
        if (its.getString(MediaFormat.KEY_MIME).startsWith(kind)) {
          found = its;
          extractor.selectTrack(track);
        }
      }
    } catch (IOException | SecurityException error) {
      close();
      throw new AilsrException("the video cannot be read: " + error.getMessage(), error);
    } catch (RuntimeException error) {
      close();
      throw error;
    }
    String mime = found == null ? null : found.getString(MediaFormat.KEY_MIME);
    boolean fits = !kind.equals("audio/") || SOUND.contains(mime);
    format = fits ? found : null;
    omitted = fits ? null : mime;
  }

  /** The images. Throws AilsrException when there are none, or they cannot be read. */
  static VideoTrack images(Context context, Uri uri) {
    VideoTrack file = new VideoTrack(context, uri, "video/");
    if (file.format == null) {
      file.close();
      throw new AilsrException("this is no video that Android can read");
    }
    return file;
  }

  /** The first track of sound. */
  static VideoTrack sound(Context context, Uri uri) {
    return new VideoTrack(context, uri, "audio/");
  }

  /** There is a sample that was not read. */
  boolean hasSample() {
    return format != null && extractor.getSampleTrackIndex() >= 0;
  }

  /** The latest sample may not be decoded by apps. */
  void refuseEncrypted() {
    if ((extractor.getSampleFlags() & MediaExtractor.SAMPLE_FLAG_ENCRYPTED) != 0) {
      throw new AilsrException("the video is protected (DRM): no app may read its frames");
    }
  }

  @Override
  public void close() {
    extractor.release();
  }
}
