/** Images of 8-bit RGB: read from what the browser decodes, cut and padded. */

import type { Span } from "./tiles";

export interface Picture {
  width: number;
  height: number;
  /** height × width × 3 */
  rgb: Uint8Array;
}

const ROWS = 512; // drawn at a time: phones limit the size of a canvas

export function blank(width: number, height: number): Picture {
  return { width, height, rgb: new Uint8Array(width * height * 3) };
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
  let to = 0;
  for (let top = 0; top < height; top += ROWS) {
    context.fillStyle = "white";
    context.fillRect(0, 0, width, ROWS);
    context.drawImage(bitmap, 0, -top);
    const rgba = context.getImageData(0, 0, width, Math.min(ROWS, height - top)).data;
    for (let from = 0; from < rgba.length; from += 4) {
      picture.rgb[to++] = rgba[from]!;
      picture.rgb[to++] = rgba[from + 1]!;
      picture.rgb[to++] = rgba[from + 2]!;
    }
  }
  bitmap.close();
  return picture;
}

/** The part of `picture` that a tile reads. */
export function cut(picture: Picture, rows: Span, columns: Span): Picture {
  const part = blank(columns.stop - columns.start, rows.stop - rows.start);
  copy(picture, columns.start, rows.start, part, 0, 0, part.width, part.height);
  return part;
}

/** `picture` with its last row and column repeated up to a size that is no smaller. */
export function padded(picture: Picture, width: number, height: number): Picture {
  if (picture.width === width && picture.height === height) return picture;
  const large = blank(width, height);
  copy(picture, 0, 0, large, 0, 0, picture.width, picture.height);
  const row = width * 3;
  for (let y = 0; y < picture.height; y++) {
    for (let at = y * row + picture.width * 3; at < (y + 1) * row; at++) {
      large.rgb[at] = large.rgb[at - 3]!;
    }
  }
  for (let y = picture.height; y < height; y++) {
    large.rgb.copyWithin(y * row, (picture.height - 1) * row, picture.height * row);
  }
  return large;
}

/** Copies a rectangle of `width` × `height` pixels from one place to another. */
export function copy(
  from: Picture, fromX: number, fromY: number,
  to: Picture, toX: number, toY: number,
  width: number, height: number,
): void {
  for (let y = 0; y < height; y++) {
    const start = ((fromY + y) * from.width + fromX) * 3;
    const target = ((toY + y) * to.width + toX) * 3;
    to.rgb.set(from.rgb.subarray(start, start + width * 3), target);
  }
}
