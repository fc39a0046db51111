/** The report that goes back to the desktop, and nothing else does. */

import type { AilsrBenchReport, Host, Measurement } from "./report.schema";
import { fetchOwn, type Setup } from "./setup";

/** Sends `measurement`; what the desktop says of it. */
export async function send(setup: Setup, measurement: Measurement): Promise<string> {
  const report: AilsrBenchReport = {
    ...setup.report,
    date: new Date().toISOString().replace(/\.\d+/, ""),
    host: await host(),
    settings: { ...setup.report.settings, threads: measurement.threads },
    files: [measurement],
  };
  report.baselines = report.baselines.filter(({ scale }) => scale === measurement.scale);
  const body = JSON.stringify(report);
  const headers = { "Content-Type": "application/json" };
  return (await fetchOwn("report", { method: "POST", headers, body })).text();
}

interface UserAgentData {
  getHighEntropyValues(hints: string[]): Promise<{
    architecture?: string;
    bitness?: string;
    fullVersionList?: { brand: string; version: string }[];
    model?: string;
    platform?: string;
    platformVersion?: string;
  }>;
}

/** This device, as far as the browser tells. */
async function host(): Promise<Host> {
  const data = (navigator as { userAgentData?: UserAgentData }).userAgentData;
  const hints = ["architecture", "bitness", "fullVersionList", "model", "platformVersion"];
  const facts = (await data?.getHighEntropyValues(hints)) ?? {};
  // Where it does not tell: "Mozilla/5.0 (iPhone; CPU iPhone OS 26_1 like Mac OS X) AppleWebKit/…"
  const [, device, agent] = /\(([^)]*)\)\s*(.*)/.exec(navigator.userAgent) ?? [];
  const system = facts.platform ? `${facts.platform} ${facts.platformVersion ?? ""}`.trim() : device;
  const browser = facts.fullVersionList?.find(({ brand }) => !/not.?a.?brand/i.test(brand));
  return {
    cpu: facts.model || device || "unknown",
    cores: navigator.hardwareConcurrency,
    memory_bytes: null,
    os: `${system}, ${browser ? `${browser.brand} ${browser.version}` : agent}`,
    machine: facts.architecture ? `${facts.architecture}, ${facts.bitness} bits` : "unknown",
    python: null,
    governor: null,
    load_average: null,
  };
}
