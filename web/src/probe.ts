/**
 * The fidelity probe: an image that every runtime can make, and how an answer to it differs from the
 * right one in a file's card. Repeats runtime/probe.py; tests/parity/probe.json holds the two together.
 */

import { blank, type Picture } from "./picture";
import type { Fidelity } from "./report.schema";

const PLACES = 384;
const BORDER = 64;
const GRID = 4;
const CELL = 16;
const WITHIN_LEVELS = 8;
const WITHIN_MEAN = 0.5;

/** The right answer of a file at its own input size, as its card has it. */
export interface Probe {
  /** PLACES levels, two hexadecimal digits each. */
  levels: string;
  /** GRID · GRID · 3 sums of levels: by row, column, colour. */
  sums: readonly number[];
  /** Levels by which a sample may differ, 8 where it is not said. */
  within_levels?: number;
  /** Levels by which the mean of a cell of the grid may differ, a half where it is not said. */
  within_mean?: number;
}

/** The test image: cells that are flat, ramps, edges, stripes or grain. */
export function probePicture(height: number, width: number): Picture {
  const picture = blank(width, height);
  picture.rgba.fill(255);
  for (let top = 0; top < height; top += CELL) {
    for (let left = 0; left < width; left += CELL) drawCell(picture, top, left);
  }
  return picture;
}

/** How `upscaled`, an engine's answer, differs from the right one. */
export function fidelity(probe: Probe, upscaled: Picture): Fidelity {
  let most = 0;
  for (const [number, level] of atPlaces(upscaled).entries()) {
    const expected = parseInt(probe.levels.slice(2 * number, 2 * number + 2), 16);
    most = Math.max(most, Math.abs(expected - level));
  }
  let mean = 0;
  for (const [index, { sum, count }] of gridSums(upscaled).entries()) {
    mean = Math.max(mean, Math.abs(probe.sums[index]! - sum) / Math.max(count, 1));
  }
  if (most === 0 && mean === 0) return { verdict: "exact", levels: 0 };
  const { within_levels = WITHIN_LEVELS, within_mean = WITHIN_MEAN } = probe;
  const wrong = most > within_levels || mean > within_mean;
  return { verdict: wrong ? "wrong" : "within", levels: Math.max(most, Math.ceil(mean)) };
}

export function isWrong(found: Fidelity | null): boolean {
  return found?.verdict === "wrong";
}

/** In words, as ailsr-bench has them; null: of a file without a probe. */
export function verdict(found: Fidelity | null): string {
  if (!found) return "not known";
  const count = `${found.levels} level${found.levels === 1 ? "" : "s"}`;
  return { exact: "exact", within: `within ${count}`, wrong: `wrong (${count})` }[found.verdict];
}

function drawCell(picture: Picture, top: number, left: number): void {
  const { width, height, rgba } = picture;
  const cell = hash(((top / CELL) * 1021 + left / CELL + 1) >>> 0);
  const other = hash(cell);
  const kind = bits(cell, 29, 3);
  const grey = bits(cell, 0, 8);
  const secondGrey = grey + ((bits(other, 0, 8) - 128) >> (kind < 5 ? 1 : 2));
  const blackAndWhite = (kind === 3 || kind === 4) && bits(other, 29, 2) === 0;
  for (let channel = 0; channel < 3; channel++) {
    const [from, tint] = [8 + 5 * channel, 8 - 8 * channel];
    const first = blackAndWhite ? 0 : level(grey + tint + bits(cell, from, 5) - 16);
    const second = blackAndWhite ? 255 : level(secondGrey + tint + bits(other, from, 5) - 16);
    for (let i = 0; i < CELL && top + i < height; i++) {
      for (let j = 0; j < CELL && left + j < width; j++) {
        const at = ((top + i) * width + left + j) * 4 + channel;
        rgba[at] = pattern(kind, i, j, first, second) ?? level(first + grain(cell, i, j, channel));
      }
    }
  }
}

/** The level at row `i` and column `j` of a cell; undefined in one of grain. */
function pattern(kind: number, i: number, j: number, first: number, second: number) {
  const last = CELL - 1;
  switch (kind) {
    case 0: return first;
    case 1: return Math.floor((first * (last - j) + second * j) / last);
    case 2: return Math.floor((first * (last - i) + second * i) / last);
    case 3: return j < CELL / 2 ? first : second;
    case 4: return i + j < CELL ? first : second;
    case 5: return (j >> 1) % 2 === 0 ? first : second;
    case 6: return ((i >> 1) + (j >> 1)) % 2 === 0 ? first : second;
    default: return undefined;
  }
}

function grain(cell: number, i: number, j: number, channel: number): number {
  return bits(hash((cell + i * CELL + j) >>> 0), 4 * channel, 4) - 8;
}

/** The levels of PLACES samples; colours in turn, the first BORDER on the four sides in turn. */
function atPlaces({ width, height, rgba }: Picture): number[] {
  return Array.from({ length: PLACES }, (_, number) => {
    const first = hash(number + 1);
    let [y, x] = [first % height, hash(first) % width];
    if (number < BORDER) {
      const side = number % 4;
      if (side < 2) y = side === 0 ? 0 : height - 1;
      else x = side === 2 ? 0 : width - 1;
    }
    return rgba[(y * width + x) * 4 + (number % 3)]!;
  });
}

/** The sum and number of samples in each cell of the grid, by row, column, colour. */
function gridSums({ width, height, rgba }: Picture): { sum: number; count: number }[] {
  const edge = (k: number, side: number) => Math.floor((k * side) / GRID);
  return Array.from({ length: GRID * GRID * 3 }, (_, index) => {
    const [row, column] = [Math.floor(index / (3 * GRID)), Math.floor(index / 3) % GRID];
    const [top, bottom] = [edge(row, height), edge(row + 1, height)];
    const [left, right] = [edge(column, width), edge(column + 1, width)];
    let sum = 0;
    for (let y = top; y < bottom; y++) {
      const end = (y * width + right) * 4;
      for (let at = (y * width + left) * 4 + (index % 3); at < end; at += 4) sum += rgba[at]!;
    }
    return { sum, count: (bottom - top) * (right - left) };
  });
}

function level(value: number): number {
  return Math.min(Math.max(value, 0), 255);
}

/** 32 bits that have nothing to do with those of `value`, in arithmetic modulo 2^32. */
function hash(value: number): number {
  for (let round = 0; round < 2; round++) value = Math.imul(value ^ (value >>> 16), 0x45d9f3b);
  return (value ^ (value >>> 16)) >>> 0;
}

/** `count` bits of `value`, from number `first` up. */
function bits(value: number, first: number, count: number): number {
  return (value >>> first) & ((1 << count) - 1);
}
