/** Images of 8-bit RGBA, as a canvas holds them: read from what the browser decodes, cut and padded. */

import type { Span } from "./tiles";

export interface Picture {
  width: number;
  height: number;
  /** height × width × 4; alpha is not looked at, and is 255 in what is made here. */
  rgba: Uint8Array;
}

const CHANNELS = 4;
const ROWS = 512; // drawn at a time: phones limit the size of a canvas

export function blank(width: number, height: number): Picture {
  return { width, height, rgba: new Uint8Array(width * height * CHANNELS) };
}

/** The image in `file`, upright and in sRGB, on white where it is transparent. */
export async function decode(file: Blob): Promise<Picture> {
  let bitmap: ImageBitmap;
  try {
    bitmap = await createImageBitmap(file, { premultiplyAlpha: "none" });
  } catch {
    throw new Error("this browser cannot read that image: choose a JPEG or PNG file");
  }
  const { width, height } = bitmap;
  const picture = blank(width, height);
  const canvas = new OffscreenCanvas(width, Math.min(height, ROWS));
  const context = canvas.getContext("2d", { alpha: false, willReadFrequently: true });
  if (!context) throw new Error("out of memory: choose a smaller image");
  for (let top = 0; top < height; top += ROWS) {
    context.fillStyle = "white";
    context.fillRect(0, 0, width, ROWS);
    context.drawImage(bitmap, 0, -top);
    const rows = context.getImageData(0, 0, width, Math.min(ROWS, height - top));
    picture.rgba.set(rows.data, top * width * CHANNELS);
  }
  bitmap.close();
  return picture;
}

/** The part of `picture` that a tile reads; the same where that is all of it. */
export function cut(picture: Picture, rows: Span, columns: Span): Picture {
  const [width, height] = [columns.stop - columns.start, rows.stop - rows.start];
  if (width === picture.width && height === picture.height) return picture;
  const part = blank(width, height);
  copy(picture, columns.start, rows.start, part, 0, 0, part.width, part.height);
  return part;
}

/** `picture` with its mirror image at the right and below, up to a size that is no smaller. */
export function padded(picture: Picture, width: number, height: number): Picture {
  if (picture.width === width && picture.height === height) return picture;
  const large = blank(width, height);
  copy(picture, 0, 0, large, 0, 0, picture.width, picture.height);
  for (let x = picture.width; x < width; x++) {
    copy(picture, mirrored(x, picture.width), 0, large, x, 0, 1, picture.height);
  }
  for (let y = picture.height; y < height; y++) {
    copy(large, 0, mirrored(y, picture.height), large, 0, y, width, 1);
  }
  return large;
}

/** The pixel of `count` that stands for the one at `index`, which may lie behind the last. */
function mirrored(index: number, count: number): number {
  return Math.min(index % (2 * count), 2 * count - 1 - (index % (2 * count)));
}

/** Copies a rectangle of `width` × `height` pixels from one place to another. */
export function copy(
  from: Picture, fromX: number, fromY: number,
  to: Picture, toX: number, toY: number,
  width: number, height: number,
): void {
  for (let y = 0; y < height; y++) {
    const start = ((fromY + y) * from.width + fromX) * CHANNELS;
    const target = ((toY + y) * to.width + toX) * CHANNELS;
    to.rgba.set(from.rgba.subarray(start, start + width * CHANNELS), target);
  }
}
