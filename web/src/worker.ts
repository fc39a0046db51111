/** Runs one file apart from the page, which never freezes: see engine.ts for the other side. */

import { jpegQuality, noiseLevel, type Condition } from "./condition";
import type { Answer, Task } from "./engine";
import { measure, type Loaded } from "./measuring";
import { Model } from "./model";
import { decode } from "./picture";
import { PngWriter } from "./png";
import { loadRuntime } from "./runtime";
import { fetchOwn } from "./setup";

interface Opened extends Loaded {
  model: Model;
}

let opened: Promise<Opened>;

self.onmessage = async ({ data: task }: MessageEvent<Task>) => {
  try {
    if (task.kind === "open") opened = open(task);
    const { model, ...loaded } = await opened;
    if (task.kind === "open") {
      const { backend, threads } = loaded.runtime;
      answer({ kind: "done", result: { backend, threads, fidelity: loaded.fidelity } });
    } else if (task.kind === "inspect") {
      answer({ kind: "done", result: await inspect(task.picture) });
    } else if (task.kind === "upscale") {
      answer({ kind: "done", result: await upscale(model, task.picture) });
    } else if (task.kind === "video") {
      const { upscaleVideo } = await import("./video");
      const report = (what: string, share: number) => answer({ kind: "progress", what, share });
      answer({ kind: "done", result: await upscaleVideo(model, task.file, report) });
    } else {
      const report = (what: string, share: number) => answer({ kind: "progress", what, share });
      const result = await measure(loaded, task.plan, report);
      answer({ kind: "done", result });
    }
  } catch (error) {
    answer({ kind: "error", message: error instanceof Error ? error.message : String(error) });
  }
};

async function open({ file, backend, threads }: Task & { kind: "open" }): Promise<Opened> {
  const [runtime, response] = await Promise.all([
    loadRuntime(backend, threads),
    fetchOwn(file.url),
  ]);
  const content = new Uint8Array(await response.arrayBuffer());
  const model = await Model.open(file, content, runtime);
  return { file, content, runtime, model, fidelity: await model.fidelity() };
}

async function inspect(blob: Blob): Promise<Condition> {
  const content = new Uint8Array(await blob.arrayBuffer());
  return { jpegQuality: jpegQuality(content), noise: noiseLevel(await decode(blob)) };
}

async function upscale(model: Model, blob: Blob) {
  const start = performance.now();
  const picture = await decode(blob);
  const [width, height] = [picture.width * model.file.scale, picture.height * model.file.scale];
  const png = new PngWriter(width, height);
  const progress = (done: number, of: number) => {
    answer({ kind: "progress", what: `tile ${done} of ${of}`, share: done / of });
  };
  for await (const band of model.bands(picture, progress)) await png.write(band.rgba);
  return { png: await png.close(), width, height, seconds: (performance.now() - start) / 1e3 };
}

function answer(message: Answer): void {
  self.postMessage(message);
}
