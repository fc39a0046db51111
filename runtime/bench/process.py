"""The harness's side of a measurement: starts the worker for a file and reads what it found."""

from __future__ import annotations

import contextlib
import json
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Generator, Sequence
from dataclasses import asdict, fields, replace
from functools import partial
from typing import IO, Any, TypeVar

from ailsr.runtime.bench.energy import Energy
from ailsr.runtime.bench.latency import Latency, Ratio, Sustained
from ailsr.runtime.bench.path_parts import Parts
from ailsr.runtime.bench.request import Failure, Measurement, Quality, Request, Upscale
from ailsr.runtime.bench.system import Condition, Conditions, Noise
from ailsr.runtime.engines.engine import Backend
from ailsr.runtime.errors import EngineError
from ailsr.runtime.probe import Fidelity

Found = TypeVar("Found")
Turns = Generator[None, None, Found]
"""Yields when a worker hands its turn over; returns what it found."""
COMMAND = [sys.executable, "-P", "-m", "ailsr.runtime.bench.worker"]

Progress = Callable[[str, float], None]
"""Called with (what comes next, share of the file's work that is done)."""
SIDE_BY_SIDE = 5
"""Processes that are alive at the same time at most: each holds a file's memory."""


def measure(
    request: Request, progress: Progress, command: Sequence[str] = COMMAND
) -> Measurement | Failure:
    """The figures of ``request``'s file, or why there are none: an engine may even crash.

    ``command`` starts the worker.
    """
    (found,) = _in_turn([request], [progress], command)
    return found


def measure_side_by_side(
    requests: Sequence[Request],
    progress: Callable[[int, str, float], None],
    command: Sequence[str] = COMMAND,
) -> list[Measurement | Failure]:
    """The figures of each request's file, with the ratio to the first that can be timed.

    The files' blocks of runs alternate (A B C A B C ...), so that whatever else the machine does
    burdens them alike. ``SIDE_BY_SIDE`` files at a time; the baseline is run again beside the next
    ones. ``progress`` is called with the file's place in ``requests``, and as for ``measure``.
    """
    if len(requests) == 1:
        return [measure(requests[0], partial(progress, 0), command)]
    found: list[Measurement | Failure] = []
    baseline: list[int] = []  # its place, once it is known
    while len(found) < len(requests):
        end = min(len(requests), len(found) + SIDE_BY_SIDE - len(baseline))
        places = [*baseline, *range(len(found), end)]
        wave = [replace(requests[place], in_turn=True) for place in places]
        if baseline:  # only its latency beside these files is new
            wave[0] = replace(wave[0], images=None, sustained_minutes=0.0)
        together = _in_turn(wave, [partial(progress, place) for place in places], command)
        timed = [getattr(file, "whole_path", None) is not None for file in together]
        if not baseline and any(timed):
            baseline = [places[timed.index(True)]]
        base = together[places.index(baseline[0])] if baseline else None
        found += [
            _with_ratio(file, base)
            for place, file in zip(places, together, strict=True)
            if place >= len(found)
        ]
    return found


def upscale(request: Upscale, command: Sequence[str] = COMMAND) -> None:
    """Upscale pictures in a process of its own. Raises EngineError when that fails."""
    for _ in _run("upscale", request, lambda what, share: None, command):
        pass


def _in_turn(
    requests: Sequence[Request], reports: Sequence[Progress], command: Sequence[str]
) -> list[Measurement | Failure]:
    """One worker for each request; only one of them is at work at any time."""
    workers = {
        place: _attempt(request, report, command)
        for place, (request, report) in enumerate(zip(requests, reports, strict=True))
    }
    found: dict[int, Measurement | Failure] = {}
    try:
        while workers:
            for place, worker in list(workers.items()):
                try:
                    next(worker)
                except StopIteration as end:
                    found[place] = end.value
                    del workers[place]
    finally:
        for worker in workers.values():
            worker.close()
    return [found[place] for place in range(len(requests))]


def _attempt(
    request: Request, progress: Progress, command: Sequence[str]
) -> Turns[Measurement | Failure]:
    try:
        return measurement((yield from _run("measure", request, progress, command)))
    except EngineError as error:
        return Failure(request.file, str(error).removeprefix(f"{request.file}: "))


