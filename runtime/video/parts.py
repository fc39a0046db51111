"""The folder of finished segments beside an output: what makes --resume and --part one thing.

It holds ``plan.json``, which says of what run the segments are, and a file for each that is
finished. Those are moved there whole, so that what is there is right.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ailsr.runtime import documents
from ailsr.runtime.errors import UsageError
from ailsr.runtime.files import atomic_output
from ailsr.runtime.video.encoder import ENDING
from ailsr.runtime.video.segments import Segment

_PLAN = "plan.json"


@dataclass(frozen=True)
class Parts:
    """The segments of a run that writes ``output``."""

    output: Path
    plan: dict[str, Any]
    """What the bytes of the segments depend on, as JSON."""

    @property
    def folder(self) -> Path:
        """Where the segments are."""
        return self.output.with_name(f"{self.output.name}.parts")

    def path(self, segment: Segment) -> Path:
        """The file of ``segment``."""
        return self.folder / f"{segment.number:06d}{ENDING}"

    def missing(self, segments: list[Segment]) -> list[Segment]:
        """Those of ``segments`` that are still to be made."""
        return [segment for segment in segments if not self.path(segment).exists()]

    def open(self, *, go_on: bool, anew: bool) -> None:
        """Make the folder, or go on with one that is there.

        ``anew``: what is in it goes. Otherwise, raises UsageError where the folder is there and is
        not to be gone on with (``go_on``), or is of another run.
        """
        if anew and not go_on and self.folder.is_dir():
            shutil.rmtree(self.folder)
        if self.folder.exists():
            if not go_on:
                raise UsageError(
                    f"{self.folder} holds segments of a run that did not end: go on with --resume, "
                    "or start again with --overwrite"
                )
            self._check()
        self.folder.mkdir(parents=True, exist_ok=True)
        if not (self.folder / _PLAN).exists():
            with atomic_output(self.folder / _PLAN) as path:
                path.write_text(documents.dump(self.plan, indent=2), encoding="utf-8")

    def _check(self) -> None:
        path = self.folder / _PLAN
        try:
            plan = documents.parse(path.read_bytes())
        except FileNotFoundError:
            plan = self.plan if not any(self.folder.glob(f"*{ENDING}")) else {}
        except ValueError:
            plan = {}
        plan = plan if isinstance(plan, dict) else {}
        if plan and (unnamed := [name for name in self.plan if name not in plan]):
            raise UsageError(
                f"{self.folder} is of another version of ailsr, whose plan does not name "
                f"{', '.join(unnamed)}: remove it to start again"
            )
        if differ := [name for name, value in self.plan.items() if plan.get(name) != value]:
            raise UsageError(
                f"{self.folder} is of another run ({', '.join(differ)} differ): give the same "
                "options, or remove it to start again"
            )

    @contextmanager
    def writing(self, segment: Segment) -> Iterator[Path]:
        """Where ``segment`` is written; it takes its place when the block succeeds."""
        with atomic_output(self.path(segment)) as path:
            yield path

    def remove(self) -> None:
        """Remove the folder."""
        shutil.rmtree(self.folder, ignore_errors=True)
