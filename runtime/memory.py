"""Memory of this process in bytes: now, at most so far, and as a limit that a user names."""

from __future__ import annotations

import re
import sys
from pathlib import Path

from ailsr.runtime.errors import UsageError

_UNITS = {"": 1, "K": 2**10, "M": 2**20, "G": 2**30}


def parse_size(text: str) -> int:
    """Bytes that ``text`` names: ``512M``, ``1.5G``; K, M and G are powers of 1024.

    Raises UsageError for anything else.
    """
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([KMG]?)B?", text.strip().upper())
    if not found:
        raise UsageError(f"'{text}' is no amount of memory: write it as in 512M or 2G")
    return int(float(found[1]) * _UNITS[found[2]])


def megabytes(size: float) -> str:
    """``size`` in bytes as ``parse_size`` reads it, rounded up to whole megabytes."""
    return f"{-int(-size // 2**20)}M"


def resident_bytes() -> int:
    """Resident memory of this process; where the system does not tell, its peak, or 0."""
    return _status("VmRSS") or peak_memory_bytes() or 0


def peak_memory_bytes() -> int | None:
    """The most resident memory that this process has had; None where the system does not tell.

    On Linux from VmHWM: getrusage's figure starts at that of the process which forked this one.
    """
    if found := _status("VmHWM"):
        return found
    try:
        import resource
    except ImportError:  # Windows
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def _status(name: str) -> int | None:
    try:
        status = Path("/proc/self/status").read_text()
    except OSError:
        return None
    found = re.search(rf"^{name}:\s*(\d+) kB", status, re.MULTILINE)
    return int(found[1]) * 1024 if found else None
