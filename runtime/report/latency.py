"""The report's latencies: what the path is made of, how the runs spread, and how they last."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from html import escape

import numpy as np

from ailsr.runtime.bench.latency import Latency, slowdown
from ailsr.runtime.bench.measurement import Measurement
from ailsr.runtime.bench.results import Results
from ailsr.runtime.bench.table import milliseconds, ratio
from ailsr.runtime.report.scatter import Axis, line, text

BINS = 30
BARS = (360, 130)
"""Width and height of a histogram in pixels; it is scaled to its place."""
CURVES = {"wide": (1200, 300), "medium": (690, 280), "narrow": (340, 260)}
"""As ``report_plot.WIDTHS``, of the sustained curve."""


def latency_section(results: Results) -> Iterator[str]:
    """Parts, histograms and curves as HTML; of each only what was measured."""
    timed = [file for file in results.measured if file.whole_path]
    if any(file.parts for file in timed):
        yield from _parts(results, [file for file in timed if file.parts])
    sampled = [file for file in timed if file.whole_path and len(file.whole_path.samples_ms) > 1]
    if sampled:
        yield "<h2>How the runs spread</h2>"
        yield '<p class="lead">Each run of the whole path; the lines are at p50 and p90.</p>'
        yield '<div class="histograms">'
        for file in sampled:
            assert file.whole_path
            name = results.short_name(file.file)
            yield f"<figure><figcaption><b>{breakable(name)}</b>{_ratio(results, file)}"
            yield f"</figcaption>{_histogram(name, file.whole_path)}</figure>"
        yield "</div>"
    lasting = [file for file in timed if file.sustained]
    if lasting:
        yield from _sustained(results, lasting)


def breakable(name: str) -> str:
    """A file's name that may be broken after underscores and before its ending."""
    return escape(name).replace("_", "_<wbr>").replace(".", "<wbr>.")


def _ratio(results: Results, file: Measurement) -> str:
    if file.ratio is None:
        return ' <span class="soft">×1</span>' if file.file == results.baseline else ""
    return f' <span class="soft">×{ratio(file.ratio)}</span>'


def _parts(results: Results, files: Sequence[Measurement]) -> Iterator[str]:
    """A bar per file, all at the same scale."""
    parts = [
        {name.removesuffix("_ms"): ms for name, ms in asdict(file.parts).items()}
        for file in files
        if file.parts
    ]
    longest = max(sum(found.values()) for found in parts)
    yield "<h2>Where the time goes</h2>"
    yield (
        '<p class="lead">The way of one image from PNG file to PNG file, in ms. The whole path '
        "of the figures below is tile, convert and infer.</p>"
    )
    keys = (f'<span><i class="{name}"></i>{name}</span>' for name in parts[0])
    yield f'<p class="legend">{"".join(keys)}</p><dl class="parts">'
    for file, found in zip(files, parts, strict=True):
        bars = "".join(
            f'<i class="{name}" style="width:{100 * ms / longest:.2f}%"></i>'
            for name, ms in found.items()
        )
        numbers = " · ".join(f"{name} {milliseconds(ms).strip()}" for name, ms in found.items())
        yield f"<dt>{breakable(results.short_name(file.file))}</dt>"
        yield f'<dd><span class="bar" aria-hidden="true">{bars}</span><small>{numbers}</small></dd>'
    yield "</dl>"


