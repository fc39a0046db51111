"""Reading protocol buffers, the format of ONNX files and Core ML specifications, without a library.

Only the wire format is known here: a message is its fields by number, each a number or bytes, and
what reads it knows which of the bytes are messages again. Damaged bytes are a ModelError.
"""

from __future__ import annotations

from typing import NamedTuple

from ailsr.runtime.errors import ModelError

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5


class Message:
    """A message's fields; ``data`` is its bytes."""

    def __init__(self, data: bytes | memoryview) -> None:
        self._fields: dict[int, list[int | memoryview]] = {}
        view, at = memoryview(data), 0
        while at < len(view):
            key, at = _varint(view, at)
            number, kind = key >> 3, key & 7
            value: int | memoryview
            if kind == _VARINT:
                value, at = _varint(view, at)
            elif kind in (_FIXED64, _FIXED32):
                size = 8 if kind == _FIXED64 else 4
                value, at = int.from_bytes(view[at : at + size], "little"), at + size
            elif kind == _BYTES:
                length, at = _varint(view, at)
                value, at = view[at : at + length], at + length
            else:
                raise ModelError(f"it is damaged (a field of kind {kind}): copy it again")
            if at > len(view) or number == 0:
                raise ModelError("it is damaged or cut short: copy it again")
            self._fields.setdefault(number, []).append(value)

    def integer(self, number: int, default: int = 0) -> int:
        """The number in a field; of several the last, as the format has it."""
        values = [value for value in self._fields.get(number, ()) if isinstance(value, int)]
        return values[-1] if values else default

    def integers(self, number: int) -> list[int]:
        """The repeated integers in a field, packed or not."""
        result = []
        for value in self._fields.get(number, ()):
            if isinstance(value, int):
                result.append(value)
            else:
                at = 0
                while at < len(value):
                    item, at = _varint(value, at)
                    result.append(item)
        return result

    def contents(self, number: int) -> list[memoryview]:
        """The bytes of each entry of a field."""
        return [value for value in self._fields.get(number, ()) if isinstance(value, memoryview)]

    def texts(self, number: int) -> list[str]:
        """The strings of a field."""
        return [bytes(value).decode(errors="replace") for value in self.contents(number)]

    def text(self, number: int) -> str:
        """The string in a field; empty when it is left out."""
        return (self.texts(number) or [""])[-1]

    def messages(self, number: int) -> list[Message]:
        """The messages of a field."""
        return [Message(value) for value in self.contents(number)]

    def message(self, number: int) -> Message:
        """The message in a field; an empty one when it is left out."""
        return (self.messages(number) or [Message(b"")])[-1]

    def which(self) -> set[int]:
        """The numbers of the fields that are there."""
        return set(self._fields)


class Entry(NamedTuple):
    """One entry of a map of strings."""

    key: str
    value: memoryview


def entries(message: Message, number: int) -> list[Entry]:
    """The entries of the map in a field of ``message``."""
    result = []
    for entry in message.messages(number):
        values = entry.contents(2)
        result.append(Entry(entry.text(1), values[-1] if values else memoryview(b"")))
    return result


def _varint(view: memoryview, at: int) -> tuple[int, int]:
    """(the number at ``at``, where what follows it begins)."""
    result = 0
    for count, byte in enumerate(view[at : at + 10]):
        result |= (byte & 0x7F) << (7 * count)
        if byte < 0x80:
            return result & 0xFFFFFFFFFFFFFFFF, at + count + 1
    raise ModelError("it is damaged or cut short: copy it again")
