"""Any PNG by bands of rows: the same pixels whether memory is limited or not.

The compressed stream is inflated piece by piece; of each band Pillow's decoder undoes the filters,
with the row above it put back on top. Everything else is done here: bits of 1 to 16, palettes,
transparent colours, and the seven passes of an interlaced picture. Source: the PNG specification,
third edition.
"""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ailsr.runtime.errors import ImageError
from ailsr.runtime.imaging.decoded import Band, Decoded, band_rows, to_8_bits
from ailsr.runtime.imaging.picture import Limit
from ailsr.runtime.imaging.png import SIGNATURE, chunks
from ailsr.runtime.memory import megabytes

_GRAY, _RGB, _PALETTE, _GRAY_ALPHA, _RGBA = 0, 2, 3, 4, 6  # colour types
_CHANNELS = {_GRAY: 1, _RGB: 3, _PALETTE: 1, _GRAY_ALPHA: 2, _RGBA: 4}
_DEPTHS = {
    _GRAY: (1, 2, 4, 8, 16),
    _RGB: (8, 16),
    _PALETTE: (1, 2, 4, 8),
    _GRAY_ALPHA: (8, 16),
    _RGBA: (8, 16),
}
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
_SRGB_GAMMA = 45455
_XMP, _EXIF = b"XML:com.adobe.xmp", b"Raw profile type exif"
_APP1, _RAW_XMP = b"Raw profile type APP1", b"Raw profile type xmp"
_TEXTS = {_XMP, _EXIF, _APP1, _RAW_XMP}
"""The texts that may say how the picture lies; ImageMagick writes those of raw profiles."""


@dataclass
class _Header:
    """What a PNG file says beside its pixels."""

    width: int
    height: int
    depth: int
    color: int
    interlaced: bool
    palette: NDArray[np.uint8] | None = None
    """Colours, n×3."""
    transparency: bytes | None = None
    """The content of tRNS."""
    exif: bytes | None = None
    profile: bytes | None = None
    texts: dict[bytes, bytes] = field(default_factory=dict)
    frames: int = 0
    """Of an animation, by acTL."""
    animated: bool = False
    """The pixels are the animation's first frame."""
    notes: list[str] = field(default_factory=list)

    @property
    def channels(self) -> int:
        return _CHANNELS[self.color]

    @property
    def transparent(self) -> bool:
        return self.color in (_GRAY_ALPHA, _RGBA) or self.transparency is not None

    def row_bytes(self, width: int) -> int:
        return (width * self.channels * self.depth + 7) // 8


def decode_png(file: IO[bytes], name: str, limit: Limit) -> Decoded | None:
    """The picture in ``file``, at its start; None when it is no PNG.

    Raises ImageError when ``limit`` is too low, ValueError, here or from the bands, when the file
    is damaged or ends too soon.
    """
    if file.read(len(SIGNATURE)) != SIGNATURE:
        file.seek(0)
        return None
    header = _read_header(file, name, limit)
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
    exif, xmp = _metadata(header)
    return Decoded(size, bands, crop, exif, xmp, header.profile, header.notes)


def _read_header(file: IO[bytes], name: str, limit: Limit) -> _Header:
    header: _Header | None = None
    left = limit.memory // 16  # bytes of metadata

    def content(length: int) -> bytes:
        if length > left:
            raise ImageError(_too_much(name, kind, limit))
        data = file.read(length)
        if zlib.crc32(data, zlib.crc32(kind)).to_bytes(4, "big") != file.read(4):
            raise ValueError(f"its {kind.decode('latin-1')} chunk is damaged")
        return data

    def inflated(data: bytes) -> bytes | None:
        inflate = zlib.decompressobj()
        try:
            found = inflate.decompress(data, left + 1)
        except zlib.error:
            return None
        if len(found) > left:
            raise ImageError(_too_much(name, kind, limit))
        return found if inflate.eof else None

    pixels = False
    for kind, length in chunks(file):
        if header is None:
            if kind != b"IHDR" or length != 13:
                raise ValueError("it does not begin with a PNG header")
            header = _shape(content(length))
        elif kind == b"IDAT":
            pixels = True
        elif kind == b"PLTE":
            if length % 3 or not 0 < length <= 768:
                raise ValueError(f"its palette has {length} bytes")
            header.palette = np.frombuffer(content(length), np.uint8).reshape(-1, 3)
        elif kind == b"tRNS" and header.color not in (_GRAY_ALPHA, _RGBA):
            expected = {_GRAY: 2, _RGB: 6}.get(header.color)
            if length > 256 or length != (expected or length):
                raise ValueError(f"its tRNS chunk has {length} bytes")
            header.transparency = content(length)
        elif kind == b"acTL" and length == 8 and not pixels:
            header.frames = int.from_bytes(content(length)[:4], "big")
        elif kind == b"fcTL" and not pixels:
            header.animated = True
        elif kind == b"eXIf":
            header.exif = content(length)
            left -= length
        elif kind == b"iCCP":
            header.profile = inflated(content(length).partition(b"\0")[2][1:]) or b"damaged"
            left -= len(header.profile)
        elif kind in (b"tEXt", b"zTXt", b"iTXt"):
            key = file.read(min(length, 80)).partition(b"\0")[0]
            if key in _TEXTS:
                file.seek(-min(length, 80), 1)
                text = content(length)[len(key) + 1 :]
                if kind == b"zTXt":
                    text = inflated(text[1:]) or b""
                elif kind == b"iTXt":
                    packed, text = text[:1] == b"\1", text[2:].split(b"\0", 2)[-1]
                    text = (inflated(text) or b"") if packed else text
                header.texts[key] = text
                left -= len(text)
        elif kind in (b"gAMA", b"cICP", b"sRGB") and length <= 32:
            header.texts[kind] = content(length)
        elif kind[:1].isupper() and kind != b"IEND":
            raise ValueError(f"it needs {kind.decode('latin-1')} to be understood")
    if header is None:
        raise ValueError("it holds nothing")
    if header.color == _PALETTE and header.palette is None:
        raise ValueError("it has no palette")
    header.notes = _notes(header)
    return header


