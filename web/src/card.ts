/** What an exported ONNX file says of itself, read without the desktop: its seal and its card. */

import type { Probe } from "./probe";
import type { ModelFile } from "./setup";

const FORMAT = 3; // the highest that is understood here
const METADATA = 14; // of ModelProto; key and value are its fields 1 and 2
const SEAL = "ailsr-sha256:";
const DIGITS = 64;
const UNIT = { black: [0, 0, 0], white: [1, 1, 1] } satisfies ModelFile["input"];

interface Card {
  format?: number;
  network: string;
  precision: string;
  pixels: ModelFile["pixels"];
  scale: number;
  input_size: [number, number];
  other_sizes?: [number, number][];
  radius: number;
  layout?: string;
  probe?: Probe | null;
}

/** The facts of the file. Throws one line for a file that is damaged, not ours, or newer. */
export async function readFile(name: string, content: Uint8Array): Promise<ModelFile> {
  const text = metadata(content).get("ailsr");
  if (!text) throw new Error(`${name}: it is no file of ailsr-export: export it with --target onnx`);
  await checkSeal(name, content);
  const card = JSON.parse(text) as Card;
  if ((card.format ?? FORMAT) > FORMAT) {
    throw new Error(`${name}: its card has format ${card.format}: take a newer version of ailsr`);
  }
  const layout = card.layout ?? "rgb";
  if (layout !== "rgb" && layout !== "rgba") {
    throw new Error(`${name}: it takes planes of luma: export it with --layout rgba`);
  }
  return {
    name,
    url: "",
    size_bytes: content.length,
    network: card.network,
    trained_on: null,
    precision: card.precision,
    pixels: card.pixels,
    scale: card.scale,
    sizes: [card.input_size, ...(card.other_sizes ?? [])],
    radius: card.radius,
    resizable: false,
    layout,
    channels_last: layout === "rgba",
    input: UNIT,
    output: UNIT,
    probe: card.probe ?? null,
  };
}

/** Compares the file with its seal, where the browser has SHA-256: over https and on localhost. */
async function checkSeal(name: string, content: Uint8Array): Promise<void> {
  if (!self.crypto?.subtle) return;
  const at = indexOf(content, new TextEncoder().encode(SEAL)) + SEAL.length;
  const zeroed = Uint8Array.from(content);
  zeroed.fill("0".charCodeAt(0), at, at + DIGITS);
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", zeroed));
  const digits = Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join("");
  if (at < SEAL.length || digits !== new TextDecoder().decode(content.subarray(at, at + DIGITS))) {
    throw new Error(`${name}: it is damaged (its SHA-256 differs): copy or export it again`);
  }
}

function indexOf(content: Uint8Array, wanted: Uint8Array): number {
  for (let at = content.indexOf(wanted[0]!); at >= 0; at = content.indexOf(wanted[0]!, at + 1)) {
    if (wanted.every((byte, i) => content[at + i] === byte)) return at;
  }
  return -1;
}

/** The metadata of a ModelProto; nothing for what is none. */
function metadata(content: Uint8Array): Map<string, string> {
  const found = new Map<string, string>();
  for (const [field, entry] of fields(content)) {
    if (field !== METADATA) continue;
    const pair = new Map(fields(entry));
    const [key, value] = [1, 2].map((part) => new TextDecoder().decode(pair.get(part)));
    found.set(key!, value!);
  }
  return found;
}

/** The fields of a message of protocol buffers that have a length, with their numbers. */
function* fields(content: Uint8Array): Generator<[number, Uint8Array]> {
  let at = 0;
  const varint = () => {
    for (let value = 0, place = 1; ; place *= 128) {
      const byte = content[at++] ?? 0;
      value += (byte & 127) * place;
      if (byte < 128) return value;
    }
  };
  while (at < content.length) {
    const tag = varint();
    const kind = tag % 8;
    if (kind === 0) varint();
    else if (kind === 1) at += 8;
    else if (kind === 5) at += 4;
    else if (kind !== 2) return;
    else {
      const length = varint();
      yield [Math.floor(tag / 8), content.subarray(at, at + length)];
      at += length;
    }
  }
}
