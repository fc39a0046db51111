package org.ailsr.demo;

import android.graphics.ImageFormat;
import android.graphics.Rect;
import android.media.Image;
import android.media.MediaFormat;
import org.ailsr.core.AilsrException;
import org.ailsr.core.Size;
import org.ailsr.core.VideoColors;
import org.ailsr.core.VideoFrame;
import org.ailsr.core.VideoPlane;

/** Frames of the core in the images of codecs, and their colours in formats. */
final class Frames {
  // Of MediaFormat, since API 24; the stubs of the offline build are older.
  private static final String STANDARD = "color-standard";
  private static final String RANGE = "color-range";
  private static final String TRANSFER = "color-transfer";
  private static final int BT709 = 1;
  private static final int BT601_PAL = 2;
  private static final int BT601_NTSC = 4;
  private static final int BT2020 = 6;
  private static final int FULL = 1;
  private static final int LIMITED = 2;
  private static final int SDR = 3;
  private static final int PQ = 6;
  private static final int HLG = 7;

  private Frames() {}

  /**
   * The frame that {@code image} shows, in the image's own buffers.
   *
   * @throws AilsrException when it has more than 8 bits, or is no image of 4:2:0
   */
  static VideoFrame of(Image image) {
    if (image == null) {
      throw new AilsrException("this device's codec does not give frames to apps");
    }
    if (image.getFormat() != ImageFormat.YUV_420_888) {
      throw new AilsrException(
          "the video has more than 8 bits a sample, as HDR has: convert it to 8 bits (SDR) first");
    }
    Rect crop = image.getCropRect();
    Image.Plane[] planes = image.getPlanes();
    return new VideoFrame(
        plane(planes[0], crop.top, crop.left, crop.height(), crop.width()),
        chroma(planes[1], crop),
        chroma(planes[2], crop));
  }

  private static VideoPlane chroma(Image.Plane plane, Rect crop) {
    return plane(
        plane, crop.top / 2, crop.left / 2, (crop.height() + 1) / 2, (crop.width() + 1) / 2);
  }

  private static VideoPlane plane(Image.Plane plane, int top, int left, int height, int width) {
    return new VideoPlane(
        plane.getBuffer(), plane.getRowStride(), plane.getPixelStride(), top, left, height, width);
  }

  /** Throws AilsrException when {@code format} says that a video is HDR. */
  static void refuseHdr(MediaFormat format) {
    int transfer = integer(format, TRANSFER, SDR);
    boolean isHdr = transfer == PQ || transfer == HLG || format.containsKey("hdr-static-info")
        || "video/dolby-vision".equals(format.getString(MediaFormat.KEY_MIME));
    if (isHdr) {
      throw new AilsrException("the video is HDR: map its tones to SDR first");
    }
  }

  /** What {@code format} says, else {@code otherwise}, else what players take for {@code size}. */
  static VideoColors colors(MediaFormat format, MediaFormat otherwise, Size size) {
    int standard = integer(format, STANDARD, integer(otherwise, STANDARD, 0));
    int range = integer(format, RANGE, integer(otherwise, RANGE, LIMITED));
    VideoColors.Matrix matrix = standard == BT709 ? VideoColors.Matrix.BT709
        : standard == BT601_PAL || standard == BT601_NTSC ? VideoColors.Matrix.BT601
        : standard == BT2020 ? VideoColors.Matrix.BT2020
        : VideoColors.Matrix.ofSize(size);
    return new VideoColors(matrix, range == FULL);
  }

  /** Writes colours into the format of an encoder. */
  static void setColors(MediaFormat format, VideoColors colors) {
    int standard = colors.matrix == VideoColors.Matrix.BT709 ? BT709
        : colors.matrix == VideoColors.Matrix.BT2020 ? BT2020 : BT601_NTSC;
    format.setInteger(STANDARD, standard);
    format.setInteger(RANGE, colors.full ? FULL : LIMITED);
    format.setInteger(TRANSFER, SDR);
  }

  /** {@code absent} where the format has none. */
  static int integer(MediaFormat format, String key, int absent) {
    return format.containsKey(key) ? format.getInteger(key) : absent;
  }
}
