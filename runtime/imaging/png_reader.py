"""Any PNG by bands of rows: the same pixels whether memory is limited or not.

The compressed stream is inflated piece by piece; of each band Pillow's decoder undoes the filters,
with the row above it put back on top. Everything else is done here: bits of 1 to 16, palettes,
transparent colours, and the seven passes of an interlaced image. Source: the PNG specification,
third edition.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ailsr.runtime.errors import ImageError
from ailsr.runtime.imaging.decoded import Band, Decoded, band_rows, to_8_bits
from ailsr.runtime.imaging.png import SIGNATURE, chunks
from ailsr.runtime.imaging.png_header import (
    GRAY,
    GRAY_ALPHA,
    PALETTE,
    RGBA,
    PngHeader,
    metadata,
    read_png_header,
)
from ailsr.runtime.imaging.rgb_image import Limit

_BYTE_MODES = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}
"""Pillow's mode of as many bytes a pixel: all that the filters need to know."""
_ADAM7 = (
    (0, 0, 8, 8),
    (4, 0, 8, 8),
    (0, 4, 4, 8),
    (2, 0, 4, 4),
    (0, 2, 2, 4),
    (1, 0, 2, 2),
    (0, 1, 1, 2),
)
"""Of each pass: first column, first row, and the steps between columns and rows."""
_BLOCK = 1 << 20  # bytes read, or inflated, at a time


def decode_png(file: IO[bytes], name: str, limit: Limit) -> Decoded | None:
    """The image in ``file``, at its start; None when it is no PNG.

    Raises ImageError when ``limit`` is too low, ValueError, here or from the bands, when the file
    is damaged or ends too soon.
    """
    if file.read(len(SIGNATURE)) != SIGNATURE:
        file.seek(0)
        return None
    header = read_png_header(file, name, limit)
    size = header.height, header.width
    rows = band_rows(header.width, header.row_bytes(header.width), limit)
    if not rows:
        raise ImageError(limit.too_wide(name, header.width))
    if header.interlaced:
        needed = header.width * header.height * (3 + header.transparent)
        limit.check(name, size, needed, "write it without interlacing")
        whole = _deinterlaced(file, header, rows)
        bands: Iterator[Band] = iter([whole])
        crop = whole.crop
    else:
        bands, crop = _bands(file, header, rows), None
    exif, xmp = metadata(header)
    return Decoded(size, bands, crop, exif, xmp, header.profile, header.notes)


