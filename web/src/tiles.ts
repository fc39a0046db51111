/**
 * How an image is cut into tiles of a model's input size so that no seam shows: the plan of
 * runtime/upscaling/tiles.py; tests/parity/tiles.json holds the two together.
 */

/** [height, width] in pixels. */
export type Size = readonly [number, number];

/** A tile along one axis, in input pixels: it reads [start, stop) and yields [first, last). */
export interface Span {
  start: number;
  stop: number;
  first: number;
  last: number;
}

/** One run of the model. */
export interface Tile {
  rows: Span;
  columns: Span;
}

/**
 * The tiles that cover `picture`, row by row, by the window of `sizes` with which the fewest pixels
 * are computed. Throws when each window is too small for overlaps of `radius`.
 */
export function planTiles(picture: Size, sizes: readonly Size[], radius: number): Tile[] {
  let best: Tile[] | undefined;
  let least = [Infinity, Infinity] as [number, number];
  for (const window of sizes) {
    const tiles = tilesOf(picture, window, radius);
    if (!tiles) continue;
    const pixels = tiles.length * window[0] * window[1];
    if (pixels < least[0] || (pixels === least[0] && tiles.length < least[1])) {
      [best, least] = [tiles, [pixels, tiles.length]];
    }
  }
  if (!best) {
    throw new Error(
      `the network sees ${radius} pixels around each pixel, too many to cut an image of ` +
        `${picture[1]}×${picture[0]} into its inputs: export it with a larger --input-size`,
    );
  }
  return best;
}

function tilesOf(picture: Size, window: Size, radius: number): Tile[] | undefined {
  const rows = spans(picture[0], window[0], radius);
  const columns = spans(picture[1], window[1], radius);
  return rows && columns && rows.flatMap((y) => columns.map((x) => ({ rows: y, columns: x })));
}

/** The tiles along one side; undefined when nothing is left between two overlaps of `radius`. */
function spans(length: number, window: number, radius: number): Span[] | undefined {
  if (length <= window) return [{ start: 0, stop: length, first: 0, last: length }];
  const step = window - 2 * radius;
  if (step < 1) return undefined;
  let span: Span = { start: 0, stop: window, first: 0, last: window - radius };
  const found = [span];
  while (span.stop < length) {
    // The last tile is moved back to end with the image; its overlap only grows.
    const start = Math.min(span.start + step, length - window);
    const stop = start + window;
    span = { start, stop, first: span.last, last: stop < length ? stop - radius : stop };
    found.push(span);
  }
  return found;
}
