"""What ``ailsr-export --json`` printed: the files to measure, and those that were not written."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from ailsr.runtime.bench.request import Failure
from ailsr.runtime.errors import UsageError


@dataclass(frozen=True)
class Exported:
    """The outcome of one export."""

    files: list[Path]
    """Those that were written, named from the folder in which ``ailsr-export`` ran."""
    refused: list[Failure]
    """Those that were asked for and not good enough."""


def read_exported(path: Path) -> Exported:
    """What the document at ``path`` tells. Raises UsageError for what is no such document."""
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        return Exported(
            [Path(entry["file"]) for entry in document["files"]],
            [Failure(entry["file"], entry["reason"]) for entry in document.get("refused", [])],
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UsageError(
            f"--exported {path}: this is not what ailsr-export --json prints "
            f"({type(error).__name__}: {error}); if that ended with an error, mend it first"
        ) from error
