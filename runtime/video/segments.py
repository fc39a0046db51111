"""Segments: the parts of a video that are decoded, upscaled and encoded each on its own.

So the bytes of one never depend on whether another was made before it, in another process or on
another machine. They begin at key frames of the source.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction

from ailsr.runtime.errors import UsageError
from ailsr.runtime.video.source import Source


@dataclass(frozen=True)
class Segment:
    """The frames with time stamps from ``start`` to before ``end``, in ticks of the source."""

    number: int
    """From 0."""
    start: int
    end: int
    seek: int | None
    """Where decoding begins; None: with the file."""


def cut(source: Source, start: Fraction | None, end: Fraction | None) -> list[Segment]:
    """The segments of ``source`` from ``start`` to ``end``, both in seconds; None: all of it.

    Raises UsageError when there is nothing in between.
    """
    first = None if start is None else source.ticks(start)
    last = source.end if end is None else min(source.ticks(end), source.end)
    if last <= (source.start if first is None else first):
        raise UsageError(
            f"there is nothing between --start and --end: {source.path} is "
            f"{source.seconds(source.end - source.start):.3f} s long"
        )
    edges = [(key.time, key.seek) for key in source.keys[1:]] + [(source.end, 0)]
    begins: list[tuple[int, int | None]] = [(source.start - (1 << 60), None), *edges[:-1]]
    found: list[Segment] = []
    for (begin, seek), (stop, _) in zip(begins, edges, strict=True):
        begin, stop = begin if first is None else max(begin, first), min(stop, last)
        if begin < stop:
            found.append(Segment(len(found), begin, stop, seek))
    return found


def parse_time(text: str, option: str) -> Fraction:
    """Seconds of ``90``, ``1:30`` or ``0:01:30.5``. Raises UsageError that names ``option``."""
    found = re.fullmatch(r"(?:(?:(\d{1,3}):)?(\d{1,3}):)?(\d{1,6}(?:\.\d{1,9})?)", text.strip())
    if not found:
        raise UsageError(f"{option} {text}: write seconds or h:mm:ss, as in 90, 1:30 or 0:01:30.5")
    hours, minutes, seconds = found.groups(default="0")
    return int(hours) * 3600 + int(minutes) * 60 + Fraction(seconds)