def _histogram(name: str, latency: Latency) -> str:
    """The runs from the fastest to p99; slower ones are counted in words."""
    width, height = BARS
    low, high = min(latency.samples_ms), latency.p99_ms
    high = max(high, 1.05 * low)
    counts, edges = np.histogram(latency.samples_ms, BINS, (low, high))
    margin = 0.04 * (high - low)
    x = Axis(low - margin, high + margin, 0, width)
    base, top = height - 20.0, 18.0
    bars = "".join(
        f'<rect x="{x(left) + 0.5:.1f}" y="{base - (base - top) * count / counts.max():.1f}" '
        f'width="{x(right) - x(left) - 1:.1f}" '
        f'height="{(base - top) * count / counts.max():.1f}" class="bar"/>'
        for count, left, right in zip(counts, edges, edges[1:], strict=False)
        if count
    )
    lines = ""
    for label, value in (("p50", latency.p50_ms), ("p90", latency.p90_ms)):
        lines += line(x(value), top - 4, x(value), base, f"percentile {label}")
    apart = x(latency.p90_ms) - x(latency.p50_ms) > 34
    lines += text(x(latency.p50_ms), 10, "p50", "axis middle")
    lines += text(x(latency.p90_ms), 10, "p90", "axis middle") if apart else ""
    ticks = x.ticks(5)
    axis = "".join(text(x(tick), height - 4, f"{tick:g}", "axis middle") for tick in ticks)
    beyond = sum(sample > high for sample in latency.samples_ms)
    slower = f"; {beyond} slower, up to {milliseconds(max(latency.samples_ms)).strip()}"
    said = (
        f"{name}: {latency.n} runs, p50 {milliseconds(latency.p50_ms).strip()} ms, "
        f"p90 {milliseconds(latency.p90_ms).strip()} ms"
    )
    return (
        f'<svg viewBox="0 0 {width} {height}" role="img" aria-label="{escape(said)}">'
        f"{bars}{lines}{line(0, base, width, base, 'grid')}{axis}</svg>"
        f'<p class="soft">{latency.n} runs, in ms{slower if beyond else ""}</p>'
    )


def _sustained(results: Results, files: Sequence[Measurement]) -> Iterator[str]:
    yield "<h2>How it lasts</h2>"
    yield (
        f'<p class="lead">Latency of the inference when it is repeated for '
        f"{results.sustained_minutes:g} min without a pause, relative to the beginning.</p>"
    )
    drawings = "".join(
        f'<div class="{name}">{_curves(results, files, *size)}</div>'
        for name, size in CURVES.items()
    )
    notes = []
    for number, file in enumerate(files, 1):
        assert file.sustained
        percent = 100 * (slowdown(file.sustained) - 1)
        hot = [p.temperature_c for p in file.sustained if p.temperature_c is not None]
        heat = f", {hot[0]:.0f} to {hot[-1]:.0f} °C" if hot else ""
        words = f"{abs(percent):.1f} % {'slower' if percent > 0 else 'faster'} at the end{heat}"
        notes.append(f"<b>{number} {breakable(results.short_name(file.file))}</b> {words}")
    yield f'<figure class="plot">{drawings}<figcaption>{"; ".join(notes)}.</figcaption>'
    yield "</figure>"


def _curves(results: Results, files: Sequence[Measurement], width: int, height: int) -> str:
    left, right, top, bottom = 48, 26, 12, 40
    curves = []
    for file in files:
        points = file.sustained or ()
        first = statistics.median(point.p50_ms for point in points[: -(-len(points) // 10)])
        curves.append([(point.second / 60, point.p50_ms / first) for point in points])
    values = [value for curve in curves for _, value in curve]
    x = Axis(0, max(results.sustained_minutes, curves[0][-1][0]), left, width - right)
    y = Axis(min(0.9, *values), max(1.1, *values), height - bottom, top)
    parts = [
        f'<svg viewBox="0 0 {width} {height}" width="{width}" height="{height}" role="img" '
        f'aria-label="Latency over time of {len(files)} files">'
    ]
    for tick in y.ticks(5):
        parts.append(line(left, y(tick), width - right, y(tick), "grid"))
        parts.append(text(left - 8, y(tick) + 4, f"{tick:.2f}", "axis end"))
    for tick in x.ticks(max(3, width // 120)):
        parts.append(text(x(tick), height - bottom + 18, f"{tick:g}", "axis middle"))
    parts.append(text((left + width - right) / 2, height - 6, "minutes", "axis middle"))
    ends = _apart([y(curve[-1][1]) + 4 for curve in curves])
    for number, (file, curve, end) in enumerate(zip(files, curves, ends, strict=True), 1):
        path = " ".join(f"{x(minute):.1f},{y(value):.1f}" for minute, value in curve)
        title = escape(results.short_name(file.file))
        style = file.precision or "other"
        parts.append(f'<polyline points="{path}" class="curve {style}"><title>{title}</title>')
        parts.append("</polyline>")
        parts.append(text(width - right + 8, end, str(number), style))
    return "".join([*parts, "</svg>"])


def _apart(heights: Sequence[float]) -> list[float]:
    """``heights`` of lines of text, moved down where they would overlap."""
    moved = dict[int, float]()
    last = -math.inf
    for place in sorted(range(len(heights)), key=lambda place: heights[place]):
        last = moved[place] = max(heights[place], last + 14)
    return [moved[place] for place in range(len(heights))]
