"""Binary PPM and PGM (P6 and P5) by bands of rows, of any white up to 65535."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import IO, NamedTuple

import numpy as np

from ailsr.runtime.errors import ImageError
from ailsr.runtime.imaging.decoded import Band, Decoded, band_rows, to_8_bits
from ailsr.runtime.imaging.rgb_image import Limit

_CHANNELS = {b"P5": 1, b"P6": 3}


class PnmHeader(NamedTuple):
    width: int
    height: int
    channels: int
    white: int

    @property
    def row_bytes(self) -> int:
        return self.width * self.channels * (2 if self.white > 255 else 1)


def read_pnm_header(read: Callable[[int], bytes]) -> PnmHeader:
    """The header, which ``read`` (bytes wanted -> bytes) yields up to the first pixel.

    Kind, width, height and white, each followed by white space, with comments from # to the end of
    a line. Raises ValueError when it is none.
    """
    words: list[bytes] = []
    word = b""
    while len(words) < 4:
        byte = read(1)
        if byte == b"#":
            while byte not in (b"\n", b"\r", b""):
                byte = read(1)
        if byte.isspace():
            words += [word] if word else []
            word = b""
        elif not byte or len(word) == 9:
            raise ValueError("it does not begin as a PPM or PGM does")
        else:
            word += byte
    kind, numbers = words[0], words[1:]
    if kind not in _CHANNELS or not all(n.isdigit() for n in numbers):
        raise ValueError("it is no binary PPM or PGM (P6, P5)")
    width, height, white = map(int, numbers)
    if not width or not height:
        raise ValueError(f"it has {width}x{height} pixels")
    if not 0 < white < 65536:
        raise ValueError(f"its white is {white}, not between 1 and 65535")
    return PnmHeader(width, height, _CHANNELS[kind], white)


def decode_pnm(file: IO[bytes], name: str, limit: Limit) -> Decoded | None:
    """The image in ``file``, at its start; None when it is no binary PPM or PGM.

    Raises ImageError when ``limit`` is too low, ValueError, here or from the bands, when the file
    is damaged or ends too soon.
    """
    kind = file.read(2)
    file.seek(0)
    if kind not in _CHANNELS:
        return None
    header = read_pnm_header(file.read)
    rows = band_rows(header.width, header.row_bytes, limit)
    if not rows:
        raise ImageError(limit.too_wide(name, header.width))
    notes = []
    if header.white > 255:
        bits = header.white.bit_length()
        notes.append(f"{bits} bits per channel reduced to 8")
    return Decoded((header.height, header.width), _bands(file, header, rows), notes=notes)


def _bands(file: IO[bytes], header: PnmHeader, rows: int) -> Iterator[Band]:
    kind = np.dtype(">u2" if header.white > 255 else "u1")
    for start in range(0, header.height, rows):
        count = min(rows, header.height - start)
        data = file.read(count * header.row_bytes)
        if len(data) < count * header.row_bytes:
            raise ValueError("it is cut short")
        levels = np.frombuffer(data, kind).reshape(count, header.width, header.channels)
        if header.white not in (255, 65535) and int(levels.max()) > header.white:
            raise ValueError(f"it holds a level of {levels.max()}, above its white {header.white}")
        yield Band(to_8_bits(levels, header.white), None)
