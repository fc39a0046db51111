"""A trial of a file in a process of its own, before this one loads it.

Engines do what a file says: a damaged one may end the process, a made-up one may loop for ever or
take all memory, and whoever changes a file can seal it again. So each file is loaded and run once
by ``trial_run.py``, within limits of time and memory; its exit code decides. A file that has passed
is remembered by its SHA-256 in ``~/.cache/ailsr/tried``, so that it is tried once and not in every
run. It is no sandbox: the limits are on the engine, not on code.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from pathlib import Path

from ailsr.runtime.errors import ModelError, one_line
from ailsr.runtime.files import cache_folder, sha256
from ailsr.runtime.version import VERSION

SECONDS = 120
"""After which a trial has failed: an inference takes seconds at most."""
MEMORY = 4 << 30
"""Bytes that a trial may take, or three quarters of the machine's if that is less."""
TRIED = (".onnx", ".tflite")
"""Endings of the files that are tried."""
REFUSED, OUT_OF_MEMORY = 3, 4
"""Exit codes of ``trial_run.py``."""


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
    command = [sys.executable, "-P", "-m", "ailsr.runtime.engines.trial_run", *options]
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
    """The reason why the trial did not pass."""
    if done.returncode == REFUSED:
        return done.stdout.strip()
    if done.returncode == OUT_OF_MEMORY or "bad_alloc" in done.stderr:
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
    last = one_line(words[-1]) if words else "it said nothing"
    return f"its trial in a process of its own ended with exit code {done.returncode} ({last})"


def _record(path: Path, engine: str | None) -> Path:
    """The file that exists when the one at ``path`` has passed its trial."""
    cache = cache_folder() or Path(os.devnull)
    return cache / "tried" / f"{sha256(path)}-{engine or 'any'}-{VERSION}"


def _physical_memory() -> int:
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (ValueError, OSError, AttributeError):  # where the system does not tell
        return 2 * MEMORY
