"""The readers of anatomy by file format, and the reading of a file by one of them.

Other packages add readers by the entry-point group ``ailsr.anatomy``: the name is the file's ending
without its dot, or the prefix of a name such as ``zoo:sesr_m5_x2``; the value, ``module:function``,
is called with the path, or the name as it was given, and returns an ``Anatomy``.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from ailsr.runtime.anatomy.anatomy import Anatomy
from ailsr.runtime.anatomy.coreml import coreml_anatomy
from ailsr.runtime.anatomy.onnx import onnx_anatomy
from ailsr.runtime.anatomy.tflite import tflite_anatomy
from ailsr.runtime.errors import EngineError, ModelError

ENTRY_POINTS = "ailsr.anatomy"
Reader = Callable[[str], Anatomy]
READERS: dict[str, Reader] = {
    "tflite": tflite_anatomy,
    "onnx": onnx_anatomy,
    "mlpackage": coreml_anatomy,
}
"""By the file's ending, without its dot."""


def anatomy(model: str) -> Anatomy:
    """The anatomy of the file ``model``, or of what a name such as ``zoo:sesr_m5_x2`` stands for.

    Raises ModelError for a file that is missing, damaged or of an unknown kind, EngineError when
    what reads it is not installed.
    """
    path = Path(model)
    kind, named, _ = model.partition(":")
    if path.exists() or not named:
        kind = path.suffix.lower().removeprefix(".")
        if not path.exists():
            raise ModelError(f"no model file at {path}: check the name")
    try:
        return _reader(kind, model)(model)
    except ModelError as error:
        text = str(error)
        raise type(error)(text if model in text else f"{model}: {text}") from error


def _reader(kind: str, model: str) -> Reader:
    if kind in READERS:
        return READERS[kind]
    from importlib.metadata import entry_points  # slow to import, and seldom needed

    others = {point.name: point for point in entry_points(group=ENTRY_POINTS)}
    if kind not in others:
        known = ", ".join(sorted({*READERS, *others}))
        raise ModelError(f"{model}: nothing is known of such files; known are {known}")
    try:
        return others[kind].load()  # type: ignore[no-any-return]
    except ImportError as error:
        raise EngineError(
            f'{model} needs {error.name or error}: pip install "ailsr[export]"'
        ) from error
