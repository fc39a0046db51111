"""Which cores a measurement runs on: ``--cores big``, ``little``, or their numbers."""

from __future__ import annotations

import os
import re

from ailsr.runtime.bench.system import System
from ailsr.runtime.errors import UsageError


def choose(wanted: str, system: System) -> list[int]:
    """The numbers of the cores that ``wanted`` names: ``big``, ``little``, ``0,1`` or ``4-7``.

    ``little`` are the slowest cores, by the kernel's capacities or else the highest clocks; ``big``
    are all others. Raises UsageError when that names none, or a core that there is not.
    """
    cores = system.all_cores() or list(range(os.cpu_count() or 1))
    if wanted in ("big", "little"):
        strengths = {core: system.strength(core) or 0 for core in cores}
        least = min(strengths.values())
        chosen = [core for core in cores if (strengths[core] > least) == (wanted == "big")]
        if len(set(strengths.values())) == 1:
            raise UsageError(
                f"--cores {wanted}: the {len(cores)} cores of this machine are all alike; "
                f"name some, as in --cores {cores[0]}"
            )
        return chosen
    chosen = []
    for part in wanted.split(","):
        found = re.fullmatch(r"\s*(\d+)(?:-(\d+))?\s*", part)
        if not found:
            raise UsageError(f"--cores {wanted}: give big, little, or numbers as in 0,1 or 4-7")
        chosen += range(int(found[1]), int(found[2] or found[1]) + 1)
    if not chosen or not set(chosen) <= set(cores):
        raise UsageError(
            f"--cores {wanted}: this machine has cores {cores[0]} to {cores[-1]}, name some of them"
        )
    return sorted(set(chosen))


def pin(cores: list[int]) -> None:
    """Confine this process, and the threads that it will start, to ``cores``.

    Raises UsageError where the system cannot, or does not let this process use them.
    """
    if not hasattr(os, "sched_setaffinity"):
        raise UsageError("--cores: this system cannot confine a process to cores; leave it out")
    try:
        os.sched_setaffinity(0, cores)
    except OSError as error:
        raise UsageError(f"--cores: cannot run on {cores} ({error.strerror})") from error
    if refused := set(cores) - os.sched_getaffinity(0):
        raise UsageError(f"--cores: this process may not run on {sorted(refused)}")
