"""JSON and other texts that come from outside: strict, bounded, and the same on every machine.

Python's ``json`` reads NaN and Infinity, makes an infinity of 1e999, takes integers of any length
and keeps halves of characters; such values would fail much later, far from the file. The app reads
JSON by the same rules (``Json.java``; tests/parity/cards.json holds the two together).
"""

from __future__ import annotations

import codecs
import json
import math
from pathlib import Path
from typing import Any

from ailsr.runtime.errors import shortened

DEPTH = 64
"""Levels of lists and objects."""
_BYTE_ORDER_MARKS = {
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}


def parse(text: str | bytes) -> Any:  # noqa: ANN401
    """The value of a JSON text, in UTF-8, or in UTF-16 with a byte order mark.

    Raises ValueError for everything else: NaN, numbers that are not finite as a float, more than
    ``DEPTH`` levels, halves of surrogate pairs.
    """
    if isinstance(text, bytes):
        text = decode(text)
    try:
        value = json.loads(
            text.removeprefix("\ufeff"),
            parse_constant=_refuse_constant,
            parse_float=_float,
            parse_int=_integer,
        )
    except RecursionError:
        raise ValueError(f"more than {DEPTH} levels") from None
    _check(value, DEPTH)
    return value


def dump(value: Any, *, indent: int | None = None, compact: bool = False) -> str:  # noqa: ANN401
    """``value`` as strict JSON in ASCII, which any terminal and pipe can carry.

    ``compact``: without spaces and with sorted keys, so that equal values are equal bytes.
    Numbers that JSON does not have become null: an infinite PSNR is that of equal images. Bytes
    of a file's name that are no UTF-8 become text: ``\\udcff``.
    """
    separators = (",", ":") if compact else None
    return json.dumps(
        strict(value), indent=indent, separators=separators, sort_keys=compact, allow_nan=False
    )


def strict(value: Any) -> Any:  # noqa: ANN401
    """``value`` with only what JSON has, as ``dump`` says."""
    if isinstance(value, dict):
        return {strict(key): strict(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [strict(item) for item in value]
    if isinstance(value, str):
        return value if value.isascii() else value.encode(errors="backslashreplace").decode()
    return None if isinstance(value, float) and not math.isfinite(value) else value


def decode(content: bytes) -> str:
    """The text of ``content``: UTF-8, or what its byte order mark says.

    Raises ValueError when it is neither.
    """
    marks = (name for mark, name in _BYTE_ORDER_MARKS.items() if content.startswith(mark))
    encoding = next(marks, "utf-8")
    try:
        return content.decode(encoding)
    except UnicodeDecodeError as error:
        raise ValueError(
            f"byte {error.start} is no {encoding.removesuffix('-sig').upper()}: save it as UTF-8"
        ) from error


def read_text(path: Path) -> str:
    """The text of a file, as ``decode`` reads it, with line ends as they are in Python."""
    return decode(path.read_bytes()).replace("\r\n", "\n")


def _refuse_constant(name: str) -> float:
    raise ValueError(f"{name} is no JSON")


def _float(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"the number {shortened(text)} is too large")
    return value


def _integer(text: str) -> int:
    _float(text)  # 10^400 is no number elsewhere
    return int(text)


def _check(value: Any, levels: int) -> None:  # noqa: ANN401
    if isinstance(value, str):
        if not value.isascii() and any("\ud800" <= c <= "\udfff" for c in value):
            raise ValueError("half of a surrogate pair in a text")
    elif isinstance(value, dict | list):
        if levels == 0:
            raise ValueError(f"more than {DEPTH} levels")
        for item in value:
            _check(item, levels - 1)
        if isinstance(value, dict):
            for item in value.values():
                _check(item, levels - 1)
