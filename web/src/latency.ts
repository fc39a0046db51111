/** How latency is sampled and summed up: the rules of runtime/bench/latency.py, whose tests compare them. */

import type { Latency } from "./report.schema";

const WARM_UP_WINDOW = 5;
const WARM_UP_TOLERANCE = 0.05;
const WARM_UP_SECONDS = 2;
const MIN_RUNS = 3;

type Call = () => Promise<unknown>;

/**
 * Latency of each of `calls`: all warmed up, then `runs` runs of each, in turn, so that whatever
 * else the device does burdens them alike. Each is given `seconds` on average.
 */
export async function measureLatencies(
  calls: readonly Call[],
  runs: number,
  seconds: number,
  progress: (share: number) => void,
): Promise<Latency[]> {
  const warmUp = calls.map((): number[] => []);
  let steady: boolean[];
  let start = performance.now();
  for (;;) {
    steady = warmUp.map(isSteady);
    const late = performance.now() - start > 1e3 * WARM_UP_SECONDS * calls.length;
    if (late || steady.every(Boolean)) break;
    await runEach(calls, warmUp);
  }
  const measured = calls.map((): number[] => []);
  start = performance.now();
  for (let done = 0; done < Math.max(runs, MIN_RUNS); done++) {
    const spent = (performance.now() - start) / (1e3 * seconds * calls.length);
    if (done >= MIN_RUNS && spent > 1) break;
    await runEach(calls, measured);
    progress(Math.min(Math.max(spent, done / runs), 1));
  }
  return measured.map((samples, i) => summary(samples, warmUp[i]!.length, steady[i]!));
}

/** Wall time of one call in milliseconds. */
export async function timeCall(call: Call): Promise<number> {
  const start = performance.now();
  await call();
  return performance.now() - start;
}

/** Statistics of one or more samples in milliseconds. */
export function summary(samples: readonly number[], warmUpRuns: number, steady: boolean): Latency {
  const ordered = samples.toSorted((a, b) => a - b);
  const n = samples.length;
  const mean = samples.reduce((a, b) => a + b) / n;
  const squares = samples.reduce((sum, ms) => sum + (ms - mean) ** 2, 0);
  // 95 % confidence interval of the median: order statistics of ranks n/2 ± 0.98·√n.
  const reach = 0.98 * Math.sqrt(n);
  return {
    n,
    p50_ms: percentile(ordered, 50),
    p90_ms: percentile(ordered, 90),
    p99_ms: percentile(ordered, 99),
    mean_ms: mean,
    sd_ms: n > 1 ? Math.sqrt(squares / (n - 1)) : 0,
    p50_low_ms: ordered[Math.max(Math.floor(n / 2 - reach), 1) - 1]!,
    p50_high_ms: ordered[Math.min(Math.ceil(n / 2 + reach) + 1, n) - 1]!,
    warm_up_runs: warmUpRuns,
    steady,
    samples_ms: samples.map((ms) => Number(ms.toFixed(5))),
  };
}

/** Whether latency has settled, by the project's warm-up rule. */
export function isSteady(samples: readonly number[]): boolean {
  if (samples.length < 2 * WARM_UP_WINDOW) return false;
  const before = median(samples.slice(-2 * WARM_UP_WINDOW, -WARM_UP_WINDOW));
  const last = median(samples.slice(-WARM_UP_WINDOW));
  return Math.abs(last - before) <= WARM_UP_TOLERANCE * before;
}

function median(samples: readonly number[]): number {
  return percentile(samples.toSorted((a, b) => a - b), 50);
}

/** Interpolated linearly between ordered samples. */
function percentile(ordered: readonly number[], percent: number): number {
  const rank = (percent / 100) * (ordered.length - 1);
  const below = ordered[Math.floor(rank)]!;
  return below + (rank % 1) * ((ordered[Math.floor(rank) + 1] ?? below) - below);
}

async function runEach(calls: readonly Call[], samples: number[][]): Promise<void> {
  for (const [i, call] of calls.entries()) samples[i]!.push(await timeCall(call));
}
