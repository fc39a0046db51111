"""The calls of a torch.export program as a module: it computes them one by one."""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch._ops import OpOverload

from ailsr.runtime.errors import ModelError

DTYPES = {
    **{1: torch.uint8, 2: torch.int8, 3: torch.int16, 4: torch.int32, 5: torch.int64},
    **{6: torch.float16, 7: torch.float32, 8: torch.float64, 12: torch.bool, 13: torch.bfloat16},
}
"""By their numbers in a program."""
FORMATS = {1: torch.contiguous_format, 2: torch.channels_last, 4: torch.preserve_format}
OPERATOR = re.compile(r"torch\.ops\.aten\.(\w+)\.(\w+)")
REFUSED = {"from_file"}
"""Operators of PyTorch that reach beyond tensors."""
IN_A_BLOCK = re.compile(r"torch\.ops\.higher_order\.wrap_with_(autocast|set_grad_enabled)")


class NotFunctionalError(Exception):
    """A program whose assignments to tensors are more than replacing them."""


def _check(condition: Any, message: str = "") -> None:  # noqa: ANN401
    if not condition:
        raise ModelError(f"it was not made for such sizes ({message[:200]})")


OF_NUMBERS: dict[str, Callable[..., Any]] = {
    **{
        f"_operator.{name}": getattr(operator, name)
        for name in (
            *("getitem", "add", "sub", "mul", "neg", "floordiv", "truediv", "mod", "pow", "eq"),
            *("ne", "le", "ge", "lt", "gt", "and_", "or_"),
        )
    },
    **{f"math.{name}": getattr(math, name) for name in ("ceil", "floor", "trunc")},
    **{f"torch.sym_{kind.__name__}": kind for kind in (int, float, max, min)},
    "torch.sym_not": operator.not_,
    "torch.sym_ite": lambda condition, yes, no: yes if condition else no,
    "torch._sym_sqrt": math.sqrt,
    "torch.ops.aten.sym_size.int": lambda tensor, axis: int(tensor.shape[axis]),
    "torch.ops.aten.sym_stride.int": lambda tensor, axis: int(tensor.stride(axis)),
    "torch.ops.aten.sym_numel.default": lambda tensor: math.prod(map(int, tensor.shape)),
    "torch.ops.aten._assert_scalar.default": _check,
}
"""Functions of sizes, whose results are plain numbers."""


def dtype_of(number: int) -> torch.dtype:
    """Raises ModelError for one of special tensors."""
    if number not in DTYPES:
        raise ModelError(f"it holds tensors of the type {number}: give it in float32")
    return DTYPES[number]


@dataclass(frozen=True)
class Value:
    """A place where an argument is a result of an earlier call."""

    name: str


@dataclass(frozen=True)
class Call:
    """A call of an operator."""

    target: str
    function: Callable[..., Any] | None
    """None: a block of ``calls``."""
    positional: list[Any]
    keywords: dict[str, Any]
    results: list[Any]
    """The ``Value`` of each, or a list of them."""
    done: tuple[str, ...] = ()
    """The values that no later call takes."""


@dataclass(frozen=True)
class Calls:
    """A graph of a program."""

    calls: list[Call]
    inputs: list[str] = field(default_factory=list)
    outputs: list[Any] = field(default_factory=list)

    @classmethod
    def of(cls, graph: Mapping[str, Any]) -> Calls:
        """Raises ModelError for a call of anything but PyTorch's own operators."""
        outputs = [*map(argument, graph["outputs"])]
        used = {*_names(outputs)}
        calls: list[Call] = []
        for node in reversed(graph["nodes"]):
            named = [(entry, argument(entry["arg"])) for entry in node["inputs"]]
            results = [*map(argument, node["outputs"])]
            touched = {*_names([value for _, value in named]), *_names(results)}
            done = tuple(sorted(touched - used))
            used |= touched
            positional = [value for entry, value in named if entry.get("kind") != 2]
            keywords = {entry["name"]: v for entry, v in named if entry.get("kind") == 2}
            function = _function(node["target"], positional)
            calls.append(Call(node["target"], function, positional, keywords, results, done))
        inputs = [*_names([*map(argument, graph["inputs"])])]
        return cls(calls[::-1], inputs, outputs)