def _too_much(name: str, kind: bytes, limit: Limit) -> str:
    return (
        f"{name} has metadata ({kind.decode('latin-1')}) of more than "
        f"{megabytes(limit.memory // 16)}: write it without"
        f"{', or raise --max-memory' if limit.folder else ''}"
    )


def _shape(content: bytes) -> _Header:
    width, height, depth, color, compression, filters, interlace = struct.unpack(
        ">IIBBBBB", content
    )
    if depth not in _DEPTHS.get(color, ()) or compression or filters or interlace > 1:
        raise ValueError(
            f"a PNG of {depth} bits, colour type {color}, compression {compression}, filters "
            f"{filters}, interlacing {interlace} is not known"
        )
    if not width or not height:
        raise ValueError(f"it has {width}x{height} pixels")
    return _Header(width, height, depth, color, bool(interlace))


def _notes(header: _Header) -> list[str]:
    notes = []
    frames = header.frames + (header.frames > 0 and not header.animated)
    if frames > 1:
        notes.append(f"the first of {frames} frames")
    if header.depth == 16:
        notes.append("16 bits per channel reduced to 8")
    if header.color == _PALETTE:
        notes.append("palette converted to RGB")
    cicp, gamma = header.texts.get(b"cICP", b""), header.texts.get(b"gAMA", b"")
    if cicp and cicp[:3] != bytes((1, 13, 0)):
        named = "/".join(map(str, cicp))
        notes.append(f"its colour space (cICP {named}) is not applied; taken as sRGB")
    elif gamma and not header.profile and b"sRGB" not in header.texts:
        value = int.from_bytes(gamma[:4], "big")
        if abs(value - _SRGB_GAMMA) > 500:
            notes.append(f"its gamma of {value / 1e5:g} is not applied; taken as sRGB")
    return notes


def _metadata(header: _Header) -> tuple[bytes | None, bytes | None]:
    """(EXIF, XMP): of the chunks of their own, or else of ImageMagick's raw profiles."""
    exif = header.exif or _raw_profile(header.texts.get(_EXIF))
    xmp = header.texts.get(_XMP) or _raw_profile(header.texts.get(_RAW_XMP))
    app1 = _raw_profile(header.texts.get(_APP1))
    if app1 and app1.startswith(b"Exif\0\0"):
        exif = exif or app1
    return exif, xmp or app1


def _raw_profile(text: bytes | None) -> bytes | None:
    """Line feed, name, length, and hexadecimal digits in lines."""
    found = re.fullmatch(rb"\s*\w+\s+\d+\s+([0-9a-fA-F\s]*)\0?", text or b"")
    try:
        return bytes.fromhex(found[1].decode()) if found else None
    except ValueError:
        return None


class _Rows:
    """The rows of a PNG file as they were before they were filtered, one pass after the other."""

    def __init__(self, file: IO[bytes], header: _Header) -> None:
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


def _bands(file: IO[bytes], header: _Header, rows: int) -> Iterator[Band]:
    source = _Rows(file, header)
    for samples in source.samples(header.width, header.height, rows):
        yield _band(samples, header)
    source.end()


def _deinterlaced(file: IO[bytes], header: _Header, rows: int) -> Band:
    shape, source = (header.height, header.width), _Rows(file, header)
    color = np.empty((*shape, 1 if header.color in (_GRAY, _GRAY_ALPHA) else 3), np.uint8)
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


def _band(samples: NDArray[Any], header: _Header) -> Band:
    if header.color == _PALETTE:
        return _colored(samples[..., 0], header)
    alpha = None
    if header.color in (_GRAY_ALPHA, _RGBA):
        samples, alpha = samples[..., :-1], samples[..., -1]
    white = (1 << header.depth) - 1
    if header.transparency is not None:
        hidden = np.frombuffer(header.transparency, ">u2") & white
        alpha = np.where((samples == hidden).all(-1), 0, white)
    return Band(to_8_bits(samples, white), None if alpha is None else to_8_bits(alpha, white))


def _colored(indices: NDArray[np.uint8], header: _Header) -> Band:
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
