"""A file that was exported."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from pathlib import Path

from ailsr.export.targets import TargetName
from ailsr.runtime.anatomy.registry import anatomy
from ailsr.runtime.card import Precision
from ailsr.runtime.errors import AilsrError
from ailsr.runtime.files import remove


@dataclass(frozen=True)
class ExportedFile:
    """A file that was written and verified."""

    file: str
    target: TargetName
    precision: Precision
    method: str | None
    """The one that kept an int8 file close to the network"""
    bytes: int
    psnr: float
    """dB, of the file on the verification images"""
    psnr_drop: float
    """dB that it loses against the network"""
    max_difference: float
    """Largest difference of an output value from the network's, white being 1"""


def remove_ours(path: Path) -> None:
    """Remove the file of an earlier run, which would be taken for this one's; what has no card of
    ours is left alone."""
    with contextlib.suppress(AilsrError):
        if anatomy(str(path)).card is not None:
            remove(path)