class ProgramModule(nn.Module):
    """A program of one ``image``; ``result`` is what it returns, of ``Value``s."""

    check: Callable[[tuple[int, ...]], None]
    """Raises ModelError for a shape that it was not made for."""

    def __init__(self, calls: Calls, tensors: Mapping[str, Any], image: str, result: Any) -> None:  # noqa: ANN401
        super().__init__()
        self.calls, self._image, self._result = calls, image, result
        self._names = [*tensors]
        for place, tensor in enumerate(tensors.values()):
            self.register_buffer(f"tensor_{place}", tensor)
        self._functional = False

    @contextmanager
    def traced(self) -> Iterator[None]:
        """It computes new tensors in place of assigning to those there are, which exporters that
        record its calls do not see. It raises NotFunctionalError where it cannot."""
        self._functional = True
        try:
            yield
        finally:
            self._functional = False

    def forward(self, x: Tensor) -> Any:  # noqa: ANN401 - what programs return
        self.check(tuple(map(int, x.shape)))
        values = {name: getattr(self, f"tensor_{n}") for n, name in enumerate(self._names)}
        values[self._image] = x
        self._run(self.calls, values)
        return _filled(self._result, values)

    def _run(self, calls: Calls, values: dict[str, Any]) -> None:
        for call in calls.calls:
            if not call.results and call.function is not _check:
                continue  # an assertion of tensors
            positional, keywords = (_filled(a, values) for a in (call.positional, call.keywords))
            if call.function is None:
                result = self._block(call.target, positional)
            elif self._functional and _assigns(call.function):
                result = _replaced(call.function, positional, keywords, values)
            else:
                result = call.function(*positional, **keywords)
            if call.results:
                _store(call.results, [result] if len(call.results) == 1 else result, values)
            for name in call.done:
                values.pop(name, None)

    def _block(self, target: str, arguments: list[Any]) -> Any:  # noqa: ANN401
        """What a graph inside a program computes, with gradients or without."""
        place = next(n for n, value in enumerate(arguments) if isinstance(value, Calls))
        calls = arguments[place]
        if target.endswith("autocast") and arguments[2]:
            raise ModelError("it computes under torch.autocast: export it without")
        if self._functional and any(map(_assigns, (call.function for call in calls.calls))):
            raise NotFunctionalError(target)
        values = dict(zip(calls.inputs, arguments[place + 1 :], strict=True))
        self._run(calls, values)
        outputs = _filled(calls.outputs, values)
        return outputs[0] if len(outputs) == 1 else outputs


def _function(target: str, arguments: Sequence[Any]) -> Callable[..., Any] | None:
    if target in OF_NUMBERS:
        return OF_NUMBERS[target]
    if IN_A_BLOCK.fullmatch(target) and any(isinstance(value, Calls) for value in arguments):
        return None
    match = OPERATOR.fullmatch(target)
    found: Any = None
    if match and match[1] not in REFUSED:
        found = getattr(getattr(torch.ops.aten, match[1], None), match[2], None)
    if not isinstance(found, OpOverload):
        raise ModelError(
            f"the program calls {target[:80]!r}, which is not read because it could run code: "
            "only PyTorch's own operators are"
        )
    return found


def argument(entry: Mapping[str, Any]) -> Any:  # noqa: ANN401
    """What a program gives an operator, or returns; a ``Value`` where that is computed. Raises
    ModelError."""
    ((kind, value),) = entry.items()
    match kind:
        case "as_none":
            return None
        case "as_name":
            return Value(value)
        case "as_tensor":
            return Value(value["name"])
        case "as_tensors":
            return [Value(tensor["name"]) for tensor in value]
        case "as_sym_int" | "as_sym_bool" | "as_sym_float" | "as_optional_tensor":
            return argument(value)
        case "as_sym_ints" | "as_sym_bools" | "as_sym_floats" | "as_optional_tensors":
            return [*map(argument, value)]
        case "as_float":
            return float(value)  # which may be the text Infinity
        case "as_floats":
            return [float(number) for number in value]
        case "as_int" | "as_ints" | "as_bool" | "as_bools" | "as_string" | "as_strings":
            return value
        case "as_scalar_type":
            return dtype_of(value)
        case "as_memory_format":
            return FORMATS[value]
        case "as_layout":
            return torch.strided
        case "as_device":
            return torch.device("cpu")
        case "as_graph":
            return Calls.of(value["graph"])
    raise ModelError(f"the program holds {str(kind)[:80]!r}, which is not read")


def _names(value: Any) -> Iterator[str]:  # noqa: ANN401
    """The names of values anywhere in ``value``."""
    match value:
        case Value():
            yield value.name
        case list() | tuple():
            for part in value:
                yield from _names(part)
        case dict():
            yield from _names([*value.values()])


def _filled(value: Any, values: Mapping[str, Any]) -> Any:  # noqa: ANN401
    """``value`` with the values in their places."""
    match value:
        case Value():
            return values[value.name]
        case list():
            return [_filled(part, values) for part in value]
        case dict():
            return {key: _filled(part, values) for key, part in value.items()}
    return value


def _store(place: Any, value: Any, values: dict[str, Any]) -> None:  # noqa: ANN401
    match place:
        case Value():
            values[place.name] = value
        case list():
            for part, item in zip(place, value, strict=True):
                _store(part, item, values)


def _assigns(function: Callable[..., Any] | None) -> bool:
    return isinstance(function, OpOverload) and bool(function._schema.is_mutable)


def _replaced(
    function: Any,  # noqa: ANN401
    positional: list[Any],
    keywords: dict[str, Any],
    values: dict[str, Any],
) -> Tensor:
    """The result of an operator that assigns to its first argument, as a new tensor, which takes
    the place of that argument among ``values``. Raises NotFunctionalError when another value is a
    part of it."""
    name = function._schema.name.removeprefix("aten::")
    packet = getattr(torch.ops.aten, name.removesuffix("_"), None)
    twin = getattr(packet, function._schema.overload_name or "default", None)
    before = positional[0] if positional else None
    if not (name.endswith("_") and isinstance(twin, OpOverload) and isinstance(before, Tensor)):
        raise NotFunctionalError(name)
    result: Tensor = twin(*positional, **keywords).to(before.dtype)
    for other, value in values.items():
        if not isinstance(value, Tensor) or _memory(value) != _memory(before):
            continue
        if value is not before:
            raise NotFunctionalError(name)
        values[other] = result
    return result


def _memory(tensor: Tensor) -> int:
    return tensor.untyped_storage().data_ptr()
