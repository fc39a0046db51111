/** onnxruntime-web, as it was built into the page: WebAssembly, and WebGPU with more of it. */

import gpuModule from "onnxruntime-web/ort-wasm-simd-threaded.asyncify.mjs?url";
import gpuBinary from "onnxruntime-web/ort-wasm-simd-threaded.asyncify.wasm?url";
import cpuModule from "onnxruntime-web/ort-wasm-simd-threaded.mjs?url";
import cpuBinary from "onnxruntime-web/ort-wasm-simd-threaded.wasm?url";

export type Backend = "wasm" | "webgpu";

export interface Runtime {
  ort: typeof import("onnxruntime-web/wasm");
  backend: Backend;
  /** Name and version, for reports. */
  name: string;
  /** What computes, for reports. */
  delegate: string;
  threads: number;
}

/** The runtime for `backend`; a worker can have only one. Without isolation it has one thread. */
export async function loadRuntime(backend: Backend, threads: number): Promise<Runtime> {
  const gpu = backend === "webgpu";
  const ort = gpu ? await import("onnxruntime-web/webgpu") : await import("onnxruntime-web/wasm");
  const [mjs, wasm] = gpu ? [gpuModule, gpuBinary] : [cpuModule, cpuBinary];
  ort.env.wasm.wasmPaths = { mjs, wasm };
  ort.env.wasm.numThreads = self.crossOriginIsolated ? threads : 1;
  ort.env.logLevel = "fatal";
  return {
    ort,
    backend,
    name: `onnxruntime-web ${ort.env.versions.web}`,
    delegate: gpu ? "WebGPU" : "WebAssembly",
    threads: ort.env.wasm.numThreads,
  };
}

/** Why WebGPU cannot be had here; undefined when it can. */
export async function whyNotGpu(): Promise<string | undefined> {
  if (!self.isSecureContext) return "the browser offers WebGPU only over https or on localhost";
  const gpu = (navigator as { gpu?: { requestAdapter(): Promise<unknown> } }).gpu;
  if (!gpu) return "this browser has no WebGPU";
  return (await gpu.requestAdapter()) ? undefined : "this device has no GPU that WebGPU can use";
}
