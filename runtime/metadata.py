"""The metadata of a TFLite file, read from its bytes.

tflite-runtime has no way to ask for it, so this follows the few flatbuffer tables in question
(``Model.metadata`` -> ``Metadata.buffer`` -> ``Model.buffers``; slots as in TFLite's schema.fbs).
Every offset is checked: a damaged file gives a ModelError.
"""

from __future__ import annotations

import struct

from ailsr.runtime.errors import ModelError

IDENTIFIER = b"TFL3"

_MODEL_BUFFERS, _MODEL_METADATA = 4, 6
_METADATA_NAME, _METADATA_BUFFER = 0, 1
_BUFFER_DATA = 0


def tflite_metadata(data: bytes, name: str) -> bytes | None:
    """The metadata called ``name`` in the TFLite file ``data``; None when it has none.

    Raises ModelError when ``data`` is no TFLite file or an offset leads outside it.
    """
    if data[4:8] != IDENTIFIER:
        raise ModelError("it is no TFLite file (no TFL3 at its start): export it again")
    model = _follow(data, 0)
    for entry in _tables(data, _field(data, model, _MODEL_METADATA)):
        title = _field(data, entry, _METADATA_NAME)
        if title is None or _vector(data, title) != name.encode():
            continue
        index = _field(data, entry, _METADATA_BUFFER)
        buffers = _tables(data, _field(data, model, _MODEL_BUFFERS))
        number = 0 if index is None else _number(data, index, "<I")
        if number >= len(buffers):
            raise ModelError(f"it is damaged (no buffer {number} of {len(buffers)}): copy it again")
        content = _field(data, buffers[number], _BUFFER_DATA)
        return b"" if content is None else _vector(data, content)
    return None


def _number(data: bytes, at: int, kind: str) -> int:
    if not 0 <= at <= len(data) - struct.calcsize(kind):
        raise ModelError(f"it is damaged (offset to byte {at} of {len(data)}): copy it again")
    return int(struct.unpack_from(kind, data, at)[0])


def _follow(data: bytes, at: int) -> int:
    """Where the offset stored at ``at`` leads."""
    return at + _number(data, at, "<I")


def _field(data: bytes, table: int, slot: int) -> int | None:
    """Where the field ``slot`` of the table is stored; None when it is left out."""
    vtable = table - _number(data, table, "<i")
    entry = 4 + 2 * slot
    if entry >= _number(data, vtable, "<H"):
        return None
    offset = _number(data, vtable + entry, "<H")
    return table + offset if offset else None


def _vector(data: bytes, field: int) -> bytes:
    """The bytes of the vector or string that ``field`` refers to."""
    start = _follow(data, field)
    length = _number(data, start, "<I")
    if start + 4 + length > len(data):
        raise ModelError(f"it is cut short at byte {len(data)}: copy it again")
    return data[start + 4 : start + 4 + length]


def _tables(data: bytes, field: int | None) -> list[int]:
    """Where the tables begin that the vector at ``field`` lists."""
    if field is None:
        return []
    start = _follow(data, field)
    count = _number(data, start, "<I")
    if start + 4 + 4 * count > len(data):
        raise ModelError(f"it is cut short at byte {len(data)}: copy it again")
    return [_follow(data, start + 4 + 4 * i) for i in range(count)]
