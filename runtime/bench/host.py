"""The machine that a measurement was made on, as far as it tells."""

from __future__ import annotations

import os
import platform
from dataclasses import dataclass

from ailsr.runtime.cpu import cpu_model, read_text
from ailsr.runtime.engines.engine import available_cores


@dataclass(frozen=True)
class Host:
    """What decides latency besides the file itself."""

    cpu: str
    """Model name of the processor or the board."""
    cores: int
    """Logical cores that this process may use."""
    memory_bytes: int | None
    os: str
    machine: str
    """Instruction set, for example ``x86_64`` or ``aarch64``."""
    python: str
    governor: str | None
    """Frequency governor of the first core, for example ``performance``; None when hidden."""
    load_average: float | None
    """Mean number of running processes over the last minute: near 0 on an idle machine."""
    device: str | None = None
    """Name of the phone; None where ``cpu`` is all that tells."""

    @classmethod
    def here(cls) -> Host:
        """The machine that runs this process."""
        return cls(
            cpu=cpu_model(),
            cores=available_cores(),
            memory_bytes=_memory_bytes(),
            os=_os_name(),
            machine=platform.machine(),
            python=platform.python_version(),
            governor=read_text("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"),
            load_average=round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None,
        )


def _os_name() -> str:
    kernel = f"{platform.system()} {platform.release()}"
    try:
        return f"{platform.freedesktop_os_release()['PRETTY_NAME']}, {kernel}"
    except (OSError, KeyError):
        return kernel


def _memory_bytes() -> int | None:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return None
