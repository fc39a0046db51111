"""The receptive field of a graph."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import assert_never

from ailsr.export.graph.graph import (
    Add,
    Clip,
    Concat,
    Conv,
    Crop,
    DepthToSpace,
    Graph,
    MaxPool,
    Mean,
    MinMax,
    Mul,
    Node,
    Normalize,
    Pad,
    Pointwise,
    PRelu,
    Resize,
)


@dataclass(frozen=True)
class _Field:
    """Along one axis, sample p of a tensor depends on [p * step + low, p * step + high], in pixels
    of the graph's input."""

    step: Fraction
    low: Fraction
    high: Fraction

    def seen(self, block: int, first: int, last: int) -> _Field:
        """Of the result whose sample q depends on samples floor(q / block) + [first, last]."""
        start = first - Fraction(block - 1, block)  # where q / block stands for its floor
        return _Field(self.step / block, self.low + self.step * start, self.high + self.step * last)


def receptive_radius(graph: Graph) -> int | None:
    """Radius in input pixels around a pixel that can reach its output; an upper bound.

    None when there is no bound, or when the field is not the same for all pixels, as behind a
    stride.
    """
    radii = [_radius(graph, axis) for axis in (0, 1)]
    return None if None in radii else max(radius for radius in radii if radius is not None)


def _radius(graph: Graph, axis: int) -> int | None:
    fields = {graph.input: _Field(Fraction(1), Fraction(0), Fraction(0))}
    for node in graph.nodes:
        inputs = [fields[tensor] for tensor in node.inputs]
        source = _Field(
            inputs[0].step, min(field.low for field in inputs), max(field.high for field in inputs)
        )
        field = _field(node, source, axis)
        if field is None or len({field.step for field in inputs}) > 1:
            return None
        fields[node.output] = field
    field = fields[graph.output]
    # An output sample lies 0 to 1 - step after the start of its input pixel.
    return max(0, math.floor(-field.low), math.floor(field.high + 1 - field.step))


def _field(node: Node, source: _Field, axis: int) -> _Field | None:
    match node:
        case Conv() | MaxPool() if node.stride[axis] != 1:
            return None
        case Conv():
            first, extent = -node.pads[axis], node.weight.shape[2:][axis] - 1
            return source.seen(1, first, first + extent * node.dilation[axis])
        case Pad():  # what the border repeats lies nearer than the border
            return source.seen(1, -node.pads[axis], -node.pads[axis])
        case DepthToSpace(block=block):
            return source.seen(block, 0, 0)
        case Crop():
            return source.seen(1, node.border[axis], node.border[axis])
        case Normalize(over="pixels"):
            return None
        case MaxPool():
            return source.seen(1, 0, node.kernel[axis] - 1)
        case Add() | Mul() | MinMax() | Clip() | Concat() | PRelu() | Pointwise() | Normalize():
            return source
        case Mean() | Resize():
            return None
        case _:
            assert_never(node)
