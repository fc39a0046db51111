"""Files by names that are no paths, such as ``zoo:sesr_m5_x2``, made by a registered function.

The entry-point group ``ailsr.files`` holds, by the prefix of such names, a function that is called
with the name and with ``say(text)``, and returns the path of the file.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from ailsr.runtime.errors import EngineError, ModelError

ENTRY_POINTS = "ailsr.files"


def resolve(model: Path, say: Callable[[str], None]) -> Path:
    """The file that ``model`` means: a path itself, or what is made of a name.

    ``say`` is told of what takes long. Raises EngineError when what makes the file is not
    installed, and as that does.
    """
    if (prefix := prefix_of(model)) is None:
        return model
    from importlib.metadata import entry_points  # slow to import, and seldom needed

    for point in entry_points(group=ENTRY_POINTS, name=prefix):
        try:
            made: Path = point.load()(str(model), say)
            return made
        except (ImportError, EngineError) as error:
            raise EngineError(
                f'{model} has to be exported first: pip install "ailsr[export]", or run '
                f"ailsr-export {model} --target onnx --precision float32 where that is installed "
                f"and give the file ({error})"
            ) from error
    raise missing(model)


def prefix_of(model: Path) -> str | None:
    """The part of a name before its colon; None for a path, and for what exists."""
    prefix, colon, _ = str(model).partition(":")
    return prefix if colon and prefix.isalpha() and len(prefix) > 1 and not model.exists() else None


def missing(model: Path) -> ModelError:
    """The error for a file that is not there."""
    if prefix_of(model) == "zoo":
        return ModelError(f"{model} is a network, not an exported file: run ailsr-export {model}")
    return ModelError(f"no model file at {model}: check the name")
