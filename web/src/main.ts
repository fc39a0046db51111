/** The page: what its buttons do, and what it shows of what comes back. */

import "./style.css";
import { Comparer } from "./comparer";
import { inWords, isDegraded, type Condition } from "./condition";
import { Engine, Stopped, type Opened, type Upscaled, type Video } from "./engine";
import { showFigures } from "./figures";
import { isWrong, verdict } from "./probe";
import { send } from "./report";
import type { Fidelity, Measurement } from "./report.schema";
import { whyNotGpu, type Backend } from "./runtime";
import { fetchSetup, pairOf, type ModelFile, type Setup } from "./setup";

const DEFAULT_THREADS = 4; // phones have that many cores of one kind; more slow each other down
const BY_PICTURE = "The one that suits the image";
const SECURE_HINT =
  "This page came over plain http, so the browser allows one thread and no GPU. " +
  "Over https or a USB cable it allows both: see docs/web.md of ailsr.";

function element<Kind extends HTMLElement>(id: string): Kind {
  return document.getElementById(id) as Kind;
}

const file = element<HTMLSelectElement>("file");
const backend = element<HTMLSelectElement>("backend");
const threads = element<HTMLSelectElement>("threads");
const before = element<HTMLImageElement>("before");
const after = element<HTMLImageElement>("after");
const clip = element<HTMLVideoElement>("clip");
const save = element<HTMLAnchorElement>("save");
const measureButton = element<HTMLButtonElement>("measure");

class Page {
  private engine: Engine;
  private picture: File | undefined;
  /** Of the image, where it decides which file is run. */
  private condition: Condition | undefined;
  /** The latest of each file, so that one report holds all that were measured on this visit. */
  private measured: Measurement[] = [];
  private readonly comparer = new Comparer(element("stage"), element("handle"));

  constructor(private readonly setup: Setup) {
    this.engine = this.start();
    for (const setting of [file, backend, threads]) {
      setting.addEventListener("change", () => {
        this.restart();
        void this.upscale();
      });
    }
    for (const input of [element<HTMLInputElement>("choose"), element<HTMLInputElement>("take")]) {
      input.addEventListener("change", () => {
        this.picture = input.files?.[0];
        input.value = "";
        void this.upscale();
      });
    }
    element("cancel").addEventListener("click", () => this.discard());
    element("another").addEventListener("click", () => this.discard());
    element("zoom-in").addEventListener("click", () => this.comparer.zoom(1.5));
    element("zoom-out").addEventListener("click", () => this.comparer.zoom(1 / 1.5));
    element("stop").addEventListener("click", () => this.restart());
    measureButton.addEventListener("click", () => void this.measure());
  }

  private get chosen(): ModelFile {
    const { files } = this.setup;
    const pair = pairOf(files);
    if (!pair) return files[file.selectedIndex] ?? files[0];
    if (file.selectedIndex > 0) return files[file.selectedIndex - 1] ?? files[0];
    return this.condition && isDegraded(this.condition) ? pair.degraded : pair.clean;
  }

  /** A worker that runs the file as chosen; it opens while an image is being chosen. */
  private start(): Engine {
    const engine = new Engine(this.chosen, backend.value as Backend, Number(threads.value));
    const pill = element("engine");
    pill.textContent = "starting…";
    element("fidelity").textContent = "";
    showLine("warning");
    showError();
    engine.opened.then(
      (opened) => {
        if (engine === this.engine) showOpened(engine.file, opened);
      },
      (error: Error) => {
        if (engine !== this.engine) return;
        pill.textContent = "cannot run";
        if (!(error instanceof Stopped)) showError(`${engine.file.name}: ${error.message}`);
      },
    );
    return engine;
  }

  /** Ends what is running, at once, and starts as chosen. */
  private restart(): void {
    this.engine.stop();
    this.engine = this.start();
  }

  private discard(): void {
    const working = !element("working").hidden;
    this.picture = undefined;
    clip.pause();
    element("shown").hidden = true;
    element("empty").hidden = false;
    element<HTMLInputElement>("choose").focus();
    if (working) this.restart();
  }

