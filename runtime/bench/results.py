"""The outcome of one run of the harness."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from pathlib import Path

from ailsr.runtime.bench.host import Host
from ailsr.runtime.bench.measurement import Failure, Measurement
from ailsr.runtime.bench.reference import Reference
from ailsr.runtime.imaging.metrics import ALWAYS, METRICS, Metric, MetricName, titles
from ailsr.runtime.imaging.no_reference import FIGURES, NO_REFERENCE, Figure, NoReference
from ailsr.runtime.imaging.protocol import Quality
from ailsr.runtime.names import unless_shared
from ailsr.runtime.video.clip import WHOLE


@dataclass(frozen=True)
class Results:
    """Files measured in one run on one machine with the same settings."""

    host: Host
    date: datetime
    threads: int
    runs: int
    seconds: float
    protocol: str
    """As ``protocol_name`` gives it, or ``NO_REFERENCE``."""
    images: str | None
    """Folder, or video, that quality was measured on; None: not measured."""
    files: list[Measurement | Failure]
    """In the order in which they were given."""
    bicubic: dict[int, Quality] = field(default_factory=dict)
    """The baseline of quality, by scale: MATLAB's bicubic interpolation of the same images, which
    at scale 1 are left as they are."""
    before: dict[tuple[str, int], NoReference] = field(default_factory=dict)
    """Of images without a truth, by name and scale: ("input", 1) and ("bicubic", 2)."""
    device: str = "local"
    """The machine as ``--device`` names it."""
    cores: str | None = None
    """What the files were confined to, as asked for; None: nothing."""
    sustained_minutes: float = 0.0
    processes: int = 1
    """Fresh processes that each file was measured in."""
    reference: Reference | None = None
    """The reference workload, run in turn with the files; None: it was not."""
    video_part: str | None = None
    """What of a video: ``whole`` or ``from 1:30 to 2:00``; None: images were measured."""
    metrics: tuple[MetricName, ...] = ALWAYS
    """Those that are shown; files are ranked by the first."""

    @property
    def is_no_reference(self) -> bool:
        """Whether the images have no truth to be compared with."""
        return self.protocol == NO_REFERENCE

    @property
    def shown(self) -> Mapping[str, Metric | Figure]:
        """The metrics that are shown, or what images without a truth have instead, by name."""
        if self.is_no_reference:
            return dict(FIGURES)
        return {name: METRICS[name] for name in self.metrics}

    @property
    def rank_metric(self) -> Metric:
        """The metric that files are ranked by."""
        return METRICS[self.metrics[0]]

    def rank_score(self, quality: Quality | None, image: str | None = None) -> float | None:
        """The mean of ``quality`` in that metric, or an image's; None: it was not taken."""
        if quality is None:
            return None
        scores = quality.scores if image is None else quality.images.get(image, {})
        return scores.get(self.metrics[0])

    @property
    def measured(self) -> list[Measurement]:
        return [f for f in self.files if isinstance(f, Measurement)]

    @property
    def failed(self) -> list[Failure]:
        return [f for f in self.files if isinstance(f, Failure)]

    @property
    def left_out(self) -> dict[str, str]:
        """Why images were left out of some file's quality, by their names."""
        return {n: why for file in self.measured for n, why in (file.left_out or {}).items()}

    @property
    def left_out_names(self) -> list[str]:
        """The images that were left out, where not all were at once."""
        return [name for name in self.left_out if name not in self._whole]

    @property
    def untaken(self) -> str | None:
        """Why all images at once were left out of some file's quality; None: they were not."""
        return next((why for name, why in self.left_out.items() if name in self._whole), None)

    @property
    def _whole(self) -> tuple[str, ...]:
        """What stands for all images at once: the folder, or a video's name."""
        return (self.images, Path(self.images).name) if self.images else ()

    @property
    def no_quality(self) -> str | None:
        """That no file has any quality, and why, in words; None: some file has one."""
        if self.untaken is None or any(file.scores for file in self.measured):
            return None
        return f"no quality on {self.images}: {self.untaken}"

    @property
    def judged(self) -> str | None:
        """The metrics, the protocol and the images, in words; None: not measured."""
        if not self.images:
            return None
        if self.no_quality:
            return self.no_quality
        untaken, names = self.untaken, self.left_out_names
        without = f" without {', '.join(names)}" if names else ""
        without += f", and not of every file: {untaken}" if untaken else ""
        if self.is_no_reference:
            figures = " and ".join(figure.title.lower() for figure in FIGURES.values())
            return f"no reference: {figures} of {self.images}{without}, not how good images are"
        part = f", {self.video_part}" if self.video_part not in (None, WHOLE) else ""
        return f"{titles(self.metrics)} by {self.protocol} on {self.images}{part}{without}"

    @property
    def baseline(self) -> str | None:
        """The file that ratios of latency refer to; None: files were not run side by side."""
        return next((file.ratio.to for file in self.measured if file.ratio), None)

    @property
    def unsteady(self) -> list[str]:
        """Short names of the files whose latency had not settled when measuring began."""
        return [
            self.short_name(file.file)
            for file in self.measured
            if not all(latency.steady for latency in (file.inference, file.whole_path) if latency)
        ]

    def short_name(self, file: str) -> str:
        """The file's name without its folders, unless two files share it."""
        return self._short_names.get(file, file)

    @cached_property
    def _short_names(self) -> dict[str, str]:
        files = [f.file for f in self.files]
        return dict(zip(files, unless_shared([Path(f).name for f in files], files), strict=True))
