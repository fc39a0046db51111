"""The targets: the formats that are written. Each has an entry in ``TARGETS``, and a package with
its ``writer.py`` at the head."""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Literal, NamedTuple, get_args

from ailsr.export.graph.graph import Graph
from ailsr.export.graph.quantization import Quantization
from ailsr.runtime.card import Card, Layout, Precision
from ailsr.runtime.errors import EngineError, UsageError
from ailsr.runtime.formats import FORMATS

TargetName = Literal["onnx", "tflite", "coreml"]
Writer = Callable[[Graph, Card, Path, Quantization | None], None]


class Target(NamedTuple):
    """A format that is written."""

    ending: str
    """Of its files, one of ``runtime.formats``: it chooses the engine that verifies a file."""
    writer: Callable[[], Writer]
    """Imports the writer, which takes seconds, or raises ImportError."""
    packages: tuple[str, ...] = ()
    """Modules that writing and running such a file take besides PACKAGES."""
    distributions: str = ""
    """The arguments of pip that bring the writer and the engine."""
    precisions: tuple[Precision, ...] = get_args(Precision)
    """The precisions that its files can have."""
    layouts: tuple[Layout, ...] = get_args(Layout)
    """The layouts that its files can have."""

    @property
    def title(self) -> str:
        """Its name for people."""
        return FORMATS[self.ending].title


def _onnx() -> Writer:
    from ailsr.export.targets.onnx.writer import write

    return write


def _tflite() -> Writer:
    from ailsr.export.targets.tflite.writer import write

    return write


def _coreml() -> Writer:
    from ailsr.export.targets.coreml.writer import write

    return write


TARGETS: dict[TargetName, Target] = {
    "onnx": Target(".onnx", _onnx, (), "onnx onnxruntime"),
    "tflite": Target(
        ".tflite",
        _tflite,
        ("flatbuffers", "ai_edge_litert"),
        "ai-edge-litert flatbuffers",
    ),
    "coreml": Target(
        ".mlpackage",
        _coreml,
        ("coremltools",),
        "coremltools",
        ("float32", "float16", "int8"),
        ("rgb",),
    ),
}

PACKAGES = ("onnxscript", "onnxruntime")
"""Modules that every target takes."""
PRECISIONS: tuple[Precision, ...] = ("float32", "float16", "int8")
"""The precisions of ``all``: int8x16 is for some NPUs."""


def write(
    target: TargetName,
    graph: Graph,
    card: Card,
    path: Path,
    quantization: Quantization | None = None,
) -> None:
    """Write ``graph`` to ``path``, in int8 where ``quantization`` is given.

    Raises ImportError when a library of the writer is missing.
    """
    TARGETS[target].writer()(graph, card, path, quantization)


def check_precision(target: TargetName, precision: Precision) -> None:
    """Raise UsageError when a file of ``target`` cannot hold ``precision``."""
    if precision not in TARGETS[target].precisions:
        raise UsageError(
            f"{TARGETS[target].title} has no {precision}, activations of 16-bit integers: choose "
            "--precision float16 or int8 for it"
        )


def check_layout(target: TargetName, layout: Layout) -> None:
    """Raise UsageError when files of ``target`` have no such ``layout``."""
    if layout not in TARGETS[target].layouts:
        raise UsageError(
            f"--layout {layout} is for buffers of pixels, and {TARGETS[target].title} files take "
            "and return images of the system: leave it out for them"
        )


def check_installed(target: TargetName) -> None:
    """Raise EngineError when a package is missing that ``target`` needs."""
    packages = (*PACKAGES, *TARGETS[target].packages)
    missing = [name for name in packages if find_spec(name) is None]
    if missing:
        raise EngineError(
            f"{TARGETS[target].title} files need {' and '.join(missing)}: pip install "
            '"ailsr[export]"'
        )
