"""The processor of this machine."""

from __future__ import annotations

import os
import platform
import re
import subprocess
from pathlib import Path


def cpu_model() -> str:
    """Model name of the processor or the board."""
    if platform.system() == "Darwin":
        command = ["/usr/sbin/sysctl", "-n", "machdep.cpu.brand_string"]
        return subprocess.run(command, capture_output=True, text=True).stdout.strip()
    # Arm kernels name the board in the device tree, and no model in cpuinfo.
    board = read_text("/proc/device-tree/model")
    cpuinfo = read_text("/proc/cpuinfo") or ""
    model = re.search(r"^(?:model name|Model|Hardware)\s*:\s*(.+)$", cpuinfo, re.MULTILINE)
    return board or (model and model[1].strip()) or platform.processor() or platform.machine()


def busy_seconds() -> float | None:
    """Processor time that all processes of this machine took since it started, over all cores;
    None where the system does not tell: outside Linux, on Android."""
    found = re.match(r"cpu +([\d ]+)", read_text("/proc/stat") or "")
    fields = [int(field) for field in found[1].split()] if found else []
    if len(fields) < 8:
        return None
    idle, waiting = fields[3], fields[4]
    return (sum(fields[:7]) - idle - waiting) / os.sysconf("SC_CLK_TCK")


def read_text(path: str) -> str | None:
    """The file's text without blanks and zeros around it; None when it is empty or unreadable."""
    try:
        return Path(path).read_text(errors="replace").strip(" \n\t\0") or None
    except OSError:
        return None
