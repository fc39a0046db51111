"""The harness's side of a measurement: starts the worker for a file and reads what it found."""

from __future__ import annotations

import contextlib
import json
import signal
import subprocess
import sys
import tempfile
from collections.abc import Generator, Sequence
from dataclasses import asdict, dataclass, replace
from typing import IO, Any, TypeVar

from ailsr.runtime.bench.latency import Latency, Ratio, relative_to
from ailsr.runtime.bench.measurement import Failure, Measurement
from ailsr.runtime.bench.reference import ReferenceRequest, environment
from ailsr.runtime.bench.report_document import read_file
from ailsr.runtime.bench.request import Request
from ailsr.runtime.bench.upscale import UpscaleRequest
from ailsr.runtime.errors import EngineError
from ailsr.runtime.progress import Progress, silent

Found = TypeVar("Found")
Turns = Generator[None, None, Found]
"""Yields when a worker hands its turn over; returns what it found."""
COMMAND = [sys.executable, "-P", "-m", "ailsr.runtime.bench.worker"]

SIDE_BY_SIDE = 5
"""Processes that are alive at the same time at most: each holds a file's memory."""


@dataclass(frozen=True)
class Round:
    """Every file in one process of its own."""

    files: list[Measurement | Failure]
    references: list[Latency]
    """The reference workload beside each few of them."""


def measure(
    request: Request, progress: Progress, command: Sequence[str] = COMMAND
) -> Measurement | Failure:
    """The figures of ``request``'s file, or why there are none: an engine may even crash.

    ``command`` starts the worker.
    """
    ((found,), _) = _in_turn([request], [progress], command)
    return found


def measure_side_by_side(
    requests: Sequence[Request],
    progress: Sequence[Progress],
    command: Sequence[str] = COMMAND,
    background: ReferenceRequest | None = None,
) -> Round:
    """The figures of each request's file, with the ratio to the first that can be timed.

    The files' blocks of runs alternate (A B C C B A ...), so that whatever else the machine does
    burdens them alike. ``SIDE_BY_SIDE`` files at a time; the baseline is run again beside the next
    ones. ``background`` takes its turns with them. ``progress`` has one receiver for each file.
    """
    found: list[Measurement | Failure] = []
    references: list[Latency] = []
    baseline: list[int] = []  # its place, once it is known
    alone = len(requests) == 1 and background is None
    while len(found) < len(requests):
        end = min(len(requests), len(found) + SIDE_BY_SIDE - len(baseline))
        places = [*baseline, *range(len(found), end)]
        wave = [replace(requests[place], in_turn=not alone) for place in places]
        if baseline:  # only its latency beside these files is new
            wave[0] = replace(wave[0], images=None, sustained_minutes=0.0, only_latency=True)
        told = [progress[place] for place in places]
        together, own = _in_turn(wave, told, command, background)
        references += [own] if own else []
        timed = [getattr(file, "whole_path", None) is not None for file in together]
        if not baseline and any(timed):
            baseline = [places[timed.index(True)]]
        base = together[places.index(baseline[0])] if baseline else None
        found += [
            _with_ratios(file, None if place in baseline else base, own)
            for place, file in zip(places, together, strict=True)
            if place >= len(found)
        ]
    return Round(found, references)


def upscale(request: UpscaleRequest, command: Sequence[str] = COMMAND) -> None:
    """Upscale images in a process of its own. Raises EngineError when that fails."""
    for _ in _run("upscale", request, silent, command):
        pass


def _in_turn(
    requests: Sequence[Request],
    progress: Sequence[Progress],
    command: Sequence[str],
    reference: ReferenceRequest | None = None,
) -> tuple[list[Measurement | Failure], Latency | None]:
    """One worker for each request; only one of them is at work at any time."""
    blocks: list[list[float]] = []
    background = _reference(reference, command, blocks)
    workers = {
        place: _attempt(request, told, command)
        for place, (request, told) in enumerate(zip(requests, progress, strict=True))
    }
    found: dict[int, Measurement | Failure] = {}
    try:
        forward = True
        while workers:
            if forward:
                next(background)
            for place in sorted(workers, reverse=not forward):
                try:
                    next(workers[place])
                except StopIteration as end:
                    found[place] = end.value
                    del workers[place]
            if not forward:
                next(background)
            forward = not forward
    finally:
        background.close()
        for worker in workers.values():
            worker.close()
    latency = Latency.of_blocks(blocks) if blocks else None
    return [found[place] for place in range(len(requests))], latency


def _attempt(
    request: Request, progress: Progress, command: Sequence[str]
) -> Turns[Measurement | Failure]:
    try:
        return read_file((yield from _run("measure", request, progress, command)))
    except EngineError as error:
        return Failure(request.file, str(error).removeprefix(f"{request.file}: "))


def _reference(
    request: ReferenceRequest | None, command: Sequence[str], blocks: list[list[float]]
) -> Turns[None]:
    """The reference workload's turns, without end; without it where it fails."""
    if request is not None:
        with contextlib.suppress(EngineError):
            yield from _run("reference", request, silent, command, blocks)
    while True:
        yield


def _with_ratios(
    file: Measurement | Failure,
    baseline: Measurement | Failure | None,
    reference: Latency | None,
) -> Measurement | Failure:
    """``file`` relative to what took its turns with it."""
    if not isinstance(file, Measurement) or (own := file.whole_path) is None:
        return file
    if reference is not None:
        file = replace(file, to_reference=(relative_to(reference, own),))
    if not isinstance(baseline, Measurement) or baseline.whole_path is None:
        return file
    if file.output_size != baseline.output_size:
        return file
    return replace(file, ratio=Ratio.of(baseline.file, own, baseline.whole_path))


def _run(
    task: str,
    request: Request | ReferenceRequest | UpscaleRequest,
    progress: Progress,
    command: Sequence[str],
    blocks: list[list[float]] | None = None,
) -> Turns[Any]:
    """The worker's result, after as many turns as it takes.

    What it knew before it failed on the images is kept; ``blocks`` takes the milliseconds of the
    reference workload's runs. Raises EngineError with the worker's reason, in one line, where that
    is nothing.
    """
    kept: dict[str, Any] | None = None

    def failed(reason: str) -> dict[str, Any]:
        if kept is None:
            raise EngineError(reason)
        assert isinstance(request, Request)
        return kept | {"left_out": {str(request.images): reason}}

    with tempfile.TemporaryFile("w+", errors="replace") as log:
        worker = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            env=environment() if task == "reference" else None,
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
                elif "block" in message:
                    blocks = [] if blocks is None else blocks
                    blocks.append(message["block"])
                elif "turn" in message:
                    yield
                    _say(worker.stdin, "go on")
                else:
                    progress(message["what"], message["done"], message["of"])
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
