"""A fixed piece of arithmetic that takes its turns with the files: what the machine can do now.

Two reports of the same machine, minutes or days apart, differ by its clock and its neighbours. The
reference slows down with them, so a file's latency is compared relative to it. It is numpy alone,
so that a new version of an engine does not change it.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from ailsr.runtime.bench import cores
from ailsr.runtime.bench.latency import Latency, measure_for, settle
from ailsr.runtime.bench.system import System

ONE_THREAD = dict.fromkeys(
    ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS"), "1"
)
"""Environment of its process: its threads are our own, as many as the files have."""
BLOCK_SECONDS = 0.1
"""Length of its turn; a turn of a file is several times as long."""
_SIDE, _FLOATS, _PRODUCTS, _PASSES = 384, 1 << 19, 2, 4


@dataclass(frozen=True)
class ReferenceRequest:
    """The reference workload, to be run in turn with the files."""

    threads: int
    cores: str | None = None


@dataclass(frozen=True)
class Reference:
    """The reference workload of one run of the harness."""

    name: str
    """Its version, that of numpy, and the threads; only equal ones can be compared."""
    latency: Latency
    """One run is about ten milliseconds on a desktop's core."""


def name(threads: int) -> str:
    """Name of the reference workload on this machine."""
    return f"reference-1, numpy {np.__version__}, {threads} threads"


def workload(threads: int) -> Callable[[], None]:
    """One run: on each thread matrix products within its caches, and passes over two megabytes."""
    pool = ThreadPoolExecutor(threads)
    parts = [_part(seed) for seed in range(threads)]

    def run() -> None:
        list(pool.map(lambda part: part(), parts))

    return run


def _part(seed: int) -> Callable[[], None]:
    random = np.random.default_rng(seed)
    a, b = (random.standard_normal((_SIDE, _SIDE), dtype=np.float32) for _ in range(2))
    source = random.standard_normal(_FLOATS, dtype=np.float32)
    product, target = np.empty_like(a), np.empty_like(source)

    def run() -> None:
        for _ in range(_PRODUCTS):
            np.matmul(a, b, out=product)
        for _ in range(_PASSES):
            np.multiply(source, np.float32(1.5), out=target)
            np.add(target, source, out=target)

    return run


def run_reference(
    request: ReferenceRequest, turn: Callable[[], None], emit: Callable[[list[float]], None]
) -> None:
    """Run the reference workload, turn after turn, until the harness ends this process.

    ``emit`` is given the milliseconds of the runs of each turn.
    """
    if request.cores is not None:
        cores.pin(cores.choose(request.cores, System()))
    run = workload(request.threads)
    settle(run)
    while True:
        turn()
        emit(measure_for(run, BLOCK_SECONDS))


def environment() -> dict[str, str]:
    """Environment for the process that runs it."""
    return {**os.environ, **ONE_THREAD}
