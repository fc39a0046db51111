"""What a model file is made of, read from its bytes: no engine loads it, nothing in it runs.

``anatomy`` picks the reader by the file's ending. A kind of file that takes more than numpy to read
registers its reader in the entry-point group ``ailsr.anatomy``: the name is the ending without its
dot, or what stands before the colon of a name such as ``zoo:sesr_m5_x2``; the reader is called with
the path, or the name as it was given, and returns an Anatomy.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from ailsr.runtime.card import Card
from ailsr.runtime.errors import EngineError, ModelError
from ailsr.runtime.files import size_bytes

ENTRY_POINTS = "ailsr.anatomy"


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
    """Where operators have versions of their own, as in TFLite."""
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
    """What a file is and holds."""

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
    """What the file asks of those who run it, for example {"opset": "13"}."""
    facts: dict[str, str] = field(default_factory=dict)
    """Whatever else it says of itself."""
    sealed: bool = False
    """The file carries the SHA-256 of its own bytes, and it is right."""

    @property
    def counts(self) -> dict[str, int]:
        """How often each operator occurs, by its title; the most frequent first."""
        return dict(Counter(operator.title for operator in self.operators).most_common())


def anatomy(model: str) -> Anatomy:
    """What the file ``model`` is made of.

    Raises ModelError for a file that is missing, damaged or of an unknown kind, EngineError when
    what reads it is not installed.
    """
    path = Path(model)
    kind, _, name = model.partition(":")
    if path.exists() or not name:
        kind = path.suffix.lower().removeprefix(".")
        if not path.exists():
            raise ModelError(f"no model file at {path}: check the name")
    try:
        return _reader(kind, model)(model)
    except ModelError as error:
        text = str(error)
        raise type(error)(text if model in text else f"{model}: {text}") from error


def _reader(kind: str, model: str) -> Callable[[str], Anatomy]:
    if kind == "tflite":
        from ailsr.runtime.anatomy.tflite import tflite_anatomy

        return tflite_anatomy
    if kind == "onnx":
        from ailsr.runtime.anatomy.onnx import onnx_anatomy

        return onnx_anatomy
    if kind == "mlpackage":
        from ailsr.runtime.anatomy.coreml import coreml_anatomy

        return coreml_anatomy
    from importlib.metadata import entry_points  # slow to import, and seldom needed

    others = {point.name: point for point in entry_points(group=ENTRY_POINTS)}
    if kind not in others:
        known = ", ".join(sorted({"tflite", "onnx", "mlpackage", *others}))
        raise ModelError(f"{model}: nothing is known of such files; known are {known}")
    try:
        return others[kind].load()  # type: ignore[no-any-return]
    except ImportError as error:
        raise EngineError(
            f'{model} needs {error.name or error}: pip install "ailsr[export]"'
        ) from error


def file_bytes(model: str) -> bytes:
    """The content of the file ``model``. Raises ModelError for a folder and an empty file."""
    path = Path(model)
    if path.is_dir():
        raise ModelError("it is a folder: name the file in it")
    if not size_bytes(path):
        raise ModelError("it is empty: export or copy it again")
    return path.read_bytes()
