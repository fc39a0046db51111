"""Frames of a video in a pipe: raw rgb24, or whole PNG or PPM pictures one after the other.

What ffmpeg writes with ``-f rawvideo -pix_fmt rgb24``, ``-f image2pipe -c:v png`` and
``-f image2pipe -c:v ppm``; frames leave as they came.
"""

from __future__ import annotations

import io
import itertools
import struct
import warnings
from collections.abc import Callable, Iterator
from typing import IO, Literal

import numpy as np
from PIL import Image

from ailsr.runtime.errors import ImageError
from ailsr.runtime.imaging import png
from ailsr.runtime.imaging.picture import Rgb
from ailsr.runtime.upscaling.tiles import Size

Format = Literal["rgb24", "png", "ppm"]


def read_frames(stream: IO[bytes], size: Size | None) -> tuple[Format, Iterator[Rgb]]:
    """The format of the frames in ``stream``, and the frames, H×W×3.

    ``size`` (height, width) is that of raw frames; None: PNG or PPM, by their first bytes. Raises
    ImageError, as the iterator does, when there is no frame or one is damaged or cut short.
    """
    source = _Source(stream)
    if size is not None:
        frames, kind = _frames(source, lambda: _raw(source, *size)), "rgb24"
    elif source.peek(8) == png.SIGNATURE:
        frames, kind = _frames(source, lambda: _png(source)), "png"
    elif source.peek(2) == b"P6":
        frames, kind = _frames(source, lambda: _ppm(source)), "ppm"
    elif not source.peek(1):
        raise ImageError("no frame came through the pipe: look at what its writer says")
    else:
        raise ImageError(
            "the pipe holds neither PNG nor PPM (P6) frames: for raw rgb24 give --size WxH"
        )
    first = next(frames, None)
    if first is None:
        raise ImageError("no frame came through the pipe: look at what its writer says")
    return kind, itertools.chain([first], frames)  # type: ignore[return-value]


class FrameWriter:
    """Writes frames to ``stream`` in bands of rows."""

    def __init__(self, stream: IO[bytes], kind: Format) -> None:
        self._stream, self._kind = stream, kind
        self._png: png.PngWriter | None = None

    def write(self, pixels: Rgb, *, first: bool, last: bool, height: int) -> None:
        """The next rows; ``first`` and ``last`` of a frame that has ``height`` rows in all."""
        width = pixels.shape[1]
        if self._kind == "png":
            if first or self._png is None:
                self._png = png.PngWriter(self._stream, (height, width))
            self._png.write(pixels)
            if last:
                self._png.close()
        else:
            if first and self._kind == "ppm":
                self._stream.write(b"P6\n%d %d\n255\n" % (width, height))
            self._stream.write(np.ascontiguousarray(pixels).data)
        if last:
            self._stream.flush()


class _Source:
    """A pipe that can be looked into."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream, self._ahead, self.frame = stream, b"", 1

    def peek(self, size: int) -> bytes:
        """The next ``size`` bytes, which stay; fewer at the end."""
        if len(self._ahead) < size:
            self._ahead += self._stream.read(size - len(self._ahead))
        return self._ahead[:size]

    def take(self, size: int) -> bytes:
        """The next ``size`` bytes. Raises ImageError when there are fewer."""
        ahead, self._ahead = self._ahead[:size], self._ahead[size:]
        data = ahead + self._stream.read(size - len(ahead)) if len(ahead) < size else ahead
        if len(data) < size:
            raise ImageError(
                f"the pipe ended inside frame {self.frame}, {size - len(data)} bytes short: the "
                f"{self.frame - 1} frames before it are complete"
            )
        return data

    def damaged(self, reason: str) -> ImageError:
        return ImageError(f"frame {self.frame} cannot be read: {reason}")


def _frames(source: _Source, read: Callable[[], Rgb]) -> Iterator[Rgb]:
    while source.peek(1):
        yield read()
        source.frame += 1


def _raw(source: _Source, height: int, width: int) -> Rgb:
    data = source.take(height * width * 3)
    return np.frombuffer(data, np.uint8).reshape(height, width, 3)


def _png(source: _Source) -> Rgb:
    data = source.take(8)
    if data != png.SIGNATURE:
        raise source.damaged("it does not begin as a PNG does")
    parts, kind = [data], b""
    while kind != b"IEND":
        start = source.take(8)
        length, kind = struct.unpack(">I4s", start)
        parts += [start, source.take(length + 4)]
    try:
        with warnings.catch_warnings(), Image.open(io.BytesIO(b"".join(parts))) as image:
            warnings.simplefilter("ignore")
            return np.asarray(image.convert("RGB"))
    except Exception as error:  # a decoder raises whatever its parsing meets
        raise source.damaged(str(error)) from None


def _ppm(source: _Source) -> Rgb:
    """P6, width, height, 255, each followed by white space."""
    words: list[bytes] = []
    while len(words) < 4:
        word = b""
        while not (byte := source.take(1)).isspace():
            word += byte
            if len(word) > 9:
                raise source.damaged("it does not begin as a PPM does")
        words += [word] if word else []
    if words[0] != b"P6" or words[3] != b"255" or not all(w.isdigit() for w in words[1:3]):
        raise source.damaged("it is no PPM of 8 bits (P6, 255)")
    width, height = int(words[1]), int(words[2])
    if not width or not height:
        raise source.damaged(f"it has {width}x{height} pixels")
    return _raw(source, height, width)
