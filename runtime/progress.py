"""Progress of work that takes a while."""

from __future__ import annotations

from collections.abc import Callable

Progress = Callable[[str, float, float], None]
"""Called with what comes next, how much is done, and how much there is."""


def silent(what: str, done: float, of: float) -> None:
    """A receiver of progress that shows none."""
