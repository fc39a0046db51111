"""A scatter plot of quality against latency, as inline SVG.

Colours and fonts come from the page's style sheet (classes ``grid``, ``axis``, ``mark``,
``whisker`` and one per point), so that the plot follows light and dark mode.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from ailsr.runtime.formats import Shape

LEFT, RIGHT, TOP, BOTTOM = 58, 18, 20, 46  # margins around the plot area, in pixels
TEXT_WIDTH, TEXT_HEIGHT = 6.6, 14  # of a character at 12 px
RADIUS = 6


@dataclass(frozen=True)
class Point:
    """One file: latency in milliseconds (median, and a high percentile), and quality."""

    x: float
    x_high: float
    y: float
    label: str
    style: str
    """Class of the mark, for its colour."""
    shape: Shape
    on_front: bool = False
    """No other point is both faster and better."""
    y_text: str = ""
    """``y`` with its unit."""


@dataclass(frozen=True)
class Axis:
    """An axis from ``low`` to ``high``, drawn from pixel ``start`` to pixel ``end``."""

    low: float
    high: float
    start: float
    end: float
    logarithmic: bool = False

    def __call__(self, value: float) -> float:
        low, high = self.low, self.high
        if self.logarithmic:
            value, low, high = math.log(value), math.log(low), math.log(high)
        return self.start + (value - low) / (high - low) * (self.end - self.start)

    def ticks(self, most: int) -> list[float]:
        """At most ``most`` round values (1, 2 or 5 times a power of ten apart) on the axis; of a
        logarithmic one all that are 1, 2 or 5 times a power of ten."""
        if self.logarithmic:
            powers = range(math.floor(math.log10(self.low)), math.ceil(math.log10(self.high)) + 1)
            round_values = [m * 10.0**power for power in powers for m in (1, 2, 5)]
            return [value for value in round_values if self.low <= value <= self.high]
        rough = (self.high - self.low) / most
        power = 10.0 ** math.floor(math.log10(rough))
        step = next(m * power for m in (1, 2, 5, 10) if m * power >= rough)
        first, last = math.ceil(self.low / step - 1e-9), math.floor(self.high / step + 1e-9)
        return [round(i * step, 10) for i in range(first, last + 1)]


def scatter(
    points: Sequence[Point],
    x_title: str,
    y_title: str,
    width: int,
    height: int,
    logarithmic: bool = False,
) -> str:
    """An SVG element of at least one point; the whisker reaches from ``x`` to ``x_high``.

    A line of steps joins the points on the front. ``logarithmic`` is the axis of latency, which
    begins at 0 otherwise.
    """
    slowest = max(p.x for p in points)
    high = min(max(p.x_high for p in points), 1.4 * slowest)  # one noisy p90 shall not rule
    low = 0.8 * min(p.x for p in points) if logarithmic else 0
    x = Axis(low, 1.06 * max(high, slowest), LEFT, width - RIGHT, logarithmic)
    lowest, highest = min(p.y for p in points), max(p.y for p in points)
    margin = max(0.12 * (highest - lowest), 0.02)
    y = Axis(lowest - margin, highest + margin, height - BOTTOM, TOP)

    parts = [
        f'<svg viewBox="0 0 {width} {height}" width="{width}" height="{height}" role="img" '
        f'aria-label="{escape(y_title)} against {escape(x_title)} of {len(points)} files">'
    ]
    for tick in x.ticks(max(3, width // 70)):
        parts.append(line(x(tick), TOP, x(tick), height - BOTTOM, "grid"))
        parts.append(text(x(tick), height - BOTTOM + 18, f"{tick:g}", "axis middle"))
    ticks = y.ticks(7)
    decimals = max(0, -math.floor(math.log10(ticks[1] - ticks[0]) + 1e-9))
    for tick in ticks:
        parts.append(line(LEFT, y(tick), width - RIGHT, y(tick), "grid"))
        parts.append(text(LEFT - 8, y(tick) + 4, f"{tick:.{decimals}f}", "axis end"))
    parts.append(text((LEFT + width - RIGHT) / 2, height - 8, x_title, "axis middle title"))
    parts.append(text(4, 12, y_title, "axis title"))

    parts.append(_front([(x(p.x), y(p.y)) for p in points if p.on_front], width - RIGHT))
    for point in points:
        end = min(x(point.x_high), width - RIGHT)
        parts.append(line(x(point.x), y(point.y), end, y(point.y), f"whisker {point.style}"))
    for point in points:
        title = f"{point.label}: {point.x:.3g} ms, {point.y_text}"
        parts.append(mark(x(point.x), y(point.y), point.shape, point.style, title))
    for point, place in zip(points, _label_places(points, x, y, width), strict=True):
        if place:
            parts.append(text(*place, point.label, point.style))
    return "".join([*parts, "</svg>"])


def _front(corners: list[tuple[float, float]], end: float) -> str:
    """Level from each corner to the next better one, then up; from the last to ``end``."""
    if len(corners) < 2:
        return ""
    (left, level), *better = sorted(corners)
    path = f"M{left:.1f} {level:.1f}" + "".join(f"H{px:.1f}V{py:.1f}" for px, py in better)
    return f'<path d="{path}H{end:.1f}" class="front"/>'


def line(x1: float, y1: float, x2: float, y2: float, style: str) -> str:
    """The SVG element of a line from (x1, y1) to (x2, y2)."""
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" class="{style}"/>'


def text(x: float, y: float, words: str, style: str) -> str:
    """The SVG element of ``words`` that begin at (x, y), or as ``style`` says."""
    return f'<text x="{x:.1f}" y="{y:.1f}" class="{style}">{escape(words)}</text>'


def mark(x: float, y: float, shape: Shape, style: str, title: str = "") -> str:
    """The SVG element of a mark centred at (x, y), with ``title`` as its tooltip."""
    r = RADIUS
    corners: dict[str, list[tuple[float, float]]] = {
        "square": [(-r, -r), (r, -r), (r, r), (-r, r)],
        "triangle": [(0, -1.2 * r), (1.15 * r, r), (-1.15 * r, r)],
        "diamond": [(0, -1.25 * r), (1.25 * r, 0), (0, 1.25 * r), (-1.25 * r, 0)],
    }
    tooltip = f"<title>{escape(title)}</title>" if title else ""
    attributes = f'class="mark {style}"'
    if shape == "circle":
        return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{r}" {attributes}>{tooltip}</circle>'
    path = " ".join(f"{x + dx:.1f},{y + dy:.1f}" for dx, dy in corners[shape])
    return f'<polygon points="{path}" {attributes}>{tooltip}</polygon>'


def _label_places(
    points: Sequence[Point], x: Axis, y: Axis, width: int
) -> list[tuple[float, float] | None]:
    """Where each label starts: beside its mark, nearer to it than to any other, clear of all marks
    and other labels; or nowhere. Points on the front choose first."""
    marks = [(x(p.x), y(p.y)) for p in points]
    taken = [_box(x(p.x) - RADIUS, y(p.y) + RADIUS, 2 * RADIUS, 2 * RADIUS) for p in points]
    taken += [_box(x(p.x), y(p.y) + 1, x(p.x_high) - x(p.x), 2) for p in points]  # whiskers
    found: list[tuple[float, float] | None] = [None] * len(points)
    for number in sorted(range(len(points)), key=lambda n: not points[n].on_front):
        point = points[number]
        px, py, length = x(point.x), y(point.y), TEXT_WIDTH * len(point.label)
        right, left, centre = px + RADIUS + 4, px - RADIUS - 4 - length, px - length / 2
        places = [(right, py - 5), (right, py + 14), (left, py + 4), (centre, py - 11)]
        places += [(centre, py + 19), (left, py - 8), (left, py + 16), (centre, py - 24)]
        for place in places:
            box = _box(*place, length, TEXT_HEIGHT)
            inside = box[0] > LEFT and box[2] < width - 2 and box[1] > TOP - 8 and box[3] < y.start
            own = _distance(box, (px, py))
            nearest = all(own <= _distance(box, mark) for mark in marks)
            if inside and nearest and not any(_overlap(box, other) for other in taken):
                taken.append(box)
                found[number] = place
                break
    return found


def _box(left: float, bottom: float, width: float, height: float) -> tuple[float, ...]:
    return left, bottom - height, left + width, bottom


def _distance(box: tuple[float, ...], mark: tuple[float, float]) -> float:
    left, top, right, bottom = box
    px, py = mark
    return math.hypot(max(left - px, 0, px - right), max(top - py, 0, py - bottom))


def _overlap(a: tuple[float, ...], b: tuple[float, ...]) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]
