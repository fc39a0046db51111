"""Messages and progress of a run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

Progress = Callable[[str, int, int, str], None]
"""(activity, done, total, note), for example ("training", 300, 1000, "loss 2.10e-04")."""


def silent(activity: str, done: int, total: int, note: str) -> None:
    """A receiver of progress that shows none."""


@dataclass(frozen=True)
class Events:
    """The receivers of a run's messages and progress; by default nothing receives them."""

    say: Callable[[str], None] = lambda text: None
    """Called with a line of text."""
    progress: Progress = silent
    """Called per image read ("reading images"), per image degraded ("degrading images"), per
    image weighed ("importance") and per step ("training")."""
