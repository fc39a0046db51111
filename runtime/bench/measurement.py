"""A file's measurement, or why there is none.

Latency is taken twice: of the inference alone (the engine on a prepared input) and of the whole
path that an app sees: uint8 image in, uint8 image out, of exactly the file's input size and in its
layout, so that an RGBA file's begins and ends with RGBA.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ailsr.runtime.bench.energy import Energy
from ailsr.runtime.bench.latency import Latency, Ratio, Sustained
from ailsr.runtime.bench.path_parts import Parts
from ailsr.runtime.bench.system import Conditions, Noise
from ailsr.runtime.engines.engine import Backend, fallback
from ailsr.runtime.imaging.no_reference import NoReference
from ailsr.runtime.imaging.protocol import Quality
from ailsr.runtime.probe import Fidelity


@dataclass(frozen=True)
class Measurement:
    """Everything known about one file after it was measured in a process of its own."""

    file: str
    engine: str
    """Name and version of what ran the file."""
    network: str | None
    """From the file's card, like ``precision`` and ``color``; None when it has no card."""
    precision: str | None
    pixels: str
    scale: int
    input_size: tuple[int, int]
    """(height, width) in low-resolution pixels."""
    threads: int
    size_bytes: int
    measurable: bool
    """False: this engine only computes the file's result; its latency and memory would mean
    nothing and are None."""
    load_ms: float | None = None
    """Opening the file until it can run; the engine's library was imported before."""
    first_run_ms: float | None = None
    inference: Latency | None = None
    whole_path: Latency | None = None
    engine_memory_bytes: int | None = None
    """Peak resident memory of the process when the engine's library was imported, before the file
    was opened; None where the system does not tell."""
    peak_memory_bytes: int | None = None
    """Peak resident memory of the process after all runs at the file's own input size."""
    quality: Quality | None = None
    no_reference: NoReference | None = None
    """Figures of images without a truth; None: those of ``quality`` have one."""
    left_out: dict[str, str] | None = None
    """Why images were left out of either, by their names; None: none was."""
    cores: tuple[int, ...] | None = None
    """Those that the process was confined to; None: it was not."""
    backends: tuple[Backend, ...] | None = None
    """What computes the file's operators, first the backend that was to compute all of them; None
    where the engine does not tell."""
    parts: Parts | None = None
    """What the way of an image from file to file is made of."""
    to_reference: tuple[float, ...] | None = None
    """Latency of the whole path as a multiple of the reference workload's, run in turn with it: one
    figure for each process; None: it was not run."""
    ratio: Ratio | None = None
    """Of the whole path to that of the baseline; None for the baseline itself, for other output
    sizes than its own, and for files measured alone."""
    sustained: tuple[Sustained, ...] | None = None
    """Latency of the inference over time; None: not asked for."""
    engine_choice: str | None = None
    """Why this engine, in one line, where it was to be the fastest (``auto``); None: it was not."""
    fidelity: Fidelity | None = None
    """Whether the engine computes what was exported; None: not known, the file has no probe."""
    energy: Energy | None = None
    conditions: Conditions | None = None
    noise: Noise | None = None
    named_delegate: str | None = None
    """What runs the file, where the engine names it but does not tell of operators (phones)."""
    named_fallback: str | None = None
    """Why a phone has not used the delegate that was asked for, in one line."""

    @property
    def scores(self) -> Mapping[Any, float]:
        """Metrics, or figures of images without a truth, by name; empty: neither was taken."""
        if self.no_reference:
            return self.no_reference.figures
        return self.quality.scores if self.quality else {}

    @property
    def is_wrong(self) -> bool:
        """Whether the engine computes something else than what was exported."""
        return self.fidelity is not None and self.fidelity.verdict == "wrong"

    @property
    def output_size(self) -> tuple[int, int]:
        """(height, width) of the image that one run yields."""
        return self.input_size[0] * self.scale, self.input_size[1] * self.scale

    @property
    def delegate(self) -> str | None:
        """The backend that computes most of the file's operators, or what the engine names."""
        backends = self.backends or ()
        most = max(backends, key=lambda backend: backend.operators, default=None)
        return most.name if most else self.named_delegate

    @property
    def fallback(self) -> str | None:
        """What was left to a slower backend, in one line: by the first one without a word, or by
        a phone that said why."""
        return fallback(self.backends) or self.named_fallback

    @property
    def frames_per_second(self) -> float | None:
        """Images per second through the whole path: 1000 / its mean latency."""
        return 1000 / self.whole_path.mean_ms if self.whole_path else None

    @property
    def megapixels_per_second(self) -> float | None:
        """Millions of output pixels per second through the whole path."""
        height, width = self.output_size
        return self.frames_per_second * height * width / 1e6 if self.frames_per_second else None


@dataclass(frozen=True)
class Failure:
    """A file that could not be measured, and why, in one line."""

    file: str
    error: str
