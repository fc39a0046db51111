"""Files of JSON values, one a line. Runs append to them; a full disk or a kill may cut a line."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, NamedTuple

from ailsr.runtime import documents
from ailsr.runtime.locks import wait_for_lock


class Lines(NamedTuple):
    """The content of a file, as ``read`` finds it."""

    values: list[Any]
    """Of the whole lines, in their order."""
    broken: int
    """Lines that hold no JSON value."""


def append(path: Path, value: object, *, durable: bool = False) -> None:
    """Add ``value`` to the file at ``path`` as one whole line or, when that fails, not at all.

    Several processes may add to one file. What an earlier one left of a line is ended first, so
    that it spoils no other. ``durable``: wait until the line is on the disk. Raises OSError when
    the disk is full.
    """
    line = documents.dump(value).encode() + b"\n"
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.exists() and not path.is_file():  # a pipe, a terminal
        path.write_bytes(line)
        return
    with path.open("ab+", buffering=0) as file:
        wait_for_lock(file.fileno())
        size = file.seek(0, os.SEEK_END)
        if size:
            file.seek(size - 1)
            line = line if file.read(1) == b"\n" else b"\n" + line
        left = memoryview(line)
        try:
            while left:
                left = left[file.write(left) :]
            if durable:
                os.fsync(file.fileno())
        except BaseException:
            file.truncate(size)
            raise


def read(path: Path) -> Lines:
    """The values in the file at ``path``; broken lines are left out and counted."""
    values, broken = [], 0
    for line in path.read_bytes().split(b"\n"):
        if not line.strip():
            continue
        try:
            values.append(documents.parse(line))
        except ValueError:
            broken += 1
    return Lines(values, broken)
