"""A request to a worker process: what to measure of one file."""

from __future__ import annotations

from dataclasses import dataclass

from ailsr.runtime.bench.latency import BLOCKS
from ailsr.runtime.imaging.degradation import DegradationJson
from ailsr.runtime.imaging.metrics import ALWAYS, MetricName
from ailsr.runtime.imaging.protocol import PROTOCOL, Protocol


@dataclass(frozen=True)
class Request:
    """What to measure of one file, and for how long."""

    file: str
    """Its path, or the name of a ``Resizer``."""
    threads: int | None
    """None: as many as the process may use cores."""
    runs: int
    """Runs measured of the inference and of the whole path, in turn, in this process."""
    seconds: float
    """Time allowed for each of the two; a slow file is measured with fewer runs."""
    images: str | None = None
    """Folder of high-resolution images for the metrics; None: latency only."""
    no_reference: bool = False
    """They are themselves upscaled, and have the figures of ``no_reference.py``."""
    video: bool = False
    """``images`` is a video, whose frames are the high-resolution images."""
    start: str | None = None
    """Of the video, as ``Clip`` has it."""
    end: str | None = None
    protocol: Protocol = PROTOCOL
    metrics: tuple[MetricName, ...] = ALWAYS
    """Those to compute."""
    degradation: DegradationJson = "bicubic"
    """What makes the low-resolution images."""
    engine: str | None = None
    """Which engine for the file's ending; None: one that is installed."""
    cores: str | None = None
    """What ``cores.choose`` takes: the cores that the process is confined to; None: any."""
    sustained_minutes: float = 0.0
    """How long the inference is repeated without a pause, after all else was timed."""
    blocks: int = BLOCKS
    """Parts that the runs are made in."""
    only_latency: bool = False
    """Latency and memory alone: another process has measured the rest."""
    in_turn: bool = False
    """The worker hands its turn over between blocks of runs, and waits to be given it again."""
