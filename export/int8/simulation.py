"""A graph computed by PyTorch, in float or as int8 arithmetic rounds it, with gradients.

Rounding passes gradients straight through (Bengio et al., arXiv 1308.3432): that of a value within
its range is what it would be without rounding, that of a saturated one is zero.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor

from ailsr.export.graph.graph import (
    UNBOUNDED,
    Add,
    Bound,
    Clamp,
    Clamped,
    Concat,
    Conv,
    DepthToSpace,
    Extreme,
    Function,
    MaxPool,
    Mean,
    Mul,
    Node,
    Pad,
    Pointwise,
    PRelu,
)
from ailsr.export.graph.quantization import SILENT, QParams
from ailsr.runtime.errors import UnsupportedOperatorError

Constants = tuple[Tensor, Tensor]
"""Weight and bias of a convolution."""
FUNCTIONS: dict[Function, Callable[[Tensor], Tensor]] = {
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
    "gelu": F.gelu,
    "gelu_tanh": partial(F.gelu, approximate="tanh"),
    "sqrt": torch.sqrt,
}


def compute(node: Node, inputs: Sequence[Tensor], constants: Constants | None = None) -> Tensor:
    """What ``node`` makes of ``inputs`` (n, c, h, w) before its clamp.

    ``constants`` stand for a convolution's own. Raises UnsupportedOperatorError for a node that
    has no translation.
    """
    match node:
        case Conv(pads=(top, left, bottom, right)):
            weight, bias = constants or (torch.from_numpy(node.weight), torch.from_numpy(node.bias))
            padded = F.pad(inputs[0], (left, right, top, bottom)) if any(node.pads) else inputs[0]
            return F.conv2d(padded, weight, bias, node.stride, 0, node.dilation, node.groups)
        case PRelu():
            return F.prelu(inputs[0], torch.from_numpy(node.slope))
        case Bound():
            return inputs[0]
        case Pointwise(function=function):
            return FUNCTIONS[function](inputs[0])
        case Add():
            return inputs[0] + inputs[1]
        case Mul():
            return inputs[0] * inputs[1]
        case Extreme(function=function):
            return (torch.maximum if function == "max" else torch.minimum)(inputs[0], inputs[1])
        case Concat():
            return torch.cat(list(inputs), dim=1)
        case DepthToSpace(block=block):  # torch's own order is CRD
            n, channels, height, width = inputs[0].shape
            blocks = inputs[0].reshape(n, block**2, channels // block**2, height, width)
            return F.pixel_shuffle(blocks.transpose(1, 2).reshape(inputs[0].shape), block)
        case Pad(pads=(top, left, bottom, right), mode=mode):
            kind = {"reflect": "reflect", "edge": "replicate"}[mode]
            return F.pad(inputs[0], (left, right, top, bottom), mode=kind)
        case Mean():
            return inputs[0].mean((2, 3), keepdim=True)
        case MaxPool(kernel=kernel, stride=stride):
            return F.max_pool2d(inputs[0], kernel, stride)
    raise UnsupportedOperatorError(
        f"{type(node).__name__}, which computes {node.output!r}, takes pictures of one size: int8 "
        "cannot be simulated on parts of them; leave --qat out"
    )


def clamped(values: Tensor, node: Node) -> Tensor:
    """``values`` within the clamp of ``node``."""
    clamp: Clamp = node.clamp if isinstance(node, Clamped | Bound) else UNBOUNDED
    return values if clamp == UNBOUNDED else values.clamp(*clamp)


def rounded(values: Tensor, params: QParams) -> Tensor:
    """``values`` on the levels of a tensor."""
    low, high = -params.zero_point, 2**params.bits - 1 - params.zero_point
    return _round((values / params.scale).clamp(low, high)) * params.scale


def rounded_weight(weight: Tensor) -> Tensor:
    """``weight`` as ``quantize_weight`` rounds it."""
    reach = weight.detach().abs().amax(dim=(1, 2, 3), keepdim=True)
    scale = torch.where(reach > SILENT, reach / 127, 1 / 127)
    return _round((weight / scale).clamp(-127, 127)) * scale


def _round(values: Tensor) -> Tensor:
    return values + (values.round() - values).detach()
