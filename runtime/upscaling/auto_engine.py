"""``auto``: the fastest engine that computes a file rightly on this machine, measured once.

Each engine that is installed runs the file for about a second in a process of its own
(``auto_engine_run.py``), so that one that crashes or hangs is only left out, and answers the
fidelity probe of the file's card; where there is none, it is compared with the first engine's
answer. The figures are kept in ``~/.cache/ailsr/engines`` for this file, by its SHA-256, and this
machine: its processor, the cores and threads that are used and the versions of the engines. Those
of a machine that had other work meanwhile count only for the processes that run by then.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ailsr.runtime.cpu import busy_seconds, cpu_model
from ailsr.runtime.documents import dump, parse
from ailsr.runtime.engines import trial
from ailsr.runtime.engines.engine import available_cores
from ailsr.runtime.engines.named_files import missing
from ailsr.runtime.engines.providers import PACKAGES
from ailsr.runtime.engines.registry import AUTO, installed_engines, timed_engine
from ailsr.runtime.errors import EngineError
from ailsr.runtime.files import atomic_output, cache_folder, sha256
from ailsr.runtime.locks import wait_for_lock
from ailsr.runtime.rules import check, items, number, one_of, optional, text
from ailsr.runtime.version import VERSION

SECONDS = 1.0
"""For which each engine runs a file."""
TIMEOUT = 2 * trial.SECONDS + 60
"""Seconds after which one is given up: it is tried first, and some compile a file for a minute."""
BUSY_PERCENT = 10.0
"""Of the machine's processor time: more for other processes, and the figures are not kept."""
_STARTED = time.time()
_PACKAGES = (*PACKAGES, "ai-edge-litert", "tflite-runtime", "coremltools")


@dataclass(frozen=True)
class Timed:
    """What came of running a file with one engine."""

    engine: str
    verdict: str
    """exact, within, wrong; ``failed``: it did not run; ``first``: others are compared with it."""
    ms: float | None = None
    """Median of a run at the file's input size; None: it did not run."""
    why: str = ""
    """What is wrong, in one line."""

    @property
    def is_right(self) -> bool:
        return self.verdict not in ("wrong", "failed")

    def __str__(self) -> str:
        if self.ms is None:
            return f"{self.engine} does not run"
        wrong = f", but {self.why}" if self.verdict == "wrong" else ""
        return f"{self.engine} {self.ms:.3g} ms{wrong}"


@dataclass(frozen=True)
class Figures:
    """What came of all engines."""

    engines: list[Timed]
    others_percent: float | None
    """Of the machine's processor time, what other processes took meanwhile; None: not known."""

    @property
    def was_busy(self) -> bool:
        """The machine had other work."""
        return (self.others_percent or 0.0) > BUSY_PERCENT


@dataclass(frozen=True)
class Choice:
    """The engine for a file on this machine."""

    engine: str | None
    """None: there is none, which whoever opens the file is told."""
    why: str
    """In one line."""


def resolved(
    path: Path,
    engine: str | None,
    threads: int | None,
    say: Callable[[str], None],
    cores: Sequence[int] | None = None,
) -> str | None:
    """``engine``, or what ``auto`` stands for, of which ``say`` is told. Raises as ``choose``."""
    if engine != AUTO:
        return engine
    choice = choose(path, threads, cores=cores)
    say(f"{path.name}: {choice.why}")
    return choice.engine


def choose(
    path: Path,
    threads: int | None = None,
    seconds: float = SECONDS,
    cores: Sequence[int] | None = None,
) -> Choice:
    """The fastest engine that computes the file at ``path`` rightly, on ``threads`` CPU threads
    (None: one for each core) of ``cores`` (None: all that there are), measured now or remembered.

    Raises ModelError for a file that is not there, EngineError when no engine computes it rightly.
    """
    if not path.exists():
        raise missing(path)
    names = installed_engines(path)
    if len(names) < 2 or path.is_dir():
        name = timed_engine(path) or next(iter(names), None)
        return Choice(name, f"engine {name}, the only one here")
    cores = sorted(cores or usable_cores())
    threads = threads or len(cores)
    known = _Memory.of(path, threads, cores, names)
    if (figures := known.read()) is None:
        with known.alone():
            figures, again = known.read(), ""  # another process may just have measured
            if figures is None:
                figures = _measure(path, names, threads, cores, seconds)
                known.write(figures)
    else:
        again = ", measured before"
    timed = figures.engines
    right = sorted((t for t in timed if t.is_right and t.ms is not None), key=_ms)
    if not right:
        raise EngineError(
            f"{path}: --engine auto finds no engine that computes it rightly here ("
            f"{'; '.join(t.why or str(t) for t in timed)})"
        )
    others = [str(t) for t in (*right[1:], *(t for t in timed if t not in right))]
    why = (
        f"engine {right[0].engine}, the fastest right one{again}: {right[0].ms:.3g} ms a run; "
        + ", ".join(others)
    )
    if figures.was_busy:
        why += (
            f"; other processes took {figures.others_percent:.0f} % of the processor meanwhile: "
            "it will be measured anew"
        )
    return Choice(right[0].engine, why)


