"""Engines: what runs an exported file. One class per file format, one interface for all.

``open_engine`` picks the class by the file's ending, and by the engine's name where an ending has
several (``runtime.formats``). A format that needs more than numpy and one engine registers its
class in the entry-point group ``ailsr.engines`` (the name is the ending without its dot, the engine
is named like the class's module; the class is called with the path and the number of threads, and,
if it has a parameter of that name, with the ``size`` that is to replace the file's own).
"""

from __future__ import annotations

import contextlib
import importlib
import inspect
import os
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from numpy.typing import NDArray

from ailsr.runtime.card import Card, PixelType
from ailsr.runtime.engines.named_files import missing
from ailsr.runtime.errors import EngineError, ModelError, UsageError
from ailsr.runtime.formats import FORMATS, format_of

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

ENTRY_POINTS = "ailsr.engines"

Pixels = NDArray[Any]
"""H×W×3, elements of the file's ``PixelType``: float32 [0, 1], uint8 or int8 (uint8 - 128)."""


@dataclass(frozen=True)
class Backend:
    """What an engine lets compute some of a file's operators."""

    name: str
    """For example ``XNNPACK``; ``CPU``: the engine's own kernels."""
    operators: int
    types: tuple[str, ...] = ()
    """The kinds of these operators, by their names in the file's format; empty: not told."""

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
    engine: str | None = None,
) -> Engine:
    """The engine that runs the file at ``path``, loaded and ready.

    ``threads`` is the number of CPU threads; None takes every core that this process may use.
    ``size`` (height, width) replaces the file's own input size, where it can be replaced.
    ``engine`` is a name that ``engine_names`` gives for the file; None takes one that is installed.
    A file is first tried in a process of its own, once, which takes about a second, unless
    ``trusted``: a damaged or made-up one can end the process that runs it, or take all its time and
    memory (``trial.py``).
    Raises ModelError for a file that is missing, damaged or of an unknown kind, EngineError when
    no engine for it is installed or it cannot have that size, UsageError for less than one thread
    or an engine that does not exist.
    """
    if threads is not None and threads < 1:
        raise UsageError(f"{threads} threads: give 1 or more")
    if not path.exists():
        raise missing(path)
    if engine is not None and engine not in engine_names(path):
        raise UsageError(
            f"{path}: there is no engine {engine!r} for files ending in '{path.suffix}'; choose "
            f"one of {', '.join(engine_names(path)) or 'none'}"
        )
    opener = _engine_class(path, trusted, engine)
    if not path.is_dir() and path.stat().st_size == 0:
        raise ModelError(f"{path} is empty: export or copy it again")
    if size is not None and "size" not in inspect.signature(opener).parameters:
        raise EngineError(f"{path}: files ending in '{path.suffix}' have one input size")
    options = {} if size is None else {"size": size}
    try:
        return opener(path, threads or available_cores(), **options)
    except ModelError as error:
        raise ModelError(f"{path}: {error}") from error


def engine_names(path: Path) -> list[str]:
    """The engines that there are for files like ``path``, installed or not."""
    ending = path.suffix.lower()
    names = list(format_of(ending).engines)
    if ending not in (".onnx", ".tflite"):
        names += [_module_name(point) for point in _registered() if f".{point.name}" == ending]
    return names


def chosen_engines(choices: Sequence[str]) -> dict[str, str]:
    """Engine by ending, of choices like ``tflite=compiled``; later ones win.

    Raises UsageError for an ending or an engine that does not exist.
    """
    chosen = {}
    for choice in choices:
        ending, _, engine = choice.partition("=")
        ending = f".{ending.removeprefix('.').lower()}"
        names = engine_names(Path(f"file{ending}"))
        if engine not in names:
            examples = names and [f"{ending[1:]}={name}" for name in names]
            known = examples or [
                f"{end[1:]}={name}" for end in FORMATS for name in FORMATS[end].engines
            ]
            raise UsageError(f"--engine {choice}: choose one of {', '.join(known)}")
        chosen[ending] = engine
    return chosen


def timed_engine(path: Path) -> str | None:
    """The engine to measure ``path`` with where it is not the one that ``open_engine`` takes:
    Core ML itself on a Mac, where elsewhere a reference evaluator stands in."""
    is_mac = sys.platform == "darwin" and find_spec("coremltools") is not None
    return "coreml" if is_mac and path.suffix.lower() == ".mlpackage" else None


def import_library(path: Path, engine: str | None = None) -> None:
    """Import what runs ``path``, so that it does not count as loading the file; when there is
    none, ``load`` says so."""
    modules = format_of(path.suffix.lower()).engines
    for module in [modules[engine]] if engine and engine in modules else modules.values():
        with contextlib.suppress(ImportError):
            importlib.import_module(module)
            return


def available_cores() -> int:
    """How many CPU cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _engine_class(path: Path, trusted: bool, engine: str | None) -> Callable[..., Engine]:
    ending = path.suffix.lower()
    if path.is_dir() and ending in (".onnx", ".tflite"):
        raise ModelError(f"{path} is a folder: name the file in it")
    if ending == ".onnx":
        from ailsr.runtime.engines.onnx import OnnxEngine

        return partial(OnnxEngine, trusted=trusted)
    if ending == ".tflite":
        from ailsr.runtime.engines.tflite import TFLiteEngine

        return partial(TFLiteEngine, trusted=trusted, library=engine)
    if ending == ".pb":
        from ailsr.runtime.engines.opencv import DnnSuperResEngine

        return DnnSuperResEngine
    if engine == "coreml":
        from ailsr.runtime.engines.coreml import CoreMLEngine

        return CoreMLEngine
    for point in _registered():
        if f".{point.name}" == ending and engine in (None, _module_name(point)):
            try:
                return point.load()  # type: ignore[no-any-return]
            except ImportError as error:
                raise EngineError(
                    f'{path} needs {error.name or error}: pip install "ailsr[export]"'
                ) from error
    if ending in (".pt", ".pt2"):
        raise ModelError(f"{path} is a network, not an exported file: run ailsr-export {path}")
    known = {*FORMATS, *(f".{point.name}" for point in _registered())}
    raise ModelError(
        f"{path}: no engine for files ending in '{path.suffix}'; known are "
        f"{', '.join(sorted(known))}"
    )


def _registered() -> list[EntryPoint]:
    """The engines that other packages bring."""
    from importlib.metadata import entry_points  # slow to import, and seldom needed

    return list(entry_points(group=ENTRY_POINTS))


def _module_name(point: EntryPoint) -> str:
    return point.module.rpartition(".")[2]