  private async upscale(): Promise<void> {
    const { picture } = this;
    if (!picture) return;
    showError();
    await this.showWorking(picture);
    try {
      if (isVideo(picture)) return await this.upscaleVideo(picture);
      this.condition = file.value === BY_PICTURE ? await this.engine.inspect(picture) : undefined;
      if (this.picture !== picture) return;
      if (this.chosen !== this.engine.file) this.restart();
      const { engine } = this;
      const upscaled = await engine.upscale(picture, showProgress);
      await this.showUpscaled(picture, upscaled, (await engine.opened).fidelity);
    } catch (error) {
      if (error instanceof Stopped) return;
      this.discard();
      showError((error as Error).message);
    }
  }

  private async upscaleVideo(file: File): Promise<void> {
    this.condition = undefined;
    if (this.chosen !== this.engine.file) this.restart();
    const video = await this.engine.video(file, showProgress);
    await this.showVideo(file, video, (await this.engine.opened).fidelity);
  }

  private async showVideo(file: File, video: Video, fidelity: Fidelity | null): Promise<void> {
    const { blob, ending, width, height, frames, unchanged, sound, seconds } = video;
    if (clip.src) URL.revokeObjectURL(clip.src);
    save.href = clip.src = URL.createObjectURL(blob);
    save.download = nameOf(file, this.engine.file, ending);
    save.textContent = "Save video";
    save.hidden = clip.hidden = false;
    element("stage").hidden = element("working").hidden = true;
    element("outcome").textContent =
      `${width} × ${height}, ${frames} frames in ${seconds.toPrecision(3)} s` +
      (unchanged ? `, ${unchanged} of them as the one before` : "") +
      (isWrong(fidelity) ? `, ${verdict(fidelity)}` : "") +
      (sound === "left out" ? "; without its sound, whose codec this browser cannot put there" : "");
  }

  private async showWorking(picture: File): Promise<void> {
    element("empty").hidden = true;
    element("shown").hidden = false;
    element("working").hidden = false;
    element("stage").classList.remove("done");
    element("what").textContent = "reading";
    element("outcome").textContent = "";
    element<HTMLProgressElement>("progress").value = 0;
    save.hidden = after.hidden = clip.hidden = true;
    element("stage").hidden = false;
    before.hidden = isVideo(picture);
    const stage = element("stage");
    if (isVideo(picture)) {
      stage.style.setProperty("--width", "16");
      stage.style.setProperty("--height", "9");
      return;
    }
    await show(before, picture);
    stage.style.setProperty("--width", String(before.naturalWidth));
    stage.style.setProperty("--height", String(before.naturalHeight));
    this.comparer.reset(before.naturalWidth * this.chosen.scale);
  }

  private async showUpscaled(
    picture: File,
    upscaled: Upscaled,
    fidelity: Fidelity | null,
  ): Promise<void> {
    const { png, width, height, seconds } = upscaled;
    save.href = await show(after, png);
    save.download = nameOf(picture, this.engine.file, ".png");
    save.textContent = "Save PNG";
    save.hidden = after.hidden = false;
    element("working").hidden = true;
    element("stage").classList.add("done");
    element("outcome").textContent =
      `${before.naturalWidth} × ${before.naturalHeight} → ${width} × ${height} ` +
      `in ${seconds.toPrecision(3)} s${isWrong(fidelity) ? `, ${verdict(fidelity)}` : ""}` +
      (this.condition ? ` by ${this.engine.file.name} (${inWords(this.condition)})` : "");
  }

  private async measure(): Promise<void> {
    const { engine, setup } = this;
    const { runs, seconds } = setup.report.settings;
    const pictures = setup.pictures[engine.file.scale] ?? [];
    const sent = element("sent");
    sent.textContent = MEASURING.load!;
    this.showMeasuring(true);
    showError();
    try {
      const measured = await engine.measure({ runs, seconds, pictures }, (what, share) => {
        sent.textContent = MEASURING[what] ?? what;
        element<HTMLProgressElement>("measured").value = share;
      });
      showFigures(measured, setup);
      this.measured = [...this.measured.filter(({ file }) => file !== measured.file), measured];
      sent.textContent = await send(setup, this.measured);
    } catch (error) {
      sent.textContent = error instanceof Stopped ? "Stopped; nothing was sent." : "";
      if (!(error instanceof Stopped)) showError((error as Error).message);
    } finally {
      this.showMeasuring(false);
    }
  }

