"""Networks of luma, one channel in and one out, as networks of RGB.

The chroma is enlarged by bicubic interpolation inside the graph. With the luma Y = k · RGB,

    RGB_out = network(Y) + up(RGB) - k · up(RGB)

where up, at scale 1, leaves RGB as it is. It is linear around the network: at its head k folds into
the first convolution. A network with a global skip gives the same as by
``ailsr.train.networks.luma``.
"""

from __future__ import annotations

import numpy as np
import onnx
import onnx.version_converter
import onnxsim
import torch
from onnx import ModelProto, helper, numpy_helper
from torch import Tensor, nn

from ailsr.runtime.errors import ModelError, first_line
from ailsr.train.networks.skip import BicubicUpsampler

LUMA = (0.299, 0.587, 0.114)
"""Weights of R, G and B in the luma of JPEG and Pillow, BT.601 in full range."""
_TRIAL = 64
_OPSET = 11
"""The first with all that is added."""


class LumaAsRgb(nn.Module):
    """``network``, (1, 1, h, w) -> (1, 1, scale*h, scale*w), as one of RGB."""

    weights: Tensor

    def __init__(self, network: nn.Module, scale: int) -> None:
        super().__init__()
        self.network = network
        self.up = BicubicUpsampler(3, scale) if scale > 1 else nn.Identity()
        self.register_buffer("weights", torch.tensor(LUMA).view(1, 3, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        up: Tensor = self.up(x)
        luma: Tensor = self.network((x * self.weights).sum(1, keepdim=True))
        return luma + up - (up * self.weights).sum(1, keepdim=True)


def to_rgb(model: ModelProto) -> None:
    """Rewrite ``model`` of one channel in place. Raises ModelError when it is no upscaler."""
    if max(o.version for o in model.opset_import if o.domain in ("", "ai.onnx")) < _OPSET:
        model.CopyFrom(onnx.version_converter.convert_version(model, _OPSET))
    graph, scale = model.graph, _scale(model)
    constants = {tensor.name for tensor in graph.initializer}
    source = next(value for value in graph.input if value.name not in constants)
    result = graph.output[0]
    luma, upscaled = source.name, result.name
    weights = np.array(LUMA, np.float32)
    values = {
        "luma": weights.reshape(1, 3, 1, 1),
        "rest": (np.eye(3) - weights).astype(np.float32).reshape(3, 3, 1, 1),
        "grey": np.ones((3, 1, 1, 1), np.float32),
    }
    nodes, enlarged = [helper.make_node("Conv", ["RGB", "RGB/luma"], [luma]), *graph.node], "RGB"
    if scale > 1:
        up, enlarged = BicubicUpsampler(3, scale), "RGB/up"
        values |= {
            "pads": np.array([0, 0, up.radius, up.radius] * 2),
            "cubic": up.weight.numpy(),
        }
        nodes += [
            helper.make_node("Pad", ["RGB", "RGB/pads"], ["RGB/padded"], mode="reflect"),
            helper.make_node("Conv", ["RGB/padded", "RGB/cubic"], ["RGB/phases"]),
            helper.make_node(
                "DepthToSpace", ["RGB/phases"], [enlarged], blocksize=scale, mode="CRD"
            ),
        ]
    nodes += [
        helper.make_node("Conv", [enlarged, "RGB/rest"], ["RGB/chroma"]),
        helper.make_node("Conv", [upscaled, "RGB/grey"], ["RGB/upscaled luma"]),
        helper.make_node("Add", ["RGB/upscaled luma", "RGB/chroma"], ["RGB/upscaled"]),
    ]
    graph.initializer.extend(numpy_helper.from_array(v, f"RGB/{n}") for n, v in values.items())
    del graph.node[:]
    graph.node.extend(nodes)
    for value, name in ((source, "RGB"), (result, "RGB/upscaled")):
        value.name = name
        value.type.tensor_type.shape.dim[1].dim_value = 3


def _scale(model: ModelProto) -> int:
    """The scale of a model of one channel, off the shape that it gives an image."""
    constants = {tensor.name for tensor in model.graph.initializer}
    source = next(value for value in model.graph.input if value.name not in constants)
    height, width = (d.dim_value or _TRIAL for d in source.type.tensor_type.shape.dim[2:])
    try:
        fixed, _ = onnxsim.simplify(
            model, overwrite_input_shapes={source.name: [1, 1, height, width]}
        )
        shaped = onnx.shape_inference.infer_shapes(fixed)
    except Exception as error:  # onnx and onnxsim raise a dozen kinds for a damaged model
        raise ModelError(f"the ONNX model cannot be read ({first_line(error)})") from error
    dims = [d.dim_value for d in shaped.graph.output[0].type.tensor_type.shape.dim]
    scale = dims[2] // height if len(dims) == 4 else 0
    if scale < 1 or dims != [1, 1, scale * height, scale * width]:
        raise ModelError(
            f"it makes {dims} of [1, 1, {height}, {width}]: it crops a border or enlarges by a "
            "fraction; pad in the network, so that it makes whole blocks of pixels"
        )
    return scale
