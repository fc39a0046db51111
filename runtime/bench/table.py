"""The table of results: one row per file and how each figure is written.

The terminal and the HTML report show the same strings; the JSON document has the unrounded numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import astuple, dataclass
from typing import Any, TypeVar

from ailsr.runtime.bench.latency import Latency, Ratio, slowdown
from ailsr.runtime.bench.measurement import Failure, Measurement
from ailsr.runtime.bench.results import Results
from ailsr.runtime.imaging.protocol import baseline_name

Value = TypeVar("Value")
NOT_MEASURABLE = "not measurable here"
NOT_KNOWN = "not known"
ABSENT = "–"
_INTERPOLATION = "interpolation · the baseline"


@dataclass(frozen=True)
class LatencyCells:
    """Milliseconds, three significant digits, all of equal width so that columns line up."""

    p50: str
    p90: str
    p99: str
    mean: str
    """mean ± standard deviation"""
    n: str

    @classmethod
    def of(cls, latency: Latency) -> LatencyCells:
        return cls(
            milliseconds(latency.p50_ms),
            milliseconds(latency.p90_ms),
            milliseconds(latency.p99_ms),
            f"{milliseconds(latency.mean_ms)} ± {milliseconds(latency.sd_ms).strip()}",
            str(latency.n),
        )


@dataclass(frozen=True)
class Row:
    """The figures of one file as text; ``ABSENT`` where there is none."""

    name: str
    detail: str = ""
    """What the file is and what ran it."""
    size_kb: str = ABSENT
    load_ms: str = ABSENT
    first_run_ms: str = ABSENT
    inference: LatencyCells | None = None
    whole_path: LatencyCells | None = None
    frames_per_second: str = ABSENT
    megapixels_per_second: str = ABSENT
    memory_mb: str = ABSENT
    scores: tuple[str, ...] = ()
    """One for each of the metrics that are shown."""
    parts_ms: tuple[str, ...] = ()
    """Decode, tile, convert, infer and encode; empty where not taken apart."""
    ratio: str = ABSENT
    """Of the whole path to that of the baseline, with its 95 % interval."""
    ran_on: str = ABSENT
    """The backends, and how many operators each computes."""
    fidelity: str = ABSENT
    """Whether the engine computes what was exported."""
    energy_mj: str = ABSENT
    slowdown: str = ABSENT
    """In percent, from the beginning to the end of the sustained run."""
    why_no_latency: str = ""
    """Why the latency is absent: not measurable here, not measured, or the file's failure."""
    failed: bool = False


def rows(results: Results) -> list[Row]:
    """A row per file in the order given, then one per scale for the baseline."""
    table = []
    for file in results.files:
        name = results.short_name(file.file)
        if isinstance(file, Failure):
            scores = _scores(results, {})
            table.append(Row(name, why_no_latency=file.error, failed=True, scores=scores))
        else:
            table.append(_row(name, file, _scores(results, file.scores)))
    for scale, quality in sorted(results.bicubic.items()):
        named = _baseline(baseline_name(scale), scale)
        table.append(_untimed(*named, _scores(results, quality.scores)))
    for (name, scale), found in results.before.items():
        table.append(_untimed(*_baseline(name, scale), _scores(results, found.figures)))
    return table


def milliseconds(value: float) -> str:
    """Three significant digits from 1 ms on, four characters wide up to 9999 ms."""
    decimals = 2 if value < 9.995 else 1 if value < 99.95 else 0
    return f"{value:4.{decimals}f}"


def throughput(value: float) -> str:
    """Frames or megapixels per second, about three significant digits."""
    return f"{value:.2f}" if value < 9.995 else f"{value:.1f}" if value < 99.95 else f"{value:.0f}"


def size(height_width: tuple[int, int]) -> str:
    """``width×height``, as images are named."""
    return f"{height_width[1]}×{height_width[0]}"


def ratio(found: Ratio) -> str:
    """``3.38 (3.31–3.46)``: the ratio and its 95 % interval."""
    return f"{found.ratio:.2f} ({found.low:.2f}–{found.high:.2f})"


def fidelity(file: Measurement) -> str:
    """``exact``, ``within 2 levels``, ``wrong (31 levels)``; interpolation is no file and has
    none."""
    if not file.size_bytes:
        return ABSENT
    return NOT_KNOWN if file.fidelity is None else str(file.fidelity)


def count(number: int, noun: str) -> str:
    """``1 thread``, ``4 threads``"""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _baseline(name: str, scale: int) -> tuple[str, str]:
    """(name, detail) of a row."""
    return (name, "as it is") if scale == 1 else (f"{name} ×{scale}", _INTERPOLATION)


def _untimed(name: str, detail: str, scores: tuple[str, ...]) -> Row:
    return Row(name, detail=detail, why_no_latency="quality only", scores=scores)


def _row(name: str, file: Measurement, scores: tuple[str, ...]) -> Row:
    parts = [file.network, file.precision, f"×{file.scale}", f"{size(file.input_size)} in"]
    pixels = f"{file.pixels} pixels"
    kilobytes, memory = file.size_bytes / 1e3, file.peak_memory_bytes
    return Row(
        name,
        detail=" · ".join(part for part in [*parts, pixels, file.engine] if part),
        size_kb=_or_absent(kilobytes or None, _kilobytes),
        load_ms=_or_absent(file.load_ms, milliseconds),
        first_run_ms=_or_absent(file.first_run_ms, milliseconds),
        inference=LatencyCells.of(file.inference) if file.inference else None,
        whole_path=LatencyCells.of(file.whole_path) if file.whole_path else None,
        frames_per_second=_or_absent(file.frames_per_second, throughput),
        megapixels_per_second=_or_absent(file.megapixels_per_second, throughput),
        memory_mb=ABSENT if memory is None else f"{memory / 1e6:.0f}",
        why_no_latency="" if file.measurable else NOT_MEASURABLE,
        scores=scores,
        parts_ms=tuple(milliseconds(ms) for ms in astuple(file.parts)) if file.parts else (),
        ratio=_or_absent(file.ratio, ratio),
        ran_on=", ".join(f"{b.name} {b.operators}" for b in file.backends or () if b.operators)
        or ABSENT,
        fidelity=fidelity(file),
        energy_mj=_or_absent(
            file.energy, lambda energy: milliseconds(1e3 * energy.joules_per_inference)
        ),
        slowdown=_or_absent(file.sustained, lambda curve: f"{100 * (slowdown(curve) - 1):+.1f}"),
    )


def _kilobytes(value: float) -> str:
    return f"{value:.0f}" if value >= 99.95 else f"{value:.1f}"


def _or_absent(value: Value | None, write: Callable[[Value], str]) -> str:
    return ABSENT if value is None else write(value).strip()


def _scores(results: Results, found: Mapping[Any, float]) -> tuple[str, ...]:
    return tuple(
        column.text(found[name]) if name in found else ABSENT
        for name, column in results.shown.items()
    )
