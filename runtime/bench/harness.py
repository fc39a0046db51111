"""A whole run of the harness on the machine that this process runs on.

The command calls it here, the agent on a device that is reached over ssh: numpy, Pillow and the
standard library only.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from ailsr.runtime.bench import cores
from ailsr.runtime.bench.host import Host
from ailsr.runtime.bench.intervals import LEVEL, decides, mean_interval
from ailsr.runtime.bench.latency import MIN_RUNS
from ailsr.runtime.bench.measurement import Failure, Measurement
from ailsr.runtime.bench.quality import judge, judge_without_reference
from ailsr.runtime.bench.request import Request
from ailsr.runtime.bench.results import Results
from ailsr.runtime.bench.rounds import PROCESSES, measure_in_rounds
from ailsr.runtime.bench.system import System
from ailsr.runtime.engines.engine import available_cores
from ailsr.runtime.engines.registry import AUTO, chosen_engines, timed_engine
from ailsr.runtime.engines.resizer import Library, Resizer, check_installed
from ailsr.runtime.imaging.degradation import BICUBIC, Degradation, DegradationJson
from ailsr.runtime.imaging.metrics import ALWAYS, MetricName, taken
from ailsr.runtime.imaging.no_reference import NO_REFERENCE, NoReference
from ailsr.runtime.imaging.protocol import PROTOCOL, Protocol, Quality, protocol_name
from ailsr.runtime.imaging.resize import enlarge
from ailsr.runtime.progress import Progress, silent
from ailsr.runtime.upscaling.auto_engine import choose
from ailsr.runtime.video.clip import Clip


@dataclass(frozen=True)
class Plan:
    """What to measure and how: what one device is told."""

    files: tuple[str, ...]
    threads: int | None
    """None: every core of the device, or of ``cores``."""
    runs: int
    seconds: float
    images: str | None = None
    """Folder of high-resolution images for the metrics; None: latency only."""
    no_reference: bool = False
    """As of ``Request``."""
    video: bool = False
    """As of ``Request``, like ``start`` and ``end``."""
    start: str | None = None
    end: str | None = None
    protocol: Protocol = PROTOCOL
    degradation: DegradationJson = "bicubic"
    """What makes the low-resolution images."""
    metrics: tuple[MetricName, ...] = ALWAYS
    """Those to show; files are ranked by the first."""
    engines: tuple[str, ...] = ()
    """Choices like ``tflite=compiled``."""
    cores: str | None = None
    """Those to run on, as ``cores.choose`` takes them; None: any."""
    sustained_minutes: float = 0.0
    relative_to: int = 0
    """The place of the file that the latencies of the others are related to."""
    baselines: tuple[Library, ...] = ()
    """Whose bicubic resize is measured, too, at the sizes of the files."""
    processes: int = PROCESSES
    """Fresh processes for each file; ``runs`` and ``seconds`` are shared among them, and there are
    fewer where one would have less than ``MIN_RUNS`` of the runs."""
    pairs: tuple[tuple[int, int], ...] = ()
    """Places of the files that are compared, each with (new, old); () compares all with one."""
    percent: float | None = None
    """Pairs are measured in more processes until they tell whether a file is slower by more than so
    many percent, or there are ``MOST_PROCESSES``."""

    @property
    def clip(self) -> Clip | None:
        """The video to measure on; None: images."""
        return Clip(Path(self.images), self.start, self.end) if self.images and self.video else None

    @property
    def protocol_name(self) -> str:
        """The protocol as reports name it."""
        if self.no_reference:
            return NO_REFERENCE
        return protocol_name(self.protocol, Degradation.from_json(self.degradation))


def measure_files(plan: Plan, progress: Progress) -> Results:
    """Every file in a process of its own, taking turns; then the baselines, beside one file.

    ``progress`` counts files, in fractions for a part of one.

    Raises UsageError for an engine or cores that do not exist, EngineError for a library that is
    not installed.
    """
    chosen = None if plan.cores is None else cores.choose(plan.cores, System())
    threads = plan.threads or (available_cores() if chosen is None else len(chosen))
    engines = chosen_engines(plan.engines)
    for library in plan.baselines:
        check_installed(Library(library))
    computed = taken(plan.metrics, plan.video)
    degradation = Degradation.from_json(plan.degradation)
    host, date = Host.here(), datetime.now(UTC).astimezone()

    why: dict[str, str] = {}

    def engine_of(path: Path) -> str | None:
        engine = engines.get(path.suffix.lower())
        if engine == AUTO:
            progress(f"{path.name}: engines", 0, len(plan.files))
            choice = choose(path, threads, cores=chosen)
            why[str(path)] = choice.why
            return choice.engine
        return engine or timed_engine(path)

    def request(file: str) -> Request:
        path = Path(file)
        return Request(
            file=file,
            threads=threads,
            runs=plan.runs,
            seconds=plan.seconds,
            images=plan.images,
            no_reference=plan.no_reference,
            video=plan.video,
            start=plan.start,
            end=plan.end,
            protocol=plan.protocol,
            degradation=plan.degradation,
            metrics=computed,
            engine=engine_of(path),
            cores=plan.cores,
            sustained_minutes=plan.sustained_minutes,
        )

    processes = max(1, min(plan.processes, plan.runs // MIN_RUNS))
    requests = [request(file) for file in plan.files]
    order = sorted(range(len(requests)), key=lambda place: place != plan.relative_to)
    groups = [[old, new] for new, old in plan.pairs] or [order]
    order = [place for group in groups for place in group]
    shares = [0.0] * len(order)

    def tell(number: int, what: str, done: float, of: float) -> None:
        shares[number] = max(shares[number], done / of)
        progress(f"{Path(plan.files[order[number]]).name}: {what}", sum(shares), len(shares))

    measured = measure_in_rounds(
        [[requests[place] for place in group] for group in groups],
        [partial(tell, number) for number in range(len(order))],
        processes,
        lambda files: plan.percent is None or decided(files, plan.percent),
    )
    files = [measured.files[order.index(place)] for place in range(len(order))]
    files = [
        replace(file, engine_choice=why.get(file.file)) if isinstance(file, Measurement) else file
        for file in files
    ]
    if resizers := _resizers(plan.baselines, files):
        progress("bicubic", len(files), len(files))
        beside = [replace(requests[order[0]], images=None, sustained_minutes=0.0)]
        beside += [replace(request(str(resizer)), engine=None) for resizer in resizers]
        found = measure_in_rounds([beside], [silent] * len(beside), processes)
        files += found.files[1:]
    scales = {file.scale for file in files if isinstance(file, Measurement)}
    bicubic, before = {}, {}
    if plan.images and plan.no_reference:
        progress("bicubic", len(plan.files), len(plan.files))
        before = unreferenced(Path(plan.images), scales)
    elif plan.images:
        progress("bicubic", len(plan.files), len(plan.files))
        judged = {
            scale: bicubic_quality(
                plan.clip or Path(plan.images), scale, plan.protocol, computed, degradation
            )
            for scale in scales
        }
        bicubic = {scale: quality for scale, quality in judged.items() if quality}
    return Results(
        host=host,
        date=date,
        threads=threads,
        runs=plan.runs,
        seconds=plan.seconds,
        protocol=plan.protocol_name,
        images=plan.images,
        video_part=plan.clip.part if plan.clip else None,
        files=files,
        bicubic=bicubic,
        before=before,
        cores=plan.cores,
        sustained_minutes=plan.sustained_minutes,
        processes=measured.processes,
        reference=measured.reference,
        metrics=tuple(plan.metrics),
    )


def decided(files: Sequence[Measurement | Failure], percent: float) -> bool:
    """Whether every ratio among ``files`` tells if the file is slower by more than ``percent``."""
    ratios = [file.ratio for file in files if isinstance(file, Measurement) and file.ratio]
    return all(
        len(ratio.processes) > 1 and decides(mean_interval(ratio.processes, LEVEL), percent)
        for ratio in ratios
    )


def _resizers(
    libraries: Sequence[Library], files: Sequence[Measurement | Failure]
) -> list[Resizer]:
    """The interpolations to measure: for each scale and size that ``files`` have."""
    measured = [file for file in files if isinstance(file, Measurement)]
    jobs = {(f.scale, f.input_size): None for f in measured if f.scale > 1}
    chosen = dict.fromkeys(map(Library, libraries))
    return [Resizer(library, *job) for job in jobs for library in chosen]


def bicubic_quality(
    images: Path | Clip,
    scale: int,
    comparison: Protocol,
    metrics: Sequence[MetricName] = ALWAYS,
    degradation: Degradation = BICUBIC,
) -> Quality | None:
    """The baseline of quality: MATLAB's bicubic interpolation of the same images or video, which at
    scale 1 leaves them as they are."""
    up = partial(enlarge, scale=scale)
    if isinstance(images, Clip):
        from ailsr.runtime.video.quality import judge_video  # images need none of FFmpeg

        return judge_video(up, images, scale, comparison, metrics, degradation)[0]
    return judge(up, images, scale, comparison, metrics, degradation)[0]


def unreferenced(images: Path, scales: Iterable[int]) -> dict[tuple[str, int], NoReference]:
    """The figures of images without a truth as they are, and enlarged by bicubic interpolation."""
    versions = {("input", 1): lambda rgb: rgb}
    versions |= {("bicubic", s): partial(enlarge, scale=s) for s in sorted(scales) if s > 1}
    found = {key: judge_without_reference(up, images, key[1])[0] for key, up in versions.items()}
    return {key: figures for key, figures in found.items() if figures}
