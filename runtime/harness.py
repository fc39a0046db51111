"""A whole run of the harness on the machine that this process runs on.

The command calls it here, the agent on a device that is reached over ssh: numpy and the standard
library only.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from ailsr.runtime import bench_process, cores, protocol
from ailsr.runtime.bench import Failure, Measurement, Quality, Request
from ailsr.runtime.engines import available_cores, chosen_engines, timed_engine
from ailsr.runtime.host import Host
from ailsr.runtime.protocol import PROTOCOL, Protocol
from ailsr.runtime.resize import enlarge
from ailsr.runtime.resizer import Library, Resizer
from ailsr.runtime.results import Results
from ailsr.runtime.system import System

Report = Callable[[str, float], None]
"""Called with (what comes next, files that are done; fractions for a part of one)."""


@dataclass(frozen=True)
class Plan:
    """What to measure and how: what one device is told. As JSON it goes to other machines."""

    files: Sequence[str]
    threads: int | None
    """None: every core that is used."""
    runs: int
    seconds: float
    images: str | None = None
    """Folder of high-resolution pictures for PSNR and SSIM; None: latency only."""
    protocol: Protocol = PROTOCOL
    engine: Sequence[str] = ()
    """ENDING=ENGINE, as ``chosen_engines`` takes them."""
    baseline: Sequence[str] = ()
    """Libraries whose interpolation is measured, too."""
    relative_to: int = 0
    """Place of the file that the latencies of the others are related to."""
    cores: str | None = None
    """What ``cores.choose`` takes; None: any."""
    sustained_minutes: float = 0.0


def measure_files(plan: Plan, report: Report) -> Results:
    """Every file in a process of its own, taking turns; then baselines, beside the first file."""
    threads = plan.threads or available_cores()
    if plan.cores:
        threads = plan.threads or len(cores.choose(plan.cores, System()))
    host, date = Host.here(), datetime.now(UTC).astimezone()
    engines = chosen_engines(plan.engine)

    def request(file: str, engine: str | None) -> Request:
        return Request(
            file=file,
            threads=threads,
            runs=plan.runs,
            seconds=plan.seconds,
            images=plan.images,
            protocol=plan.protocol,
            engine=engine,
            cores=plan.cores,
            sustained_minutes=plan.sustained_minutes,
        )

    # The baseline of the ratios is the first; the others stay in order.
    places = sorted(range(len(plan.files)), key=lambda place: place != plan.relative_to)
    paths = [Path(plan.files[place]) for place in places]
    shares = [0.0] * len(paths)

    def file_report(place: int, what: str, share: float) -> None:
        shares[place] = max(shares[place], share)
        report(f"{paths[place].name}: {what}", sum(shares))

    requests = [
        request(str(path), engines.get(path.suffix.lower()) or timed_engine(path)) for path in paths
    ]
    found = bench_process.measure_side_by_side(requests, file_report)
    files = [file for _, file in sorted(zip(places, found, strict=True), key=lambda f: f[0])]
    report("bicubic", len(files))
    if resizers := _resizers(plan.baseline, files):
        beside = [replace(requests[0], images=None, sustained_minutes=0.0)]
        beside += [request(str(resizer), None) for resizer in resizers]
        files += bench_process.measure_side_by_side(beside, lambda *_: None)[1:]
    bicubic = {}
    if plan.images:
        scales = {file.scale for file in files if isinstance(file, Measurement)}
        bicubic = {
            scale: bicubic_quality(Path(plan.images), scale, plan.protocol) for scale in scales
        }
    return Results(
        host=host,
        date=date,
        threads=threads,
        runs=plan.runs,
        seconds=plan.seconds,
        protocol=plan.protocol,
        images=plan.images,
        files=files,
        bicubic=bicubic,
        cores=plan.cores,
        sustained_minutes=plan.sustained_minutes,
    )


def _resizers(libraries: Sequence[str], files: Sequence[Measurement | Failure]) -> list[Resizer]:
    """The interpolations to measure: for each scale and size that ``files`` have."""
    jobs = {(f.scale, f.input_size): None for f in files if isinstance(f, Measurement)}
    return [Resizer(Library(name), *job) for job in jobs for name in dict.fromkeys(libraries)]


def bicubic_quality(images: Path, scale: int, protocol_name: Protocol) -> Quality:
    """The baseline: MATLAB's bicubic interpolation of the same pictures."""
    pairs = protocol.pairs(images, scale)
    return Quality.of_scores(
        protocol.evaluate(lambda rgb: enlarge(rgb, scale), pairs, protocol_name)
    )
