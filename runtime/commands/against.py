"""The files that ``ailsr-bench --against`` compares with."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ailsr.runtime.engines.named_files import missing
from ailsr.runtime.errors import UsageError
from ailsr.runtime.formats import FORMATS


def counterparts(files: Sequence[Path], against: Sequence[Path]) -> list[Path]:
    """What each of ``files`` is compared with: of the same name, else in the order given.

    Folders in ``against`` stand for what they hold. Raises UsageError for a file without one.
    """
    by_name: dict[str, Path] = {}
    for path in against:
        inside = {file.name: path / file.name for file in files if (path / file.name).exists()}
        if path.is_dir() and path.suffix.lower() not in FORMATS:
            by_name |= inside
        elif path.exists():
            by_name[path.name] = path
        else:
            raise missing(path)
    if all(file.name in by_name for file in files):
        return [by_name[file.name] for file in files]
    if len(against) == len(files) == len(by_name):  # no folder is among them
        return list(against)
    lacking = ", ".join(file.name for file in files if file.name not in by_name)
    raise UsageError(
        f"--against has nothing for {lacking}: give a folder with files of these names, or one "
        "--against OLD for each FILE"
    )
