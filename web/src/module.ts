/** The package `ailsr` for pages of others: exported ONNX files upscale what a canvas holds. */

import { readFile } from "./card";
import { Model } from "./model";
import type { Runtime } from "./runtime";

export interface Options {
  /** Default: `wasm`, the processor. */
  backend?: "wasm" | "webgpu";
  /** Default: onnxruntime's. More than one takes a page that is isolated (COOP and COEP). */
  threads?: number;
}

export interface Work {
  /** Called after each tile. */
  progress?: (done: number, of: number) => void;
  /** Ends the work before the next tile; it fails with the signal's reason. */
  signal?: AbortSignal;
}

/** How the answer to the file's test image differs from that of the exported file. */
export interface Fidelity {
  verdict: "exact" | "within" | "wrong";
  /** The largest difference seen, in levels of 255. */
  levels: number;
}

/**
 * An exported file, ready to upscale images of any size. One that the GPU computes wrongly is run by
 * the processor, and `backend` says so.
 *
 * @param source address of the file, or its bytes
 * @throws Error with one line: what is no file of ailsr-export, is damaged, or does not run here
 */
export async function load(
  source: string | URL | ArrayBuffer | Uint8Array,
  { backend = "wasm", threads }: Options = {},
): Promise<Upscaler> {
  const address = typeof source === "string" || source instanceof URL;
  const name = address ? String(source).replace(/.*\//, "") : "the file";
  const content = address ? await download(source) : new Uint8Array(source);
  const file = await readFile(name, content);
  const model = await Model.open(file, content, await runtime(backend, threads));
  const fidelity = await model.fidelity();
  if (backend === "wasm" || fidelity?.verdict !== "wrong") {
    return new Upscaler(model, backend, fidelity);
  }
  await model.close();
  return load(content, threads === undefined ? {} : { threads });
}

export class Upscaler {
  /** Output pixels per input pixel along each side. */
  readonly scale: number;

  /** @internal `load` makes one. */
  constructor(
    private readonly model: Model,
    readonly backend: "wasm" | "webgpu",
    /** Of the file in this browser; null: not known. */
    readonly fidelity: Fidelity | null,
  ) {
    this.scale = model.file.scale;
  }

  /**
   * `image`, `scale` times as large, tile by tile; alpha is not read, and is 255 in the result. It
   * computes on the thread that calls it: in a worker the page stays at hand.
   */
  async upscale({ width, height, data }: ImageData, { progress, signal }: Work = {}): Promise<ImageData> {
    const rgba = new Uint8Array(data.buffer, data.byteOffset, data.length);
    signal?.throwIfAborted();
    const large = await this.model.upscale({ width, height, rgba }, (done, of) => {
      progress?.(done, of);
      if (done < of) signal?.throwIfAborted();
    });
    const { buffer, byteOffset, length } = large.rgba as Uint8Array<ArrayBuffer>;
    return new ImageData(new Uint8ClampedArray(buffer, byteOffset, length), large.width, large.height);
  }

  /** Frees what the file takes. */
  close(): Promise<void> {
    return this.model.close();
  }
}

async function download(address: string | URL): Promise<Uint8Array> {
  const response = await fetch(address);
  if (!response.ok) throw new Error(`${address}: the server answers ${response.status}`);
  return new Uint8Array(await response.arrayBuffer());
}

async function runtime(backend: "wasm" | "webgpu", threads?: number): Promise<Runtime> {
  const gpu = backend === "webgpu";
  const ort = gpu ? await import("onnxruntime-web/webgpu") : await import("onnxruntime-web/wasm");
  if (threads !== undefined) ort.env.wasm.numThreads = threads;
  return {
    ort,
    backend,
    name: `onnxruntime-web ${ort.env.versions.web}`,
    delegate: gpu ? "WebGPU" : "WebAssembly",
    threads: threads ?? 1,
  };
}
