"""MuLUT (Li et al., ECCV 2022): ×4 by look-up tables alone, as an engine beside others.

Two stages look up 2×2 pixels at a time, in three patterns and four rotations; the first returns a
pixel for each, the second 4×4. A table has an entry for every 16 levels of each of its four pixels,
and what lies between is interpolated in the simplex of the five nearest entries. Colours are
planes of their own. The tables are ``.npy`` files that the authors publish; a path names the first.
numba compiles the loops; without it they are Python, which is for tests of little images alone.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from ailsr.runtime.card import PixelType
from ailsr.runtime.engines.engine import Engine
from ailsr.runtime.engines.pixels import Pixels
from ailsr.runtime.errors import EngineError, ModelError

try:
    import numba

    numba_version = numba.__version__
except ImportError:
    numba_version = ""

Array = NDArray[Any]
Loop = TypeVar("Loop", bound=Callable[..., None])


def compiled(loop: Loop) -> Loop:
    """``loop`` as numba compiles it, where there is numba."""
    result: Loop = numba.njit(cache=True)(loop) if numba_version else loop
    return result


SCALE = 4
PATTERNS = {
    "s": ((0, 1), (1, 0), (1, 1)),
    "d": ((0, 2), (2, 0), (2, 2)),
    "y": ((1, 1), (1, 2), (2, 1)),
}
"""(row, column) of the second, third and fourth pixel by the name of a table, from the first."""
REACH = 2
"""Pixels that a pattern reaches."""
NODES = 17
"""Entries of a table by each of its four pixels: those of the levels 0, 16 … 256."""
STRIDES = (NODES**3, NODES**2, NODES, 1)
STRIDE_A, STRIDE_B, STRIDE_C, STRIDE_D = map(np.int32, STRIDES)
LOOK_UPS = 4 * len(PATTERNS)
"""Of each pixel and stage."""
STEP = 16
"""Levels from one entry to the next, which weights add up to."""
BIAS = 128
"""That bytes of the tables have in place of a sign."""
FIRST_TABLE = "LUT_ft_x4_4bit_int8_s1_s.npy"
"""The file that names all six."""
BYTES = np.uint64(0x00FF00FF00FF00FF)
"""Every other byte of eight: a sum of LOOK_UPS × STEP × 255 fits in its place and the next."""


class LookUpEngine(Engine):
    """The tables beside the one at ``path``. Raises EngineError without numba, ModelError for
    tables of another shape or that are missing."""

    resizable = True
    scale = SCALE
    io_dtype: PixelType = "uint8"
    input_size = (720 // SCALE, 1280 // SCALE)

    def __init__(self, path: Path, threads: int) -> None:
        if not numba_version:
            raise EngineError(f"{path.name} needs numba: pip install numba")
        self.name = f"numba {numba_version}"
        self._tables = tables_of(path)

    def run(self, image: Pixels) -> Pixels:
        return upscale(image, self._tables)


def register(folder: Path) -> None:
    """Make ``LookUpEngine`` the engine of ``.npy`` files for this process and those it starts, as
    packages of others bring engines: by an entry point, of a package in ``folder``."""
    info = folder / "ailsr_benchmarks-0.dist-info"
    info.mkdir(parents=True, exist_ok=True)
    info.joinpath("METADATA").write_text(
        "Metadata-Version: 2.1\nName: ailsr-benchmarks\nVersion: 0\n"
    )
    info.joinpath("entry_points.txt").write_text("[ailsr.engines]\nnpy = mulut:LookUpEngine\n")
    places = [str(folder), str(Path(__file__).resolve().parent)]
    sys.path += places
    inherited = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = os.pathsep.join([*([inherited] if inherited else []), *places])


def tables_of(path: Path) -> tuple[Array, Array]:
    """The tables of both stages, as ``packed`` makes them, by the path of the first.

    Raises ModelError."""
    stages = []
    for stage, values in (("s1", 1), ("s2", SCALE**2)):
        found = []
        for pattern in PATTERNS:
            file = path.with_name(path.name.replace("s1_s", f"{stage}_{pattern}"))
            try:
                table = np.load(file, allow_pickle=False)
            except (OSError, ValueError) as error:
                raise ModelError(f"{file} cannot be read: fetch it again") from error
            if table.dtype != np.int8 or table.size != NODES**4 * values:
                raise ModelError(f"{file} is no table of MuLUT ×4 in 4 bits")
            found.append(table.reshape(-1, values))
        stages.append(np.stack(found))
    return packed(*stages)


def packed(first: Array, second: Array) -> tuple[Array, Array]:
    """int8 tables [pattern, entry, 1] and [pattern, entry, 16] as ``upscale`` takes them: the
    entries of the second, with BIAS, as two words of eight bytes."""
    words = (second.astype(np.int16) + BIAS).astype(np.uint8).view("<u8").astype(np.uint64)
    return np.ascontiguousarray(first[..., 0]), words


def upscale(image: Pixels, tables: tuple[Array, Array]) -> Pixels:
    """uint8 [h, w, C] -> [4*h, 4*w, C]."""
    height, width, channels = image.shape
    result = np.empty((SCALE * height, SCALE * width, channels), np.uint8)
    between = np.empty((height, width), np.uint8)
    for channel in range(channels):
        _first_stage(_padded(image[..., channel]), tables[0], OFFSETS, between)
        _second_stage(_padded(between), tables[1], OFFSETS, PLACES, LEVELS, result[..., channel])
    return result


def _padded(plane: Pixels) -> Pixels:
    return np.pad(plane, REACH, mode="edge")


def _turned_offsets() -> Array:
    """``PATTERNS`` in images turned by 0, 90, 180, 270 degrees: [rotation, pattern, pixel, 2]."""
    offsets = np.array(list(PATTERNS.values()))
    turns = [offsets]
    for _ in range(3):
        offsets = np.stack([offsets[..., 1], -offsets[..., 0]], axis=-1)
        turns.append(offsets)
    return np.stack(turns)


def _turned_places() -> Array:
    """[rotation, pixel]: where in the words of an entry the value of each pixel of 4×4 lies, with
    bytes in the order that ``_add_blocks`` leaves them in."""
    block = np.arange(SCALE**2).reshape(SCALE, SCALE)
    turns = np.stack([np.rot90(block, -turn).ravel() for turn in range(4)])
    word, byte = np.divmod(turns, 8)
    places: Array = (word * 8 + byte % 2 * 4 + byte // 2).astype(np.uint32)
    return places


def _levels() -> Array:
    """The level of each sum of the second stage, BIAS and all, rounded half to even."""
    sums = np.arange(255 * LOOK_UPS * STEP + 1) - BIAS * LOOK_UPS * STEP
    return np.rint(sums / (len(PATTERNS) * STEP)).clip(0, 255).astype(np.uint8)


OFFSETS, PLACES, LEVELS = _turned_offsets(), _turned_places(), _levels()


@compiled
def _simplices(a: Pixels, b: Pixels, c: Pixels, d: Pixels, entries: Array, weights: Array) -> None:
    """The entries and weights of each four pixels: from the lowest of the cell on, by the order of
    what the pixels lie above it, which a number has in its upper half and its stride below."""
    for x in range(a.size):
        pa, pb, pc, pd = np.int32(a[x]), np.int32(b[x]), np.int32(c[x]), np.int32(d[x])
        entry = (pa >> 4) * STRIDE_A + (pb >> 4) * STRIDE_B + (pc >> 4) * STRIDE_C + (pd >> 4)
        ka, kb = ((pa & 15) << 16) | STRIDE_A, ((pb & 15) << 16) | STRIDE_B
        kc, kd = ((pc & 15) << 16) | STRIDE_C, ((pd & 15) << 16) | STRIDE_D
        high_ab, low_ab, high_cd, low_cd = max(ka, kb), min(ka, kb), max(kc, kd), min(kc, kd)
        most, least = max(high_ab, high_cd), min(low_ab, low_cd)
        one, other = min(high_ab, high_cd), max(low_ab, low_cd)
        more, less = max(one, other), min(one, other)
        entries[0, x] = entry
        entry += most & 0xFFFF
        entries[1, x] = entry
        entry += more & 0xFFFF
        entries[2, x] = entry
        entry += less & 0xFFFF
        entries[3, x] = entry
        entries[4, x] = entry + (least & 0xFFFF)
        weights[0, x] = 16 - (most >> 16)
        weights[1, x] = (most >> 16) - (more >> 16)
        weights[2, x] = (more >> 16) - (less >> 16)
        weights[3, x] = (less >> 16) - (least >> 16)
        weights[4, x] = least >> 16


@compiled
def _row_simplices(
    plane: Pixels, y: int, pattern: Array, width: int, entries: Array, weights: Array
) -> None:
    """``_simplices`` of row ``y`` of a padded ``plane``."""
    (by, bx), (cy, cx), (dy, dx) = pattern[0], pattern[1], pattern[2]
    x = REACH
    _simplices(
        plane[y, x : x + width],
        plane[y + by, x + bx : x + bx + width],
        plane[y + cy, x + cx : x + cx + width],
        plane[y + dy, x + dx : x + dx + width],
        entries,
        weights,
    )


@compiled
def _add_pixels(table: Array, entries: Array, weights: Array, sums: Array) -> None:
    for x in range(sums.size):
        sums[x] += (
            weights[0, x] * table[entries[0, x]]
            + weights[1, x] * table[entries[1, x]]
            + weights[2, x] * table[entries[2, x]]
            + weights[3, x] * table[entries[3, x]]
            + weights[4, x] * table[entries[4, x]]
        )


@compiled
def _add_blocks(table: Array, entries: Array, weights: Array, sums: Array) -> None:
    """Four values at a time, each in 16 bits of a word: even bytes of eight, then the odd ones."""
    for x in range(sums.shape[0]):
        for word in range(2):
            even, odd = sums[x, 2 * word], sums[x, 2 * word + 1]
            for corner in range(5):
                weight = np.uint64(weights[corner, x])
                values = table[entries[corner, x], word]
                even += weight * (values & BYTES)
                odd += weight * ((values >> np.uint64(8)) & BYTES)
            sums[x, 2 * word], sums[x, 2 * word + 1] = even, odd


@compiled
def _first_stage(plane: Pixels, tables: Array, offsets: Array, result: Pixels) -> None:
    """The mean of all look-ups, and 127."""
    height, width = result.shape
    entries, weights = np.empty((5, width), np.uint32), np.empty((5, width), np.int32)
    sums = np.empty(width, np.int32)
    for y in range(height):
        sums[:] = 127 * LOOK_UPS * STEP
        for turn in range(4):
            for pattern in range(len(tables)):
                offset = offsets[turn, pattern]
                _row_simplices(plane, y + REACH, offset, width, entries, weights)
                _add_pixels(tables[pattern], entries, weights, sums)
        for x in range(width):
            level = np.rint(np.float32(sums[x]) / np.float32(LOOK_UPS * STEP))
            result[y, x] = np.uint8(min(max(level, np.float32(0)), np.float32(255)))


@compiled
def _second_stage(
    plane: Pixels, tables: Array, offsets: Array, places: Array, levels: Array, result: Pixels
) -> None:
    """The sum of the means of each pattern's and rotation's 4×4 pixels."""
    height, width = plane.shape[0] - 2 * REACH, plane.shape[1] - 2 * REACH
    entries, weights = np.empty((5, width), np.uint32), np.empty((5, width), np.int32)
    sums = np.empty((4, width, 4), np.uint64)
    values = sums.view(np.uint16)  # of a machine with the lowest byte first
    for y in range(height):
        sums[:] = 0
        for turn in range(4):
            for pattern in range(len(tables)):
                offset = offsets[turn, pattern]
                _row_simplices(plane, y + REACH, offset, width, entries, weights)
                _add_blocks(tables[pattern], entries, weights, sums[turn])
        for pixel in range(SCALE * SCALE):
            row, column = SCALE * y + pixel // SCALE, pixel % SCALE
            a, b, c, d = places[0, pixel], places[1, pixel], places[2, pixel], places[3, pixel]
            for x in range(width):
                total = np.uint32(values[0, x, a]) + np.uint32(values[1, x, b])
                total += np.uint32(values[2, x, c]) + np.uint32(values[3, x, d])
                result[row, SCALE * x + column] = levels[np.uint32(total)]
