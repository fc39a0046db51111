"""ONNX nodes as nodes of the graph, one handler per operator.

Activations become ``Bound`` and constant factors and offsets 1×1 convolutions; ``passes.py`` folds
them. An operator without a handler is refused with its place and with what could stand for it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from ailsr.export.channel_map import ChannelMap
from ailsr.export.graph import Add, Array, Bound, Concat, Conv, DepthToSpace, Node, Pad, PRelu
from ailsr.runtime.errors import UnsupportedOperatorError

SUBSTITUTES = {
    "ConvTranspose": "a convolution followed by a pixel shuffle",
    "Resize": "a fixed convolution and nn.functional.pixel_shuffle, as ailsr.train.networks.skip",
    "Upsample": "a fixed convolution and nn.functional.pixel_shuffle, as ailsr.train.networks.skip",
    "Expand": "a fixed 1x1 convolution in place of expand or repeat_interleave",
    "Tile": "a fixed 1x1 convolution in place of tile or repeat",
    "Reshape": "nn.functional.pixel_shuffle in place of reshape and permute",
    "Transpose": "nn.functional.pixel_shuffle in place of reshape and permute",
    "Sigmoid": "nn.ReLU, nn.PReLU or nn.Hardtanh",
    "Tanh": "nn.ReLU, nn.PReLU or nn.Hardtanh",
    "Gelu": "nn.ReLU, nn.PReLU or nn.Hardtanh",
    "Erf": "nn.ReLU, nn.PReLU or nn.Hardtanh",
    "HardSwish": "nn.ReLU, nn.PReLU or nn.Hardtanh",
    "GlobalAveragePool": "a network without channel attention",
    "ReduceMean": "a network without channel attention",
    "BatchNormalization": "batch normalisation folded into the convolution before it",
    "Slice": "two convolutions in place of one that is split",
    "Split": "two convolutions in place of one that is split",
}


class Translation:
    """The nodes of a simplified ONNX graph, as they come, with the names of input and output."""

    nodes: list[Node]
    input: str
    output: str

    def __init__(self, graph: onnx.GraphProto, places: Mapping[str, str]) -> None:
        """``places`` names for a tensor the module of the network that makes it, if known."""
        self.nodes = []
        self._places = places
        self._constants: dict[str, NDArray[Any]] = {
            tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in graph.initializer
        }
        self._shapes = {
            value.name: [dim.dim_value for dim in value.type.tensor_type.shape.dim]
            for value in (*graph.input, *graph.value_info, *graph.output)
        }
        self._aliases: dict[str, str] = {}
        self.input = next(v.name for v in graph.input if v.name not in self._constants)
        for node in graph.node:
            self._translate(node)
        self.output = self._name(graph.output[0].name)

    def _translate(self, node: onnx.NodeProto) -> None:
        handler = getattr(self, f"_{node.op_type}", None)
        if handler is None or node.domain not in ("", "ai.onnx"):
            raise self._unsupported(node, "")
        handler(node, {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute})

    # Handlers, by ONNX operator ---------------------------------------------------------------

    def _Constant(self, node: onnx.NodeProto, attributes: dict[str, Any]) -> None:  # noqa: N802
        if "value" not in attributes:
            raise self._unsupported(node, "a constant that is not a tensor")
        self._constants[node.output[0]] = onnx.numpy_helper.to_array(attributes["value"])

    def _Identity(self, node: onnx.NodeProto, attributes: dict[str, Any]) -> None:  # noqa: N802
        self._aliases[node.output[0]] = self._name(node.input[0])

    _Dropout = _Identity

    def _Conv(self, node: onnx.NodeProto, attributes: dict[str, Any]) -> None:  # noqa: N802
        weight = self._constant(node, 1)
        bias = self._constant(node, 2) if len(node.input) > 2 else np.zeros(len(weight), np.float32)
        if weight.ndim != 4:
            raise self._unsupported(node, "a convolution that is not two-dimensional")
        stride_y, stride_x = attributes.get("strides", (1, 1))
        dilation_y, dilation_x = attributes.get("dilations", (1, 1))
        extent = [
            (k - 1) * d + 1 for k, d in zip(weight.shape[2:], (dilation_y, dilation_x), strict=True)
        ]
        match attributes.get("auto_pad", b"NOTSET"):
            case b"NOTSET":
                top, left, bottom, right = attributes.get("pads", (0, 0, 0, 0))
            case b"VALID":
                top = left = bottom = right = 0
            case b"SAME_UPPER" if (stride_y, stride_x) == (1, 1):
                top, left = (n // 2 for n in (extent[0] - 1, extent[1] - 1))
                bottom, right = extent[0] - 1 - top, extent[1] - 1 - left
            case other:
                raise self._unsupported(node, f"auto_pad {other.decode()}")
        self.nodes.append(
            Conv(
                self._name(node.input[0]),
                node.output[0],
                weight,
                bias,
                (top, left, bottom, right),
                (stride_y, stride_x),
                (dilation_y, dilation_x),
                attributes.get("group", 1),
            )
        )

    def _Relu(self, node: onnx.NodeProto, attributes: dict[str, Any]) -> None:  # noqa: N802
        self.nodes.append(Bound(self._name(node.input[0]), node.output[0], (0.0, np.inf)))

    def _Clip(self, node: onnx.NodeProto, attributes: dict[str, Any]) -> None:  # noqa: N802
        low, high = attributes.get("min", -np.inf), attributes.get("max", np.inf)
        if len(node.input) > 1 and node.input[1]:
            low = self._constant(node, 1).item()
        if len(node.input) > 2 and node.input[2]:
            high = self._constant(node, 2).item()
        self.nodes.append(Bound(self._name(node.input[0]), node.output[0], (low, high)))

    def _PRelu(self, node: onnx.NodeProto, attributes: dict[str, Any]) -> None:  # noqa: N802
        slope = self._per_channel(node, self._constant(node, 1))
        self.nodes.append(PRelu(self._name(node.input[0]), node.output[0], slope))

    def _LeakyRelu(self, node: onnx.NodeProto, attributes: dict[str, Any]) -> None:  # noqa: N802
        slope = np.full(self._channels(node), attributes.get("alpha", 0.01), np.float32)
        self.nodes.append(PRelu(self._name(node.input[0]), node.output[0], slope))

    def _Add(self, node: onnx.NodeProto, attributes: dict[str, Any]) -> None:  # noqa: N802
        for constant, tensor in ((0, 1), (1, 0)):
            if self._is_constant(node.input[constant]):
                offset = self._per_channel(node, self._constant(node, constant))
                self._map(node, node.input[tensor], offset=offset)
                return
        self._sum(node, self._name(node.input[0]), self._name(node.input[1]))

    def _Sub(self, node: onnx.NodeProto, attributes: dict[str, Any]) -> None:  # noqa: N802
        if self._is_constant(node.input[1]):
            offset = -self._per_channel(node, self._constant(node, 1))
            self._map(node, node.input[0], offset=offset)
        elif self._is_constant(node.input[0]):
            offset = self._per_channel(node, self._constant(node, 0))
            self._map(node, node.input[1], scale=-1.0, offset=offset)
        else:
            negative = f"{node.output[0]}, subtrahend"
            minus = ChannelMap.in_place(self._channels(node), scale=-1.0)
            self.nodes.append(minus.conv(self._name(node.input[1]), negative))
            self._sum(node, self._name(node.input[0]), negative)

    def _Neg(self, node: onnx.NodeProto, attributes: dict[str, Any]) -> None:  # noqa: N802
        self._map(node, node.input[0], scale=-1.0)

    def _Mul(self, node: onnx.NodeProto, attributes: dict[str, Any]) -> None:  # noqa: N802
        for constant, tensor in ((0, 1), (1, 0)):
            if self._is_constant(node.input[constant]):
                scale = self._per_channel(node, self._constant(node, constant))
                self._map(node, node.input[tensor], scale=scale)
                return
        raise self._unsupported(node, "a product of two tensors")

    def _Div(self, node: onnx.NodeProto, attributes: dict[str, Any]) -> None:  # noqa: N802
        divisor = self._per_channel(node, self._constant(node, 1))
        self._map(node, node.input[0], scale=np.reciprocal(divisor))

    def _Concat(self, node: onnx.NodeProto, attributes: dict[str, Any]) -> None:  # noqa: N802
        if attributes["axis"] not in (1, -3):
            raise self._unsupported(
                node, f"along axis {attributes['axis']}, not along the channels"
            )
        self.nodes.append(Concat(tuple(map(self._name, node.input)), node.output[0]))

    def _DepthToSpace(self, node: onnx.NodeProto, attributes: dict[str, Any]) -> None:  # noqa: N802
        tensor, block = self._name(node.input[0]), attributes["blocksize"]
        if attributes.get("mode", b"DCR") == b"CRD":
            ordered = f"{node.output[0]}, reordered"
            order = ChannelMap.crd_to_dcr(self._shapes[node.input[0]][1], block)
            self.nodes.append(order.conv(tensor, ordered))
            tensor = ordered
        self.nodes.append(DepthToSpace(tensor, node.output[0], block))

    def _Pad(self, node: onnx.NodeProto, attributes: dict[str, Any]) -> None:  # noqa: N802
        pads = (
            self._constants[node.input[1]].tolist() if len(node.input) > 1 else attributes["pads"]
        )
        top, left, bottom, right = pads[2], pads[3], pads[6], pads[7]
        mode = attributes.get("mode", b"constant").decode()
        value = self._constant(node, 2).item() if len(node.input) > 2 and node.input[2] else 0.0
        tensor, output = self._name(node.input[0]), node.output[0]
        if any(pads[:2] + pads[4:6]) or min(pads) < 0 or len(node.input) > 3:
            raise self._unsupported(node, f"by {pads}")
        if mode == "reflect":
            self.nodes.append(Pad(tensor, output, (top, left, bottom, right)))
        elif mode == "constant" and value == 0:  # folded into the convolutions that read it
            copy = ChannelMap.in_place(self._channels(node)).conv(tensor, output)
            self.nodes.append(
                Conv(tensor, output, copy.weight, copy.bias, (top, left, bottom, right))
            )
        else:
            raise self._unsupported(node, f"{mode} padding", "reflect or zero padding")

    # What the handlers share ------------------------------------------------------------------

    def _name(self, tensor: str) -> str:
        return self._aliases.get(tensor, tensor)

    def _is_constant(self, tensor: str) -> bool:
        return self._name(tensor) in self._constants

    def _constant(self, node: onnx.NodeProto, index: int) -> Array:
        name = self._name(node.input[index])
        if name not in self._constants:
            raise self._unsupported(node, "with a computed operand", "constant weights")
        return self._constants[name].astype(np.float32)

    def _channels(self, node: onnx.NodeProto) -> int:
        return int(self._shapes[node.output[0]][1])

    def _per_channel(self, node: onnx.NodeProto, constant: Array) -> Array:
        """``constant`` as one value per channel of the node's output."""
        channels = self._channels(node)
        shape = (1,) * (4 - constant.ndim) + constant.shape
        if shape[0] == shape[2] == shape[3] == 1 and shape[1] in (1, channels):
            return np.broadcast_to(constant.reshape(-1), channels).astype(np.float32)
        raise self._unsupported(
            node, f"with a constant of shape {constant.shape}", "one per channel"
        )

    def _map(
        self,
        node: onnx.NodeProto,
        tensor: str,
        scale: float | Array = 1.0,
        offset: float | Array = 0.0,
    ) -> None:
        if self._shapes[tensor] != self._shapes[node.output[0]]:
            raise self._unsupported(node, "that broadcasts a tensor", "tensors of equal shape")
        channel_map = ChannelMap.in_place(self._channels(node), scale, offset)
        self.nodes.append(channel_map.conv(self._name(tensor), node.output[0]))

    def _sum(self, node: onnx.NodeProto, first: str, second: str) -> None:
        if self._shapes[node.input[0]] != self._shapes[node.input[1]]:
            raise self._unsupported(node, "that broadcasts a tensor", "tensors of equal shape")
        self.nodes.append(Add(first, second, node.output[0]))

    def _unsupported(
        self, node: onnx.NodeProto, detail: str, substitute: str = ""
    ) -> UnsupportedOperatorError:
        place = self._places.get(node.output[0], "")
        where = f" in module {place!r}" if place else ""
        substitute = substitute or SUBSTITUTES.get(node.op_type, "")
        advice = f"; use {substitute}" if substitute else ""
        return UnsupportedOperatorError(
            f"{' '.join(filter(None, [node.op_type, detail]))} (node "
            f"{node.name or node.output[0]!r}{where}) is not an operator of all targets{advice}"
        )
