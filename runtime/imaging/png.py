"""PNG by bands of rows, so that neither reading nor writing holds a whole picture.

Reading: the compressed stream is inflated band by band; each band, with the row above it put back
on top, is handed to Pillow as a small PNG of its own, whose decoder undoes the filters. Writing:
every row is filtered by Paeth's predictor and compressed by run lengths, which on photographs
yields files as small as Pillow's (within 4 %) in half of the time.
"""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO

import numpy as np
from numpy.typing import NDArray
from PIL import Image

SIGNATURE = b"\x89PNG\r\n\x1a\n"
_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}  # by colour type
_RGB, _RGBA = 2, 6
_PAETH = 4
_BLOCK = 1 << 20  # bytes filtered, or read, at a time


@dataclass(frozen=True)
class Header:
    """What a PNG file says before its pixels, and where they are."""

    width: int
    height: int
    color: int
    plain: bool
    """8 bits a channel, not interlaced, not animated: ``read_bands`` can read it."""
    palette: bytes
    """Its PLTE and tRNS chunks as they stand."""
    exif: bytes | None
    profile: bytes | None


def read_header(file: IO[bytes]) -> Header | None:
    """The header of the PNG in ``file``, at whose start it is left; None when it holds none.

    Raises ValueError when it is damaged.
    """
    file.seek(0)
    if file.read(8) != SIGNATURE:
        return None
    palette, plain, exif, profile, shape = b"", True, None, None, None
    for kind, length in _chunks(file):
        if kind in (b"IDAT", b"IEND"):
            continue
        content = file.read(length)
        if kind == b"IHDR":
            width, height, bits, color, _, _, interlace = struct.unpack(">IIBBBBB", content[:13])
            shape = (width, height, color)
            plain = bits == 8 and not interlace and color in _CHANNELS and width * height > 0
        elif kind in (b"PLTE", b"tRNS"):
            palette += _chunk(kind, content)
        elif kind == b"eXIf":
            exif = content
        elif kind == b"iCCP":
            profile = _inflated(content.partition(b"\0")[2][1:])
        elif kind == b"acTL":
            plain = False
    file.seek(0)
    if shape is None:
        raise ValueError("no PNG header")
    return Header(*shape, plain, palette, exif, profile)


def read_bands(file: IO[bytes], header: Header, rows: int) -> Iterator[Image.Image]:
    """The picture in bands of ``rows`` rows (the last may have fewer), as Pillow images.

    Raises ValueError when the data is damaged or ends too soon.
    """
    stride = header.width * _CHANNELS[header.color] + 1
    above = bytes(stride)  # what the filters refer to: filter type 0, then the row's bytes
    pieces, ready = _inflated_data(file), bytearray()
    for start in range(0, header.height, rows):
        count = min(rows, header.height - start)
        while len(ready) < count * stride:
            piece = next(pieces, None)
            if piece is None:
                raise ValueError("it is cut short")
            ready += piece
        small = _header(header.width, count + 1, header.color) + header.palette
        small += _chunk(b"IDAT", zlib.compress(above + ready[: count * stride], 0))
        del ready[: count * stride]
        small += _chunk(b"IEND", b"")
        with Image.open(io.BytesIO(small)) as image:
            image.load()
            above = b"\0" + image.crop((0, count, header.width, count + 1)).tobytes()
            yield image.crop((0, 1, header.width, count + 1))


class PngWriter:
    """Writes one PNG of 8-bit RGB or RGBA to ``file``, rows as they come."""

    def __init__(
        self,
        file: IO[bytes],
        size: tuple[int, int],
        *,
        alpha: bool = False,
        profile: bytes | None = None,
        exif: bytes | None = None,
    ) -> None:
        """``size`` is (height, width); ``exif`` begins with its TIFF header."""
        self._file = file
        self._channels = 4 if alpha else 3
        self._above = np.zeros((1, (size[1] + 1) * self._channels), np.uint8)
        self._deflate = zlib.compressobj(strategy=zlib.Z_RLE)
        file.write(_header(size[1], size[0], _RGBA if alpha else _RGB))
        if profile:
            file.write(_chunk(b"iCCP", b"ICC profile\0\0" + zlib.compress(profile)))
        if exif:
            file.write(_chunk(b"eXIf", exif))

    def write(self, pixels: NDArray[np.uint8]) -> None:
        """The next rows, n×W×3 or n×W×4."""
        step = max(1, _BLOCK // (pixels.shape[1] * self._channels))
        for start in range(0, len(pixels), step):
            block = pixels[start : start + step]
            self._put(self._deflate.compress(self._filtered(block)))

    def close(self) -> None:
        """End the picture, but leave the file open."""
        self._put(self._deflate.flush())
        self._file.write(_chunk(b"IEND", b""))

    def _filtered(self, pixels: NDArray[np.uint8]) -> bytes:
        """Each row less Paeth's prediction from its left, upper and upper left neighbours."""
        n = self._channels
        rows = np.zeros((len(pixels) + 1, self._above.shape[1]), np.uint8)  # a zero pixel at left
        rows[0], rows[1:, n:] = self._above, pixels.reshape(len(pixels), -1)
        self._above = rows[-1:].copy()
        left, up, corner = rows[1:, :-n], rows[:-1, n:], rows[:-1, :-n]
        # The distances of a + b - c to a, b and c, of which the smallest decides.
        to_left = up.astype(np.int16) - corner
        to_up = left.astype(np.int16) - corner
        to_corner = np.abs(to_left + to_up)
        np.abs(to_left, out=to_left)
        np.abs(to_up, out=to_up)
        prediction = np.where(to_up <= to_corner, up, corner)
        np.copyto(prediction, left, where=(to_left <= to_up) & (to_left <= to_corner))
        result = np.empty((len(pixels), rows.shape[1] - n + 1), np.uint8)
        result[:, 0] = _PAETH
        np.subtract(rows[1:, n:], prediction, out=result[:, 1:])
        return result.tobytes()

    def _put(self, data: bytes) -> None:
        if data:
            self._file.write(_chunk(b"IDAT", data))


def _header(width: int, height: int, color: int) -> bytes:
    return SIGNATURE + _chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, color, 0, 0, 0))


def _chunk(kind: bytes, content: bytes) -> bytes:
    checksum = zlib.crc32(content, zlib.crc32(kind))
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", checksum)


def _chunks(file: IO[bytes]) -> Iterator[tuple[bytes, int]]:
    """Kind and length of each chunk, with the file at its content, to the end of the file."""
    at = len(SIGNATURE)
    while True:
        file.seek(at)
        start = file.read(8)
        if len(start) < 8:
            return
        length, kind = struct.unpack(">I4s", start)
        yield kind, length
        if kind == b"IEND":
            return
        at += 12 + length


def _inflated_data(file: IO[bytes]) -> Iterator[bytes]:
    """The inflated content of the IDAT chunks, piece by piece."""
    inflate = zlib.decompressobj()
    for kind, length in _chunks(file):
        if kind != b"IDAT":
            continue
        checksum, left = zlib.crc32(kind), length
        while left:
            piece = file.read(min(left, _BLOCK))
            if not piece:
                return
            left, checksum = left - len(piece), zlib.crc32(piece, checksum)
            while piece:
                if inflated := inflate.decompress(piece, _BLOCK):
                    yield inflated
                piece = inflate.unconsumed_tail
        if file.read(4) != struct.pack(">I", checksum):
            raise ValueError("the checksum of its pixels is wrong")


def _inflated(data: bytes) -> bytes | None:
    try:
        return zlib.decompress(data)
    except zlib.error:
        return None
