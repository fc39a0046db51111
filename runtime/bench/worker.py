"""Measures one file in a process of its own: ``python -m ailsr.runtime.bench.worker``.

A fresh process per file makes load time and peak memory honest, and keeps an engine that crashes
from taking the harness along. The first line of standard input is a JSON request, ``{"task":
"measure", ...}`` with the fields of ``Request``, ``{"task": "upscale", ...}`` with those of
``UpscaleRequest`` or ``{"task": "reference", ...}`` with those of ``ReferenceRequest``. Standard
output carries JSON lines, ``{"what": ..., "done": n, "of": m}`` as it goes on and at the end
``{"result": ...}`` or ``{"error": "why"}``; ``{"kept": ...}`` is a result that holds if no other
comes, ``{"block": [...]}`` the milliseconds of one turn of the reference workload. When the request
says ``in_turn``, and for the reference, ``{"turn": "over"}`` means that nothing is done until there
is another line on standard input. Needs numpy, Pillow and one engine.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from ailsr.runtime.bench import cores
from ailsr.runtime.bench.energy import find_meter, joules_per_call
from ailsr.runtime.bench.latency import (
    AGAIN_SECONDS,
    BLOCKS,
    MIN_RUNS,
    WARM_UP_SECONDS,
    measure_latencies,
    measure_sustained,
)
from ailsr.runtime.bench.measurement import Measurement
from ailsr.runtime.bench.path_parts import measure_parts
from ailsr.runtime.bench.quality import judge, judge_without_reference
from ailsr.runtime.bench.reference import ReferenceRequest, run_reference
from ailsr.runtime.bench.report_document import write_file
from ailsr.runtime.bench.request import Request
from ailsr.runtime.bench.system import ROOT, Condition, Conditions, System, Watch
from ailsr.runtime.bench.upscale import UpscaleRequest, upscale_pictures
from ailsr.runtime.engines.engine import available_cores
from ailsr.runtime.engines.layouts import levels_of, probe_answer, probe_levels
from ailsr.runtime.engines.pixels import from_pixels, to_pixels
from ailsr.runtime.engines.registry import import_library
from ailsr.runtime.engines.resizer import Resizer, ResizerEngine
from ailsr.runtime.engines.trial import TRIED, survives_trial
from ailsr.runtime.errors import AilsrError
from ailsr.runtime.files import size_bytes
from ailsr.runtime.imaging.degradation import Degradation
from ailsr.runtime.imaging.image import Rgb
from ailsr.runtime.memory import peak_memory_bytes
from ailsr.runtime.probe import Fidelity, probe_image
from ailsr.runtime.progress import Progress
from ailsr.runtime.upscaling.upscaler import Upscaler, load
from ailsr.runtime.video.clip import Clip

PARTS_RUNS, PARTS_SECONDS = 10, 1.0


def measure(
    request: Request,
    progress: Progress,
    turn: Callable[[], None] = lambda: None,
    root: Path = ROOT,
    keep: Callable[[Measurement], None] = lambda found: None,
) -> Measurement:
    """Everything that ``request`` asks of its file. Raises AilsrError.

    ``turn`` is called where others may have theirs, and returns when it is this process's again.
    ``root`` is where the system's /proc and /sys lie. ``keep`` is given what is known before the
    images, on which the engine may yet fail.
    """
    path = Path(request.file)
    steps = (request.blocks + 2) * (2 if request.images else 1)  # PSNR is the other half

    def step(what: str, done: int) -> None:
        progress(what, done, steps)

    step("load", 0)
    chosen = None
    if request.cores is not None:
        chosen = cores.choose(request.cores, System(root))
        cores.pin(chosen)
    threads = request.threads or available_cores()
    if path.suffix.lower() in TRIED and path.is_file():
        survives_trial(path, request.engine)  # what hangs must not hang the harness
    import_library(path, request.engine)
    engine_memory = peak_memory_bytes()
    start = time.perf_counter()
    upscaler = opened(request, threads)
    load_ms = (time.perf_counter() - start) * 1e3
    engine, card = upscaler.engine, upscaler.card

    before = System(root, chosen).condition()
    first_run_ms, fidelity = measure_first_run(upscaler)
    figures: dict[str, Any] = {"fidelity": fidelity}
    if engine.measurable:
        figures |= {"load_ms": load_ms, "engine_memory_bytes": engine_memory}
        figures |= {"first_run_ms": first_run_ms}
        figures |= measure_speed(upscaler, request, step, turn, System(root, chosen), before)
    found = Measurement(
        file=request.file,
        engine=engine.name,
        network=card.network if card else None,
        precision=card.precision if card else None,
        pixels=engine.io_dtype,
        scale=engine.scale,
        input_size=engine.input_size,
        threads=threads,
        size_bytes=size_bytes(path) if path.exists() else 0,
        measurable=engine.measurable,
        cores=None if chosen is None else tuple(chosen),
        **figures,
    )
    if not request.images:
        return found
    if engine.measurable:
        keep(found)
    return replace(found, **measure_quality(upscaler, request, progress))


def opened(request: Request, threads: int) -> Upscaler:
    """What ``request`` measures, loaded."""
    path = Path(request.file)
    if resizer := Resizer.named(request.file):
        return Upscaler(ResizerEngine(resizer, threads), path)
    # Trusted, since ``measure`` has tried it.
    return load(path, threads=threads, trusted=True, engine=request.engine)


def measure_first_run(upscaler: Upscaler) -> tuple[float, Fidelity | None]:
    """Milliseconds of the engine's first run, and how right its answer is."""
    engine, probe = upscaler.engine, upscaler.probe
    image = probe_levels(probe_image(*engine.input_size), engine.layout)
    pixels = to_pixels(image, engine.io_dtype)
    start = time.perf_counter()
    upscaled = engine.run(pixels)
    milliseconds = (time.perf_counter() - start) * 1e3
    if probe is None:
        return milliseconds, None
    levels = from_pixels(upscaled, engine.io_dtype)
    return milliseconds, probe.fidelity(probe_answer(levels, engine.layout))


