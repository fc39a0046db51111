"""A trial of a file in a process of its own, before this one loads it.

Engines do what a file says: a damaged one may end the process, a made-up one may loop for ever or
take all memory, and whoever changes a file can seal it again. So each file is loaded and run once
by ``python -m ailsr.runtime.engines.trial FILE``, within limits of time and memory; how that went
decides. What has passed is remembered by its SHA-256 in ``~/.cache/ailsr/tried``, so that it
is tried once and not in every run. It is no sandbox: the limits are on the engine, not on code.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ailsr.runtime.errors import AilsrError, ModelError
from ailsr.runtime.files import cache_folder, sha256
from ailsr.runtime.version import VERSION

SECONDS = 120
"""After which a trial has failed: an inference takes seconds at most."""
MEMORY = 4 << 30
"""Bytes that a trial may take, or three quarters of the machine's if that is less."""
TRIED = (".onnx", ".tflite")
"""Endings of the files that are tried."""
_REFUSED = 3
_OUT_OF_MEMORY = 4


def survives_trial(
    path: Path,
    engine: str | None = None,
    *,
    seconds: float = SECONDS,
    memory: int = MEMORY,
) -> None:
    """Raise ModelError, without the path, when the file at ``path`` cannot be run once, at its own
    input size. ``engine`` as for ``open_engine``.
    """
    passed = _record(path, engine)
    if passed.exists():
        return
    memory = min(memory, _physical_memory() * 3 // 4)
    options = [str(path), engine or "", str(memory)]
    command = [sys.executable, "-P", "-m", "ailsr.runtime.engines.trial", *options]
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            env={**os.environ, "PYTHONIOENCODING": "utf-8"},
            timeout=seconds,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise ModelError(
            f"it was still running after {seconds:g} s: it is damaged, or too large for this "
            "machine"
        ) from error
    if done.returncode != 0:
        raise ModelError(_reason(done, memory))
    with contextlib.suppress(OSError):  # then it is tried again
        passed.parent.mkdir(parents=True, exist_ok=True)
        passed.touch()


def _reason(done: subprocess.CompletedProcess[str], memory: int) -> str:
    """Why the trial did not pass."""
    if done.returncode == _REFUSED:
        return done.stdout.strip()
    if done.returncode == _OUT_OF_MEMORY or "bad_alloc" in done.stderr:
        return (
            f"it takes more than {memory / 2**30:.1f} GB of memory: it is damaged, or too large "
            "for this machine"
        )
    if done.returncode < 0:
        with contextlib.suppress(ValueError):
            name = signal.Signals(-done.returncode).name
            return (
                f"the engine crashes on it ({name}): it is damaged, or needs a newer runtime; "
                "copy or convert it again"
            )
    words = [line.strip() for line in done.stderr.splitlines() if line.strip()]
    last = words[-1][:300] if words else "it said nothing"
    return f"its trial in a process of its own ended with exit code {done.returncode} ({last})"


def _record(path: Path, engine: str | None) -> Path:
    """What is there when the file has passed its trial."""
    cache = cache_folder() or Path(os.devnull)
    return cache / "tried" / f"{sha256(path)}-{engine or 'any'}-{VERSION}"


def _physical_memory() -> int:
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (ValueError, OSError, AttributeError):  # where the system does not tell
        return 2 * MEMORY


def _limit_memory(memory: int) -> None:
    """Let allocations fail that exceed ``memory``, on systems that can."""
    with contextlib.suppress(ImportError, ValueError, OSError):
        import resource

        resource.setrlimit(resource.RLIMIT_DATA, (memory, memory))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def main(arguments: Sequence[str]) -> int:
    """Load and run the file; the exit code."""
    from ailsr.runtime.engines.engine import open_engine

    path, engine, memory = arguments
    _limit_memory(int(memory))
    try:
        opened = open_engine(Path(path), 1, trusted=True, engine=engine or None)
        opened.run(np.zeros((*opened.input_size, 3), opened.pixels))
    except MemoryError:
        return _OUT_OF_MEMORY
    except AilsrError as error:
        text = str(error)
        if "bad_alloc" in text or "bad allocation" in text or "Failed to allocate" in text:
            return _OUT_OF_MEMORY
        sys.stdout.write(text.removeprefix(f"{path}: "))
        return _REFUSED
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
