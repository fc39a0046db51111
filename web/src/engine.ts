/** The page's side of the worker that runs a file: one task at a time, stopped by ending it. */

import type { Plan, Report } from "./measuring";
import type { Measurement } from "./report.schema";
import type { Backend } from "./runtime";
import type { ModelFile } from "./setup";

export type Task =
  | { kind: "open"; file: ModelFile; backend: Backend; threads: number }
  | { kind: "upscale"; picture: Blob }
  | { kind: "measure"; plan: Plan };

export type Answer =
  | { kind: "progress"; what: string; share: number }
  | { kind: "done"; result: unknown }
  | { kind: "error"; message: string };

export interface Upscaled {
  png: Blob;
  width: number;
  height: number;
  /** From the file of the picture to that of the upscaled one. */
  seconds: number;
}

export class Stopped extends Error {}

export class Engine {
  private readonly worker = new Worker(new URL("./worker.ts", import.meta.url), { type: "module" });
  private reject: ((reason: Error) => void) | undefined;
  private last: Promise<unknown>;
  /** What runs the file; fails when it cannot be opened. */
  readonly opened: Promise<{ engine: string; threads: number }>;

  constructor(
    readonly file: ModelFile,
    readonly backend: Backend,
    threads: number,
  ) {
    this.last = Promise.resolve();
    this.opened = this.run({ kind: "open", file, backend, threads });
    this.opened.catch(() => undefined); // said where it is used
  }

  upscale(picture: Blob, report: Report): Promise<Upscaled> {
    return this.run({ kind: "upscale", picture }, report);
  }

  measure(plan: Plan, report: Report): Promise<Measurement> {
    return this.run({ kind: "measure", plan }, report);
  }

  /** Ends the worker at once, whatever it does; its task fails with `Stopped`. */
  stop(): void {
    this.worker.terminate();
    this.reject?.(new Stopped());
  }

  private run<Result>(task: Task, report?: Report): Promise<Result> {
    const result = this.last.then(
      () =>
        new Promise<Result>((resolve, reject) => {
          this.reject = reject;
          this.worker.onmessage = ({ data }: MessageEvent<Answer>) => {
            if (data.kind === "progress") report?.(data.what, data.share);
            else if (data.kind === "done") resolve(data.result as Result);
            else reject(new Error(data.message));
          };
          this.worker.onerror = (event) => reject(new Error(event.message || "the worker failed"));
          this.worker.postMessage(task);
        }),
    );
    this.last = result;
    return result;
  }
}
