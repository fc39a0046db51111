"""The run of a file with one engine that ``auto_engine.py`` judges by: ``python -m
ailsr.runtime.upscaling.auto_engine_run``.

Standard input: a JSON object with ``file``, ``engine``, ``threads``, ``cores``, ``seconds``, and
``probe``, the right answer where the file itself has none, or null. The last line of standard
output: the fields of ``Timed`` and, where there was no right answer, ``probe``, that of this
engine.
"""

from __future__ import annotations

import contextlib
import json
import os
import statistics
import sys
import time
from pathlib import Path
from typing import Any

from ailsr.runtime.engines.layouts import probe_answer, probe_levels
from ailsr.runtime.engines.pixels import to_pixels
from ailsr.runtime.errors import AilsrError, one_line
from ailsr.runtime.probe import Probe, probe_image
from ailsr.runtime.upscaling.upscaler import Upscaler, load

LEAST_RUNS = 3


def main() -> None:
    """Do what the request says."""
    with os.fdopen(os.dup(1), "w", encoding="utf-8") as output:
        os.dup2(2, 1)  # engines may print
        request = json.loads(sys.stdin.read())
        if hasattr(os, "sched_setaffinity"):
            with contextlib.suppress(OSError):  # whoever runs the file there says so
                os.sched_setaffinity(0, request["cores"])
        try:
            answer = judge(request)
        except (AilsrError, MemoryError) as error:
            answer = {"verdict": "failed", "why": f"{request['engine']}: {one_line(error)}"}
        output.write(json.dumps(answer) + "\n")


def judge(request: dict[str, Any]) -> dict[str, Any]:
    """Whether the engine is right, and how fast. Raises AilsrError when it does not run."""
    upscaler = load(Path(request["file"]), threads=request["threads"], engine=request["engine"])
    layout = upscaler.engine.layout
    image = probe_levels(probe_image(*upscaler.engine.input_size), layout)
    upscaled = probe_answer(upscaler.run(image), layout)
    probe = upscaler.probe
    if probe is None and request["probe"]:
        probe = Probe.of_json(request["probe"])
    if probe is None:
        own = Probe.of(upscaled).to_json()
        return {"verdict": "first", "ms": median_ms(upscaler, request["seconds"]), "probe": own}
    fidelity = probe.fidelity(upscaled)
    why = f"{request['engine']} is {fidelity}" if fidelity.verdict == "wrong" else ""
    ms = median_ms(upscaler, request["seconds"])
    return {"verdict": fidelity.verdict, "ms": ms, "why": why}


def median_ms(upscaler: Upscaler, seconds: float) -> float:
    """Median milliseconds of the inference, over ``seconds`` and ``LEAST_RUNS`` runs at least."""
    engine = upscaler.engine
    image = probe_levels(probe_image(*engine.input_size), engine.layout)
    pixels = to_pixels(image, engine.io_dtype)
    engine.run(pixels)
    times: list[float] = []
    end = time.perf_counter() + seconds
    while len(times) < LEAST_RUNS or time.perf_counter() < end:
        start = time.perf_counter()
        engine.run(pixels)
        times.append(time.perf_counter() - start)
    return 1e3 * statistics.median(times)


if __name__ == "__main__":
    main()
