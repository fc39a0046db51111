"""Latency: how it is sampled, and its statistics.

Nothing but the call itself runs between the two readings of the clock. Numpy and the standard
library only: this runs on the device.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace

import numpy as np

from ailsr.runtime.bench.intervals import geometric_mean, mean_interval, median_interval
from ailsr.runtime.bench.system import System

WARM_UP_WINDOW = 5
WARM_UP_TOLERANCE = 0.05
WARM_UP_SECONDS = 2.0
AGAIN_SECONDS = 0.5
"""As ``WARM_UP_SECONDS``, for a file that another process has just run."""
WARM_UP_RULE = (
    f"run until the median of the last {WARM_UP_WINDOW} runs is within {WARM_UP_TOLERANCE:.0%} of "
    f"the median of the {WARM_UP_WINDOW} before them, but {WARM_UP_SECONDS:g} s at most, "
    f"{AGAIN_SECONDS:g} s in a file's further processes"
)
MIN_RUNS = 3
"""Runs that are measured even when they take longer than the time allowed."""
BLOCKS = 20
"""Parts that the runs are measured in; between them, other files may have their turn."""
COLD_MS = 50.0
"""Length of a run from which on it does not matter that another file has emptied the caches."""
SUSTAINED_INTERVALS = 120
"""Points of the curve of latency over time, at most; one lasts a second or more."""

Call = Callable[[], object]
Block = Callable[[], AbstractContextManager[None]]


@dataclass(frozen=True)
class Latency:
    """Statistics of the wall time of one call, in milliseconds."""

    n: int
    """Measured runs, warm-up not among them."""
    p50_ms: float
    p90_ms: float
    p99_ms: float
    mean_ms: float
    sd_ms: float
    """Standard deviation of the runs (n − 1 in the denominator), 0 for a single run."""
    p50_low_ms: float
    """With ``p50_high_ms`` the 95 % confidence interval of the median: by the spread of the
    processes (Student's t on logarithms); of a single process from the order of its runs (binomial,
    normal approximation), with few runs from the least to the largest."""
    p50_high_ms: float
    warm_up_runs: int = 0
    steady: bool = True
    """False: the warm-up of the first process ran out of time before the latency settled."""
    samples_ms: tuple[float, ...] = field(default=(), repr=False)
    """The runs, in order."""
    block_p50_ms: tuple[float, ...] = field(default=(), repr=False)
    """The median of each block of them."""
    process_p50_ms: tuple[float, ...] = field(default=(), repr=False)
    """The median of each process that they were measured in; empty: there was one."""

    @classmethod
    def of_samples(
        cls, samples_ms: Sequence[float], warm_up_runs: int = 0, steady: bool = True
    ) -> Latency:
        """Statistics of one or more samples; percentiles interpolate linearly between samples."""
        return cls.of_blocks([samples_ms], warm_up_runs, steady)

    @classmethod
    def of_blocks(
        cls, blocks_ms: Sequence[Sequence[float]], warm_up_runs: int = 0, steady: bool = True
    ) -> Latency:
        """Statistics of the samples of one or more blocks, none of them empty."""
        samples = [sample for block in blocks_ms for sample in block]
        p50, p90, p99 = (float(q) for q in np.percentile(samples, (50, 90, 99)))
        mean = float(np.mean(samples))
        sd = float(np.std(samples, ddof=1)) if len(samples) > 1 else 0.0
        low, high = median_interval(samples)
        return cls(
            n=len(samples),
            p50_ms=p50,
            p90_ms=p90,
            p99_ms=p99,
            mean_ms=mean,
            sd_ms=sd,
            p50_low_ms=low,
            p50_high_ms=high,
            warm_up_runs=warm_up_runs,
            steady=steady,
            samples_ms=tuple(round(sample, 5) for sample in samples),  # the clock's resolution
            block_p50_ms=tuple(round(statistics.median(block), 5) for block in blocks_ms),
        )

    @classmethod
    def of_processes(cls, processes: Sequence[Latency]) -> Latency:
        """The latencies of the same call in one or more processes, as one."""
        if len(processes) == 1:
            return processes[0]
        medians = tuple(process.p50_ms for process in processes)
        low, high = mean_interval(medians)
        pooled = cls.of_samples(
            [sample for process in processes for sample in process.samples_ms],
            sum(process.warm_up_runs for process in processes),
            processes[0].steady,
        )
        return replace(
            pooled,
            p50_low_ms=min(low, pooled.p50_ms),
            p50_high_ms=max(high, pooled.p50_ms),
            block_p50_ms=tuple(p50 for process in processes for p50 in process.block_p50_ms),
            process_p50_ms=medians,
        )


@dataclass(frozen=True)
class Ratio:
    """Latency relative to that of another file, whose blocks alternated with this file's."""

    to: str
    """The other file: the baseline."""
    ratio: float
    """Geometric mean over ``processes``."""
    low: float
    """With ``high`` its 95 % confidence interval: by the spread of the processes, of a single
    process by that of its blocks."""
    high: float
    blocks: int
    processes: tuple[float, ...] = ()
    """The ratio in each pair of processes: the median over neighbouring blocks of the ratio of
    their medians, so that what burdens both alike cancels."""

    @classmethod
    def of(cls, to: str, latency: Latency, baseline: Latency) -> Ratio:
        """The ratio within one pair of processes."""
        ratios = _by_blocks(latency, baseline)
        middle = statistics.median(ratios)
        return cls(to, middle, *median_interval(ratios), len(ratios), (middle,))

    @classmethod
    def of_processes(cls, ratios: Sequence[Ratio]) -> Ratio:
        """The ratios to the same file in one or more pairs of processes, as one."""
        if len(ratios) == 1:
            return ratios[0]
        each = tuple(value for ratio in ratios for value in ratio.processes)
        blocks = sum(ratio.blocks for ratio in ratios)
        return cls(ratios[0].to, geometric_mean(each), *mean_interval(each), blocks, each)


