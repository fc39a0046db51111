/** The figures of a measurement, as the page shows them. */

import { verdict } from "./probe";
import type { Latency, Measurement } from "./report.schema";
import type { Setup } from "./setup";

export function showFigures(measured: Measurement, setup: Setup): void {
  const { whole_path, inference, output_size, quality } = measured;
  text("median", `${milliseconds(whole_path!.p50_ms)} ms`);
  text("rate", `median for ${output_size[1]} × ${output_size[0]}, ${rate(measured)} pictures/s`);
  const rows = [row("Inference", inference!), row("Whole path", whole_path!)];
  document.getElementById("latencies")!.replaceChildren(...rows);
  const facts: [string, string][] = [
    ["Engine", measured.engine],
    ["Runs on", `${measured.delegate}, ${measured.threads} thread${measured.threads > 1 ? "s" : ""}`],
    ["Fidelity", verdict(measured.fidelity ?? null)],
    ["Load", `${milliseconds(measured.load_ms!)} ms`],
  ];
  if (quality) {
    const baseline = setup.report.baselines.find(({ scale }) => scale === measured.scale)?.quality;
    const gain = (quality.psnr_db ?? Infinity) - (baseline?.psnr_db ?? NaN);
    facts.push(["PSNR", decibels(quality.psnr_db)]);
    if (Number.isFinite(gain)) facts.push(["Over bicubic", `${signed(gain)} dB`]);
    facts.push(["SSIM", quality.ssim.toFixed(4)]);
  }
  if (!(whole_path!.steady && inference!.steady)) {
    facts.push(["Note", "latency had not settled when measuring began"]);
  }
  document.getElementById("facts")!.replaceChildren(...facts.flatMap(fact));
  document.getElementById("figures")!.hidden = false;
}

/** Three significant digits from 1 ms on, as the tables of ailsr-bench. */
function milliseconds(value: number): string {
  return value.toFixed(value < 9.995 ? 2 : value < 99.95 ? 1 : 0);
}

function rate({ frames_per_second }: Measurement): string {
  return milliseconds(frames_per_second!);
}

function decibels(value: number | null): string {
  return value === null ? "∞ dB" : `${value.toFixed(2)} dB`;
}

function signed(value: number): string {
  return `${value < 0 ? "−" : "+"}${Math.abs(value).toFixed(2)}`;
}

function row(name: string, latency: Latency): HTMLElement {
  const line = document.createElement("tr");
  const head = document.createElement("th");
  head.scope = "row";
  head.textContent = name;
  const cells = [latency.p50_ms, latency.p90_ms, latency.p99_ms].map((value) => {
    const cell = document.createElement("td");
    cell.textContent = milliseconds(value);
    return cell;
  });
  line.append(head, ...cells);
  return line;
}

function fact([name, value]: [string, string]): HTMLElement[] {
  const [term, description] = [document.createElement("dt"), document.createElement("dd")];
  term.textContent = name;
  description.textContent = value;
  return [term, description];
}

function text(id: string, value: string): void {
  document.getElementById(id)!.textContent = value;
}