def _with_ratio(
    file: Measurement | Failure, baseline: Measurement | Failure | None
) -> Measurement | Failure:
    if not (isinstance(file, Measurement) and isinstance(baseline, Measurement)):
        return file
    if file is baseline or file.output_size != baseline.output_size:
        return file
    if file.whole_path is None or baseline.whole_path is None:
        return file
    return replace(file, ratio=Ratio.of(baseline.file, file.whole_path, baseline.whole_path))


def _run(
    task: str, request: Request | Upscale, progress: Progress, command: Sequence[str]
) -> Turns[Any]:
    """The worker's result, after as many turns as it takes.

    What it knew before it failed on the pictures is kept. Raises EngineError with the worker's
    reason, in one line, where that is nothing.
    """
    kept: dict[str, Any] | None = None

    def failed(reason: str) -> dict[str, Any]:
        if kept is None:
            raise EngineError(reason)
        return kept | {"left_out": {str(request.images): reason}}

    with tempfile.TemporaryFile("w+", errors="replace") as log:
        worker = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True
        )
        assert worker.stdin is not None and worker.stdout is not None
        try:
            _say(worker.stdin, json.dumps({"task": task, **asdict(request)}))
            for line in worker.stdout:
                message = json.loads(line)
                if "result" in message:
                    return message["result"]
                if "error" in message:
                    return failed(" ".join(message["error"].split()))
                if "kept" in message:
                    kept = message["kept"]
                elif "turn" in message:
                    yield
                    _say(worker.stdin, "go on")
                else:
                    progress(message["what"], message["done"] / message["of"])
            return failed(_death(worker.wait(), log))
        finally:
            worker.kill()
            worker.wait()
            worker.stdout.close()
            with contextlib.suppress(BrokenPipeError):
                worker.stdin.close()


def _say(pipe: IO[str], line: str) -> None:
    """Write a line to a worker; one that has ended is found out when its output is read."""
    with contextlib.suppress(BrokenPipeError):
        pipe.write(line + "\n")
        pipe.flush()


def _death(code: int, log: IO[str]) -> str:
    """Why a worker ended without a result: its signal or exit code, and its last words."""
    how = f"the engine ended the process with exit code {code}"
    if code < 0:
        try:
            how = f"the engine crashed ({signal.Signals(-code).name})"
        except ValueError:
            how = f"the engine crashed (signal {-code})"
        if code == -9:
            how += ", which is how a system out of memory ends a process"
    log.seek(0)
    words = [line.strip() for line in log if line.strip()]
    return f"{how}: {words[-1]}" if words else how


def measurement(values: dict[str, Any]) -> Measurement:
    """The ``Measurement`` whose fields a worker, or another front end, wrote as JSON."""
    made = dict(values)
    height, width = values["input_size"]
    made["input_size"] = (height, width)
    for name, kind in _PARTS.items():
        if values.get(name) is not None:
            made[name] = kind(values[name])
    return Measurement(**made)


def _of(kind: Callable[..., Any]) -> Callable[[Any], Any]:
    """Reads a dataclass; keys that it does not know are left out, lists become tuples."""

    def read(values: dict[str, Any]) -> Any:  # noqa: ANN401
        known = {f.name: values[f.name] for f in fields(kind) if f.name in values}  # type: ignore[arg-type]
        return kind(**{k: tuple(v) if isinstance(v, list) else v for k, v in known.items()})

    return read


def _quality(values: dict[str, Any]) -> Quality:
    images = {name: (psnr, ssim) for name, (psnr, ssim) in values["images"].items()}
    return Quality(**{**values, "images": images})


def _conditions(values: dict[str, Any]) -> Conditions:
    condition = _of(Condition)
    return Conditions(**{when: state and condition(state) for when, state in values.items()})


_PARTS: dict[str, Callable[[Any], object]] = {
    "inference": _of(Latency),
    "whole_path": _of(Latency),
    "quality": _quality,
    "cores": tuple,
    "backends": lambda found: tuple(map(_of(Backend), found)),
    "parts": _of(Parts),
    "ratio": _of(Ratio),
    "sustained": lambda points: tuple(map(_of(Sustained), points)),
    "fidelity": _of(Fidelity),
    "energy": _of(Energy),
    "conditions": _conditions,
    "noise": _of(Noise),
}
"""What makes the value of a field from its JSON, where it is more than a number or a word."""
