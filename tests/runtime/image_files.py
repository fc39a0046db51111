"""Image files by construction: PNG from samples, whatever its bits, filters and passes."""

from __future__ import annotations

import struct
import zlib

import numpy as np
import PIL

from ailsr.runtime.imaging.image import Limit, read_image

PILLOW = int(PIL.__version__.split(".")[0])
"""Before 13, it reads fewer kinds of TIFF."""
CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}  # by colour type
DEPTHS = {0: (1, 2, 4, 8, 16), 2: (8, 16), 3: (1, 2, 4, 8), 4: (8, 16), 6: (8, 16)}
_PASSES = (
    *((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4)),
    *((0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)),
)


def chunk(kind, content):
    checked = kind + content
    return struct.pack(">I", len(content)) + checked + struct.pack(">I", zlib.crc32(checked))


def png(samples, depth, color, *, interlaced=False, before=(), after=(), rows=None):
    """The bytes of a PNG file of ``samples`` (H×W×C), each row under another of the five filters.

    ``before`` and ``after`` are (kind, content) of chunks beside the pixels; ``rows`` is how
    many the last pass holds.
    """
    height, width = samples.shape[:2]
    header = struct.pack(">IIBBBBB", width, height, depth, color, 0, 0, interlaced)
    parts = [samples]
    if interlaced:
        parts = [samples[top::down, left::across] for left, top, across, down in _PASSES]
    parts[-1] = parts[-1][:rows]
    raw = b"".join(_filtered(part, depth) for part in parts if part.size)
    return b"".join(
        (
            b"\x89PNG\r\n\x1a\n",
            chunk(b"IHDR", header),
            *(chunk(*extra) for extra in before),
            chunk(b"IDAT", zlib.compress(raw)),
            *(chunk(*extra) for extra in after),
            chunk(b"IEND", b""),
        )
    )


def _filtered(samples, depth):
    if depth == 16:
        rows = samples.astype(">u2").view(np.uint8).reshape(len(samples), -1)
    else:
        bits = np.unpackbits(samples.astype(np.uint8)[..., None], axis=-1)[..., 8 - depth :]
        rows = np.packbits(bits.reshape(len(samples), -1), axis=1)
    step = max(1, samples.shape[2] * depth // 8)
    result, above = b"", [0] * rows.shape[1]
    for number, row in enumerate(rows.tolist()):
        kind = number % 5
        left = [0] * step + row[:-step]
        corner = [0] * step + above[:-step]
        predicted = {
            0: lambda a, b, c: 0,
            1: lambda a, b, c: a,
            2: lambda a, b, c: b,
            3: lambda a, b, c: (a + b) // 2,
            4: _paeth,
        }[kind]
        result += bytes([kind])
        result += bytes(
            (x - predicted(a, b, c)) % 256
            for x, a, b, c in zip(row, left, above, corner, strict=False)
        )
        above = row
    return result


def _paeth(a, b, c):
    return min((abs(b - c), 0, a), (abs(a - c), 1, b), (abs(a + b - 2 * c), 2, c))[2]


def both(path, memory=1 << 20):
    """The image at ``path``, the same plain and with little memory."""
    plain = read_image(path)
    little = read_image(path, limit=Limit(memory, path.parent))
    assert np.array_equal(plain.rgb, little.rgb[:])
    assert (plain.alpha is None) == (little.alpha is None)
    assert plain.alpha is None or np.array_equal(plain.alpha, little.alpha[:])
    assert (plain.notes, plain.grayscale, plain.exif) == (
        little.notes,
        little.grayscale,
        little.exif,
    )
    assert [p.name for p in path.parent.iterdir()] == [path.name]
    return plain


def eighths(samples, depth):
    """``samples`` of ``depth`` bits in 8, rounded."""
    return np.rint(samples * (255 / ((1 << depth) - 1))).astype(np.uint8)
