"""Measures one file in a process of its own: ``python -m ailsr.runtime.bench_worker``.

A fresh process per file makes load time and peak memory honest, and keeps an engine that crashes
from taking the harness along. Standard input holds one JSON request, ``{"task": "measure", ...}``
with the fields of ``Request`` or ``{"task": "upscale", ...}`` with those of ``Upscale``. Standard
output carries JSON lines: ``{"what": ..., "done": n, "of": m}`` as it goes on, and at the end
``{"result": ...}`` or ``{"error": "why"}``. Needs numpy, Pillow and one engine.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from ailsr.runtime import image, protocol
from ailsr.runtime.bench import Measurement, Quality, Request, Upscale, measure_latencies, time_call
from ailsr.runtime.engines import import_library
from ailsr.runtime.errors import AilsrError
from ailsr.runtime.files import size_bytes
from ailsr.runtime.image import Rgb
from ailsr.runtime.memory import peak_memory_bytes
from ailsr.runtime.resizer import Resizer, ResizerEngine
from ailsr.runtime.upscaler import Upscaler, load, to_pixels

Report = Callable[[str, int, int], None]
"""Called with (what comes next, steps done, steps in all)."""
LATENCY_STEPS = 4  # loading one, latency three; then one per picture


def measure(request: Request, report: Report) -> Measurement:
    """Everything that ``request`` asks of its file. Raises AilsrError."""
    path = Path(request.file)
    report("load", 0, LATENCY_STEPS)
    import_library(path, request.engine)
    engine_memory = peak_memory_bytes()
    start = time.perf_counter()
    upscaler = opened(request)
    load_ms = (time.perf_counter() - start) * 1e3
    engine, card = upscaler.engine, upscaler.card

    figures: dict[str, Any] = {}
    if engine.measurable:
        picture = noise(*engine.input_size)
        pixels = to_pixels(picture, engine.pixels)
        figures["load_ms"] = load_ms
        figures["first_run_ms"] = time_call(lambda: engine.run(pixels))
        report("latency", 1, LATENCY_STEPS)
        figures["inference"], figures["whole_path"] = measure_latencies(
            [lambda: engine.run(pixels), lambda: upscaler.upscale(picture)],
            request.runs,
            request.seconds,
        )
        figures["engine_memory_bytes"] = engine_memory
        figures["peak_memory_bytes"] = peak_memory_bytes()
    if request.images:
        figures["quality"] = measure_quality(upscaler, request, report)
    return Measurement(
        file=request.file,
        engine=engine.name,
        network=card.network if card else None,
        precision=card.precision if card else None,
        pixels=engine.pixels,
        scale=engine.scale,
        input_size=engine.input_size,
        threads=request.threads,
        size_bytes=size_bytes(path) if path.exists() else 0,
        measurable=engine.measurable,
        **figures,
    )


def opened(request: Request) -> Upscaler:
    """What ``request`` measures, loaded."""
    path = Path(request.file)
    if resizer := Resizer.named(request.file):
        return Upscaler(ResizerEngine(resizer, request.threads), path)
    # Trusted, since a crash ends this process only.
    return load(path, threads=request.threads, trusted=True, engine=request.engine)


def measure_quality(upscaler: Upscaler, request: Request, report: Report) -> Quality:
    """PSNR and SSIM over the pictures of ``request.images``."""
    pairs = protocol.pairs(Path(request.images or ""), upscaler.scale)
    steps = LATENCY_STEPS + len(pairs)
    done = iter(range(LATENCY_STEPS, steps))

    def upscale(rgb: Rgb) -> Rgb:
        report("PSNR", next(done), steps)
        return upscaler.upscale(rgb)

    return Quality.of_scores(protocol.evaluate(upscale, pairs, request.protocol))


def upscale_pictures(request: Upscale) -> None:
    """Upscale the named low-resolution pictures of a folder's pairs into PNG files."""
    upscaler = load(Path(request.file), threads=request.threads, trusted=True)
    pairs = protocol.pairs(Path(request.images), upscaler.scale)
    for name, output in request.pictures.items():
        pair = pairs[pairs.names.index(name)]
        image.write(upscaler.upscale(pair.lr), Path(output))


def noise(height: int, width: int) -> Rgb:
    """A picture of random pixels, always the same: latency does not depend on what it shows."""
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)


def main() -> None:
    """Do what the request on standard input says; the last line says how it went."""
    # Engines may print: standard output stays ours alone, theirs goes to standard error.
    with os.fdopen(os.dup(1), "w", buffering=1) as output:
        os.dup2(2, 1)

        def emit(**message: object) -> None:
            output.write(json.dumps(message) + "\n")

        def report(what: str, done: int, of: int) -> None:
            emit(what=what, done=done, of=of)

        try:
            request = json.load(sys.stdin)
            if request.pop("task") == "upscale":
                upscale_pictures(Upscale(**request))
                emit(result=None)
            else:
                emit(result=asdict(measure(Request(**request), report)))
        except AilsrError as error:
            emit(error=str(error))
        except MemoryError:
            emit(error="out of memory")
        except Exception as error:  # an engine's own: one file's failure, not the harness's
            emit(error=f"{type(error).__name__}: {error}")


if __name__ == "__main__":
    main()
