"""Engines: what runs an exported file. One class per file format, one interface for all.

``open_engine`` picks the class by the file's ending. A format that needs more than numpy and one
engine registers its class in the entry-point group ``ailsr.engines`` (the name is the ending
without its dot; the class is called with the path and the number of threads, and, if it has a
parameter of that name, with the ``size`` that is to replace the file's own).
"""

from __future__ import annotations

import contextlib
import importlib
import inspect
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from numpy.typing import NDArray

from ailsr.runtime.card import Card, PixelType
from ailsr.runtime.errors import EngineError, ModelError, UsageError

ENTRY_POINTS = "ailsr.engines"

LIBRARIES = {
    ".onnx": ("onnxruntime",),
    ".tflite": ("ai_edge_litert.interpreter", "tflite_runtime.interpreter"),
}
"""What an engine imports, by the file's ending: imported first, so that it does not count as
loading the file."""

Pixels = NDArray[Any]
"""H×W×3, elements of the file's ``PixelType``: float32 [0, 1], uint8 or int8 (uint8 - 128)."""


@dataclass(frozen=True)
class Backend:
    """What an engine lets compute some of a file's operators."""

    name: str
    """For example ``XNNPACK``; ``CPU``: the engine's own kernels."""
    operators: int
    types: tuple[str, ...]
    """The kinds of these operators, by their names in the file's format."""

    @classmethod
    def of(cls, name: str, types: Iterable[str]) -> Backend:
        """The backend of the operators whose kinds are ``types``."""
        types = list(types)
        return cls(name, len(types), tuple(sorted(set(types))))


class Engine(Protocol):
    """A loaded file that turns one picture of a fixed size into one ``scale`` times larger.

    An engine may also have ``resizable: bool``; when it is true, ``run`` takes pictures smaller
    than ``input_size`` as they are, and the upscaler does not pad them. With ``backends()``, a
    tuple of ``Backend``, it tells what computes its operators: first the one that was to compute
    them all, be it none. That may take as long as loading.
    """

    name: str
    """Engine and version, for example ``onnxruntime 1.32.0``."""
    card: Card | None
    """None: the file is not one of ours."""
    measurable: bool
    """False: its latency means nothing here, as with a reference evaluator."""
    input_size: tuple[int, int]
    """(height, width)"""
    scale: int
    pixels: PixelType
    """Element type of input and output."""

    def run(self, image: Pixels) -> Pixels:
        """[h, w, 3] -> [scale*h, scale*w, 3], both of ``pixels``. Raises EngineError."""
        ...


def open_engine(
    path: Path,
    threads: int | None = None,
    size: tuple[int, int] | None = None,
    *,
    trusted: bool = False,
) -> Engine:
    """The engine that runs the file at ``path``, loaded and ready.

    ``threads`` is the number of CPU threads; None takes every core that this process may use.
    ``size`` (height, width) replaces the file's own input size, where it can be replaced.
    A damaged TFLite file can end the process that runs it. Ours carry a seal that tells; others are
    first tried in a process of their own, which takes a fraction of a second, unless ``trusted``.
    Raises ModelError for a file that is missing, damaged or of an unknown kind, EngineError when
    no engine for it is installed or it cannot have that size, UsageError for less than one thread.
    """
    if threads is not None and threads < 1:
        raise UsageError(f"{threads} threads: give 1 or more")
    if not path.exists():
        raise ModelError(f"no model file at {path}: check the name")
    engine = _engine_class(path, trusted)
    if not path.is_dir() and path.stat().st_size == 0:
        raise ModelError(f"{path} is empty: export or copy it again")
    if size is not None and "size" not in inspect.signature(engine).parameters:
        raise EngineError(f"{path}: files ending in '{path.suffix}' have one input size")
    options = {} if size is None else {"size": size}
    try:
        return engine(path, threads or available_cores(), **options)
    except ModelError as error:
        raise ModelError(f"{path}: {error}") from error


def import_library(path: Path) -> None:
    """Import the library that runs ``path``; when there is none, ``load`` says so."""
    for module in LIBRARIES.get(path.suffix.lower(), ()):
        with contextlib.suppress(ImportError):
            importlib.import_module(module)
            return


def available_cores() -> int:
    """How many CPU cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _engine_class(path: Path, trusted: bool) -> Callable[..., Engine]:
    ending = path.suffix.lower()
    if path.is_dir() and ending in (".onnx", ".tflite"):
        raise ModelError(f"{path} is a folder: name the file in it")
    if ending == ".onnx":
        from ailsr.runtime.onnx_engine import OnnxEngine

        return OnnxEngine
    if ending == ".tflite":
        from ailsr.runtime.tflite_engine import TFLiteEngine

        return partial(TFLiteEngine, trusted=trusted)
    from importlib.metadata import entry_points  # slow to import, and seldom needed

    others = {f".{point.name}": point for point in entry_points(group=ENTRY_POINTS)}
    if ending in others:
        try:
            return others[ending].load()  # type: ignore[no-any-return]
        except ImportError as error:
            raise EngineError(
                f'{path} needs {error.name or error}: pip install "ailsr[export]"'
            ) from error
    if ending in (".pt", ".pt2"):
        raise ModelError(f"{path} is a network, not an exported file: run ailsr-export {path}")
    raise ModelError(
        f"{path}: no engine for files ending in '{path.suffix}'; "
        f"known are {', '.join(sorted({'.onnx', '.tflite', *others}))}"
    )
