"""The harness's side of a measurement: starts the worker for a file and reads what it found."""

from __future__ import annotations

import contextlib
import json
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import asdict
from typing import IO, Any

from ailsr.runtime.bench import Failure, Latency, Measurement, Quality, Request, Upscale
from ailsr.runtime.errors import EngineError

COMMAND = [sys.executable, "-P", "-m", "ailsr.runtime.bench_worker"]

Progress = Callable[[str, float], None]
"""Called with (what comes next, share of the file's work that is done)."""


def measure(request: Request, progress: Progress) -> Measurement | Failure:
    """The figures of ``request``'s file, or why there are none: an engine may even crash."""
    try:
        return measurement(_run("measure", request, progress))
    except EngineError as error:
        return Failure(request.file, str(error).removeprefix(f"{request.file}: "))


def upscale(request: Upscale) -> None:
    """Upscale pictures in a process of its own. Raises EngineError when that fails."""
    _run("upscale", request, lambda what, share: None)


def _run(task: str, request: Request | Upscale, progress: Progress) -> Any:  # noqa: ANN401
    """The worker's result. Raises EngineError with its reason, in one line."""
    with tempfile.TemporaryFile("w+", errors="replace") as log:
        worker = subprocess.Popen(
            COMMAND, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True
        )
        assert worker.stdin is not None and worker.stdout is not None
        try:
            with contextlib.suppress(BrokenPipeError), worker.stdin as pipe:
                json.dump({"task": task, **asdict(request)}, pipe)
            for line in worker.stdout:
                message = json.loads(line)
                if "result" in message:
                    return message["result"]
                if "error" in message:
                    raise EngineError(" ".join(message["error"].split()))
                progress(message["what"], message["done"] / message["of"])
            raise EngineError(_death(worker.wait(), log))
        finally:
            worker.kill()
            worker.wait()
            worker.stdout.close()


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
    """What the worker's JSON says."""
    for name in ("inference", "whole_path"):
        values[name] = values[name] and Latency(**values[name])
    if quality := values["quality"]:
        quality["images"] = {name: (psnr, ssim) for name, (psnr, ssim) in quality["images"].items()}
        values["quality"] = Quality(**quality)
    height, width = values["input_size"]
    return Measurement(**{**values, "input_size": (height, width)})
