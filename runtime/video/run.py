"""A run: a video is decoded, upscaled and encoded, each in a thread of its own, and joined.

Frames go from one to the next through short queues, so that memory does not depend on the length.
"""

from __future__ import annotations

import contextlib
import itertools
import re
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

from ailsr.runtime.card import Layout
from ailsr.runtime.engines.layouts import CHANNELS, Levels
from ailsr.runtime.errors import UsageError
from ailsr.runtime.files import sha256
from ailsr.runtime.progress import Progress, silent
from ailsr.runtime.read_ahead import read_ahead
from ailsr.runtime.sides import parse_sides
from ailsr.runtime.upscaling.engine_pool import EnginePool
from ailsr.runtime.upscaling.sequence import Savings
from ailsr.runtime.upscaling.tiles import Size
from ailsr.runtime.video.codecs import Codec
from ailsr.runtime.video.decoder import Frame, decode
from ailsr.runtime.video.encoder import Encoder, Encoding
from ailsr.runtime.video.join import join
from ailsr.runtime.video.library import told, versions
from ailsr.runtime.video.parts import Parts
from ailsr.runtime.video.segments import Segment, cut
from ailsr.runtime.video.source import Source

AHEAD = 4
"""Frames that wait between two threads."""
_ENCODER = 10
"""Frames that an encoder holds, counted as RGB."""


@dataclass(frozen=True)
class Request:
    """What a run is to make of a video."""

    output: Path
    codec_name: str
    codec: Codec
    crf: int | None = None
    preset: str | None = None
    start: Fraction | None = None
    """Seconds."""
    end: Fraction | None = None
    box: tuple[int, int] | None = None
    """(height, width) into which the result is fitted, or upright; None: the network's size."""
    reuse: bool = True
    """Tiles that have not changed are copied, which changes nothing but the time."""


@dataclass
class Outcome:
    """What became of it."""

    frames: int = 0
    """Upscaled by this process."""
    concealed: int = 0
    """Of those, broken ones that show their neighbour."""
    savings: Savings = field(default_factory=Savings)


class Run:
    """One run, or some of its segments."""

    def __init__(self, source: Source, pool: EnginePool, request: Request) -> None:
        """Raises UsageError for settings that the codec does not have, and for an empty range."""
        self.source, self.pool, self._request = source, pool, request
        self._layout = layout_of(source, pool)
        self.size = _output_size(source.size, pool.scale, request.box)
        settings = request.codec.settings(request.crf, request.preset)
        self._encoding = Encoding(
            request.codec, settings, self.size, source.rate, source.time_base,
            source.colors, source.aspect, self._layout,
        )  # fmt: skip
        self.segments = cut(source, request.start, request.end)
        self.parts = Parts(request.output, self._plan(settings))

    def _plan(self, settings: dict[str, str]) -> dict[str, Any]:
        source = self.source
        return {
            "video": {"bytes": source.bytes, "frames": source.frames, "end": source.end},
            "network": sha256(self.pool.path) if self.pool.path.is_file() else None,
            "engine": self.pool.engine,
            "layout": self._layout,
            "options": {"codec": self._request.codec_name, **settings, "size": list(self.size)},
            "libraries": versions(),
            "segments": [[s.start, s.end] for s in self.segments],
        }

    def frames(self, segments: list[Segment]) -> int:
        """About as many frames as ``segments`` have."""
        source = self.source
        ticks = sum(s.end - max(s.start, source.start) for s in segments)
        return max(1, round(source.frames * ticks / max(1, source.end - source.start)))

    def make(self, segments: list[Segment], progress: Progress = silent) -> Outcome:
        """Make those of ``segments`` that are missing. ``progress`` counts frames.

        Raises EngineError when an engine fails, ImageError where the video cannot be followed.
        """
        segments = self.parts.missing(segments)
        outcome, of = Outcome(), self.frames(segments)
        made: deque[tuple[Segment, Frame]] = deque()  # what the upscaled frames are of

        def decoded() -> Iterator[Levels]:
            for segment in segments:
                for frame in decode(self.source, segment, self._layout):
                    made.append((segment, frame))
                    yield frame.pixels

        savings = outcome.savings if self._request.reuse else None
        self.pool.fit_frames(self.source.size, 2 * AHEAD + _ENCODER)
        upscaled = read_ahead(self.pool.frames(read_ahead(decoded(), AHEAD), savings), AHEAD)
        frames = ((*made.popleft(), pixels) for pixels in upscaled)
        with told(self._request.output, "cannot be written"), contextlib.closing(upscaled):
            for segment, group in itertools.groupby(frames, key=lambda item: item[0]):
                with (
                    self.parts.writing(segment) as path,
                    Encoder(path, self._encoding) as encoder,
                ):
                    for _, frame, pixels in group:
                        encoder.write(pixels, frame.time, frame.planes)
                        outcome.frames += 1
                        outcome.concealed += frame.concealed
                        progress("frames", outcome.frames, max(of, outcome.frames))
        for segment in self.parts.missing(segments):  # no frame of it could be decoded
            with self.parts.writing(segment) as path:
                path.touch()
        return outcome

    def join(self) -> None:
        """Write the output from all segments, which are there, and remove them."""
        start = self._request.start
        zero = None if start is None else self.source.ticks(start)
        files = [self.parts.path(segment) for segment in self.segments]
        join(self.source, self.segments, files, self._request.output, zero)
        self.parts.remove()


def layout_of(source: Source, pool: EnginePool) -> Layout:
    """The layout in which the frames of ``source`` go through the engines of ``pool``: that of a
    file of luma where the video has luma in a plane of its own, else RGB."""
    return pool.layout if CHANNELS[pool.layout] == 1 and source.colors.luma else "rgb"


def parse_box(text: str) -> tuple[int, int]:
    """(height, width) of ``1080p``, which is 16:9, or of ``1920x1080``. Raises UsageError."""
    with contextlib.suppress(ValueError):
        if found := re.fullmatch(r"([1-9]\d{1,3})p", text.strip().lower()):
            return int(found[1]), round(int(found[1]) * 16 / 9)
        width, height = parse_sides(text, 16384)
        return height, width
    raise UsageError(f"--scale-to {text}: write a height or two sides, as in 1080p or 1920x1080")


def _output_size(size: Size, scale: int, box: tuple[int, int] | None) -> Size:
    """(height, width), even, of the output: 4:2:0 has no odd sides."""
    height, width = size[0] * scale, size[1] * scale
    if box is None:
        return max(2, height // 2 * 2), max(2, width // 2 * 2)
    along, across = sorted(box, reverse=True)
    high, wide = (along, across) if height > width else (across, along)
    factor = min(Fraction(high, height), Fraction(wide, width))
    return max(2, round(height * factor / 2) * 2), max(2, round(width * factor / 2) * 2)