def relative_to(reference: Latency, latency: Latency) -> float:
    """``latency`` as a multiple of ``reference``, whose blocks alternated with its own."""
    return statistics.median(_by_blocks(latency, reference))


def _by_blocks(latency: Latency, other: Latency) -> list[float]:
    pairs = zip(latency.block_p50_ms, other.block_p50_ms, strict=False)
    return [own / others for own, others in pairs]


@dataclass(frozen=True)
class Sustained:
    """One interval of a call that is repeated for minutes without a pause."""

    second: float
    """Its middle, since the beginning."""
    p50_ms: float
    clock_mhz: float | None = None
    """At its end, like the temperature; None where the system does not tell."""
    temperature_c: float | None = None


def slowdown(curve: Sequence[Sustained]) -> float:
    """Latency at the end relative to the beginning: medians of the last and the first tenth."""
    tenth = -(-len(curve) // 10)
    first, last = (
        statistics.median(point.p50_ms for point in part)
        for part in (curve[:tenth], curve[-tenth:])
    )
    return last / first


def is_steady(samples_ms: Sequence[float]) -> bool:
    """Whether latency has settled, by ``WARM_UP_RULE``."""
    if len(samples_ms) < 2 * WARM_UP_WINDOW:
        return False
    before = statistics.median(samples_ms[-2 * WARM_UP_WINDOW : -WARM_UP_WINDOW])
    last = statistics.median(samples_ms[-WARM_UP_WINDOW:])
    return abs(last - before) <= WARM_UP_TOLERANCE * before


def time_call(call: Call) -> float:
    """Wall time of one call in milliseconds."""
    start = time.perf_counter_ns()
    call()
    return (time.perf_counter_ns() - start) / 1e6


def measure_latencies(
    calls: Sequence[Call],
    runs: int,
    seconds: float,
    *,
    blocks: int = BLOCKS,
    min_runs: int = MIN_RUNS,
    warm_up_seconds: float = WARM_UP_SECONDS,
    block: Block = nullcontext,
    refill: bool = False,
) -> list[Latency]:
    """Latency of each of ``calls``: all warmed up, then ``runs`` runs of each, in turn.

    In turn (A B A B ...), so that whatever else the machine does burdens them alike. Each is given
    ``seconds`` on average and measured with fewer runs when they are over, but ``min_runs`` at the
    least. The runs are made in ``blocks`` blocks of about equal length, each within a new
    ``block()``; with ``refill`` a run that is not measured goes before those of a block, to fill
    the caches again, unless runs are so long that it does not matter.
    """
    warm_up, steady = _warm_up(calls, warm_up_seconds)
    runs = max(runs, min_runs)
    refill = refill and min(min(samples) for samples in warm_up) < COLD_MS
    measured: list[list[list[float]]] = [[] for _ in calls]
    done, spent, allowed = 0, 0.0, seconds * len(calls)
    while done < runs and (done < min_runs or spent < allowed):
        samples: list[list[float]] = [[] for _ in calls]
        share = max(1, min(-(-runs // blocks), runs - done))
        with block():
            start = time.perf_counter()
            if refill:
                _run_each(calls, [[] for _ in calls])
            while len(samples[0]) < share:
                _run_each(calls, samples)
                if time.perf_counter() - start > allowed / blocks:
                    break
            spent += time.perf_counter() - start
        done += len(samples[0])
        for own, new in zip(measured, samples, strict=True):
            own.append(new)
    return [
        Latency.of_blocks(own, len(before), settled)
        for own, before, settled in zip(measured, warm_up, steady, strict=True)
    ]


def settle(call: Call) -> None:
    """Warm ``call`` up, by ``WARM_UP_RULE`` for what ran just before."""
    _warm_up([call], AGAIN_SECONDS)


def measure_for(call: Call, seconds: float) -> list[float]:
    """Milliseconds of each run of ``call`` within ``seconds``, after one that is not measured."""
    call()
    samples: list[float] = []
    start = time.perf_counter()
    while not samples or time.perf_counter() - start < seconds:
        samples.append(time_call(call))
    return samples


def measure_sustained(
    call: Call,
    seconds: float,
    system: System,
    progress: Callable[[float], None] = lambda share: None,
) -> list[Sustained]:
    """Latency over time of ``call``, repeated for ``seconds`` without a pause.

    ``progress`` is called with the share of the time that is over, after each interval.
    """
    length = max(1.0, seconds / SUSTAINED_INTERVALS)
    curve: list[Sustained] = []
    start = time.perf_counter()
    while (begin := time.perf_counter() - start) < seconds:
        samples: list[float] = []
        while (end := time.perf_counter() - start) < begin + length:
            samples.append(time_call(call))
        state = system.condition()
        median = round(statistics.median(samples), 5)
        curve.append(
            Sustained(round((begin + end) / 2, 2), median, state.clock_mhz, state.temperature_c)
        )
        progress(min(1.0, end / seconds))
    return curve


def _warm_up(calls: Sequence[Call], seconds: float) -> tuple[list[list[float]], list[bool]]:
    """The samples of each call until it was steady, and whether it was within ``seconds``."""
    samples: list[list[float]] = [[] for _ in calls]
    start = time.perf_counter()
    while True:
        steady = [is_steady(own) for own in samples]
        if all(steady) or time.perf_counter() - start > seconds * len(calls):
            return samples, steady
        _run_each(calls, samples)


def _run_each(calls: Sequence[Call], samples: list[list[float]]) -> None:
    for call, own in zip(calls, samples, strict=True):
        own.append(time_call(call))
