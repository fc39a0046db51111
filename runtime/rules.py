"""Rules for values from outside: the types and ranges of fields, put together in tables.

A rule takes a value as ``documents.parse`` gives it and returns it in the type that the program
works with; it raises ValueError with what it should have been.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from ailsr.runtime.errors import shortened

Rule = Callable[[Any], Any]


def check(values: Any, table: Mapping[str, Rule], required: int) -> dict[str, Any]:  # noqa: ANN401
    """The fields of the object ``values`` that ``table`` has, each by its rule; others are left
    out.

    The first ``required`` fields of ``table`` must be there. Raises ValueError naming the field.
    """
    if not isinstance(values, Mapping):
        raise ValueError(f"{_shown(values)} is not an object")
    missing = [name for name in list(table)[:required] if name not in values]
    if missing:
        raise ValueError(f"it has no {missing[0]!r}")
    found = {}
    for name, rule in table.items():
        if name in values:
            try:
                found[name] = rule(values[name])
            except ValueError as error:
                raise ValueError(f"its {name!r} is {error}") from None
    return found


def integer(least: int, most: int) -> Rule:
    """A whole number from ``least`` to ``most``; 8.0 is one, too."""

    def rule(value: Any) -> int:  # noqa: ANN401
        whole = isinstance(value, int) or (isinstance(value, float) and value.is_integer())
        if not whole or isinstance(value, bool) or not least <= value <= most:
            raise ValueError(f"{_shown(value)}, not a whole number from {least} to {most}")
        return int(value)

    return rule


def number(least: float = -math.inf, most: float = math.inf) -> Rule:
    """A finite number from ``least`` to ``most``."""

    def rule(value: Any) -> float:  # noqa: ANN401
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        if not is_number or not least <= value <= most:
            raise ValueError(f"{_shown(value)}, not a number in its range")
        return float(value)

    return rule


def span(least: float, most: float) -> Rule:
    """Two numbers between ``least`` and ``most``, in order, as a tuple; or one that is both."""
    bound = number(least, most)

    def rule(value: Any) -> tuple[float, float]:  # noqa: ANN401
        ends = value if isinstance(value, list) else [value, value]
        if len(ends) != 2 or bound(ends[0]) > bound(ends[1]):
            raise ValueError(f"{_shown(value)}, not a range such as [{least:g}, {most:g}]")
        return bound(ends[0]), bound(ends[1])

    return rule


def text(longest: int = 2000) -> Rule:
    """A text of at most so many characters."""

    def rule(value: Any) -> str:  # noqa: ANN401
        if not isinstance(value, str) or len(value) > longest:
            raise ValueError(f"{_shown(value)}, not a text of up to {longest} characters")
        return value

    return rule


def flag(value: Any) -> bool:  # noqa: ANN401
    """True or false."""
    if not isinstance(value, bool):
        raise ValueError(f"{_shown(value)}, not true or false")
    return value


def one_of(*choices: str) -> Rule:
    """One of ``choices``."""

    def rule(value: Any) -> str:  # noqa: ANN401
        if not isinstance(value, str) or value not in choices:
            raise ValueError(f"{_shown(value)}, not one of {', '.join(choices)}")
        return value

    return rule


def optional(rule: Rule, absent: object = None) -> Rule:
    """null, which becomes ``absent``, or what ``rule`` takes."""
    return lambda value: absent if value is None else rule(value)


def items(rule: Rule, most: int, least: int = 0) -> Rule:
    """A list of ``least`` to ``most`` values, as a tuple."""

    def each(value: Any) -> tuple[Any, ...]:  # noqa: ANN401
        if not isinstance(value, list) or not least <= len(value) <= most:
            raise ValueError(f"{_shown(value)}, not a list of {least} to {most} values")
        return tuple(rule(item) for item in value)

    return each


def mapping(rule: Rule, most: int = 1000, longest: int = 200) -> Rule:
    """An object of at most ``most`` values under names of at most ``longest`` characters."""

    def each(value: Any) -> dict[str, Any]:  # noqa: ANN401
        if not isinstance(value, dict) or len(value) > most:
            raise ValueError(f"{_shown(value)}, not an object of up to {most} values")
        if not all(isinstance(name, str) and len(name) <= longest for name in value):
            raise ValueError(f"an object with a name of more than {longest} characters")
        return {name: rule(item) for name, item in value.items()}

    return each


def plain(levels: int, most: int = 1000, longest: int = 2000) -> Rule:
    """Any JSON value of at most ``levels`` levels of lists and objects, each of ``most`` values."""

    def rule(value: Any) -> Any:  # noqa: ANN401
        if isinstance(value, str):
            return text(longest)(value)
        if value is None or isinstance(value, bool | int | float):
            return value
        if not isinstance(value, dict | list):
            raise ValueError(f"{_shown(value)}, not a value of JSON")
        if levels == 0:
            raise ValueError(f"{_shown(value)}, nested too deep")
        inner = plain(levels - 1, most, longest)
        if isinstance(value, dict):
            return mapping(inner, most)(value)
        return list(items(inner, most)(value))

    return rule


def _shown(value: Any) -> str:  # noqa: ANN401
    """``value`` in a message: short, whatever it is."""
    if isinstance(value, dict | list):
        return f"{'an object' if isinstance(value, dict) else 'a list'} of {len(value)}"
    return shortened(repr(value))
