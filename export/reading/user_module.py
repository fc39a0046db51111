"""A network of any torch class, which the user names with its arguments:
``package.module:Class(upscale=2)``.

As with networks that are trained here, the module is imported, which runs its code, and only for
a name on the command line.
"""

from __future__ import annotations

import ast
from typing import Any, NamedTuple

from torch import nn

from ailsr.runtime.errors import UsageError
from ailsr.train.networks import Network, create
from ailsr.train.networks.user_network import called, import_named


class Call(NamedTuple):
    """A class and the arguments that it is called with."""

    reference: str
    """``package.module:Class``"""
    positional: list[Any]
    named: dict[str, Any]

    @classmethod
    def of(cls, text: str) -> Call:
        """``text``, ``package.module:Class`` or ``package.module:Class(…)``. Arguments are Python's
        literals. Raises UsageError."""
        reference, bracket, rest = text.partition("(")
        if not bracket:
            return cls(text, [], {})
        try:
            call = ast.parse(f"f({rest.strip()}", mode="eval").body
            if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Name):
                raise ValueError("it is not one call")
            positional = [ast.literal_eval(value) for value in call.args]
            named = {str(k.arg): ast.literal_eval(k.value) for k in call.keywords if k.arg}
            if len(named) < len(call.keywords):
                raise ValueError("** has no name")
        except (ValueError, SyntaxError, MemoryError, RecursionError) as error:
            raise UsageError(
                f"--network {text}: its arguments are numbers, texts, True, False, None and lists "
                "of these, as in module:Class(upscale=2, act='prelu')"
            ) from error
        return cls(reference.strip(), positional, named)


def user_module(text: str) -> nn.Module:
    """The module that ``text`` = ``package.module:Class(arguments)`` makes, with random weights.

    A class of ``ailsr.train.Network`` is checked against its contract. Raises UsageError.
    """
    call = Call.of(text)
    found = import_named(call.reference, _is_module)
    name = call.reference.rpartition(":")[2]
    if not callable(found):
        raise UsageError(f"--network {call.reference}: {name} is no class")
    if isinstance(found, type) and issubclass(found, Network):
        if [*map(type, call.positional)] != [int] or call.named:
            raise UsageError(
                f"--network {text}: these weights do not tell the scale of {name}, give it, as in "
                f"--network '{call.reference}(2)'"
            )
        return create(call.reference, call.positional[0])
    what = text.rpartition(":")[2] if "(" in text else f"{name}()"
    try:
        module = called(text, what, lambda: found(*call.positional, **call.named))
    except UsageError as error:
        if isinstance(error.__cause__, TypeError):
            raise UsageError(
                f"{error}: give the arguments of the class, as in --network "
                f"'{call.reference}(upscale=2)'"
            ) from error
        raise
    if not isinstance(module, nn.Module):
        raise UsageError(
            f"--network {text}: {name} makes {type(module).__name__}, no torch.nn.Module"
        )
    return module


def _is_module(value: object) -> bool:
    return isinstance(value, type) and issubclass(value, nn.Module) and value is not nn.Module
