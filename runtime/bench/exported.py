"""What ``ailsr-export --json`` printed: the files to measure, and those that were not written."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ailsr.runtime import documents
from ailsr.runtime.bench.measurement import Failure
from ailsr.runtime.errors import UsageError
from ailsr.runtime.rules import Rule, check, items, text


@dataclass(frozen=True)
class Exported:
    """The outcome of one export."""

    files: list[Path]
    """Those that were written, named from the folder in which ``ailsr-export`` ran."""
    refused: list[Failure]
    """Those that were asked for and not good enough."""


def _entries(*names: str) -> Rule:
    table = {name: text() for name in names}
    return items(lambda entry: check(entry, table, len(table)), most=1000)


_RULES = {"files": _entries("file"), "refused": _entries("file", "reason")}


def read_exported(path: Path) -> Exported:
    """What the document at ``path`` tells. Raises UsageError for what is no such document."""
    try:
        document = check(documents.parse(documents.read_text(path)), _RULES, len(_RULES))
    except ValueError as error:
        raise UsageError(
            f"--exported {path}: this is not what ailsr-export --json prints ({error}); if that "
            "ended with an error, mend it first"
        ) from error
    return Exported(
        [Path(entry["file"]) for entry in document["files"]],
        [Failure(entry["file"], entry["reason"]) for entry in document["refused"]],
    )
