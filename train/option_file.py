"""Options of a command in a TOML file: read by the types of its fields, and written."""

from __future__ import annotations

import json
import math
import tomllib
from collections.abc import Mapping
from dataclasses import fields
from difflib import get_close_matches
from pathlib import Path
from types import UnionType
from typing import Any, Literal, get_args, get_origin, get_type_hints

from ailsr.runtime import documents
from ailsr.runtime.errors import UsageError
from ailsr.runtime.imaging.degradation import Degradation

TOML_TYPES: dict[Any, tuple[Any, str]] = {
    Degradation: ((str, dict), "a name, or a table of steps"),
    list: (list, 'a list of texts, as in ["photos"]'),
    bool: (bool, "true or false"),
    int: (int, "a whole number"),
    float: ((int, float), "a number"),
}
"""By the type of an option: the types of its value in a TOML file, and their name."""


def read(path: Path, command: type[Any]) -> dict[str, Any]:
    """Options of the dataclass ``command`` in the file at ``path``, by parameter name.

    Raises UsageError when it is missing, not TOML, or holds an unknown option.
    """
    try:
        values = tomllib.loads(documents.read_text(path))
    except (OSError, ValueError, RecursionError) as error:
        raise UsageError(f"--config {path}: cannot be read ({error})") from error
    names = {f.name.rstrip("_"): f.name for f in fields(command) if f.name != "config"}
    unknown = [key for key in values if key not in names]
    if unknown:
        near = get_close_matches(unknown[0], names, n=1)
        hint = f"; did you mean {near[0]}?" if near else ""
        raise UsageError(f"--config {path}: there is no option {unknown[0]!r}{hint}")
    types = get_type_hints(command)
    for key, value in values.items():
        if expected := misfit(value, types[names[key]]):
            raise UsageError(f"--config {path}: {key} = {json.dumps(value)} has to be {expected}")
    return {names[key]: value for key, value in values.items()}


def written(options: Mapping[str, Any]) -> str:
    """Every option with a value, one line each, for ``read``. Raises UsageError for a path
    that is not UTF-8."""
    lines = (
        f"{key.rstrip('_')} = {_toml(value)}" for key, value in options.items() if value is not None
    )
    return "\n".join(lines) + "\n"


def misfit(value: Any, hint: Any) -> str | None:  # noqa: ANN401
    """Name of the type that ``hint`` asks for, None if ``value`` has it."""
    if isinstance(hint, UnionType):  # with None, which TOML has not
        hint = get_args(hint)[0]
    if get_origin(hint) is Literal:
        choices = get_args(hint)
        return None if value in choices else f"one of {', '.join(choices)}"
    kind, words = TOML_TYPES.get(get_origin(hint) or hint, (str, 'a text, as in "photos"'))
    fits = isinstance(value, kind) and (kind is bool or not isinstance(value, bool))
    if kind is list:
        fits = fits and all(isinstance(item, str) for item in value)
    return None if fits else words


def _toml(value: Any) -> str:  # noqa: ANN401
    """``value`` in TOML: JSON, except for infinities and characters beyond 16 bits.

    Raises UsageError for a path that is not UTF-8.
    """
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key} = {_toml(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_toml, value)) + "]"
    text = json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise UsageError(f"{value!a} is no UTF-8: rename it") from error
    return text
