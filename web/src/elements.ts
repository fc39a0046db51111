/** Pictures as the elements of a file's tensors, and back, as runtime/upscaling/upscaler.py has them. */

import type { Picture } from "./picture";
import type { ModelFile } from "./setup";

export type Elements = Float32Array | Uint8Array | Int8Array;

/** How a file takes and returns pixels. */
export type Layout = Pick<ModelFile, "pixels" | "channels_last" | "white">;

const ARRAYS = { float32: Float32Array, uint8: Uint8Array, int8: Int8Array };

export function toElements({ width, height, rgb }: Picture, layout: Layout): Elements {
  const elements = new ARRAYS[layout.pixels](rgb.length);
  const element = elementOf(layout);
  const plane = layout.channels_last ? 1 : width * height;
  const step = layout.channels_last ? 3 : 1;
  for (let from = 0, to = 0; from < rgb.length; from += 3, to += step) {
    elements[to] = element[rgb[from]!]!;
    elements[to + plane] = element[rgb[from + 1]!]!;
    elements[to + 2 * plane] = element[rgb[from + 2]!]!;
  }
  return elements;
}

/** Floats are clipped to [0, white] and rounded half to even. Throws when they are not numbers. */
export function fromElements(
  elements: ArrayLike<number>,
  width: number,
  height: number,
  { pixels, channels_last, white }: Layout,
): Picture {
  // Storing into it rounds half to even and clips.
  const rgb = new Uint8ClampedArray(width * height * 3);
  const plane = channels_last ? 1 : width * height;
  const step = channels_last ? 3 : 1;
  const level = {
    uint8: (value: number) => value,
    int8: (value: number) => value + 128,
    float32: (value: number) => Math.fround(Math.fround(value / white) * 255),
  }[pixels];
  let sum = 0;
  for (let from = 0, to = 0; to < rgb.length; from += step, to += 3) {
    const [r, g, b] = [elements[from]!, elements[from + plane]!, elements[from + 2 * plane]!];
    sum += r + g + b;
    rgb[to] = level(r);
    rgb[to + 1] = level(g);
    rgb[to + 2] = level(b);
  }
  if (Number.isNaN(sum)) {
    throw new Error("the file computed NaN: it is damaged or was exported wrongly");
  }
  return { width, height, rgb: new Uint8Array(rgb.buffer) };
}

/** The element of each of the 256 pixels. */
function elementOf({ pixels, white }: Layout): Float32Array {
  const every = Float32Array.from({ length: 256 }, (_, pixel) => pixel);
  if (pixels !== "float32") return every.map((pixel) => (pixels === "int8" ? pixel - 128 : pixel));
  return every.map((pixel) => pixel / 255).map((pixel) => pixel * white);
}
