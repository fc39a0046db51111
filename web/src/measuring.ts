/** Everything that a report says of one file, measured in this browser. */

import { measureLatencies, timeCall } from "./latency";
import { Model } from "./model";
import { blank, decode, type Picture } from "./picture";
import type { Fidelity, Measurement, Quality } from "./report.schema";
import type { Runtime } from "./runtime";
import { score, type Score } from "./scores";
import { fetchOwn, type ModelFile, type Pair } from "./setup";

export interface Plan {
  runs: number;
  seconds: number;
  pictures: readonly Pair[];
}

/** Called with what is being measured and how much of all is done, in [0, 1]. */
export type Report = (what: string, share: number) => void;

/** A file and what runs it, started before so that loading means the file alone. */
export interface Loaded {
  file: ModelFile;
  content: Uint8Array;
  runtime: Runtime;
  /** Of the file in this runtime; null: not known. */
  fidelity: Fidelity | null;
}

export async function measure(
  { file, content, runtime, fidelity }: Loaded,
  { runs, seconds, pictures }: Plan,
  report: Report,
): Promise<Measurement> {
  const latencyShare = pictures.length ? 0.7 : 1;
  report("load", 0);
  const start = performance.now();
  const model = await Model.open(file, content, runtime);
  const load_ms = performance.now() - start;
  const [height, width] = file.sizes[0];
  const picture = noise(width, height);
  const input = model.toTensor(picture);
  const infer = async () => (await model.infer(input)).dispose();
  const first_run_ms = await timeCall(infer);
  report("latency", 0);
  const [inference, whole_path] = await measureLatencies(
    [infer, () => model.upscale(picture)],
    runs,
    seconds,
    (share) => report("latency", latencyShare * share),
  );
  const scores: Record<string, Score> = {};
  for (const [i, pair] of pictures.entries()) {
    report("PSNR", latencyShare + ((1 - latencyShare) * i) / pictures.length);
    const [lr, hr] = await Promise.all([fetchPicture(pair.lr), fetchPicture(pair.hr)]);
    scores[pair.name] = score(await model.upscale(lr), hr, file.scale, pair.grayscale);
  }
  await model.close();
  const frames_per_second = 1e3 / whole_path!.mean_ms;
  const output_size = [height * file.scale, width * file.scale] as [number, number];
  return {
    file: file.name,
    error: null,
    engine: runtime.name,
    network: file.network,
    precision: file.precision,
    pixels: file.pixels,
    scale: file.scale,
    input_size: [height, width],
    output_size,
    threads: runtime.threads,
    size_bytes: file.size_bytes,
    measurable: true,
    delegate: runtime.delegate,
    load_ms,
    first_run_ms,
    inference: inference!,
    whole_path: whole_path!,
    engine_memory_bytes: null, // browsers do not tell
    peak_memory_bytes: null,
    frames_per_second,
    megapixels_per_second: (frames_per_second * output_size[0] * output_size[1]) / 1e6,
    quality: pictures.length ? quality(scores) : null,
    fidelity,
  };
}

async function fetchPicture(address: string): Promise<Picture> {
  return decode(await (await fetchOwn(address)).blob());
}

function quality(scores: Record<string, Score>): Quality {
  const all = Object.values(scores);
  const images = Object.entries(scores).map(([name, { psnr, ssim }]) => {
    return [name, { psnr_db: finite(psnr), ssim }] as const;
  });
  return {
    protocol: "Y-shave-s",
    psnr_db: finite(mean(all.map(({ psnr }) => psnr))),
    ssim: mean(all.map(({ ssim }) => ssim)),
    images: Object.fromEntries(images),
  };
}

/** JSON knows no infinity: null stands for it. */
function finite(value: number): number | null {
  return Number.isFinite(value) ? value : null;
}

function mean(values: readonly number[]): number {
  return values.reduce((a, b) => a + b) / values.length;
}

/** An image of random pixels, always the same: latency does not depend on what it shows. */
function noise(width: number, height: number): Picture {
  const picture = blank(width, height);
  let state = 1;
  for (let i = 0; i < picture.rgba.length; i++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0; // Numerical Recipes' generator
    picture.rgba[i] = state >>> 24;
  }
  return picture;
}
