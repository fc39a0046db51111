"""A validator of documents by a JSON Schema: the keywords that ours use, and bounds of size.

A report comes from a phone, a board or a file, and its readers rely on its schema. Besides,
numbers have to be of a size to compute with, and texts of a length to show.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from typing import Any

from ailsr.runtime.errors import shortened

LONGEST_TEXT = 4000
LARGEST_NUMBER = 1e18
MOST_ITEMS = 1_000_000
Schema = Mapping[str, Any]

_TYPES: dict[str, Callable[[Any], bool]] = {
    "null": lambda value: value is None,
    "boolean": lambda value: isinstance(value, bool),
    "string": lambda value: isinstance(value, str),
    "array": lambda value: isinstance(value, list),
    "object": lambda value: isinstance(value, dict),
    "number": lambda value: isinstance(value, int | float) and not isinstance(value, bool),
    "integer": lambda value: (
        (isinstance(value, int) or (isinstance(value, float) and value.is_integer()))
        and not isinstance(value, bool)
    ),
}
KEYWORDS = frozenset(
    (
        *("$ref", "additionalProperties", "anyOf", "const", "enum", "items", "maxItems", "maximum"),
        *("minItems", "minimum", "pattern", "properties", "required", "type"),
    )
)
"""The keywords that are checked; ``$schema``, ``title``, ``description`` and ``definitions`` say
nothing."""


def check(document: object, schema: Schema) -> None:
    """Raise ValueError, with the place, unless ``document`` follows ``schema``."""
    _check(document, schema, schema, "it")


def _check(value: Any, schema: Schema, root: Schema, place: str) -> None:  # noqa: ANN401
    if "$ref" in schema:
        name = schema["$ref"].removeprefix("#/definitions/")
        _check(value, root["definitions"][name], root, place)
    if "anyOf" in schema:
        _check_any(value, schema["anyOf"], root, place)
    types = schema.get("type", ())
    types = [types] if isinstance(types, str) else types
    if types and not any(_TYPES[name](value) for name in types):
        raise _wrong(place, value, " or ".join(types))
    if "const" in schema and (isinstance(value, bool) or value != schema["const"]):
        raise _wrong(place, value, repr(schema["const"]))
    if "enum" in schema and value not in schema["enum"]:
        raise _wrong(place, value, f"one of {', '.join(map(str, schema['enum']))}")
    if isinstance(value, str):
        if len(value) > LONGEST_TEXT:
            raise _wrong(place, value, f"a text of up to {LONGEST_TEXT} characters")
        if "pattern" in schema and not re.search(schema["pattern"], value, re.ASCII):
            raise _wrong(place, value, "of its form")
    elif isinstance(value, list):
        least, most = schema.get("minItems", 0), schema.get("maxItems", MOST_ITEMS)
        if not least <= len(value) <= most:
            raise _wrong(place, value, f"{least} to {most} values")
        for n, item in enumerate(value):
            _check(item, schema.get("items", {}), root, f"{place}[{n}]")
    elif isinstance(value, dict):
        _check_object(value, schema, root, place)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        least = schema.get("minimum", -LARGEST_NUMBER)
        most = schema.get("maximum", LARGEST_NUMBER)
        if not (math.isfinite(value) and least <= value <= most):
            raise _wrong(place, value, f"a number from {least:g} to {most:g}")


def _check_object(value: dict[str, Any], schema: Schema, root: Schema, place: str) -> None:
    for name in schema.get("required", ()):
        if name not in value:
            raise ValueError(f"{place} has no {name!r}")
    known, others = schema.get("properties", {}), schema.get("additionalProperties", {})
    for name, item in value.items():
        inner = name if place == "it" else f"{place}.{name}"
        if len(name) > LONGEST_TEXT:
            raise _wrong(place, name, "a name of that length")
        _check(item, known.get(name, others), root, inner)


def _check_any(value: Any, schemas: list[Schema], root: Schema, place: str) -> None:  # noqa: ANN401
    """Of several reasons, tell that of the alternative which got farthest."""
    reasons: list[str] = []
    for schema in schemas:
        try:
            _check(value, schema, root, place)
        except ValueError as error:
            reasons.append(str(error))
        else:
            return
    raise ValueError(max(reasons, key=lambda reason: reason.partition(" ")[0].count(".")))


def _wrong(place: str, value: object, expected: str) -> ValueError:
    shown = f"of {len(value)} entries" if isinstance(value, dict | list) else repr(value)
    return ValueError(f"{place} is {shortened(shown)}, not {expected}")
