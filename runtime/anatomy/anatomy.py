"""Anatomy: the tensors, operators, weights and metadata of a model file, read from its bytes.

No engine loads the file, nothing in it runs. ``registry.py`` has a reader for each format.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from ailsr.runtime.card import Card
from ailsr.runtime.errors import ModelError
from ailsr.runtime.files import size_bytes


@dataclass(frozen=True)
class Tensor:
    """A tensor of a file."""

    name: str
    type: str
    """Of its elements, for example ``float32``; empty where the file does not say."""
    shape: tuple[int | str, ...] = ()
    """A name, or ``?``, stands for a side that is left open."""
    constant: bool = False
    """Its values are in the file."""

    def __str__(self) -> str:
        return f"{self.name} {self.type} [{', '.join(map(str, self.shape))}]"


@dataclass(frozen=True)
class Operator:
    """One operator of a file's graph."""

    name: str
    """In the words of the format: CONV_2D, Conv, conv."""
    version: int | None = None
    """In formats whose operators have versions of their own, as in TFLite."""
    inputs: tuple[Tensor, ...] = ()
    outputs: tuple[Tensor, ...] = ()
    mode: str = ""
    """REFLECT or SYMMETRIC, of a MIRROR_PAD."""

    @property
    def title(self) -> str:
        """Name and version."""
        return self.name if self.version is None else f"{self.name} v{self.version}"


@dataclass(frozen=True)
class Anatomy:
    """Format, tensors, operators, weights and metadata of one file."""

    kind: str
    """For example ``TFLite``."""
    bytes: int
    """Size of the file, or of all files in the folder."""
    card: Card | None = None
    """None: the file is not one of ours."""
    inputs: tuple[Tensor, ...] = ()
    outputs: tuple[Tensor, ...] = ()
    operators: tuple[Operator, ...] = ()
    """In the order of computation; constants are none."""
    weights: int = 0
    """Numbers that the file holds for its operators."""
    weight_bytes: int = 0
    """Bytes that they take."""
    versions: dict[str, str] = field(default_factory=dict)
    """Requirements on the software that runs the file, for example {"opset": "13"}."""
    facts: dict[str, str] = field(default_factory=dict)
    """Whatever else it says of itself."""
    sealed: bool = False
    """The file carries the SHA-256 of its own bytes, and it is right."""

    @property
    def counts(self) -> dict[str, int]:
        """The number of each operator, by its title; the most frequent first."""
        return dict(Counter(operator.title for operator in self.operators).most_common())


def file_bytes(model: str) -> bytes:
    """The content of the file ``model``. Raises ModelError for a folder and an empty file."""
    path = Path(model)
    if path.is_dir():
        raise ModelError("it is a folder: name the file in it")
    if not size_bytes(path):
        raise ModelError("it is empty: export or copy it again")
    return path.read_bytes()
