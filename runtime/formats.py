"""The formats of the files that are run and measured: names, marks in plots, engines."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, NamedTuple

Shape = Literal["circle", "square", "triangle", "diamond"]


class FileFormat(NamedTuple):
    """A format of files."""

    title: str
    """Its name for people, which ``Anatomy.kind`` has, too."""
    shape: Shape
    """Of its marks in plots."""
    engines: Mapping[str, str]
    """The module that an engine imports, by the engine's name, the preferred one first."""


FORMATS: dict[str, FileFormat] = {
    ".onnx": FileFormat("ONNX", "circle", {"onnxruntime": "onnxruntime"}),
    ".tflite": FileFormat(
        "TFLite",
        "square",
        {
            "litert": "ai_edge_litert.interpreter",
            "tflite-runtime": "tflite_runtime.interpreter",
            "compiled": "ai_edge_litert.compiled_model",
        },
    ),
    ".mlpackage": FileFormat("Core ML", "triangle", {"coreml": "coremltools"}),
    ".pb": FileFormat("pb", "diamond", {"dnn_superres": "cv2"}),
}
"""By the ending of the files. ``litert`` and ``compiled`` are the Interpreter and the CompiledModel
of ai-edge-litert."""


def format_of(ending: str) -> FileFormat:
    """The format of files that end in ``ending``; one that is unknown is called as its ending."""
    return FORMATS.get(ending, FileFormat(ending.removeprefix("."), "diamond", {}))
