"""The report's plot: the first metric against the latency of the whole path, one plot per scale."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from html import escape
from pathlib import Path

from ailsr.runtime.bench import findings
from ailsr.runtime.bench.measurement import Measurement
from ailsr.runtime.bench.results import Results
from ailsr.runtime.bench.table import size
from ailsr.runtime.formats import FileFormat, format_of
from ailsr.runtime.report.scatter import Point, mark, scatter

WIDTHS = {"wide": (1200, 420), "medium": (690, 380), "narrow": (340, 340)}
"""Class and (width, height) in pixels of the drawings: the style sheet shows the one that fits."""


def plot_section(results: Results) -> Iterator[str]:
    """Heading, plots and legend as HTML; nothing when no file has both latency and a score."""
    timed = [
        file
        for file in results.measured
        if file.whole_path and math.isfinite(_score(results, file))
    ]
    if not timed:
        return
    yield "<h2>Quality against latency</h2>"
    up = "Up" if results.rank_metric.higher_is_better else "Down"
    yield (
        f'<p class="lead">{up} and to the left is better. A mark stands at the median of the whole '
        "path, its line reaches to the 90th percentile. The steps are the front: no file is both "
        "faster and better than one on it.</p>"
    )
    scales = sorted({file.scale for file in timed})
    for scale in scales:
        files = [file for file in timed if file.scale == scale]
        if len(scales) > 1:
            yield f"<h3>×{scale}</h3>"
        yield _plot(results, files, scale)


def _plot(results: Results, files: Sequence[Measurement], scale: int) -> str:
    plots = "".join(
        f'<div class="{name}">{drawing(results, files, *wide_and_high)}</div>'
        for name, wide_and_high in WIDTHS.items()
    )
    lowest = min(_score(results, file) for file in files)
    front = findings.front(results, files)
    note = _front_note(results, front) + _bicubic_note(results, lowest, scale)
    return f'<figure class="plot">{_legend(files)}{plots}<figcaption>{note}</figcaption></figure>'


def drawing(results: Results, files: Sequence[Measurement], width: int, height: int) -> str:
    """An SVG element, sizes in pixels, of ``files``, timed, judged and of one scale."""
    sizes = {file.output_size for file in files}
    same_size = len(sizes) == 1
    x_title = f"ms per image of {size(sizes.pop())}" if same_size else "ms per output megapixel"
    networks = {file.network for file in files}
    front = findings.front(results, files)
    points, metric = [], results.rank_metric
    for file in files:
        assert file.whole_path
        pixels = 1.0 if same_size else math.prod(file.output_size) / 1e6
        label = Path(file.file).stem
        if file.network:  # the mark's shape tells the format
            what = findings.format_name(file) if len(networks) == 1 else file.network
            label = f"{what} {file.precision}"
        points.append(
            Point(
                x=file.whole_path.p50_ms / pixels,
                x_high=file.whole_path.p90_ms / pixels,
                y=_score(results, file),
                y_text=metric.with_unit(_score(results, file)),
                label=label,
                style=_style(file),
                shape=_format(file).shape,
                on_front=file in front,
            )
        )
    unit = f" in {metric.unit}" if metric.unit else ""
    y_title = f"{metric.title}{unit} ({results.protocol})"
    return scatter(points, x_title, y_title, width, height)


def _front_note(results: Results, front: Sequence[Measurement]) -> str:
    """The files on the front, from the fastest to the best."""
    names = (f"<b>{escape(results.short_name(file.file))}</b>" for file in front)
    return f"On the front, from the fastest to the best: {', '.join(names)}. "


def _legend(files: Sequence[Measurement]) -> str:
    """What colours and shapes stand for."""
    used = {_style(file) for file in files}
    styles = [style for style in (*findings.PRECISIONS, "other") if style in used]
    shapes = {_format(file).title: _format(file).shape for file in files}
    key = {"no card" if s == "other" else s: mark(8, 8, "circle", s) for s in styles}
    key |= {name: mark(8, 8, shapes[name], "shape") for name in sorted(shapes)}
    items = "".join(
        f'<span><svg viewBox="0 0 16 16" aria-hidden="true">{drawing}</svg>{escape(name)}</span>'
        for name, drawing in key.items()
        if name  # interpolation is of no format
    )
    return f'<p class="legend">{items}</p>'


def _format(file: Measurement) -> FileFormat:
    return format_of(Path(file.file).suffix.lower())


def _style(file: Measurement) -> str:
    return file.precision or "other"


def _bicubic_note(results: Results, lowest: float, scale: int) -> str:
    metric, bicubic = results.rank_metric, results.rank_score(results.bicubic.get(scale))
    if bicubic is None:
        return ""
    below = lowest - bicubic
    place = ""
    if below >= 0.5 * 10**-metric.digits:
        place = f", {metric.with_unit(below)} below the lowest mark"
    name = "The input as it is" if scale == 1 else "Bicubic interpolation"
    return f"{name}: {metric.with_unit(bicubic)}{place}."


def _score(results: Results, file: Measurement) -> float:
    score = results.rank_score(file.quality)
    return math.nan if score is None else score
