"""Names that tell things apart, no longer than necessary."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence


def unless_shared(short: Sequence[str], long: Sequence[str]) -> list[str]:
    """Each of the ``short`` names, or its ``long`` one where several have the short one."""
    times = Counter(short)
    return [s if times[s] == 1 else whole for s, whole in zip(short, long, strict=True)]
