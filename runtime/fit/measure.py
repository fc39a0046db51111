"""Timing of the files that a latency table is made of."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from ailsr.runtime.bench.latency import time_call
from ailsr.runtime.bench.worker import photograph_like
from ailsr.runtime.engines.layouts import levels_of
from ailsr.runtime.engines.pixels import to_pixels
from ailsr.runtime.fit.latency_model import Times
from ailsr.runtime.upscaling.upscaler import Upscaler, load

PASSES = 3
"""How often all files are measured, one after the other; of each the quietest pass counts, so that
what else ran on the device for a moment does not."""
_WARM_UP_RUNS, _LEAST_RUNS, _MOST_RUNS = 2, 5, 60


class Timed:
    """A file's times in several passes."""

    def __init__(self) -> None:
        self.engine = ""
        """Name and version of what ran it."""
        self._passes: list[tuple[Times, Times]] = []

    def add_pass(self, path: Path, threads: int, engine: str | None, seconds: float) -> None:
        """Load the file at ``path`` and time it for about ``seconds``. Raises as ``load`` does."""
        upscaler = load(path, threads=threads, trusted=True, engine=engine)
        self.engine = upscaler.engine.name
        p50, p90 = np.percentile(list(_samples(upscaler, seconds)), (50, 90), axis=0)
        inference, whole_path = (Times(float(a), float(b)) for a, b in zip(p50, p90, strict=True))
        self._passes.append((inference, whole_path))

    @property
    def times(self) -> tuple[Times, Times]:
        """(inference, whole path) in the pass with the least p90 of the whole path."""
        return min(self._passes, key=lambda times: times[1].p90)


def _samples(upscaler: Upscaler, seconds: float) -> Iterator[tuple[float, float]]:
    """Milliseconds of (inference, whole path), in turn, after a warm-up."""
    engine = upscaler.engine
    image = levels_of(photograph_like(*engine.input_size), engine.layout)
    pixels = to_pixels(image, engine.io_dtype)
    calls = (lambda: engine.run(pixels), lambda: upscaler.upscale(image))
    start = time.perf_counter()
    for run in range(_WARM_UP_RUNS + _MOST_RUNS):
        if run >= _WARM_UP_RUNS + _LEAST_RUNS and time.perf_counter() - start > seconds:
            return
        inference_ms, whole_path_ms = map(time_call, calls)
        if run >= _WARM_UP_RUNS:
            yield inference_ms, whole_path_ms
