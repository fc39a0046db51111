"""A fidelity probe: an image that every runtime can make, and the right answer to it.

An engine, delegate or browser may compute something else than what was exported, without a word:
saturating kernels, float16 where none was asked for, a swapped colour order, a driver's fault. So a
file's card holds the answer to one image, condensed to well under 2 kB: the levels of PLACES
samples, among them some of the border, and the sums over a coarse grid, which no wrong sample
leaves as they were. The image is made of integers alone; ``Probe.java`` and ``probe.ts`` repeat
this module, and ``tests/parity/probe.json`` holds the three together.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ailsr.runtime.rules import check, integer, items, number, text

Rgb = NDArray[np.uint8]

PLACES = 384
"""Samples whose levels are kept."""
BORDER = 64
"""Of these, on the border of the image."""
GRID = 4
"""Rows and columns of the grid over which samples are summed, each colour for itself."""
CELL = 16
"""Side in pixels of the patterns that the image is made of."""
WITHIN_LEVELS = 8
"""Levels by which a sample may differ in an engine that rounds otherwise, such as one that computes
an int8 file in float16."""
WITHIN_MEAN = 0.5
"""Levels by which the mean of a cell of the grid may differ there."""
MOST_LEVELS = 128
"""Of ``within_levels``: a file that would need more tells nothing of its engine."""
MOST_MEAN = 4.0
"""Of ``within_mean``."""

Verdict = Literal["exact", "within", "wrong"]


@dataclass(frozen=True)
class Fidelity:
    """The difference of an engine's answer from that of the file."""

    verdict: Verdict
    """exact: every sample is the same; within: as rounding may differ; wrong: more than that."""
    levels: int
    """The largest difference seen, in levels of 255."""

    def __str__(self) -> str:
        count = f"{self.levels} level{'' if self.levels == 1 else 's'}"
        return {"exact": "exact", "within": f"within {count}", "wrong": f"wrong ({count})"}[
            self.verdict
        ]


@dataclass(frozen=True)
class Probe:
    """The right answer to the probe image, of a file at its own input size."""

    levels: str
    """PLACES levels, two hexadecimal digits each"""
    sums: tuple[int, ...]
    """GRID · GRID · 3 sums of levels: by row, column, colour"""
    within_levels: int = WITHIN_LEVELS
    """Levels by which a sample may differ: more than usual in deep networks that multiply what is
    lost by rounding."""
    within_mean: float = WITHIN_MEAN
    """Levels by which the mean of a cell of the grid may differ."""

    @classmethod
    def of(cls, upscaled: Rgb) -> Probe:
        """The probe whose answer is ``upscaled`` [h, w, 3]."""
        return cls(_at_places(upscaled).tobytes().hex(), tuple(map(int, _sums(upscaled).flat)))

    @classmethod
    def of_json(cls, values: Any) -> Probe:  # noqa: ANN401
        """The probe that ``to_json`` turned into ``values``. Raises ValueError."""
        probe = cls(**check(values, _RULES, required=2))
        if len(bytes.fromhex(probe.levels)) != PLACES:
            raise ValueError(f"not {PLACES} levels of two digits")
        return probe

    def to_json(self) -> dict[str, Any]:
        """Its fields, without those that are as usual."""
        fields = asdict(self)
        if self.within_levels == WITHIN_LEVELS:
            del fields["within_levels"]
        if self.within_mean == WITHIN_MEAN:
            del fields["within_mean"]
        return fields

    def fidelity(self, upscaled: Rgb) -> Fidelity:
        """The difference of ``upscaled`` [h, w, 3], an engine's answer, from the right one."""
        expected = np.frombuffer(bytes.fromhex(self.levels), np.uint8)
        most = int(np.abs(expected.astype(np.int16) - _at_places(upscaled)).max())
        mean = self.mean_difference(upscaled)
        if most == 0 and mean == 0:
            return Fidelity("exact", 0)
        levels = max(most, int(np.ceil(mean)))
        wrong = most > self.within_levels or mean > self.within_mean
        return Fidelity("wrong" if wrong else "within", levels)

    def mean_difference(self, upscaled: Rgb) -> float:
        """The largest difference of the mean of a cell of the grid, in levels."""
        counts = _sums(np.ones_like(upscaled))
        differences = np.abs(np.reshape(self.sums, counts.shape) - _sums(upscaled))
        return float((differences / np.maximum(counts, 1)).max())


_SUMS = GRID * GRID * 3
_RULES = {
    "levels": text(2 * PLACES),
    "sums": items(integer(0, 1 << 50), most=_SUMS, least=_SUMS),
    "within_levels": integer(WITHIN_LEVELS, MOST_LEVELS),
    "within_mean": number(WITHIN_MEAN, MOST_MEAN),
}


