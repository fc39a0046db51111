/** PSNR and SSIM by the protocol Y-shave-s, as runtime/imaging/protocol.py and metrics.py compute them. */

import type { Picture } from "./picture";

const PEAK = 255;
const WINDOW = 11;
const SIGMA = 1.5;
const Y_WEIGHTS = [65.481, 128.553, 24.966] as const; // ITU-R BT.601, studio range
const Y_OFFSET = 16;

interface Plane {
  width: number;
  height: number;
  values: Float64Array;
}

export interface Score {
  /** dB; Infinity when the images are equal. */
  psnr: number;
  ssim: number;
}

/** PSNR and SSIM of an upscaled image on Y, without a border of `scale` pixels. */
export function score(upscaled: Picture, hr: Picture, scale: number, grayscale: boolean): Score {
  if (upscaled.width !== hr.width || upscaled.height !== hr.height) {
    throw new Error(`it came out as ${upscaled.width}×${upscaled.height}, not as its original`);
  }
  const [x, y] = [upscaled, hr].map((picture) => shave(luma(picture, grayscale), scale));
  return { psnr: psnr(x!, y!), ssim: ssim(x!, y!) };
}

/** Y in whole levels; of a gray image its own levels. */
function luma({ width, height, rgba }: Picture, grayscale: boolean): Plane {
  const [r, g, b] = Y_WEIGHTS.map((weight) => weight / 255) as [number, number, number];
  const range = Y_WEIGHTS[0] + Y_WEIGHTS[1] + Y_WEIGHTS[2];
  const levels = new Uint8ClampedArray(width * height); // storing into it rounds half to even
  for (let i = 0; i < levels.length; i++) {
    const y = r * rgba[4 * i]! + g * rgba[4 * i + 1]! + b * rgba[4 * i + 2]!;
    levels[i] = grayscale ? (y * 255) / range : y + Y_OFFSET;
  }
  return { width, height, values: Float64Array.from(levels) };
}

function shave(plane: Plane, border: number): Plane {
  const width = plane.width - 2 * border;
  const height = plane.height - 2 * border;
  if (Math.min(width, height) < WINDOW) throw new Error("an image is too small for SSIM");
  const values = new Float64Array(width * height);
  for (let y = 0; y < height; y++) {
    const start = (y + border) * plane.width + border;
    values.set(plane.values.subarray(start, start + width), y * width);
  }
  return { width, height, values };
}

function psnr(x: Plane, y: Plane): number {
  let sum = 0;
  for (let i = 0; i < x.values.length; i++) sum += (x.values[i]! - y.values[i]!) ** 2;
  return 10 * Math.log10((PEAK ** 2 * x.values.length) / sum);
}

/** Mean structural similarity (Wang et al. 2004): Gaussian windows that lie inside the image. */
function ssim(x: Plane, y: Plane): number {
  const c1 = (0.01 * PEAK) ** 2;
  const c2 = (0.03 * PEAK) ** 2;
  const [meanX, meanY] = [blur(x), blur(y)];
  const [xx, yy, xy] = [blur(product(x, x)), blur(product(y, y)), blur(product(x, y))];
  let sum = 0;
  for (let i = 0; i < xx.length; i++) {
    const [mx, my] = [meanX[i]!, meanY[i]!];
    const covariance = xy[i]! - mx * my;
    const variances = xx[i]! - mx * mx + (yy[i]! - my * my);
    const likeness = (2 * mx * my + c1) * (2 * covariance + c2);
    sum += likeness / ((mx * mx + my * my + c1) * (variances + c2));
  }
  return sum / xx.length;
}

function product(x: Plane, y: Plane): Plane {
  return { ...x, values: x.values.map((value, i) => value * y.values[i]!) };
}

const GAUSSIAN = Array.from({ length: WINDOW }, (_, i) =>
  Math.exp(-((i - (WINDOW - 1) / 2) ** 2) / (2 * SIGMA ** 2)),
).map((weight, _, all) => weight / all.reduce((a, b) => a + b));

/** The plane under the Gaussian window, where the window fits: 10 pixels less a side. */
function blur({ width, height, values }: Plane): Float64Array {
  const rows = height - WINDOW + 1;
  const columns = width - WINDOW + 1;
  const tall = new Float64Array(rows * width);
  for (const [k, weight] of GAUSSIAN.entries()) {
    for (let i = 0; i < tall.length; i++) tall[i]! += weight * values[i + k * width]!;
  }
  const result = new Float64Array(rows * columns);
  for (const [k, weight] of GAUSSIAN.entries()) {
    for (let y = 0, to = 0; y < rows; y++) {
      for (let x = 0; x < columns; x++) result[to++]! += weight * tall[y * width + x + k]!;
    }
  }
  return result;
}
