/** What the desktop tells the page: `setup.json`, written by runtime/web/site.py. */

import type { Probe } from "./probe";
import type { AilsrBenchReport, Measurement } from "./report.schema";
import type { Size } from "./tiles";

/** The numbers that are black and white, for R, G and B. */
export interface Range {
  black: [number, number, number];
  white: [number, number, number];
}

export interface ModelFile {
  name: string;
  url: string;
  size_bytes: number;
  network: string | null;
  /** Bicubic reductions alone, or degraded images; null: not known. */
  trained_on: "clean" | "degraded" | null;
  precision: string | null;
  pixels: Measurement["pixels"];
  scale: number;
  /** The input sizes that images are cut into; the first is measured. */
  sizes: [Size, ...Size[]];
  /** Input pixels by which tiles overlap on each side. */
  radius: number;
  /** A tile may be smaller than the input size. */
  resizable: boolean;
  /** Channels of input and output, in their order. */
  layout: "rgb" | "rgba";
  channels_last: boolean;
  /** What a float file takes: [0, 1], but for some files of others. */
  input: Range;
  /** As `input`, what it returns. */
  output: Range;
  /** The right answer at the first size; null in older files and those of others. */
  probe: Probe | null;
}

/** A low-resolution image and what it should become, as addresses of PNG files. */
export interface Pair {
  name: string;
  lr: string;
  hr: string;
  /** The high-resolution file holds one channel. */
  grayscale: boolean;
}

export interface Setup {
  files: [ModelFile, ...ModelFile[]];
  /** By scale. */
  pictures: Record<string, Pair[]>;
  /** The report of this session, without what the phone knows: its files, host and date. */
  report: AilsrBenchReport;
}

/** A network for clean images and one for photographs, of one scale; undefined: not both are served. */
export function pairOf(files: readonly ModelFile[]): Record<"clean" | "degraded", ModelFile> | undefined {
  for (const clean of files.filter(({ trained_on }) => trained_on === "clean")) {
    const degraded = files.find((f) => f.trained_on === "degraded" && f.scale === clean.scale);
    if (degraded) return { clean, degraded };
  }
  return undefined;
}

/** The setup, its addresses made absolute so that they hold in a worker, too. */
export async function fetchSetup(): Promise<Setup> {
  const setup = (await (await fetchOwn("setup.json")).json()) as Setup;
  for (const file of setup.files) file.url = absolute(file.url);
  for (const pair of Object.values(setup.pictures).flat()) {
    pair.lr = absolute(pair.lr);
    pair.hr = absolute(pair.hr);
  }
  return setup;
}

/** What the desktop answers at `address`. Throws what it says when it refuses. */
export async function fetchOwn(address: string, options?: RequestInit): Promise<Response> {
  let response: Response;
  try {
    response = await fetch(address, options);
  } catch {
    throw new Error("the desktop does not answer: is ailsr-web still running there?");
  }
  if (!response.ok) throw new Error((await response.text()).trim());
  return response;
}

function absolute(address: string): string {
  return new URL(address, location.href).href;
}
