"""What a measurement of a file is, and how its latency is sampled.

Latency is taken twice: of the inference alone (the engine on a prepared input) and of the whole
path that an app sees (uint8 picture in, uint8 picture out, of exactly the file's input size).
Numpy and the standard library only: this runs on the device.
"""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from ailsr.runtime.protocol import PROTOCOL, Protocol, Scores

WARM_UP_WINDOW = 5
WARM_UP_TOLERANCE = 0.05
WARM_UP_SECONDS = 2.0
WARM_UP_RULE = (
    f"run until the median of the last {WARM_UP_WINDOW} runs is within {WARM_UP_TOLERANCE:.0%} of "
    f"the median of the {WARM_UP_WINDOW} before them, but {WARM_UP_SECONDS:g} s at most"
)
MIN_RUNS = 3
"""Runs that are measured even when they take longer than the time allowed."""


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
    """With ``p50_high_ms`` the 95 % confidence interval of the median, from the order of the runs
    (binomial, normal approximation); with few runs from the least to the largest."""
    p50_high_ms: float
    warm_up_runs: int = 0
    steady: bool = True
    """False: the warm-up ran out of time before the latency settled."""

    @classmethod
    def of_samples(
        cls, samples_ms: Sequence[float], warm_up_runs: int = 0, steady: bool = True
    ) -> Latency:
        """Statistics of one or more samples; percentiles interpolate linearly between samples."""
        p50, p90, p99 = (float(q) for q in np.percentile(samples_ms, (50, 90, 99)))
        mean = float(np.mean(samples_ms))
        sd = float(np.std(samples_ms, ddof=1)) if len(samples_ms) > 1 else 0.0
        low, high = median_interval(samples_ms)
        return cls(len(samples_ms), p50, p90, p99, mean, sd, low, high, warm_up_runs, steady)


@dataclass(frozen=True)
class Quality:
    """PSNR in dB and SSIM by the named protocol: the mean over the images, and each image's."""

    protocol: Protocol
    psnr_db: float
    """Infinite when every picture equals its ground truth."""
    ssim: float
    images: dict[str, tuple[float, float]] = field(default_factory=dict)
    """(PSNR in dB, SSIM) by the image's name."""

    @classmethod
    def of_scores(cls, scores: Scores) -> Quality:
        return cls(scores.protocol, scores.psnr, scores.ssim, scores.images)


@dataclass(frozen=True)
class Request:
    """What to measure of one file, and how long; this is what a worker process is told."""

    file: str
    """Its path, or the name of a ``Resizer``."""
    threads: int
    runs: int
    """Runs measured of the inference and of the whole path, in turn."""
    seconds: float
    """Time allowed for each of the two; a slow file is measured with fewer runs."""
    images: str | None = None
    """Folder of high-resolution pictures for PSNR and SSIM; None: latency only."""
    protocol: Protocol = PROTOCOL
    engine: str | None = None
    """Which engine for the file's ending; None: one that is installed."""


@dataclass(frozen=True)
class Upscale:
    """Pictures to upscale with one file, for looking at."""

    file: str
    threads: int
    images: str
    """Folder of high-resolution pictures."""
    pictures: dict[str, str]
    """Where to write each picture, by its name in the folder."""


@dataclass(frozen=True)
class Measurement:
    """Everything known about one file after it was measured in a process of its own."""

    file: str
    engine: str
    """Name and version of what ran the file."""
    network: str | None
    """From the file's card, like ``precision`` and ``color``; None when it has no card."""
    precision: str | None
    pixels: str
    scale: int
    input_size: tuple[int, int]
    """(height, width) in low-resolution pixels."""
    threads: int
    size_bytes: int
    measurable: bool
    """False: this engine only computes the file's result; its latency and memory would mean
    nothing and are None."""
    load_ms: float | None = None
    """Opening the file until it can run; the engine's library was imported before."""
    first_run_ms: float | None = None
    inference: Latency | None = None
    whole_path: Latency | None = None
    engine_memory_bytes: int | None = None
    """Peak resident memory of the process when the engine's library was imported, before the file
    was opened; None where the system does not tell."""
    peak_memory_bytes: int | None = None
    """Peak resident memory of the process after all runs at the file's own input size."""
    quality: Quality | None = None

    @property
    def output_size(self) -> tuple[int, int]:
        """(height, width) of the picture that one run yields."""
        return self.input_size[0] * self.scale, self.input_size[1] * self.scale

    @property
    def frames_per_second(self) -> float | None:
        """Pictures per second through the whole path: 1000 / its mean latency."""
        return 1000 / self.whole_path.mean_ms if self.whole_path else None

    @property
    def megapixels_per_second(self) -> float | None:
        """Millions of output pixels per second through the whole path."""
        height, width = self.output_size
        return self.frames_per_second * height * width / 1e6 if self.frames_per_second else None


@dataclass(frozen=True)
class Failure:
    """A file that could not be measured, and why, in one line."""

    file: str
    error: str


def median_interval(samples: Sequence[float]) -> tuple[float, float]:
    """95 % confidence interval of the median of independent ``samples``, whatever they follow.

    Between the order statistics of ranks n/2 ± 0.98·√n (Conover, Practical Nonparametric
    Statistics, 3.2).
    """
    ordered, n = sorted(samples), len(samples)
    reach = 0.98 * math.sqrt(n)
    low, high = math.floor(n / 2 - reach), math.ceil(n / 2 + reach)
    return ordered[max(low, 1) - 1], ordered[min(high + 1, n) - 1]


def is_steady(samples_ms: Sequence[float]) -> bool:
    """Whether latency has settled, by ``WARM_UP_RULE``."""
    if len(samples_ms) < 2 * WARM_UP_WINDOW:
        return False
    before = statistics.median(samples_ms[-2 * WARM_UP_WINDOW : -WARM_UP_WINDOW])
    last = statistics.median(samples_ms[-WARM_UP_WINDOW:])
    return abs(last - before) <= WARM_UP_TOLERANCE * before


def time_call(call: Callable[[], object]) -> float:
    """Wall time of one call in milliseconds."""
    start = time.perf_counter_ns()
    call()
    return (time.perf_counter_ns() - start) / 1e6


def measure_latencies(
    calls: Sequence[Callable[[], object]], runs: int, seconds: float
) -> list[Latency]:
    """Latency of each of ``calls``: all warmed up, then ``runs`` runs of each, in turn.

    In turn (A B A B ...), so that whatever else the machine does burdens them alike. Each is given
    ``seconds`` on average and measured with fewer runs when they are over, but ``MIN_RUNS`` at the
    least.
    """
    warm_up: list[list[float]] = [[] for _ in calls]
    start = time.perf_counter()
    while True:
        steady = [is_steady(samples) for samples in warm_up]
        if all(steady) or time.perf_counter() - start > WARM_UP_SECONDS * len(calls):
            break
        _run_each(calls, warm_up)

    measured: list[list[float]] = [[] for _ in calls]
    start = time.perf_counter()
    for done in range(max(runs, MIN_RUNS)):
        if done >= MIN_RUNS and time.perf_counter() - start > seconds * len(calls):
            break
        _run_each(calls, measured)
    return [
        Latency.of_samples(samples, len(before), settled)
        for samples, before, settled in zip(measured, warm_up, steady, strict=True)
    ]


def _run_each(calls: Sequence[Callable[[], object]], samples: list[list[float]]) -> None:
    for call, own in zip(calls, samples, strict=True):
        own.append(time_call(call))
