"""Files by names that are no paths, such as ``zoo:sesr_m5_x2``, made by a registered function.

The entry-point group ``ailsr.files`` holds, by the prefix of such names, a ``Maker``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from ailsr.runtime.errors import EngineError, ModelError

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

ENTRY_POINTS = "ailsr.files"


class Maker(Protocol):
    """Makes the files of a prefix."""

    def __call__(self, name: str, say: Callable[[str], None]) -> Path:
        """The file of ``name``, with its prefix; ``say(text)`` is told of what takes long."""
        ...

    def names(self) -> list[str]:
        """Every name, without the prefix."""
        ...


def resolve(model: Path, say: Callable[[str], None]) -> Path:
    """The file that ``model`` means: a path itself, or what is made of a name.

    ``say`` is told of what takes long. Raises EngineError when what makes the file is not
    installed, and as that does.
    """
    if (prefix := prefix_of(model)) is None:
        return model
    for point in _makers(prefix):
        try:
            maker: Maker = point.load()
            return maker(str(model), say)
        except (ImportError, EngineError) as error:
            raise EngineError(
                f'{model} has to be exported first: pip install "ailsr[export]", or run '
                f"ailsr-export {model} --target onnx --precision float32 where that is installed "
                f"and give the file ({error})"
            ) from error
    raise missing(model)


def names(prefix: str) -> list[str]:
    """The names with ``prefix``, without it; none where what makes their files is not installed."""
    try:
        return [name for point in _makers(prefix) for name in point.load().names()]
    except ImportError:
        return []


def _makers(prefix: str) -> Iterable[EntryPoint]:
    from importlib.metadata import entry_points  # slow to import, and seldom needed

    return entry_points(group=ENTRY_POINTS, name=prefix)


def prefix_of(model: Path) -> str | None:
    """The part of a name before its colon; None for a path, and for what exists."""
    prefix, colon, _ = str(model).partition(":")
    return prefix if colon and prefix.isalpha() and len(prefix) > 1 and not model.exists() else None


def missing(model: Path) -> ModelError:
    """The error for a file that is not there."""
    if prefix_of(model) == "zoo":
        return ModelError(f"{model} is a network, not an exported file: run ailsr-export {model}")
    return ModelError(f"no model file at {model}: check the name")
