/**
 * The condition of an image before it is upscaled, and whether a network for photographs suits it:
 * runtime/imaging/condition.py and jpeg_quality.py; tests/parity/{quality,noise,condition}.json hold
 * them together.
 */

import type { Picture } from "./picture";

export interface Condition {
  /** 1 to 100; null: the file is no JPEG. */
  jpegQuality: number | null;
  /** Standard deviation in levels of luma. */
  noise: number;
}

const LOW_QUALITY = 85;
const NOISY = 4.0;
const BLOCK = 8;
const TENTH = 0.797;
/** Quantisers of luminance at quality 50 (ITU-T T.81, table K.1). */
const LUMINANCE = [
  16, 11, 10, 16, 24, 40, 51, 61, 12, 12, 14, 19, 26, 58, 60, 55,
  14, 13, 16, 24, 40, 57, 69, 56, 14, 17, 22, 29, 51, 87, 80, 62,
  18, 22, 37, 56, 68, 109, 103, 77, 24, 35, 55, 64, 81, 104, 113, 92,
  49, 64, 78, 87, 103, 121, 120, 101, 72, 92, 95, 98, 112, 100, 103, 99,
];
const DQT = 0xdb;
const SOS = 0xda;
const NO_FRAMES = [0xc4, 0xc8, 0xcc]; // among the markers of frames, 0xc0 to 0xcf

export function isDegraded({ jpegQuality, noise }: Condition): boolean {
  return (jpegQuality !== null && jpegQuality <= LOW_QUALITY) || noise >= NOISY;
}

/** In words, as ailsr-upscale --auto has them. */
export function inWords({ jpegQuality, noise }: Condition): string {
  const jpeg = jpegQuality === null ? "no JPEG" : `JPEG quality ${jpegQuality}`;
  return `${jpeg}, noise ${noise.toFixed(1)}`;
}

/** The libjpeg quality whose quantisers of luminance have the sum nearest to the file's. */
export function jpegQuality(file: Uint8Array): number | null {
  const found = sumOfQuantisers(file);
  if (found === null) return null;
  let nearest = 100;
  for (let quality = 99; quality > 0; quality--) {
    if (Math.abs(sumAt(quality) - found) < Math.abs(sumAt(nearest) - found)) nearest = quality;
  }
  return nearest;
}

/** Immerkær's estimate, on the smoothest tenth of the blocks without black or white. */
export function noiseLevel({ width, height, rgba }: Picture): number {
  const luma = new Int32Array(width * height);
  for (let i = 0; i < luma.length; i++) {
    const sum = 299 * rgba[4 * i]! + 587 * rgba[4 * i + 1]! + 114 * rgba[4 * i + 2]!;
    luma[i] = Math.floor((sum + 500) / 1000);
  }
  const sums: number[] = [];
  for (let top = 1; top + BLOCK < height; top += BLOCK) {
    for (let left = 1; left + BLOCK < width; left += BLOCK) {
      const sum = blockResponse(luma, width, top, left);
      if (sum !== null) sums.push(sum);
    }
  }
  if (!sums.length) return 0;
  const smooth = Float64Array.from(sums).sort()[Math.floor(sums.length / 10)]!;
  return (Math.sqrt(Math.PI / 2) / 6) * smooth / BLOCK ** 2 / TENTH;
}

/** Sum of |response| to the difference of two Laplacians; null where pixels are clipped. */
function blockResponse(luma: Int32Array, width: number, top: number, left: number): number | null {
  const across = (at: number) => luma[at - 1]! - 2 * luma[at]! + luma[at + 1]!;
  let sum = 0;
  for (let y = top; y < top + BLOCK; y++) {
    for (let at = y * width + left; at < y * width + left + BLOCK; at++) {
      if (luma[at] === 0 || luma[at] === 255) return null;
      sum += Math.abs(across(at - width) - 2 * across(at) + across(at + width));
    }
  }
  return sum;
}

function sumAt(quality: number): number {
  const percent = quality < 50 ? Math.floor(5000 / quality) : 200 - 2 * quality;
  const quantiser = (value: number) => Math.floor((value * percent + 50) / 100);
  return LUMINANCE.reduce((sum, value) => sum + Math.min(255, Math.max(1, quantiser(value))), 0);
}

/** Of the table of the first component; null for a file that is no whole JPEG. */
function sumOfQuantisers(file: Uint8Array): number | null {
  if (file[0] !== 0xff || file[1] !== 0xd8) return null;
  const sums: (number | undefined)[] = [];
  let table = 0;
  for (let at = 2; at + 4 <= file.length; ) {
    if (file[at] !== 0xff) return null;
    const marker = file[at + 1]!;
    if (marker === 0xff) {
      at++; // a fill byte
      continue;
    }
    if (marker === SOS) return sums[table] ?? null;
    const length = file[at + 2]! * 256 + file[at + 3]!;
    const content = file.slice(at + 4, at + 2 + length);
    if (marker === DQT) addSums(content, sums);
    const isFrame = marker >= 0xc0 && marker <= 0xcf && !NO_FRAMES.includes(marker);
    if (isFrame) table = content[8] ?? 0;
    at += 2 + length;
  }
  return null;
}

/** Enters the sums of the tables of a DQT segment. */
function addSums(content: Uint8Array, sums: (number | undefined)[]): void {
  for (let at = 0; at < content.length; ) {
    const [wide, id] = [content[at]! >> 4, content[at]! & 15];
    let sum = 0;
    for (let i = 0; i < 64; i++) {
      const [high, low] = [content[at + 1 + 2 * i] ?? 0, content[at + 2 + 2 * i] ?? 0];
      sum += wide ? high * 256 + low : (content[at + 1 + i] ?? 0);
    }
    sums[id] = sum;
    at += 1 + (wide ? 128 : 64);
  }
}