  private showMeasuring(on: boolean): void {
    element("measuring").hidden = element("stop").hidden = !on;
    measureButton.hidden = on;
    for (const setting of [file, backend, threads]) setting.disabled = on;
  }
}

const MEASURING: Record<string, string> = {
  load: "Loading the file…",
  latency: "Timing: leave the page in front…",
  PSNR: "Upscaling images for PSNR…",
};

function described(backend: Backend, threads: number): string {
  return backend === "webgpu" ? "GPU" : `CPU, ${threads} thread${threads > 1 ? "s" : ""}`;
}

function isVideo(file: File): boolean {
  return file.type.startsWith("video/");
}

function nameOf(original: File, { scale }: ModelFile, ending: string): string {
  return `${original.name.replace(/\.[^.]*$/, "")}_x${scale}${ending}`;
}

function showProgress(what: string, share: number): void {
  element("what").textContent = what;
  element<HTMLProgressElement>("progress").value = share;
}

/** Shows the image in `blob`; its address, valid until the next one is shown. */
async function show(image: HTMLImageElement, blob: Blob): Promise<string> {
  if (image.src) URL.revokeObjectURL(image.src);
  image.src = URL.createObjectURL(blob);
  await image.decode().catch(() => undefined); // the worker says what is wrong with it
  return image.src;
}

/** What runs the file, and whether that can be trusted. */
function showOpened({ name }: ModelFile, { backend, threads, fidelity, refused }: Opened): void {
  element("engine").textContent = described(backend, threads);
  element("fidelity").textContent = `Computed as exported: ${verdict(fidelity)}`;
  const warnings = [];
  if (refused) warnings.push(`The GPU computes ${name} ${verdict(refused)}: the CPU runs it instead.`);
  if (isWrong(fidelity)) {
    warnings.push(
      `The CPU computes ${name} ${verdict(fidelity)}: its images and figures are not those of ` +
        "the file that was exported.",
    );
  }
  showLine("warning", warnings.join(" "));
}

function showError(message = ""): void {
  showLine("error", message);
}

function showLine(id: string, text = ""): void {
  const line = element(id);
  line.textContent = text;
  line.hidden = !text;
}

function offerSettings(setup: Setup): void {
  if (pairOf(setup.files)) file.append(new Option(BY_PICTURE));
  file.append(...setup.files.map(({ name }) => new Option(name)));
  const cores = self.crossOriginIsolated ? navigator.hardwareConcurrency : 1;
  const counts = [1, 2, 3, 4, 6, 8, 12, 16].filter((count) => count <= cores);
  threads.append(...counts.map((count) => new Option(String(count))));
  threads.value = String(Math.max(...counts.filter((count) => count <= DEFAULT_THREADS)));
}

/** Offers the GPU where there is one, and says what this browser does not allow. */
async function offerGpu(): Promise<void> {
  const missing = await whyNotGpu();
  if (missing) {
    const option = backend.querySelector<HTMLOptionElement>("[value=webgpu]");
    if (option) option.disabled = true;
  }
  const limits = element("limits");
  limits.textContent = self.isSecureContext ? sentence(missing) : SECURE_HINT;
  limits.hidden = !limits.textContent;
}

function sentence(text = ""): string {
  return text && `${text[0]!.toUpperCase()}${text.slice(1)}.`;
}

element("camera").hidden = navigator.maxTouchPoints === 0;
try {
  const setup = await fetchSetup();
  offerSettings(setup);
  new Page(setup);
  await offerGpu();
} catch (error) {
  showError((error as Error).message);
  element("engine").textContent = "cannot start";
}
