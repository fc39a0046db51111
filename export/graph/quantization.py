"""int8 parameters: one set of numbers for all targets.

Activations are asymmetric per tensor, weights symmetric per output channel (``weights.py``),
biases int32 at scale ``input scale * weight scale`` (the scheme of Jacob et al., arXiv 1712.05877).
Zero points are kept in the uint8 domain, 0 to 255: ONNX writes them as they are, TFLite and Core ML
as int8, 128 less.

int8x16 is the same with activations of 16 bits, symmetric as TFLite wants them; pixels stay uint8.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeGuard

import numpy as np
from numpy.typing import NDArray

from ailsr.export.graph.graph import (
    UNBOUNDED,
    Add,
    Array,
    Clamp,
    Clamped,
    Clip,
    Concat,
    Conv,
    Crop,
    DepthToSpace,
    Function,
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
from ailsr.export.graph.weights import Levels, quantize_weight
from ailsr.runtime.card import Precision

Range = tuple[float, float]
"""Lowest and highest value of a tensor."""


NEGLIGIBLE = 1e-5
"""Range of activations, white being 1, within which they count as zero."""

Bits = Literal[8, 16]
"""Of an activation."""
BITS: dict[Precision, Bits] = {"int8": 8, "int8x16": 16}
"""The precisions that need a calibration."""


@dataclass(frozen=True)
class QParams:
    """real = scale * (q - zero_point), q in 0..2^bits - 1; ``scale`` is exactly a float32."""

    scale: float
    zero_point: int
    bits: Bits = 8

    @classmethod
    def of_range(cls, low: float, high: float, bits: Bits = 8) -> QParams:
        """Parameters that cover [low, high] and represent 0 exactly, symmetric those of 16 bits.

        A range within NEGLIGIBLE of zero counts as zero: its scale would be too small for the int32
        biases of the next convolution.
        """
        low, high = min(low, 0.0), max(high, 0.0)
        if bits == 16:
            reach = max(-low, high)
            step = (reach if reach > NEGLIGIBLE else 1) / (2**15 - 1)
            return cls(float(np.float32(step)), 2**15, bits)
        scale = float(np.float32((high - low) / 255 if high - low > NEGLIGIBLE else 1 / 255))
        return cls(scale, int(np.clip(np.rint(-low / scale), 0, 255)))

    @property
    def ends(self) -> Range:
        """The numbers that the lowest and the highest level stand for."""
        highest = 2**self.bits - 1
        return self.scale * -self.zero_point, self.scale * (highest - self.zero_point)

    def signed_zero_point(self) -> int:
        """The zero point of the same levels as a signed integer type has them."""
        return self.zero_point - (1 << self.bits - 1)

    def saturates_at(self, clamp: Clamp) -> bool:
        """True if saturation does the same as ``clamp``, within half a level."""
        low, high = self.ends
        return low >= clamp[0] - self.scale / 2 and high <= clamp[1] + self.scale / 2


PIXELS = QParams(float(np.float32(1 / 255)), 0)
"""uint8 pixels of [0, 1]: the input and, pinned, the output of every file of RGB."""
WIDE_PIXELS = QParams(float(np.float32(1 / 255 / 2**7)), 2**15, 16)
"""The same in 16 bits: every pixel is a level."""


def pixels_of(graph: Graph, bits: Bits = 8) -> QParams:
    """The parameters of the input and the output of ``graph``: PIXELS or WIDE_PIXELS, or their
    like for other ``ends``."""
    low, high = graph.ends
    scale = float(np.float32((high - low) / 255))
    if bits == 16:
        return QParams(scale / 2**7, 2**15, 16)
    return QParams(scale, round(-low / scale))


FIXED: dict[Function, QParams] = {"sigmoid": QParams(1 / 256, 0), "tanh": QParams(1 / 128, 128)}
"""Parameters that TFLite prescribes for the results of these functions."""


SAME_SCALE = (DepthToSpace, Pad, Crop, Concat, MaxPool, MinMax, Resize)
"""Nodes whose results are among, or between, samples that they read: in int8 their tensors share
scale and zero point."""
OWN_SCALE = (Conv, PRelu, Clip, Pointwise, Add, Mul, Mean, Normalize)
"""Nodes whose results have a range of their own. Every node is in one of the two."""


@dataclass(frozen=True)
class Quantization:
    """The parameters of a graph in int8, by the names of its tensors."""

    tensors: dict[str, QParams]
    """Of every activation tensor."""
    bits: Bits = 8
    """Of every activation."""
    weight_scales: dict[str, Array] = field(default_factory=dict)
    """Scale per output channel, (out,), of the convolution that writes a tensor; where there is
    none it is the least that holds the weights (``weight_scale``)."""
    real: frozenset[str] = frozenset()
    """Tensors whose nodes compute in float32, of real numbers that are not rounded. A node that
    does not, and reads one, reads its levels."""

    def is_rounded(self, tensor: str, reader: Node) -> bool:
        """True if ``reader`` reads the levels of ``tensor``, which is computed in float32."""
        return tensor in self.real and reader.output not in self.real

    def leaves(self, graph: Graph, tensor: str) -> bool:
        """True if ``tensor``, computed in float32, is read as levels."""
        readers = graph.consumers(tensor)
        return tensor == graph.output or any(self.is_rounded(tensor, node) for node in readers)

    def weight(self, node: Conv) -> tuple[Levels, Array]:
        """(levels, scale per output channel) of the weights of ``node``."""
        return quantize_weight(node.weight, node.groups, self.weight_scales.get(node.output))


def quantization_of(graph: Graph, ranges: Mapping[str, Range], bits: Bits = 8) -> Quantization:
    """The parameters of each tensor of ``graph`` for the calibrated ``ranges``.

    Tensors that an operator only rearranges (SAME_SCALE) share theirs. The input and the output
    are pixels, and so is what is only rearranged into the output or copied from the input by a
    convolution. Results of FIXED functions have those of their function. Otherwise a tensor covers
    its range within its clamp; that of [0, 1] it covers whole.
    """
    group = groups_of(graph)
    members: dict[str, list[Node]] = {}
    for node in graph.nodes:
        members.setdefault(group[node.output], []).append(node)
    pixels = pixels_of(graph, bits)
    params = {group[graph.input]: pixels, group[graph.output]: pixels}
    for node in graph.nodes:
        if group[node.output] in params:
            continue
        makers = [m for m in members[group[node.output]] if not isinstance(m, SAME_SCALE)]
        copied = {params.get(group[maker.input]) for maker in makers if copies_channels(maker)}
        fixed = {
            FIXED.get(m.function) if isinstance(m, Pointwise) and bits == 8 else None
            for m in makers
        }
        if len(copied) == 1 and all(map(copies_channels, makers)) and (of := copied.pop()):
            params[group[node.output]] = of
        elif len(fixed) == 1 and (prescribed := fixed.pop()) is not None:
            params[group[node.output]] = prescribed
        else:
            lows, highs = zip(*(_clamped_range(m, ranges[m.output]) for m in makers), strict=True)
            params[group[node.output]] = QParams.of_range(min(lows), max(highs), bits)
    return Quantization({tensor: params[group[tensor]] for tensor in graph.shapes}, bits)


def copies_channels(node: Node) -> TypeGuard[Conv]:
    """True if ``node`` is a convolution whose outputs are copies of samples of its input."""
    if not isinstance(node, Conv) or node.clamp != UNBOUNDED:
        return False
    rows = node.weight.reshape(len(node.weight), -1)
    ones = ((rows == 1).sum(axis=1) == 1) & ((rows != 0).sum(axis=1) == 1)
    return bool(ones.all()) and not node.bias.any() and not any(node.pads)


def groups_of(graph: Graph) -> dict[str, str]:
    """For each tensor one tensor that stands for all that share its parameters."""
    group = {tensor: tensor for tensor in graph.shapes}
    for node in graph.nodes:
        if isinstance(node, SAME_SCALE):
            tied = {group[tensor] for tensor in (*node.inputs, node.output)}
            group = {t: group[node.output] if g in tied else g for t, g in group.items()}
    return group


def _clamped_range(node: Node, calibrated: Range) -> Range:
    clamp = node.clamp if isinstance(node, Clamped | Clip) else UNBOUNDED
    if clamp == (0, 1):  # pixels, which 0..255 stand for exactly
        return clamp
    low, high = np.clip(calibrated, *clamp)
    return float(low), float(high)


def quantize_bias(
    bias: Array, input_scale: float, weight_scale: NDArray[np.float32]
) -> NDArray[np.int32]:
    """``bias`` in units of the accumulator, ``input_scale * weight_scale``."""
    levels = np.rint(bias.astype(np.float64) / (input_scale * weight_scale.astype(np.float64)))
    return np.clip(levels, -(2**31), 2**31 - 1).astype(np.int32)
