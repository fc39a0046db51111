"""Computes a MIL program with torch, operator by operator.

Arithmetic is float32, and float64 in programs that quantise: their numbers are whole between the
scales, and float32 would round one in thousands to the level beside it, as no integer arithmetic
does. A convolution of dequantised levels is summed over the levels themselves, and what is then
quantised is multiplied once, in float32: so do integer kernels, and int8 files of all targets come
to the same levels.
What a program declares as float16 is rounded to it after each operator: storage in float16 and
accumulation in float32, as the Neural Engine and the GPU do it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ailsr.export.targets.coreml.mil_operators import CLAMPS, OPERATORS, conv_of_levels
from ailsr.runtime.errors import ModelError, UnsupportedOperatorError


class Interpreter:
    """The function ``main`` of a Core ML specification, ready to be computed.

    ``spec`` is the model's protobuf, ``weights`` the folder with its constants. Raises ModelError
    when there is no such function, UnsupportedOperatorError for an operator unknown here, and
    whatever coremltools raises over a damaged program.
    """

    def __init__(self, spec: Any, weights: Path) -> None:  # noqa: ANN401
        self.steps: list[_Step] = []
        constants: dict[str, Any] = {}
        # By output: what dequantises tensors, and weights; and convolutions of levels, also under
        # the name that their result has after a clamp.
        levels: dict[str, _Step] = {}
        weight_levels: dict[str, _Step] = {}
        sums: dict[str, _Step] = {}
        operations = _operations(spec, weights)
        quantised = any(operation.op_type == "quantize" for operation in operations)
        self.number = torch.float64 if quantised else torch.float32
        """Type of the computed tensors."""
        for operation in operations:
            (output,) = operation.outputs
            if operation.op_type == "const":
                constants[output.name] = _constant(output.val, self.number)
                continue
            step = _step(operation, constants)
            reads = {
                p: v.name for p, v in operation.inputs.items() if not isinstance(v, (list, tuple))
            }
            match operation.op_type:
                case "dequantize" if step.reads and step.constants.get("axis") is None:
                    levels[output.name] = step
                case "constexpr_affine_dequantize":
                    weight_levels[output.name] = step
                case "conv" if reads["x"] in levels and reads["weight"] in weight_levels:
                    step = _of_levels(step, levels[reads["x"]], weight_levels[reads["weight"]])
                    sums[output.name] = step
                case "quantize" if reads["input"] in sums:
                    sums[reads["input"]].constants["output_scale"] = step.constants["scale"]
                case kind if kind in CLAMPS and reads["x"] in sums:
                    sums[output.name] = sums[reads["x"]]
            if step.reads:
                self.steps.append(step)
            else:  # an operator on constants, such as the dequantisation of weights
                constants[output.name] = step({})
        self.tensors = {step.output for step in self.steps}
        """Names of all tensors that can be computed."""

    def compute(self, inputs: dict[str, Tensor], result: str) -> Tensor:
        """The tensor named ``result``, in float32. Others are let go as soon as nothing reads
        them."""
        values = {name: values.to(self.number) for name, values in inputs.items()}
        with torch.inference_mode():
            for step, last_reads in self._plan(result):
                values[step.output] = step(values)
                for name in last_reads:
                    del values[name]
        return values[result].float()

    def _plan(self, result: str) -> list[tuple[_Step, set[str]]]:
        """The steps that ``result`` takes, each with the tensors that no later one reads."""
        plan, wanted = [], {result}
        for step in reversed(self.steps):
            if step.output in wanted:
                plan.append((step, step.tensors() - wanted))
                wanted |= step.tensors()
        return plan[::-1]


@dataclass
class _Step:
    """One operator of the program, its constants at hand."""

    operator: Callable[..., Tensor]
    output: str
    half: bool
    """True if the result is float16."""
    reads: dict[str, str | list[str]] = field(default_factory=dict)
    """Name of the tensor, or tensors, for each parameter that is not a constant."""
    constants: dict[str, Any] = field(default_factory=dict)

    def __call__(self, values: dict[str, Tensor]) -> Tensor:
        arguments = {
            parameter: values[name] if isinstance(name, str) else [values[n] for n in name]
            for parameter, name in self.reads.items()
        }
        result = self.operator(**arguments, **self.constants)
        return result.half().to(result.dtype) if self.half else result

    def tensors(self) -> set[str]:
        """Names of all tensors that the step reads."""
        names: set[str] = set()
        for name in self.reads.values():
            names.update([name] if isinstance(name, str) else name)
        return names


def _operations(spec: Any, weights: Path) -> list[Any]:  # noqa: ANN401
    """The program's operations, loaded by coremltools with the values of its constants."""
    from coremltools.converters.mil.frontend.milproto.load import load

    if spec.WhichOneof("Type") != "mlProgram" or "main" not in spec.mlProgram.functions:
        raise ModelError("it holds no ML Program: export it again, or convert it with coremltools")
    function = spec.mlProgram.functions["main"]
    for operation in function.block_specializations[function.opset].operations:
        if operation.type != "const" and operation.type not in OPERATORS:
            raise UnsupportedOperatorError(
                f"the reference evaluator has no operator {operation.type!r}, "
                f"which computes {operation.outputs[0].name!r}"
            )
    program = load(spec, spec.specificationVersion, str(weights))
    return list(program.functions["main"].operations)


def _step(operation: Any, constants: dict[str, Any]) -> _Step:  # noqa: ANN401
    """One MIL operation, its parameters sorted into constants and tensors to read."""
    from coremltools.converters.mil.mil import types

    (output,) = operation.outputs
    step = _Step(OPERATORS[operation.op_type], output.name, output.dtype == types.fp16)
    for parameter, value in operation.inputs.items():
        if isinstance(value, (list, tuple)):
            step.reads[parameter] = [v.name for v in value]
        elif value.name in constants:
            step.constants[parameter] = constants[value.name]
        else:
            step.reads[parameter] = value.name
    return step


def _of_levels(conv: _Step, x: _Step, weight: _Step) -> _Step:
    """``conv`` of what the steps ``x`` and ``weight`` dequantise, on the levels themselves."""
    operator = partial(conv_of_levels, x.constants, weight.constants)
    constants = {name: value for name, value in conv.constants.items() if name != "weight"}
    return replace(conv, operator=operator, reads={"x": x.reads["input"]}, constants=constants)


def _constant(value: Any, number: torch.dtype) -> Any:  # noqa: ANN401
    """A MIL constant as the operators take it: a tensor of ``number``, a list of int or
    bool, or a scalar."""
    if not isinstance(value, np.ndarray):
        return value.item() if isinstance(value, np.generic) else value
    if value.dtype in (np.int32, np.bool_):
        return value.tolist()
    return torch.from_numpy(value.astype(np.float32)).to(number)
