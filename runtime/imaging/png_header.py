"""The content of a PNG file beside its pixels. Source: the PNG specification, third edition."""

from __future__ import annotations

import re
import struct
import zlib
from dataclasses import dataclass, field
from typing import IO

import numpy as np
from numpy.typing import NDArray

from ailsr.runtime.errors import ImageError
from ailsr.runtime.imaging.png import chunks
from ailsr.runtime.imaging.rgb_image import Limit
from ailsr.runtime.memory import megabytes

GRAY, RGB, PALETTE, GRAY_ALPHA, RGBA = 0, 2, 3, 4, 6  # colour types
_CHANNELS = {GRAY: 1, RGB: 3, PALETTE: 1, GRAY_ALPHA: 2, RGBA: 4}
_DEPTHS = {
    GRAY: (1, 2, 4, 8, 16),
    RGB: (8, 16),
    PALETTE: (1, 2, 4, 8),
    GRAY_ALPHA: (8, 16),
    RGBA: (8, 16),
}
_SRGB_GAMMA = 45455
_XMP, _EXIF = b"XML:com.adobe.xmp", b"Raw profile type exif"
_APP1, _RAW_XMP = b"Raw profile type APP1", b"Raw profile type xmp"
_TEXTS = {_XMP, _EXIF, _APP1, _RAW_XMP}
"""The texts that may say how the image lies; ImageMagick writes those of raw profiles."""


@dataclass
class PngHeader:
    """The content of a PNG file beside its pixels."""

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
    """By keyword: those that may say how the image lies; by kind: chunks of colour spaces."""
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
        return self.color in (GRAY_ALPHA, RGBA) or self.transparency is not None

    def row_bytes(self, width: int) -> int:
        return (width * self.channels * self.depth + 7) // 8


def read_png_header(file: IO[bytes], name: str, limit: Limit) -> PngHeader:
    """The header of the PNG in ``file``, of all its chunks; what decompresses has a bound.

    Raises ImageError for metadata of more than a sixteenth of the limit, ValueError for a damaged
    file.
    """
    header: PngHeader | None = None
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
        elif kind == b"tRNS" and header.color not in (GRAY_ALPHA, RGBA):
            expected = {GRAY: 2, RGB: 6}.get(header.color)
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
    if header.color == PALETTE and header.palette is None:
        raise ValueError("it has no palette")
    header.notes = _notes(header)
    return header


def _too_much(name: str, kind: bytes, limit: Limit) -> str:
    return (
        f"{name} has metadata ({kind.decode('latin-1')}) of more than "
        f"{megabytes(limit.memory // 16)}: write it without"
        f"{', or raise --max-memory' if limit.folder else ''}"
    )


def _shape(content: bytes) -> PngHeader:
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
    return PngHeader(width, height, depth, color, bool(interlace))


def _notes(header: PngHeader) -> list[str]:
    notes = []
    frames = header.frames + (header.frames > 0 and not header.animated)
    if frames > 1:
        notes.append(f"the first of {frames} frames")
    if header.depth == 16:
        notes.append("16 bits per channel reduced to 8")
    if header.color == PALETTE:
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


def metadata(header: PngHeader) -> tuple[bytes | None, bytes | None]:
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
