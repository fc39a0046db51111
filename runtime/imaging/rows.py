"""Pixels of an image, read by rows: an array, or a temporary file when memory is short."""

from __future__ import annotations

import tempfile
import weakref
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray


class Rows(Protocol):
    """Pixels that can be cut into bands of rows: a uint8 array, H×W or H×W×3, or the like."""

    @property
    def shape(self) -> tuple[int, ...]: ...
    def __getitem__(self, rows: slice, /) -> NDArray[Any]: ...


class DiskRows:
    """uint8 rows in a temporary file without a name, which is gone when they are.

    Read and written through the file, not mapped: what the system caches of it is not memory of
    this process, and may be dropped.
    """

    def __init__(self, folder: Path, shape: tuple[int, ...]) -> None:
        self.shape = shape
        self._row = int(np.prod(shape[1:]))
        self._file = tempfile.TemporaryFile(dir=folder, buffering=0)  # noqa: SIM115
        weakref.finalize(self, self._file.close)

    def __setitem__(self, rows: slice, pixels: NDArray[np.uint8]) -> None:
        self._file.seek(rows.start * self._row)
        left = np.ascontiguousarray(pixels).data.cast("B")
        while left:
            left = left[self._file.write(left) :]

    def __getitem__(self, rows: slice, /) -> NDArray[np.uint8]:
        start, stop, _ = rows.indices(self.shape[0])
        pixels = np.empty((stop - start, *self.shape[1:]), np.uint8)
        self._file.seek(start * self._row)
        left = pixels.data.cast("B")
        while left:
            left = left[self._file.readinto(left) :]
        return pixels


def store(shape: tuple[int, ...], folder: Path | None) -> NDArray[np.uint8] | DiskRows:
    """Room for the rows of an image: in memory, or in a temporary file in ``folder``."""
    return np.empty(shape, np.uint8) if folder is None else DiskRows(folder, shape)
