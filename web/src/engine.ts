/** The page's side of the worker that runs a file: one task at a time, stopped by ending it. */

import type { Condition } from "./condition";
import type { Plan, Report } from "./measuring";
import { isWrong } from "./probe";
import type { Fidelity, Measurement } from "./report.schema";
import type { Backend } from "./runtime";
import type { ModelFile } from "./setup";

export type Task =
  | { kind: "open"; file: ModelFile; backend: Backend; threads: number }
  | { kind: "inspect"; picture: Blob }
  | { kind: "upscale"; picture: Blob }
  | { kind: "video"; file: Blob }
  | { kind: "measure"; plan: Plan };

export type Answer =
  | { kind: "progress"; what: string; share: number }
  | { kind: "done"; result: unknown }
  | { kind: "error"; message: string };

export interface Upscaled {
  png: Blob;
  width: number;
  height: number;
  /** From the file of the image to that of the upscaled one. */
  seconds: number;
}

/** An upscaled video. */
export interface Video {
  blob: Blob;
  /** Of its name: `.webm` or `.mp4`. */
  ending: string;
  width: number;
  height: number;
  frames: number;
  /** Of those, the ones that were as the frame before. */
  unchanged: number;
  sound: "copied" | "left out" | "none";
  seconds: number;
}

/** What runs a file, and whether it computes there what was exported; null: not known. */
export interface Opened {
  backend: Backend;
  threads: number;
  fidelity: Fidelity | null;
  /** On the GPU, which computes the file wrongly, so that the CPU runs it. */
  refused?: Fidelity | null;
}

export class Stopped extends Error {}

export class Engine {
  private worker = startWorker();
  private reject: ((reason: Error) => void) | undefined;
  private stopped = false;
  private last: Promise<unknown> = Promise.resolve();
  /** Fails when the file cannot be opened. */
  readonly opened: Promise<Opened>;

  constructor(
    readonly file: ModelFile,
    backend: Backend,
    threads: number,
  ) {
    this.opened = this.inTurn(() => this.open(backend, threads));
    this.opened.catch(() => undefined); // said where it is used
  }

  inspect(picture: Blob): Promise<Condition> {
    return this.inTurn(() => this.run({ kind: "inspect", picture }));
  }

  upscale(picture: Blob, report: Report): Promise<Upscaled> {
    return this.inTurn(() => this.run({ kind: "upscale", picture }, report));
  }

  video(file: Blob, report: Report): Promise<Video> {
    return this.inTurn(() => this.run({ kind: "video", file }, report));
  }

  measure(plan: Plan, report: Report): Promise<Measurement> {
    return this.inTurn(() => this.run({ kind: "measure", plan }, report));
  }

  /** Ends the worker at once, whatever it does; its task fails with `Stopped`. */
  stop(): void {
    this.stopped = true;
    this.worker.terminate();
    this.reject?.(new Stopped());
  }

  private async open(backend: Backend, threads: number): Promise<Opened> {
    const { file } = this;
    const opened = await this.run<Opened>({ kind: "open", file, backend, threads });
    if (backend !== "webgpu" || !isWrong(opened.fidelity)) return opened;
    this.worker.terminate(); // it can have only one runtime
    this.worker = startWorker();
    const onCpu = await this.run<Opened>({ kind: "open", file, backend: "wasm", threads });
    return { ...onCpu, refused: opened.fidelity };
  }

  /** What `task` comes to, begun when the one before it has ended, however it did. */
  private inTurn<Result>(task: () => Promise<Result>): Promise<Result> {
    const result = this.last.then(task, task);
    this.last = result;
    return result;
  }

  private run<Result>(task: Task, report?: Report): Promise<Result> {
    return new Promise<Result>((resolve, reject) => {
      if (this.stopped) throw new Stopped();
      this.reject = reject;
      this.worker.onmessage = ({ data }: MessageEvent<Answer>) => {
        if (data.kind === "progress") report?.(data.what, data.share);
        else if (data.kind === "done") resolve(data.result as Result);
        else reject(new Error(data.message));
      };
      this.worker.onerror = (event) => reject(new Error(event.message || "the worker failed"));
      this.worker.postMessage(task);
    });
  }
}

function startWorker(): Worker {
  return new Worker(new URL("./worker.ts", import.meta.url), { type: "module" });
}
