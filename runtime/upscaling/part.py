"""A part of a run: what one of several machines makes."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

from ailsr.runtime.errors import UsageError

Item = TypeVar("Item")


@dataclass(frozen=True)
class Part:
    """One of ``of`` parts of a run, ``number`` from 1."""

    number: int
    of: int

    @classmethod
    def parse(cls, text: str) -> Part:
        """That of ``3/16``. Raises UsageError."""
        found = re.fullmatch(r"(\d{1,6})/(\d{1,6})", text.strip())
        if not found or not 1 <= int(found[1]) <= int(found[2]):
            raise UsageError(f"--part {text}: write which of how many, as in 3/16")
        return cls(int(found[1]), int(found[2]))

    def share(self, items: Sequence[Item]) -> list[Item]:
        """Those of ``items`` that belong to this part: neighbours, and none of another part."""
        edges = [len(items) * n // self.of for n in (self.number - 1, self.number)]
        return list(items[slice(*edges)])
