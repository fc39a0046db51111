/** Images as the elements of a file's tensors, and back, as runtime/upscaling/upscaler.py has them. */

import type { Picture } from "./picture";
import type { ModelFile, Range } from "./setup";

export type Elements = Float32Array | Uint8Array | Int8Array;

/** How a file takes and returns pixels. */
export type Form = Pick<ModelFile, "pixels" | "layout" | "channels_last" | "input" | "output">;

type Triple = Range["black"];
type Channels = [Float32Array, Float32Array, Float32Array];

/** How many channels a file's layout has. */
export const CHANNELS = { rgb: 3, rgba: 4 };

const ARRAYS = { float32: Float32Array, uint8: Uint8Array, int8: Int8Array };

/** The file takes and returns images as they are. */
function isPlain({ pixels, layout, channels_last }: Form): boolean {
  return pixels === "uint8" && layout === "rgba" && channels_last;
}

/** `picture` itself where the file takes it as it is. */
export function toElements({ width, height, rgba }: Picture, form: Form): Elements {
  if (isPlain(form)) return rgba;
  const channels = CHANNELS[form.layout];
  const elements = new ARRAYS[form.pixels](width * height * channels);
  const [red, green, blue] = [0, 1, 2].map((channel) => elementOf(form, channel)) as Channels;
  const plane = form.channels_last ? 1 : width * height;
  const step = form.channels_last ? channels : 1;
  for (let from = 0, to = 0; from < rgba.length; from += 4, to += step) {
    elements[to] = red[rgba[from]!]!;
    elements[to + plane] = green[rgba[from + 1]!]!;
    elements[to + 2 * plane] = blue[rgba[from + 2]!]!;
    if (channels === 4) elements[to + 3 * plane] = blue[255]!; // opaque
  }
  return elements;
}

/**
 * Floats are clipped to black and white and rounded half to even. The image is opaque; `opaqueOnly`
 * makes black where the file returned another alpha. Throws for what is no number.
 */
export function fromElements(
  elements: ArrayLike<number>,
  width: number,
  height: number,
  form: Form,
  opaqueOnly = false,
): Picture {
  const { pixels, layout, channels_last, output } = form;
  if (isPlain(form) && elements instanceof Uint8Array && !opaqueOnly) {
    return { width, height, rgba: elements };
  }
  // Storing into it rounds half to even and clips.
  const rgba = new Uint8ClampedArray(width * height * 4);
  const plane = channels_last ? 1 : width * height;
  const step = channels_last ? CHANNELS[layout] : 1;
  const [black, extent] = [output.black.map(Math.fround), steps(output)] as [Triple, Triple];
  const level = {
    uint8: (value: number) => value,
    int8: (value: number) => value + 128,
    float32: (value: number, channel: 0 | 1 | 2) =>
      Math.fround(Math.fround(Math.fround(value - black[channel]) / extent[channel]) * 255),
  }[pixels];
  let sum = 0;
  for (let from = 0, to = 0; to < rgba.length; from += step, to += 4) {
    const [r, g, b] = [elements[from]!, elements[from + plane]!, elements[from + 2 * plane]!];
    sum += r + g + b;
    rgba[to] = level(r, 0);
    rgba[to + 1] = level(g, 1);
    rgba[to + 2] = level(b, 2);
    rgba[to + 3] = 255;
    if (opaqueOnly && layout === "rgba" && Math.round(level(elements[from + 3 * plane]!, 2)) < 255) {
      rgba.fill(0, to, to + 3);
    }
  }
  if (Number.isNaN(sum)) {
    throw new Error("the file computed NaN: it is damaged or was exported wrongly");
  }
  return { width, height, rgba: new Uint8Array(rgba.buffer) };
}

/** The element of each of the 256 pixels in a channel. */
function elementOf({ pixels, input }: Form, channel: number): Float32Array {
  const every = Float32Array.from({ length: 256 }, (_, pixel) => pixel);
  if (pixels !== "float32") return every.map((pixel) => (pixels === "int8" ? pixel - 128 : pixel));
  const [black, step] = [Math.fround(input.black[channel]!), steps(input)[channel]!];
  return every
    .map((pixel) => pixel / 255)
    .map((level) => level * step)
    .map((number) => number + black);
}

/** The numbers for white less those for black, as 32-bit floats. */
function steps({ black, white }: Range): number[] {
  return white.map((number, channel) => Math.fround(number - black[channel]!));
}
