"""The graph of a network computes what the network computes, with fewer nodes."""

from __future__ import annotations

from collections import Counter
from types import FunctionType

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
import torch.nn.functional as F
from graph_reference import run
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper
from torch import nn

from ailsr.export.graph.graph import Clip, Conv, Graph, Pointwise, PRelu
from ailsr.export.reading.from_torch import from_onnx, graph_of
from ailsr.runtime.errors import ModelError, UnsupportedOperatorError

SIZE = (13, 17)


def computed(graph: Graph, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """A random image (1, 3, h, w) and what ``graph`` makes of it."""
    image = np.random.default_rng(seed).random(graph.input_shape, np.float32)
    upscaled = run(graph, image.transpose(1, 2, 0))[graph.output]
    return image[None], upscaled.transpose(2, 0, 1)[None]


def assert_computes(graph: Graph, network: nn.Module) -> None:
    image, upscaled = computed(graph)
    with torch.inference_mode():
        expected = network(torch.from_numpy(image)).numpy()
    np.testing.assert_allclose(upscaled, expected, atol=1e-5)


def kinds(graph: Graph) -> Counter[str]:
    return Counter(type(node).__name__ for node in graph.nodes)


@pytest.mark.parametrize(
    ("name", "scale", "nodes"),
    [
        ("sesr_m3", 2, {"Conv": 6, "Add": 2, "DepthToSpace": 1}),
        ("sesr_m3", 3, {"Conv": 6, "Add": 2, "DepthToSpace": 1}),
        ("abpn", 3, {"Conv": 8, "Add": 1, "DepthToSpace": 1}),
        ("quicksrnet_small", 4, {"Conv": 4, "DepthToSpace": 1}),
        ("vdsr_f13", 2, {"Pad": 1, "Conv": 21, "DepthToSpace": 1, "Add": 1}),
    ],
)
def test_every_family_becomes_an_equal_graph_without_loose_ends(sane, capfd, name, scale, nodes):
    network = sane(name, scale).deploy()
    graph = graph_of(network, SIZE)
    assert_computes(graph, network)
    assert kinds(graph) == nodes
    assert graph.shapes["upscaled"] == (3, scale * SIZE[0], scale * SIZE[1])
    assert capfd.readouterr() == ("", "")


class Constants(nn.Module):
    """Constants before, between and after the layers, as ported networks have them."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 8, 3)
        self.slope = nn.PReLU(8, 0.2)
        self.last = nn.Conv2d(8, 12, 3, padding=1)
        self.register_buffer("mean", torch.tensor([0.4, 0.45, 0.5]).view(3, 1, 1))

    def forward(self, x):
        features = self.slope(self.first(F.pad(2.0 * (x - self.mean), (2, 0, 1, 1))) * 0.5)
        residual = 0.1 * F.relu(self.last(features)) - 1
        return (F.pixel_shuffle(-residual, 2) * 3 + self.mean).clamp(0.0, 0.9)


def test_constants_are_folded_into_the_convolutions():
    network = Constants().eval()
    graph = graph_of(network, SIZE)
    assert_computes(graph, network)
    # Left: the shift of the input, which zero padding keeps out of the first convolution; and
    # the negative factor behind the ReLU.
    assert kinds(graph) == {"Conv": 4, "PRelu": 1, "DepthToSpace": 1}
    padded = graph.nodes[1]
    assert isinstance(padded, Conv)
    assert padded.pads == (1, 2, 1, 0)


class SharedShuffle(nn.Module):
    """The tensor that is shuffled is read twice, so its channels cannot be reordered in place."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 12, 3, padding=1)
        self.again = nn.Conv2d(12, 12, 1)

    def forward(self, x):
        features = self.conv(x)
        return F.pixel_shuffle(features, 2) - F.pixel_shuffle(self.again(features), 2)


def test_a_shared_tensor_keeps_its_channel_order():
    network = SharedShuffle().eval()
    assert_computes(graph_of(network, SIZE), network)


def test_a_clamp_behind_the_pixel_shuffle_is_fused_before_it():
    class Clamped(SharedShuffle):
        def forward(self, x):
            return F.pixel_shuffle(F.relu6(self.conv(x)), 2).clamp(-1.0, 0.5)

    network = Clamped().eval()
    graph = graph_of(network, SIZE)
    assert_computes(graph, network)
    assert kinds(graph) == {"Conv": 1, "DepthToSpace": 1}
    assert graph.nodes[0].clamp == (0, 0.5)


def attention(windows):
    """Of the pixels of each window to each other; (rows, columns, 4, 4, channels)."""
    tokens = windows.reshape(12, 16, 3)
    return (tokens @ tokens.transpose(1, 2)).softmax(-1) @ tokens


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        (nn.Softmax(2), r"Softmax over .*'1'\) .* use one over the channels"),
        (nn.Linear(17, 17), r"Gemm .* use a 1x1 convolution"),
        (nn.ConvTranspose2d(3, 3, 3, 2), r"ConvTranspose that makes 27x35 of 13x17 .* use a padd"),
        (nn.Upsample(scale_factor=1.5), r"Resize nearest .* use a whole factor"),
        (nn.CircularPad2d(1), r"Pad wrap .* use reflect, replicate or constant padding"),
        (
            lambda x: torch.cat([x, torch.linspace(0, 1, 17).expand(1, 1, 13, 17)], 1),
            r"Concat with a constant image .* use an image that is computed",
        ),
        (
            lambda x: attention(x[..., :12, :16].reshape(3, 3, 4, 4, 4).permute(1, 3, 2, 4, 0)),
            r"MatMul of two computed matrices, as in self-attention .* use convolutions and gates",
        ),
        (
            lambda x: (x.cumsum(1) + F.grid_sample(x, x[:, :2].permute(0, 2, 3, 1)))[:, :, ::3],
            r"CumSum \(node .*\) is not an operator of all targets, nor is GridSample$",
        ),
        (lambda x: x.flip(3), r"Slice moving samples as here .* use nn.functional.pixel_shuffle"),
    ],
)
def test_an_operator_without_a_counterpart_is_named_with_its_place(layer, message):
    class Refused(nn.Sequential):
        def forward(self, x):
            return layer(self[0](x)) if isinstance(layer, FunctionType) else super().forward(x)

    layers = () if isinstance(layer, FunctionType) else (layer,)
    network = Refused(nn.Conv2d(3, 3, 1), *layers).eval()
    with pytest.raises(UnsupportedOperatorError, match=message):
        graph_of(network, SIZE)


