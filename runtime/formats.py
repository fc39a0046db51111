"""The formats of the files that are run and measured: names, and marks in plots."""

from __future__ import annotations

from typing import Literal, NamedTuple

Shape = Literal["circle", "square", "triangle", "diamond"]


class FileFormat(NamedTuple):
    """A format of files."""

    title: str
    """Its name for people, which ``Anatomy.kind`` has, too."""
    shape: Shape
    """Of its marks in plots."""


FORMATS: dict[str, FileFormat] = {
    ".onnx": FileFormat("ONNX", "circle"),
    ".tflite": FileFormat("TFLite", "square"),
    ".mlpackage": FileFormat("Core ML", "triangle"),
    ".pb": FileFormat("pb", "diamond"),
}
"""By the ending of the files."""


def format_of(ending: str) -> FileFormat:
    """The format of files that end in ``ending``; one that is unknown is called as its ending."""
    return FORMATS.get(ending, FileFormat(ending.removeprefix("."), "diamond"))
