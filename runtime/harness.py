"""A whole run of the harness on the machine that this process runs on.

The command calls it here, the agent on a device that is reached over ssh: numpy and the standard
library only.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from ailsr.runtime import bench_process, protocol
from ailsr.runtime.bench import Failure, Measurement, Quality, Request
from ailsr.runtime.engines import available_cores
from ailsr.runtime.host import Host
from ailsr.runtime.protocol import PROTOCOL, Protocol
from ailsr.runtime.resize import enlarge
from ailsr.runtime.results import Results

Report = Callable[[str, float], None]
"""Called with (what comes next, files that are done; fractions for a part of one)."""


@dataclass(frozen=True)
class Plan:
    """What to measure and how: what one device is told."""

    files: tuple[str, ...]
    threads: int | None
    """None: every core of the device."""
    runs: int
    seconds: float
    images: str | None = None
    """Folder of high-resolution pictures for PSNR and SSIM; None: latency only."""
    protocol: Protocol = PROTOCOL


def measure_files(plan: Plan, report: Report) -> Results:
    """Every file in a process of its own, then the bicubic baseline at each scale."""
    threads = plan.threads or available_cores()
    host, date = Host.here(), datetime.now(UTC).astimezone()
    files: list[Measurement | Failure] = []
    for file in plan.files:
        request = Request(file, threads, plan.runs, plan.seconds, plan.images, plan.protocol)

        def file_report(what: str, share: float, name: str = Path(file).name) -> None:
            report(f"{name}: {what}", len(files) + share)

        files.append(bench_process.measure(request, file_report))
    scales = {file.scale for file in files if isinstance(file, Measurement)}
    bicubic = {}
    if plan.images:
        report("bicubic", len(files))
        bicubic = {
            scale: bicubic_quality(Path(plan.images), scale, plan.protocol) for scale in scales
        }
    return Results(
        host, date, threads, plan.runs, plan.seconds, plan.protocol, plan.images, files, bicubic
    )


def bicubic_quality(images: Path, scale: int, protocol_name: Protocol) -> Quality:
    """The baseline: MATLAB's bicubic interpolation of the same pictures."""
    pairs = protocol.pairs(images, scale)
    return Quality.of_scores(
        protocol.evaluate(lambda rgb: enlarge(rgb, scale), pairs, protocol_name)
    )
