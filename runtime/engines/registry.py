"""The engines by file format, and the loading of a file with one of them.

``ENGINES`` lists them by the file's ending and the engine's name. Other packages add theirs by the
entry-point group ``ailsr.engines``: the name is the ending without its dot, the value
``module:Class``; the engine is named like the module. The class, a subclass of ``Engine``, is
called with the path and the number of threads, and with those of the options ``size``, ``trusted``
and ``engine`` that it has parameters for (``OnnxEngine`` and ``TFLiteEngine`` describe them).
"""

from __future__ import annotations

import contextlib
import importlib
import inspect
import pkgutil
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

from ailsr.runtime.engines.engine import Engine, available_cores
from ailsr.runtime.engines.named_files import missing
from ailsr.runtime.engines.providers import CPU, PROVIDERS, available
from ailsr.runtime.errors import EngineError, ModelError, UsageError

ENTRY_POINTS = "ailsr.engines"


class Entry(NamedTuple):
    """One engine of the table."""

    target: str
    """``module:Class``"""
    library: str = ""
    """The module that the class imports in order to run files; empty: not known."""
    by_name_only: bool = False
    """It runs files only where the user asks for it."""


_TFLITE = "ailsr.runtime.engines.tflite:TFLiteEngine"
_ONNX = "ailsr.runtime.engines.onnx:OnnxEngine"
ENGINES: dict[str, dict[str, Entry]] = {
    ".onnx": {
        CPU: Entry(_ONNX, "onnxruntime"),
        **{name: Entry(_ONNX, "onnxruntime", by_name_only=True) for name in ("cpu", *PROVIDERS)},
    },
    ".tflite": {
        "litert": Entry(_TFLITE, "ai_edge_litert.interpreter"),
        "tflite-runtime": Entry(_TFLITE, "tflite_runtime.interpreter"),
        **{
            name: Entry(_TFLITE, "ai_edge_litert.compiled_model", by_name_only=True)
            for name in ("compiled", "gpu", "npu")
        },
    },
    ".mlpackage": {
        "coreml": Entry("ailsr.runtime.engines.coreml:CoreMLEngine", "coremltools", True)
    },
    ".pb": {"dnn_superres": Entry("ailsr.runtime.engines.opencv:DnnSuperResEngine", "cv2")},
}
"""By the file's ending and the engine's name, the preferred one first. ``onnxruntime`` and ``cpu``
are onnxruntime without an execution provider but the CPU; ``litert`` and ``compiled`` are the
Interpreter and the CompiledModel of ai-edge-litert, ``gpu`` and ``npu`` the latter's accelerators.
"""
AUTO = "auto"
"""In place of an engine's name: the fastest right one (``upscaling/auto_engine.py``)."""


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
    if path.is_dir() and path.suffix.lower() in (".onnx", ".tflite"):
        raise ModelError(f"{path} is a folder: name the file in it")
    engine_class = _engine_class(path, engine)
    if not path.is_dir() and path.stat().st_size == 0:
        raise ModelError(f"{path} is empty: export or copy it again")
    parameters = inspect.signature(engine_class).parameters
    if size is not None and "size" not in parameters:
        raise EngineError(f"{path}: files ending in '{path.suffix}' have one input size")
    options = {"size": size, "trusted": trusted, "engine": engine}
    try:
        return engine_class(  # type: ignore[call-arg]  # classes have constructors of their own
            path,
            threads or available_cores(),
            **{name: value for name, value in options.items() if name in parameters},
        )
    except ModelError as error:
        raise ModelError(f"{path}: {error}") from error


def engine_names(path: Path) -> list[str]:
    """The engines that there are for files like ``path``, installed or not."""
    ending = path.suffix.lower()
    return list(ENGINES.get(ending, {}) | _registered().get(ending, {}))