def measure_speed(
    upscaler: Upscaler,
    request: Request,
    step: Callable[[str, int], None],
    turn: Callable[[], None],
    system: System,
    before: Condition,
) -> dict[str, Any]:
    """The figures of a ``Measurement`` that depend on time and memory, by name.

    In this order, so that none spoils another: latencies, peak memory, then what takes memory of
    its own. ``before`` is the condition of the ``system`` before the first run.
    """
    engine, watch = upscaler.engine, Watch(system)
    picture = photograph_like(*engine.input_size)
    held = levels_of(picture, engine.layout)  # by the device, in the bytes of the file's layout
    pixels = to_pixels(held, engine.io_dtype)

    @contextmanager
    def block() -> Iterator[None]:
        turn()
        step("latency", min(1 + len(watch.seen), request.blocks))
        watch.start()
        yield
        watch.stop()

    inference, whole_path = measure_latencies(
        [lambda: engine.run(pixels), lambda: upscaler.upscale(held)],
        request.runs,
        request.seconds,
        blocks=request.blocks,
        min_runs=-(-MIN_RUNS * request.blocks // BLOCKS),
        warm_up_seconds=AGAIN_SECONDS if request.only_latency else WARM_UP_SECONDS,
        block=block,
        refill=request.in_turn,
    )
    conditions = Conditions.of(before, watch.seen, system.condition())
    peak_memory = peak_memory_bytes()
    turn()
    step("parts", request.blocks + 1)
    figures: dict[str, Any] = {}
    if request.sustained_minutes:
        curve = measure_sustained(
            lambda: engine.run(pixels),
            60 * request.sustained_minutes,
            system,
            lambda share: step(f"sustained, {share:.0%}", request.blocks + 1),
        )
        figures["sustained"] = tuple(curve)
    if not request.only_latency and (meter := find_meter(system)) is not None:
        figures["energy"] = joules_per_call(lambda: engine.run(pixels), meter, request.seconds)
    if not request.only_latency:
        figures["parts"] = measure_parts(upscaler, picture, PARTS_RUNS, PARTS_SECONDS)
    return {
        **figures,
        "backends": engine.backends(),
        "inference": inference,
        "whole_path": whole_path,
        "peak_memory_bytes": peak_memory,
        "conditions": conditions,
        "noise": watch.noise(),
    }


def measure_quality(upscaler: Upscaler, request: Request, progress: Progress) -> dict[str, Any]:
    """The figures of a ``Measurement`` that are of the images of ``request``, by name."""
    folder, upscale, scale = Path(request.images or ""), upscaler.upscale, upscaler.scale

    def tick(done: int, total: int) -> None:
        what = "blocks and noise" if request.no_reference else "PSNR"
        progress(what, total + done, 2 * total)  # latency was the first half

    if request.no_reference:
        figures, left_out = judge_without_reference(upscale, folder, scale, tick)
        return {"no_reference": figures, "left_out": left_out or None}
    degradation = Degradation.from_json(request.degradation)
    if request.video:
        from ailsr.runtime.video.quality import judge_video  # images need none of FFmpeg

        clip = Clip(folder, request.start, request.end)
        quality, left_out = judge_video(
            upscale, clip, scale, request.protocol, request.metrics, degradation, tick
        )
        return {"quality": quality, "left_out": left_out or None}
    quality, left_out = judge(
        upscale, folder, scale, request.protocol, request.metrics, degradation, tick
    )
    return {"quality": quality, "left_out": left_out or None}


def photograph_like(height: int, width: int) -> Rgb:
    """An image with the spectrum of photographs (amplitude 1/f; Field, 1987), always the same.

    Engines take as long for any image, PNG does not.
    """
    random = np.random.default_rng(0)
    frequency = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width))
    frequency[0, 0] = np.inf  # the mean is set below
    rgb = np.empty((height, width, 3), np.uint8)
    for channel in range(3):
        spectrum = np.exp(2j * np.pi * random.random(frequency.shape)) / frequency
        levels = np.fft.irfft2(spectrum, (height, width))
        rgb[..., channel] = np.clip(128 + 48 * levels / levels.std(), 0, 255)
    return rgb