def usable_cores() -> list[int]:
    """The numbers of the cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return list(range(available_cores()))


def _measure(
    path: Path, names: list[str], threads: int, cores: Sequence[int], seconds: float
) -> Figures:
    """Each of the engines ``names``, one after the other, on ``cores``."""
    found: list[Timed] = []
    probe = None
    began, busy, own = time.perf_counter(), busy_seconds(), _own_seconds()
    for name in names:
        request = {"file": str(path), "engine": name, "threads": threads, "seconds": seconds}
        answer = _run({**request, "cores": cores, "probe": probe})
        probe = probe or answer.pop("probe", None)
        found.append(Timed(name, **answer))
    now, others = busy_seconds(), None
    if busy is not None and now is not None:
        all_cores = (time.perf_counter() - began) * (os.cpu_count() or 1)
        others = 100 * (now - busy - (_own_seconds() - own)) / all_cores
        others = round(min(100.0, max(0.0, others)), 1)
    return Figures(found, others)


def _own_seconds() -> float:
    """Processor time of this process and those of its children that have ended."""
    return sum(os.times()[:4])


def _run(request: dict[str, Any]) -> dict[str, Any]:
    """What ``auto_engine_run.py`` says to ``request``: the fields of ``Timed`` but its name."""
    command = [sys.executable, "-P", "-m", "ailsr.runtime.upscaling.auto_engine_run"]
    try:
        done = subprocess.run(
            command,
            input=json.dumps(request),
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            env={**os.environ, "PYTHONIOENCODING": "utf-8"},
            timeout=TIMEOUT,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return {"verdict": "failed", "why": f"{request['engine']} ran for over {TIMEOUT:g} s"}
    with contextlib.suppress(ValueError, IndexError):
        answer = parse(done.stdout.splitlines()[-1])
        if isinstance(answer, dict):
            return answer
    return {"verdict": "failed", "why": f"{request['engine']} ended with code {done.returncode}"}


@dataclass(frozen=True)
class _Memory:
    """Where the figures of a file on this machine are kept; None: nowhere."""

    path: Path | None
    names: tuple[str, ...]

    @classmethod
    def of(cls, path: Path, threads: int, cores: Sequence[int], names: list[str]) -> _Memory:
        folder = cache_folder()
        versions = {package: _version(package) for package in _PACKAGES}
        machine = [cpu_model(), platform.machine(), threads, [*cores], names, versions, VERSION]
        key = hashlib.sha256(dump([sha256(path), machine], compact=True).encode()).hexdigest()
        return cls(folder and folder / "engines" / f"{key}.json", tuple(names))

    def read(self) -> Figures | None:
        """What is known; None: nothing that counts, or what is there is damaged."""
        entry = {
            "engine": one_of(*self.names),
            "verdict": one_of("exact", "within", "wrong", "failed", "first"),
            "ms": optional(number(0)),
            "why": text(),
        }
        if self.path is None:
            return None
        count = len(self.names)
        rules = {
            "engines": items(lambda found: Timed(**check(found, entry, len(entry))), count, count),
            "others_percent": optional(number(0)),
        }
        try:
            found = check(parse(self.path.read_bytes()), rules, len(rules))
            figures = Figures(list(found["engines"]), found["others_percent"])
            is_recent = self.path.stat().st_mtime >= _STARTED
            return figures if is_recent or not figures.was_busy else None
        except (OSError, ValueError):
            return None

    def write(self, figures: Figures) -> None:
        """Keep ``figures``; where that cannot be, they are measured again another time."""
        if self.path is not None:
            with contextlib.suppress(OSError), atomic_output(self.path) as temporary:
                temporary.write_text(dump(asdict(figures), indent=2), encoding="utf-8")

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        """While no other process measures: each would slow the other down."""
        with contextlib.ExitStack() as stack:
            if self.path is not None:
                with contextlib.suppress(OSError):
                    self.path.parent.mkdir(parents=True, exist_ok=True)
                    lock = stack.enter_context(self.path.with_name(".lock").open("a"))
                    wait_for_lock(lock.fileno())
            yield


def _version(package: str) -> str | None:
    from importlib.metadata import PackageNotFoundError, version  # slow to import

    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _ms(timed: Timed) -> float:
    return timed.ms or 0.0