def test_a_network_that_looks_at_its_pixels_to_decide_is_refused(capfd):
    class Deciding(nn.Module):
        def forward(self, x):
            return x if x.sum() > 0 else -x

    with pytest.raises(ModelError, match="cannot export Deciding"):
        graph_of(Deciding(), SIZE)
    assert capfd.readouterr() == ("", "")


def test_a_network_that_is_no_upscaler_is_refused():
    with pytest.raises(ModelError, match=r"makes \(4, 13, 17\) of \(3, 13, 17\)"):
        graph_of(nn.Conv2d(3, 4, 1), SIZE)


# ONNX models of others ----------------------------------------------------------------------


class OnnxChain:
    """A random ONNX model, one operator after the other; each keeps height and width."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[TensorProto] = []
        self.tensors = [("image", 3)]

    def constant(self, values) -> str:
        name = f"constant_{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.asarray(values), name))
        return name

    def random(self, *shape: int) -> str:
        return self.constant(self.rng.normal(0, 0.5, shape).astype(np.float32))

    def add(self, operator: str, inputs: list[str], channels: int, **attributes) -> None:
        name = f"tensor_{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, inputs, [name], **attributes))
        self.tensors.append((name, channels))

    def step(self, operator: str) -> None:
        source, channels = self.tensors[-1]
        other = self.tensors[self.rng.integers(len(self.tensors))]
        vector = (1, channels, 1, 1) if self.rng.integers(2) else ()
        match operator:
            case "Conv":
                width = int(self.rng.integers(1, 4)) * 4
                weights = [self.random(width, channels, 3, 3), self.random(width)]
                self.add("Conv", [source, *weights], width, pads=[1, 1, 1, 1])
            case "Relu" | "Neg" | "Identity":
                self.add(operator, [source], channels)
            case "LeakyRelu":
                self.add(operator, [source], channels, alpha=0.1)
            case "Clip":
                limits = [self.constant(np.float32(-0.3)), self.constant(np.float32(0.6))]
                self.add("Clip", [source, *limits], channels)
            case "PRelu":
                self.add("PRelu", [source, self.random(channels, 1, 1)], channels)
            case "Mul" | "Div":
                factor = np.abs(self.rng.normal(1, 0.2, vector)).astype(np.float32) + 0.3
                self.add(operator, [source, self.constant(factor)], channels)
            case "Add" | "Sub" if other[1] == channels and self.rng.integers(3):
                self.add(operator, [source, other[0]], channels)
            case "Add" | "Sub":
                inputs = [source, self.random(*vector)]
                self.add(operator, inputs[:: self.rng.choice([-1, 1])], channels)
            case "Concat":
                self.add("Concat", [source, other[0]], channels + other[1], axis=1)

    def model(self) -> onnx.ModelProto:
        source, channels = self.tensors[-1]
        self.add("Conv", [source, self.random(12, channels, 1, 1)], 12)
        mode = self.rng.choice(["CRD", "DCR"])
        self.add("DepthToSpace", [self.tensors[-1][0]], 3, blocksize=2, mode=mode)
        if self.rng.integers(2):
            self.add("Mul", [self.tensors[-1][0], self.random(1, 3, 1, 1)], 3)
        ends = [("image", ["h", "w"]), (self.tensors[-1][0], ["2h", "2w"])]
        values = [
            helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 3, *size])
            for name, size in ends
        ]
        graph = helper.make_graph(self.nodes, "g", values[:1], values[1:], self.constants)
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 14)], ir_version=7)


OPERATORS = ["Conv", "Relu", "LeakyRelu", "Clip", "PRelu", "Mul", "Div", "Add", "Sub", "Neg"]
OPERATORS += ["Concat", "Identity"]


@settings(max_examples=60, suppress_health_check=list(HealthCheck))
@given(st.lists(st.sampled_from(OPERATORS), max_size=9), st.integers(0, 2**20))
def test_any_chain_of_known_operators_is_translated_exactly(operators, seed):
    chain = OnnxChain(seed)
    for operator in operators:
        chain.step(operator)
    model = chain.model()
    image, upscaled = computed(from_onnx(model, SIZE), seed)
    session = onnxruntime.InferenceSession(model.SerializeToString())
    (expected,) = session.run(None, {"image": image})
    np.testing.assert_allclose(upscaled, expected, rtol=1e-4, atol=1e-4 * np.abs(expected).max())


def test_an_open_input_size_has_to_be_given():
    model = OnnxChain(0).model()
    with pytest.raises(ModelError, match="--input-size"):
        from_onnx(model)
    assert from_onnx(model, (8, 9)).input_shape == (3, 8, 9)


def test_a_damaged_model_is_refused():
    model = OnnxChain(0).model()
    model.graph.node[0].input[1] = "nowhere"
    with pytest.raises(ModelError):
        from_onnx(model, SIZE)


def test_no_bound_and_no_1x1_convolution_is_left_where_it_can_be_folded():
    chain = OnnxChain(1)
    for operator in ["Conv", "Mul", "Relu", "Div", "Conv", "Neg", "Clip"]:
        chain.step(operator)
    graph = from_onnx(chain.model(), SIZE)
    assert not [node for node in graph.nodes if isinstance(node, Clip | PRelu)]
    assert kinds(graph)["Conv"] <= 4


@pytest.mark.parametrize(
    ("approximate", "function"), [("none", "gelu"), ("tanh", "gelu_tanh"), ("sigmoid", None)]
)
def test_gelu_is_recognised_where_a_model_spells_it_out(approximate, function):
    chain = OnnxChain(2)
    chain.step("Conv")
    (source, channels), level = chain.tensors[-1], lambda v: chain.constant(np.float32(v))

    def add(operator: str, *inputs: str) -> str:
        chain.add(operator, list(inputs), channels)
        return chain.tensors[-1][0]

    if approximate == "none":
        step = add("Erf", add("Div", source, level(2**0.5)))
    elif approximate == "tanh":
        bent = add("Add", source, add("Mul", level(0.044715), add("Pow", source, level(3))))
        step = add("Tanh", add("Mul", bent, level((2 / np.pi) ** 0.5)))
    else:  # another function of the same make
        step = add("Tanh", source)
    add("Mul", add("Mul", source, add("Add", level(1), step)), level(0.5))
    model = chain.model()
    graph = from_onnx(model, SIZE)
    image, upscaled = computed(graph)
    session = onnxruntime.InferenceSession(model.SerializeToString())
    np.testing.assert_allclose(upscaled, session.run(None, {"image": image})[0], atol=1e-5)
    pointwise = [node.function for node in graph.nodes if isinstance(node, Pointwise)]
    assert pointwise == ([function] if function else ["tanh"])


@pytest.mark.parametrize("operator", ["SpaceToDepth", "Reshape", "shapes"])
def test_an_operator_that_does_not_fit_the_size_is_one_line(operator):
    """Pixels in blocks of 2x2, at an odd size; and an operator with the name of an attribute."""
    nodes = {
        "SpaceToDepth": helper.make_node("SpaceToDepth", ["x"], ["blocks"], blocksize=2),
        "Reshape": helper.make_node("Reshape", ["x", "shape"], ["blocks"]),
        "shapes": helper.make_node("shapes", ["x"], ["blocks"]),
    }
    graph = helper.make_graph(
        [nodes[operator], helper.make_node("DepthToSpace", ["blocks"], ["y"], blocksize=2)],
        "blocks",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3, "h", "w"])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 3, "h", "w"])],
        [numpy_helper.from_array(np.int64([1, 12, 15, -1]), "shape")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)])
    with pytest.raises(ModelError) as caught:
        from_onnx(model, (31, 33))
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 500
