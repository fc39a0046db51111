"""A video to measure on, or a part of it; known without PyAV."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

WHOLE = "whole"
"""The name of the part of a video that is all of it."""


@dataclass(frozen=True)
class Clip:
    """A video, or a part of it."""

    path: Path
    start: str | None = None
    """Seconds or h:mm:ss; None: its beginning."""
    end: str | None = None
    """None: its end."""

    @property
    def part(self) -> str:
        """``whole``, ``from 1:30``, ``to 2:00`` or ``from 1:30 to 2:00``."""
        ends = {"from": self.start, "to": self.end}
        return " ".join(f"{word} {time}" for word, time in ends.items() if time) or WHOLE