def main() -> None:
    """Do what the request on standard input says; the last line says how it went."""
    # Engines may print: standard output stays ours alone, theirs goes to standard error.
    with os.fdopen(os.dup(1), "w", buffering=1) as output:
        os.dup2(2, 1)

        def emit(**message: object) -> None:
            output.write(json.dumps(message) + "\n")

        def progress(what: str, done: float, of: float) -> None:
            emit(what=what, done=done, of=of)

        def turn() -> None:
            emit(turn="over")
            if not sys.stdin.readline():
                raise SystemExit("the harness has gone away")

        try:
            request = json.loads(sys.stdin.readline())
            task = request.pop("task")
            if task == "upscale":
                upscale_pictures(UpscaleRequest(**request))
                emit(result=None)
            elif task == "reference":
                asked = ReferenceRequest(**request)
                run_reference(asked, turn, lambda samples: emit(block=samples))
            else:
                wanted = Request(**request)
                alone: Callable[[], None] = lambda: None  # noqa: E731
                found = measure(
                    wanted,
                    progress,
                    turn if wanted.in_turn else alone,
                    keep=lambda known: emit(kept=write_file(known)),
                )
                emit(result=write_file(found))
        except AilsrError as error:
            emit(error=str(error))
        except MemoryError:
            emit(error="out of memory")
        except Exception as error:  # an engine's own: one file's failure, not the harness's
            emit(error=f"{type(error).__name__}: {error}")


if __name__ == "__main__":
    main()