def installed_engines(path: Path) -> list[str]:
    """The engines for files like ``path`` whose libraries are installed, the preferred one first;
    those of accelerators even where the machine has none."""
    ending = path.suffix.lower()
    entries = ENGINES.get(ending, {})
    has_library = {entry.library: _is_there(entry.library) for entry in entries.values()}
    names = [name for name, entry in entries.items() if has_library[entry.library]]
    if CPU in names:
        names = [CPU, *available()]
    if ending == ".mlpackage" and sys.platform != "darwin":
        names = []
    return names or list(_registered().get(ending, {}))


def chosen_engines(choices: Sequence[str]) -> dict[str, str]:
    """Engine by ending, of choices like ``tflite=compiled``, ``onnx=auto`` or ``auto`` for all;
    later ones win.

    Raises UsageError for an ending or an engine that does not exist.
    """
    chosen: dict[str, str] = {}
    for choice in choices:
        if choice == AUTO:
            chosen |= dict.fromkeys(ENGINES, AUTO)
            continue
        ending, _, engine = choice.partition("=")
        ending = f".{ending.removeprefix('.').lower()}"
        names = engine_names(Path(f"file{ending}"))
        if engine not in [*names, *([AUTO] if names else [])]:
            examples = names and [f"{ending[1:]}={name}" for name in names]
            known = examples or [f"{end[1:]}={name}" for end in ENGINES for name in ENGINES[end]]
            raise UsageError(f"--engine {choice}: choose one of {', '.join(known)}, or {AUTO}")
        chosen[ending] = engine
    return chosen


def timed_engine(path: Path) -> str | None:
    """The engine to measure ``path`` with where it is not the one that ``open_engine`` takes:
    Core ML itself on a Mac, where elsewhere a reference evaluator stands in."""
    is_mac = sys.platform == "darwin" and find_spec("coremltools") is not None
    return "coreml" if is_mac and path.suffix.lower() == ".mlpackage" else None


def import_library(path: Path, engine: str | None = None) -> None:
    """Import the library that runs ``path``, so that it does not count as loading the file; when
    there is none, ``load`` says so."""
    entries = ENGINES.get(path.suffix.lower(), {})
    for entry in [entries[engine]] if engine in entries else entries.values():
        with contextlib.suppress(ImportError):
            importlib.import_module(entry.library)
            return


def _engine_class(path: Path, engine: str | None) -> type[Engine]:
    """The class of ``engine``; None: of the first that is not ``by_name_only``."""
    ending = path.suffix.lower()
    entries = ENGINES.get(ending, {})
    if engine not in entries and all(entry.by_name_only for entry in entries.values()):
        entries = entries | _registered().get(ending, {})
    for name, entry in entries.items():
        if engine == name or (engine is None and not entry.by_name_only):
            try:
                return pkgutil.resolve_name(entry.target)  # type: ignore[no-any-return]
            except ImportError as error:
                raise EngineError(
                    f'{path} needs {error.name or error}: pip install "ailsr[export]"'
                ) from error
    if ending in (".pt", ".pt2"):
        raise ModelError(f"{path} is a network, not an exported file: run ailsr-export {path}")
    raise ModelError(
        f"{path}: no engine for files ending in '{path.suffix}'; known are "
        f"{', '.join(sorted({*ENGINES, *_registered()}))}"
    )


def _is_there(library: str) -> bool:
    """Whether the module ``library`` can be imported, as far as can be known without doing so."""
    try:
        return find_spec(library) is not None
    except ModuleNotFoundError:  # what it lies in is missing
        return False


def _registered() -> dict[str, dict[str, Entry]]:
    """The engines that other packages bring, as in ``ENGINES``."""
    from importlib.metadata import entry_points  # slow to import, and seldom needed

    found: dict[str, dict[str, Entry]] = {}
    for point in entry_points(group=ENTRY_POINTS):
        name = point.module.rpartition(".")[2]
        found.setdefault(f".{point.name}", {})[name] = Entry(point.value)
    return found
