"""Encodes the frames of a segment into a file of its own, which knows nothing of the others."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from types import TracebackType

from ailsr.runtime.card import Layout
from ailsr.runtime.engines.layouts import Levels
from ailsr.runtime.video.codecs import Codec
from ailsr.runtime.video.colors import Colors, Writer, same_chroma
from ailsr.runtime.video.library import av

FORMAT, ENDING = "nut", ".nut"
"""NUT keeps any codec and any time base as they are."""


@dataclass(frozen=True)
class Encoding:
    """How frames are encoded."""

    codec: Codec
    settings: dict[str, str]
    size: tuple[int, int]
    """(height, width), both even."""
    rate: Fraction
    time_base: Fraction
    colors: Colors
    aspect: Fraction
    layout: Layout = "rgb"
    """Of the pixels that come."""


class Encoder:
    """Writes one segment to ``path``."""

    def __init__(self, path: Path, encoding: Encoding) -> None:
        self._container = av.open(
            str(path), "w", format=FORMAT,
            options={"avoid_negative_ts": "disabled", "fflags": "+bitexact"},
        )  # fmt: skip
        self._stream = self._container.add_stream(
            encoding.codec.encoder, rate=encoding.rate, options=encoding.settings
        )
        context = self._stream.codec_context
        context.height, context.width = encoding.size
        context.pix_fmt = "yuv420p"
        context.thread_count, context.thread_type = encoding.codec.threads, "FRAME"
        context.sample_aspect_ratio = encoding.aspect
        colors = encoding.colors
        context.colorspace, context.color_range = colors.matrix, 2 if colors.full else 1
        context.color_primaries, context.color_trc = colors.primaries, colors.transfer
        self._time_base = encoding.time_base
        self._stream.time_base = context.time_base = self._time_base
        self._writer = Writer(colors, encoding.size, encoding.layout)
        self._last: tuple[Levels, av.VideoFrame | None, av.VideoFrame] | None = None

    def write(self, pixels: Levels, time: int, small: av.VideoFrame | None = None) -> None:
        """The next frame, H×W×3 or, with the chroma of ``small``, H×W×1 of luma, shown from
        ``time`` on, in ticks of the time base."""
        last = self._last
        if last is None or last[0] is not pixels or not same_chroma(last[1], small):
            last = self._last = pixels, small, self._writer.write(pixels, small)
        self.encode(last[2], time)

    def encode(self, frame: av.VideoFrame, time: int) -> None:
        """The next frame, of the encoder's own size and pixels."""
        frame.pts = time
        frame.time_base = self._time_base
        self._container.mux(self._stream.encode(frame))

    def __enter__(self) -> Encoder:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is None:
            self._container.mux(self._stream.encode(None))
        self._container.close()
