"""Reading flatbuffers, the format of TFLite files, without a library.

The runtime reads cards and operators of files on boards that have no flatbuffers package, and of
files that may be damaged: every offset is checked before it is followed, and one that leads outside
the file is a ModelError. Offsets may lead to the same place again and again, so that a small file
stands for a large one: what is read in all is bounded by the size of the file.
"""

from __future__ import annotations

import struct

import numpy as np
from numpy.typing import NDArray

from ailsr.runtime.errors import ModelError

_READS = 8
"""Reads of each byte of a file that are allowed, on average: ours are read twice."""


class _Allowance:
    """Bytes that may still be read."""

    def __init__(self, size: int) -> None:
        self._left = _READS * size

    def take(self, size: int) -> None:
        """Raises ModelError when too much was taken."""
        self._left -= size
        if self._left < 0:
            raise ModelError("it is damaged (its parts overlap many times over): copy it again")


class Table:
    """A table of the flatbuffer ``data``; fields are asked for by their slot in the schema."""

    def __init__(self, data: bytes, at: int, allowance: _Allowance) -> None:
        self.data = data
        self._at = at
        self._allowance = allowance
        self._vtable = at - self._number(at, "<i")

    @classmethod
    def root(cls, data: bytes) -> Table:
        """The table that the whole of ``data`` is."""
        return cls(data, cls._follow_in(data, 0), _Allowance(len(data)))

    def integer(self, slot: int, kind: str = "<i", default: int = 0) -> int:
        """The number in a field, of the ``struct`` format ``kind``."""
        field = self._field(slot)
        return default if field is None else self._number(field, kind)

    def content(self, slot: int) -> bytes | None:
        """The bytes of a vector of bytes or a string; None when the field is left out."""
        field = self._field(slot)
        if field is None:
            return None
        start, length = self._vector(field, 1)
        return self.data[start : start + length]

    def text(self, slot: int) -> str:
        """The string in a field; empty when it is left out."""
        return (self.content(slot) or b"").decode(errors="replace")

    def integers(self, slot: int) -> NDArray[np.int32] | None:
        """A vector of int32; None when the field is left out."""
        field = self._field(slot)
        if field is None:
            return None
        start, length = self._vector(field, 4)
        return np.frombuffer(self.data, "<i4", length, start)

    def table(self, slot: int) -> Table | None:
        """The table in a field; None when the field is left out."""
        field = self._field(slot)
        return None if field is None else self._table(self._follow(field))

    def tables(self, slot: int) -> list[Table]:
        """The tables of a vector; none when the field is left out."""
        field = self._field(slot)
        if field is None:
            return []
        start, length = self._vector(field, 4)
        return [self._table(self._follow(start + 4 * i)) for i in range(length)]

    def _table(self, at: int) -> Table:
        return Table(self.data, at, self._allowance)

    def _field(self, slot: int) -> int | None:
        """The position at which the field is stored."""
        entry = 4 + 2 * slot
        if entry >= self._number(self._vtable, "<H"):
            return None
        offset = self._number(self._vtable + entry, "<H")
        return self._at + offset if offset else None

    def _vector(self, field: int, item: int) -> tuple[int, int]:
        """(where the vector at ``field`` begins, how many items of ``item`` bytes it has)."""
        start = self._follow(field)
        length = self._number(start, "<I")
        if start + 4 + item * length > len(self.data):
            raise ModelError(f"it is cut short at byte {len(self.data)}: copy it again")
        self._allowance.take(item * length)
        return start + 4, length

    def _follow(self, at: int) -> int:
        return self._follow_in(self.data, at)

    def _number(self, at: int, kind: str) -> int:
        return self._number_in(self.data, at, kind)

    @classmethod
    def _follow_in(cls, data: bytes, at: int) -> int:
        """The position that the offset stored at ``at`` leads to."""
        return at + cls._number_in(data, at, "<I")

    @staticmethod
    def _number_in(data: bytes, at: int, kind: str) -> int:
        if not 0 <= at <= len(data) - struct.calcsize(kind):
            raise ModelError(f"it is damaged (offset to byte {at} of {len(data)}): copy it again")
        return int(struct.unpack_from(kind, data, at)[0])