class _Rows:
    """The rows of a PNG file as they were before they were filtered, one pass after the other."""

    def __init__(self, file: IO[bytes], header: PngHeader) -> None:
        self._file, self._header = file, header
        self._compressed = _compressed(file)
        self._pieces, self._ready = _inflated(self._compressed), bytearray()

    def samples(self, width: int, height: int, rows: int) -> Iterator[NDArray[Any]]:
        """The next ``height`` rows in bands, each n×width×channels, uint8 or big-endian uint16."""
        header = self._header
        length = header.row_bytes(width)
        above = bytes(length)
        for start in range(0, height, rows):
            count = min(rows, height - start)
            while len(self._ready) < count * (length + 1):
                piece = next(self._pieces, None)
                if piece is None:
                    raise ValueError("it is cut short")
                self._ready += piece
            filtered = b"\0" + above + self._ready[: count * (length + 1)]
            del self._ready[: count * (length + 1)]
            band = _unfiltered(filtered, length, max(1, header.channels * header.depth // 8))
            above = band[-1].tobytes()
            yield _unpacked(band[1:], header.depth, width, header.channels)

    def end(self) -> None:
        """Compare the checksums of the rest. Raises ValueError."""
        for _ in self._compressed:
            pass


def _unfiltered(filtered: bytes, length: int, step: int) -> NDArray[np.uint8]:
    """Rows of ``length`` bytes, whose filters look back by ``step`` bytes."""
    stored = zlib.compress(filtered, 0)
    size = (length // step, len(filtered) // (length + 1))
    if step in _BYTE_MODES:
        mode = _BYTE_MODES[step]
        return np.asarray(Image.frombytes(mode, size, stored, "zip", mode)).reshape(-1, length)
    mode = _BYTE_MODES[step // 2]  # of 16 bits Pillow keeps one byte, of either order the first
    rows = np.empty((size[1], length), np.uint8)
    for half, order in enumerate("BL"):
        image = Image.frombytes(mode, size, stored, "zip", f"{mode};16{order}")
        rows[:, half::2] = np.asarray(image).reshape(size[1], -1)
    return rows


def _unpacked(rows: NDArray[np.uint8], depth: int, width: int, channels: int) -> NDArray[Any]:
    if depth == 16:
        return rows.view(">u2").reshape(len(rows), width, channels)
    if depth < 8:
        shifts = np.arange(8 - depth, -1, -depth, dtype=np.uint8)
        rows = ((rows[:, :, None] >> shifts) & np.uint8((1 << depth) - 1)).reshape(len(rows), -1)
        rows = rows[:, :width]
    return rows.reshape(len(rows), width, channels)


def _bands(file: IO[bytes], header: PngHeader, rows: int) -> Iterator[Band]:
    source = _Rows(file, header)
    for samples in source.samples(header.width, header.height, rows):
        yield _band(samples, header)
    source.end()


def _deinterlaced(file: IO[bytes], header: PngHeader, rows: int) -> Band:
    shape, source = (header.height, header.width), _Rows(file, header)
    color = np.empty((*shape, 1 if header.color in (GRAY, GRAY_ALPHA) else 3), np.uint8)
    alpha = np.empty(shape, np.uint8) if header.transparent else None
    for left, top, across, down in _ADAM7:
        width, height = -((left - header.width) // across), -((top - header.height) // down)
        if width <= 0 or height <= 0:
            continue
        row = top
        for samples in source.samples(width, height, rows):
            band = _band(samples, header)
            target = (slice(row, row + len(samples) * down, down), slice(left, None, across))
            color[target] = band.color
            if alpha is not None and band.alpha is not None:
                alpha[target] = band.alpha
            row += len(samples) * down
    source.end()
    return Band(color, alpha)


def _band(samples: NDArray[Any], header: PngHeader) -> Band:
    if header.color == PALETTE:
        return _colored(samples[..., 0], header)
    alpha = None
    if header.color in (GRAY_ALPHA, RGBA):
        samples, alpha = samples[..., :-1], samples[..., -1]
    white = (1 << header.depth) - 1
    if header.transparency is not None:
        hidden = np.frombuffer(header.transparency, ">u2") & white
        alpha = np.where((samples == hidden).all(-1), 0, white)
    return Band(to_8_bits(samples, white), None if alpha is None else to_8_bits(alpha, white))


def _colored(indices: NDArray[np.uint8], header: PngHeader) -> Band:
    assert header.palette is not None
    if int(indices.max()) >= len(header.palette):
        raise ValueError(f"it uses colour {indices.max()} of {len(header.palette)}")
    alpha = None
    if header.transparency is not None:
        opacity = np.full(256, 255, np.uint8)
        opacity[: len(header.transparency)] = np.frombuffer(header.transparency, np.uint8)
        alpha = opacity[indices]
    return Band(header.palette[indices], alpha)


def _compressed(file: IO[bytes]) -> Iterator[bytes]:
    """The content of the IDAT chunks, piece by piece. Raises ValueError when one is damaged."""
    for kind, length in chunks(file):
        if kind != b"IDAT":
            continue
        checksum, left = zlib.crc32(kind), length
        while left:
            piece = file.read(min(left, _BLOCK))
            if not piece:
                return
            left, checksum = left - len(piece), zlib.crc32(piece, checksum)
            yield piece
        if file.read(4) != checksum.to_bytes(4, "big"):
            raise ValueError("the checksum of its pixels is wrong")


def _inflated(pieces: Iterator[bytes]) -> Iterator[bytes]:
    inflate = zlib.decompressobj()
    for piece in pieces:
        while piece and not inflate.eof:
            if inflated := inflate.decompress(piece, _BLOCK):
                yield inflated
            piece = inflate.unconsumed_tail
