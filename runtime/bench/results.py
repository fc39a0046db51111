"""The outcome of one run of the harness, and its versioned JSON document."""

from __future__ import annotations

import functools
import math
import re
from dataclasses import asdict, dataclass, field
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any

from ailsr.runtime import documents, schema
from ailsr.runtime.bench.host import Host
from ailsr.runtime.bench.latency import WARM_UP_RULE
from ailsr.runtime.bench.reference import Reference
from ailsr.runtime.bench.request import Failure, Measurement, Quality
from ailsr.runtime.imaging.protocol import Protocol
from ailsr.runtime.names import unless_shared
from ailsr.runtime.version import VERSION

SCHEMA = "ailsr-bench"
SCHEMA_VERSION = 1
"""Raised when a key changes its meaning or goes; new keys may come at any time. The document is
described by ``report.schema.json`` (JSON Schema), which every front end shares."""

_REPORT_SCHEMA = Path(__file__).parents[1] / "report.schema.json"
_NUMBERS = re.compile(r"\[[\s\d.,e+-]+\]")


@dataclass(frozen=True)
class Results:
    """Files measured in one run on one machine with the same settings."""

    host: Host
    date: datetime
    threads: int
    runs: int
    seconds: float
    protocol: Protocol
    images: str | None
    """Folder that PSNR and SSIM were measured on; None: not measured."""
    files: list[Measurement | Failure]
    """In the order in which they were given."""
    bicubic: dict[int, Quality] = field(default_factory=dict)
    """The baseline of quality, by scale: MATLAB's bicubic interpolation of the same pictures."""
    device: str = "local"
    """The machine as ``--device`` names it."""
    cores: str | None = None
    """What the files were confined to, as asked for; None: nothing."""
    sustained_minutes: float = 0.0
    processes: int = 1
    """Fresh processes that each file was measured in."""
    reference: Reference | None = None
    """The reference workload, run in turn with the files; None: it was not."""

    @property
    def measured(self) -> list[Measurement]:
        return [f for f in self.files if isinstance(f, Measurement)]

    @property
    def failed(self) -> list[Failure]:
        return [f for f in self.files if isinstance(f, Failure)]

    @property
    def left_out(self) -> dict[str, str]:
        """Why pictures were left out of some file's quality, by their names."""
        return {n: why for file in self.measured for n, why in (file.left_out or {}).items()}

    @property
    def judged_on(self) -> str | None:
        """The pictures that PSNR and SSIM are of, in words; None: not measured."""
        without = f" without {', '.join(self.left_out)}" if self.left_out else ""
        return f"{self.images}{without}" if self.images else None

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

    def to_document(self) -> dict[str, Any]:
        """The JSON document. Sizes are [height, width]; an infinite PSNR is null."""
        return {
            "schema": SCHEMA,
            "schema_version": SCHEMA_VERSION,
            "ailsr_version": VERSION,
            "date": self.date.isoformat(timespec="seconds"),
            "host": asdict(self.host),
            "settings": {
                "threads": self.threads,
                "runs": self.runs,
                "seconds": self.seconds,
                "warm_up_rule": WARM_UP_RULE,
                "protocol": self.protocol,
                "images": self.images,
                "device": self.device,
                "cores": self.cores,
                "sustained_minutes": self.sustained_minutes,
                "processes": self.processes,
                "baseline": self.baseline,
            },
            "reference": self.reference and asdict(self.reference),
            "files": [_file_entry(f) for f in self.files],
            "baselines": [
                {"name": "bicubic", "scale": scale, "quality": _quality_entry(quality)}
                for scale, quality in sorted(self.bicubic.items())
            ],
        }


def check_document(document: object) -> None:
    """Raise ValueError unless ``document``, which came from elsewhere, is a report."""
    schema.check(document, _report_schema())


@functools.cache
def _report_schema() -> dict[str, Any]:
    loaded: dict[str, Any] = documents.parse(_REPORT_SCHEMA.read_bytes())
    return loaded


def as_text(document: dict[str, Any] | list[dict[str, Any]]) -> str:
    """A document, or a list of them, as JSON, with lists of numbers in one line each."""
    text = documents.dump(document, indent=2)
    return _NUMBERS.sub(lambda found: " ".join(found[0].split()), text)


def _file_entry(file: Measurement | Failure) -> dict[str, Any]:
    entry = {**asdict(file)}
    if isinstance(file, Failure):
        return entry
    del entry["named_delegate"], entry["named_fallback"]  # they are what they name, or None
    return {
        **entry,
        "error": None,
        "output_size": file.output_size,
        "delegate": file.delegate,
        "fallback": file.fallback,
        "frames_per_second": file.frames_per_second,
        "megapixels_per_second": file.megapixels_per_second,
        "quality": file.quality and _quality_entry(file.quality),
    }


def _quality_entry(quality: Quality) -> dict[str, Any]:
    return {
        "protocol": quality.protocol,
        "psnr_db": _finite(quality.psnr_db),
        "ssim": quality.ssim,
        "images": {
            name: {"psnr_db": _finite(psnr), "ssim": ssim}
            for name, (psnr, ssim) in quality.images.items()
        },
    }


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