def probe_image(height: int, width: int) -> Rgb:
    """The image [height, width, 3]: cells that are flat, ramps, edges, stripes or grain.

    Contrast and colour are those of photographs, so that activations stay within the ranges that a
    file was calibrated for; one edge in four is black and white.
    """
    y, x = np.mgrid[0:height, 0:width].astype(np.uint32)
    i, j = (coordinate.astype(np.int32) % CELL for coordinate in (y, x))
    cell = _hash(y // CELL * np.uint32(1021) + x // CELL + np.uint32(1))
    other = _hash(cell)
    grain = _hash(cell + (i * CELL + j).astype(np.uint32))
    kind = _bits(cell, 29, 3)
    grey = _bits(cell, 0, 8)
    halvings = np.where(kind < 5, 1, 2)  # the finest patterns have the least contrast
    second_grey = grey + (_bits(other, 0, 8) - 128 >> halvings)
    black_and_white = ((kind == 3) | (kind == 4)) & (_bits(other, 29, 2) == 0)
    picture = np.empty((height, width, 3), np.uint8)
    for channel in range(3):
        tint = 8 - 8 * channel  # warm, so that no two colours are alike in the mean
        first = grey + tint + _bits(cell, 8 + 5 * channel, 5) - 16
        second = second_grey + tint + _bits(other, 8 + 5 * channel, 5) - 16
        first = np.where(black_and_white, 0, np.clip(first, 0, 255))
        second = np.where(black_and_white, 255, np.clip(second, 0, 255))
        last = CELL - 1
        values = np.select(
            [kind == number for number in range(7)],
            [
                first,
                (first * (last - j) + second * j) // last,
                (first * (last - i) + second * i) // last,
                np.where(j < CELL // 2, first, second),
                np.where(i + j < CELL, first, second),
                np.where(j // 2 % 2 == 0, first, second),
                np.where((i // 2 + j // 2) % 2 == 0, first, second),
            ],
            first + _bits(grain, 4 * channel, 4) - 8,
        )
        picture[..., channel] = np.clip(values, 0, 255)
    return picture


def noisy(image: Rgb) -> Rgb:
    """``image`` with noise, the same each time: triangular, its standard deviation 13 levels."""
    height, width = image.shape[:2]
    bits = _hash(np.arange(1, height * width + 1, dtype=np.uint32).reshape(height, width))
    noise = [_bits(bits, 10 * c, 5) + _bits(bits, 10 * c + 5, 5) - 31 for c in range(3)]
    return np.clip(image + np.dstack(noise), 0, 255).astype(np.uint8)


def _at_places(upscaled: Rgb) -> NDArray[np.uint8]:
    """The levels of PLACES samples; colours in turn, the first BORDER on the four sides in turn."""
    height, width = (np.uint32(side) for side in upscaled.shape[:2])
    number = np.arange(PLACES, dtype=np.uint32)
    first = _hash(number + np.uint32(1))
    y, x = first % height, _hash(first) % width
    side = np.where(number < BORDER, number % 4, 4)
    y = np.select([side == 0, side == 1], [np.uint32(0), height - np.uint32(1)], y)
    x = np.select([side == 2, side == 3], [np.uint32(0), width - np.uint32(1)], x)
    levels: NDArray[np.uint8] = upscaled[y, x, number % 3]
    return levels


def _sums(upscaled: Rgb) -> NDArray[np.int64]:
    """(GRID, GRID, 3) sums; cells of the grid end at ⌊k · side / GRID⌋."""
    height, width = upscaled.shape[:2]
    rows, columns = ([k * side // GRID for k in range(GRID + 1)] for side in (height, width))
    return np.array(
        [
            [
                upscaled[rows[r] : rows[r + 1], columns[c] : columns[c + 1]].sum((0, 1), np.int64)
                for c in range(GRID)
            ]
            for r in range(GRID)
        ]
    )


def _hash(values: NDArray[np.uint32]) -> NDArray[np.uint32]:
    """32 bits that have nothing to do with those of ``values``, in arithmetic modulo 2^32."""
    for _ in range(2):
        values = (values ^ (values >> np.uint32(16))) * np.uint32(0x45D9F3B)
    return values ^ (values >> np.uint32(16))


def _bits(values: NDArray[np.uint32], first: int, count: int) -> NDArray[np.int32]:
    """``count`` bits of ``values``, from number ``first`` up."""
    return (values >> np.uint32(first) & np.uint32((1 << count) - 1)).astype(np.int32)
