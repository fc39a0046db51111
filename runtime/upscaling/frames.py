"""Frames of a video in a pipe: raw rgb24, or whole PNG or PPM images one after the other.

ffmpeg writes them with ``-f rawvideo -pix_fmt rgb24``, ``-f image2pipe -c:v png`` and
``-f image2pipe -c:v ppm``. Frames leave in the format in which they came, with 8 bits a channel.
PNG and PPM frames are read as files are.
"""

from __future__ import annotations

import io
import itertools
import struct
from collections.abc import Callable, Iterable, Iterator
from typing import IO, Literal

import numpy as np

from ailsr.runtime.errors import ImageError
from ailsr.runtime.imaging import image, png
from ailsr.runtime.imaging.pnm_reader import read_pnm_header
from ailsr.runtime.imaging.rgb_image import Limit, Rgb
from ailsr.runtime.memory import megabytes
from ailsr.runtime.upscaling.tiles import Size

Format = Literal["rgb24", "png", "ppm"]


def read_frames(
    stream: IO[bytes],
    size: Size | None,
    note: Callable[[str], None] = lambda _: None,
    memory: int = Limit().memory,
) -> tuple[Format, Iterator[Rgb]]:
    """The format of the frames in ``stream``, and the frames, H×W×3, upright, on white.

    ``size`` (height, width) is that of raw frames; None: PNG or PPM, by their first bytes. What had
    to be changed in a frame is told to ``note``, each change once, with the first such frame. A
    frame may take ``memory`` bytes. Raises ImageError, as the iterator does, when there is no frame
    or one is damaged, cut short or too large.
    """
    source = _Source(stream, memory, note)
    if size is not None:
        frames, kind = _frames(source, lambda: _raw(source, *size)), "rgb24"
    elif source.peek(8) == png.SIGNATURE:
        frames, kind = _frames(source, lambda: _converted(source, _png(source))), "png"
    elif source.peek(2) in (b"P5", b"P6"):
        frames, kind = _frames(source, lambda: _converted(source, _pnm(source))), "ppm"
    elif not source.peek(1):
        raise ImageError("no frame came through the pipe: look at what its writer says")
    else:
        raise ImageError(
            "the pipe holds neither PNG nor PPM (P6, P5) frames: for raw rgb24 give --size WxH"
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

    def __init__(self, stream: IO[bytes], memory: int, note: Callable[[str], None]) -> None:
        self._stream, self._ahead, self.frame = stream, b"", 1
        self.memory, self._note, self._noted = memory, note, set[str]()

    @property
    def name(self) -> str:
        return f"frame {self.frame}"

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

    def check(self, size: int) -> None:
        """Raise ImageError when a frame of ``size`` bytes is too large."""
        if size > self.memory:
            raise ImageError(
                f"{self.name} takes {megabytes(size)}, more than the {megabytes(self.memory)} that "
                f"a frame may: send smaller frames, or give more in --max-memory"
            )

    def note(self, notes: Iterable[str]) -> None:
        for note in notes:
            if note not in self._noted:
                self._noted.add(note)
                self._note(f"{self.name}: {note}")

    def damaged(self, reason: str) -> ImageError:
        return ImageError(f"{self.name} cannot be read: {reason}")


def _frames(source: _Source, read: Callable[[], Rgb]) -> Iterator[Rgb]:
    while source.peek(1):
        yield read()
        source.frame += 1


def _raw(source: _Source, height: int, width: int) -> Rgb:
    source.check(height * width * 3)
    data = source.take(height * width * 3)
    return np.frombuffer(data, np.uint8).reshape(height, width, 3)


def _converted(source: _Source, data: bytes) -> Rgb:
    """The image in ``data`` as any file is read."""
    picture = image.read_file(io.BytesIO(data), source.name, limit=Limit(source.memory))
    source.note(picture.notes)
    if picture.alpha is not None:
        source.note(["alpha dropped, put on white (frames in a pipe hold none)"])
    return picture.on_white()


def _png(source: _Source) -> bytes:
    """The bytes of the next frame, up to the end of its last chunk."""
    data = source.take(8)
    if data != png.SIGNATURE:
        raise source.damaged("it does not begin as a PNG does")
    parts, size, kind = [data], 0, b""
    while kind != b"IEND":
        start = source.take(8)
        length, kind = struct.unpack(">I4s", start)
        size += 12 + length
        source.check(size)
        parts += [start, source.take(length + 4)]
    return b"".join(parts)


def _pnm(source: _Source) -> bytes:
    """The bytes of the next frame, header and pixels."""
    head = bytearray()

    def read(size: int) -> bytes:
        data = source.take(size)
        head.extend(data)
        return data

    try:
        header = read_pnm_header(read)
    except ValueError as error:
        raise source.damaged(str(error)) from None
    size = header.height * header.row_bytes
    source.check(size)
    return bytes(head) + source.take(size)
