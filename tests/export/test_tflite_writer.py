"""The TFLite files, run by ai-edge-litert, against the graph computed by torch."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import skimage.data
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter, OpResolverType
from graph_reference import error_bound, run, simulate, untied
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ailsr.export.graph.graph import (
    UNBOUNDED,
    Add,
    Clamp,
    Clip,
    Concat,
    Conv,
    DepthToSpace,
    Graph,
    Node,
    Pad,
    PRelu,
)
from ailsr.export.graph.quantization import Quantization, quantization_of
from ailsr.export.targets.tflite.writer import write
from ailsr.runtime.card import Card
from ailsr.runtime.errors import ModelError, UsageError

RELU: Clamp = (0.0, np.inf)
OPERATORS = {
    code: name for name, code in vars(schema.BuiltinOperator).items() if isinstance(code, int)
}


def conv(
    source: str, output: str, channels: int, width: int, kernel: tuple[int, int] = (3, 3), **how
) -> Conv:
    """A random convolution of ``channels`` to ``width`` channels, its gain at most 1.5."""
    rng = np.random.default_rng([channels, width, *kernel])
    weight = rng.normal(size=(width, channels // how.get("groups", 1), *kernel))
    weight *= 1.5 / np.abs(weight).sum(axis=(1, 2, 3), keepdims=True)
    bias = rng.normal(size=width) / 10
    if "pads" not in how:
        reach = [(k - 1) * d for k, d in zip(kernel, how.get("dilation", (1, 1)), strict=True)]
        how["pads"] = (*(r // 2 for r in reach), *(r - r // 2 for r in reach))
    return Conv(source, output, np.float32(weight), np.float32(bias), **how)


def graph_of(*nodes: Node, shape: tuple[int, int, int] = (4, 11, 9)) -> Graph:
    return Graph(nodes, shape, output=nodes[-1].output)


def abpn(height: int = 20, width: int = 24, channels: int = 8, scale: int = 3) -> Graph:
    """The deploy form of ABPN: convolutions, the image repeated, their sum, pixel shuffle."""
    pixels = 3 * scale**2
    return graph_of(
        conv("image", "features", 3, channels, clamp=RELU),
        conv("features", "deep", channels, pixels, clamp=RELU),
        conv("deep", "residual", pixels, pixels),
        Concat(("image",) * scale**2, "anchor"),
        Add("residual", "anchor", "sum", clamp=(0.0, 1.0)),
        DepthToSpace("sum", "upscaled", scale),
        shape=(3, height, width),
    )


def card(precision: str, pixels: str = "float32", scale: int = 1) -> Card:
    return Card("abpn", scale, "rgb", precision, pixels, (11, 9), 4, training={"loss": "AIL"})


def image_for(graph: Graph, seed: int = 0) -> np.ndarray:
    """Random pixels (h, w, c) in [0, 1]."""
    channels, height, width = graph.input_shape
    levels = np.random.default_rng(seed).integers(0, 256, (height, width, channels))
    return np.float32(levels / 255)


def execute(path: Path, image: np.ndarray, **how) -> np.ndarray:
    interpreter = Interpreter(str(path), num_threads=1, **how)
    interpreter.allocate_tensors()
    (source,), (result,) = interpreter.get_input_details(), interpreter.get_output_details()
    interpreter.set_tensor(source["index"], image[None])
    interpreter.invoke()
    return interpreter.get_tensor(result["index"])[0]


def model_at(path: Path) -> schema.ModelT:
    return schema.ModelT.InitFromPackedBuf(path.read_bytes())


def operators(path: Path) -> list[str]:
    """Name, version and fused activation of every operator, in order."""
    model = model_at(path)
    names = []
    for operator in model.subgraphs[0].operators:
        code = model.operatorCodes[operator.opcodeIndex]
        activation = getattr(operator.builtinOptions, "fusedActivationFunction", 0)
        fused = ["", " RELU", " RELU_N1_TO_1", " RELU6"][activation]
        names.append(f"{OPERATORS[code.builtinCode]} {code.version}{fused}")
    return names


SLOPES = np.float32([0.1, 0.25, -0.3, 1.0, 0.0])
CLAMPS: list[Clamp] = [
    *(UNBOUNDED, RELU, (0.0, 6.0), (-1.0, 1.0), (0.0, 1.0), (0.0, 0.3), (-0.2, 0.3)),
    *((-np.inf, 0.2), (-0.1, np.inf), (0.05, 0.2)),
]
GRAPHS = {
    "3x3": graph_of(conv("image", "y", 4, 6, clamp=RELU)),
    "1x1": graph_of(conv("image", "y", 4, 6, (1, 1))),
    "even kernel": graph_of(conv("image", "y", 4, 6, (2, 4))),
    "even kernel, zeros before": graph_of(conv("image", "y", 4, 6, (2, 2), pads=(1, 1, 0, 0))),
    "no border": graph_of(conv("image", "y", 4, 6, pads=(0, 0, 0, 0))),
    "uneven border": graph_of(conv("image", "y", 4, 6, (3, 5), pads=(1, 2, 0, 3))),
    "stride": graph_of(conv("image", "y", 4, 6, stride=(2, 2))),
    "stride, even sizes": graph_of(conv("image", "y", 4, 6, stride=(2, 2)), shape=(4, 10, 8)),
    "stride of one axis": graph_of(conv("image", "y", 4, 6, stride=(1, 2)), shape=(4, 10, 8)),
    "dilation": graph_of(conv("image", "y", 4, 6, dilation=(2, 3))),
    "stride and dilation": graph_of(conv("image", "y", 4, 6, stride=(2, 2), dilation=(2, 2))),
    "groups": graph_of(conv("image", "y", 4, 6, groups=2)),
    "depthwise": graph_of(conv("image", "y", 4, 4, groups=4, clamp=RELU)),
    "depthwise, two each": graph_of(conv("image", "y", 4, 8, groups=4)),
    "depthwise, stride": graph_of(conv("image", "y", 4, 4, groups=4, stride=(2, 1))),
    "depthwise, dilation": graph_of(conv("image", "y", 4, 4, groups=4, dilation=(2, 2))),
    "prelu": graph_of(conv("image", "x", 4, 5), PRelu("x", "y", SLOPES)),
    "prelu, steep": graph_of(conv("image", "x", 4, 5), PRelu("x", "y", 2 * SLOPES)),
    "prelu, one slope": graph_of(conv("image", "x", 4, 5), PRelu("x", "y", SLOPES[[1] * 5])),
    "prelu, one tiny slope": graph_of(conv("image", "x", 4, 5), PRelu("x", "y", SLOPES * 0 + 1e-4)),
    "prelu, slopes of 0": graph_of(conv("image", "x", 4, 5), PRelu("x", "y", SLOPES * 0)),
    "concat": graph_of(
        conv("image", "x", 4, 5), conv("image", "z", 4, 2), Concat(("x", "z", "x"), "y")
    ),
    "image repeated": graph_of(Concat(("image",) * 9, "y")),
    "features repeated": graph_of(conv("image", "x", 4, 5), Concat(("x", "x"), "y")),
    "depth to space": graph_of(conv("image", "x", 4, 27), DepthToSpace("x", "y", 3)),
    "reflect": graph_of(conv("image", "x", 4, 5), Pad("x", "y", (1, 2, 3, 4))),
    "reflect, sliced": graph_of(conv("image", "x", 4, 5), Pad("x", "y", (1, 2, 3, 4), sliced=True)),
    "replicate": graph_of(conv("image", "x", 4, 5), Pad("x", "y", (1, 0, 3, 2), "edge")),
    "reflect the image": graph_of(Pad("image", "x", (2, 2, 2, 2)), conv("x", "y", 4, 3)),
    **{f"conv {clamp}": graph_of(conv("image", "y", 4, 6, clamp=clamp)) for clamp in CLAMPS},
    **{
        f"add {clamp}": graph_of(conv("image", "x", 4, 4), Add("x", "image", "y", clamp=clamp))
        for clamp in CLAMPS
    },
    **{
        f"bound {clamp}": graph_of(conv("image", "x", 4, 4), Clip("x", "y", clamp=clamp))
        for clamp in CLAMPS[1:]
    },
}


@pytest.mark.parametrize("graph", GRAPHS.values(), ids=GRAPHS)
def test_every_node_computes_what_torch_computes(graph, tmp_path):
    image = image_for(graph)
    expected = run(graph, image)
    for precision, tolerance in (("float32", 1e-5), ("float16", 2e-3)):
        write(graph, card(precision), tmp_path / "file.tflite")
        assert np.abs(execute(tmp_path / "file.tflite", image) - expected["y"]).max() < tolerance

    quantization = untied(graph, expected)
    write(graph, card("int8"), tmp_path / "file.tflite", quantization)
    difference = (
        execute(tmp_path / "file.tflite", image) - simulate(graph, quantization, image)["y"]
    )
    assert np.abs(difference).max() < 1.01 * quantization.tensors["y"].scale


@st.composite
def graphs(draw: st.DrawFn) -> Graph:
    """Up to six random nodes on a small image, each reading any tensor it can take."""
    shape = (draw(st.integers(1, 4)), draw(st.integers(5, 9)), draw(st.integers(5, 9)))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    nodes: list[Node] = []
    for number in range(draw(st.integers(1, 6))):
        output = f"t{number}"
        shapes = Graph(tuple(nodes), shape).shapes
        source = draw(st.sampled_from(sorted(shapes)))
        channels, height, width = shapes[source]
        clamp = draw(st.sampled_from(CLAMPS))
        alike = [name for name in shapes if shapes[name] == shapes[source]]
        level = [name for name in shapes if shapes[name][1:] == shapes[source][1:]]
        kind = draw(st.sampled_from([Conv, Conv, PRelu, Clip, Add, Concat, DepthToSpace, Pad]))
        if kind is Conv:
            groups = draw(st.sampled_from([1, channels]))
            out = channels if groups > 1 else draw(st.sampled_from([1, 3, 4, 8]))
            kernel = draw(st.sampled_from([(1, 1), (3, 3), (2, 3)]))
            dilation = draw(st.sampled_from([(1, 1), (2, 2)]))
            how = {"groups": groups, "dilation": dilation, "clamp": clamp}
            if not draw(st.booleans()):
                how["pads"] = tuple(draw(st.integers(1, 3)) for _ in range(4))
            nodes.append(conv(source, output, channels, out, kernel, **how))
        elif kind is PRelu:
            nodes.append(PRelu(source, output, np.float32(rng.uniform(-0.5, 1.2, channels))))
        elif kind is Clip and clamp != UNBOUNDED:
            nodes.append(Clip(source, output, clamp))
        elif kind is Add:
            nodes.append(Add(source, draw(st.sampled_from(alike)), output, clamp))
        elif kind is Concat:
            others = draw(st.lists(st.sampled_from(level), min_size=1, max_size=2))
            nodes.append(Concat((source, *others), output))
        elif kind is DepthToSpace and channels % 4 == 0 and height < 20:
            nodes.append(DepthToSpace(source, output, 2))
        else:
            widest = min(height, width, 4) - 1
            pads = tuple(draw(st.integers(0, widest)) for _ in range(4))
            mode = draw(st.sampled_from(["reflect", "edge"]))
            sliced = any(pads) and draw(st.booleans())
            nodes.append(Pad(source, output, pads, mode, sliced))
    return Graph(tuple(nodes), shape, output=nodes[-1].output)


@settings(max_examples=100, suppress_health_check=[HealthCheck.too_slow])
@given(graph=graphs(), seed=st.integers(0, 1000))
def test_random_graphs_compute_what_torch_computes(graph, seed, tmp_path_factory):
    path = tmp_path_factory.mktemp("random") / "file.tflite"
    image = image_for(graph, seed)
    expected = run(graph, image)
    write(graph, card("float32"), path)
    assert np.abs(execute(path, image) - expected[graph.output]).max() < 1e-5

    quantization = untied(graph, expected)
    write(graph, card("int8"), path, quantization)
    difference = execute(path, image) - simulate(graph, quantization, image)[graph.output]
    assert np.abs(difference).max() < 1.01 * error_bound(graph, quantization)


def test_abpn_is_written_as_the_operators_it_needs_and_no_more(tmp_path):
    """Nothing but the network: what each file holds was counted by hand from the graph."""
    graph, path = abpn(), tmp_path / "abpn.tflite"
    write(graph, card("float32", scale=3), path)
    network = ["CONV_2D 1 RELU", "CONV_2D 1 RELU", "CONV_2D 1", "CONV_2D 1"]
    assert operators(path) == [*network, "ADD 1 RELU", "MINIMUM 1", "DEPTH_TO_SPACE 1"]

    write(graph, card("float16", scale=3), path)
    assert operators(path) == [
        *(name for convolution in network for name in ("DEQUANTIZE 3", convolution)),
        *("ADD 1 RELU", "MINIMUM 1", "DEPTH_TO_SPACE 1"),
    ]

    write(graph, card("int8", "int8", scale=3), path, calibrated(graph))
    network = ["CONV_2D 3 RELU", "CONV_2D 3 RELU", "CONV_2D 3", "CONV_2D 3"]
    assert operators(path) == [*network, "ADD 2", "DEPTH_TO_SPACE 2"]

    write(graph, card("int8", "uint8", scale=3), path, calibrated(graph))
    ends = ["DEQUANTIZE 2", "QUANTIZE 1"]
    assert operators(path) == ["QUANTIZE 1", *network, "ADD 2", "DEPTH_TO_SPACE 2", *ends]


@pytest.mark.parametrize(
    ("name", "precision", "expected"),
    [
        ("groups", "float32", ["CONV_2D 6"]),
        ("depthwise, dilation", "float32", ["DEPTHWISE_CONV_2D 2"]),
        ("stride, even sizes", "float32", ["PAD 1", "CONV_2D 1"]),
        ("prelu", "float32", ["CONV_2D 1", "PRELU 1"]),
        ("prelu", "int8", ["CONV_2D 3", "DEPTHWISE_CONV_2D 3", "QUANTIZE 1", "MAXIMUM 2"]),
        ("prelu, one slope", "int8", ["CONV_2D 3", "LEAKY_RELU 1"]),
        ("concat", "int8", ["CONV_2D 3", "CONV_2D 3", *["QUANTIZE 1"] * 2, "CONCATENATION 2"]),
        ("reflect the image", "int8", ["MIRROR_PAD 2", "CONV_2D 3"]),
        ("conv (0.0, 1.0)", "float32", ["CONV_2D 1 RELU", "MINIMUM 1"]),
        ("add (0.0, 1.0)", "int8", ["CONV_2D 3", "ADD 2"]),
        ("bound (0.0, 6.0)", "float32", ["CONV_2D 1", "RELU6 1"]),
    ],
)
def test_a_node_takes_the_fewest_operators_in_the_lowest_version(
    name, precision, expected, tmp_path
):
    graph, path = GRAPHS[name], tmp_path / "file.tflite"
    if precision == "float32":
        write(graph, card("float32"), path)
        assert operators(path) == expected
    else:
        quantization = untied(graph, run(graph, image_for(graph)))
        write(graph, card("int8"), path, quantization)
        assert operators(path) == ["QUANTIZE 1", *expected, "DEQUANTIZE 2"]


def calibrated(graph: Graph) -> Quantization:
    tensors = run(graph, image_for(graph))
    return quantization_of(graph, {n: (float(t.min()), float(t.max())) for n, t in tensors.items()})


@pytest.mark.parametrize("pixels", ["uint8", "int8", "float32"])
def test_a_photograph_in_int8_is_within_one_grey_level_of_the_simulation(pixels, tmp_path):
    photograph = skimage.data.astronaut()[60:124, 180:260]
    graph = abpn(*photograph.shape[:2])
    quantization = calibrated(graph)
    write(graph, card("int8", pixels, scale=3), tmp_path / "abpn.tflite", quantization)
    fed = {
        "uint8": photograph,
        "int8": (photograph.astype(int) - 128).astype(np.int8),
        "float32": np.float32(photograph / 255),
    }[pixels]
    expected = simulate(graph, quantization, photograph / 255)[graph.output] * 255
    # By TFLite's own kernels too, whose arithmetic NPUs follow.
    for resolver in (OpResolverType.AUTO, OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES):
        file = tmp_path / "abpn.tflite"
        upscaled = execute(file, fed, experimental_op_resolver_type=resolver).astype(float)
        levels = {"uint8": upscaled, "int8": upscaled + 128, "float32": upscaled * 255}[pixels]
        assert levels.shape == (192, 240, 3)
        assert np.abs(levels - expected).max() < 1.01
        assert np.mean(np.abs(levels - expected) < 0.01) > 0.99


@pytest.mark.parametrize("precision", ["float32", "float16", "int8"])
def test_a_resized_input_gives_what_a_file_of_that_size_gives(precision, tmp_path):
    small, large = abpn(16, 12), abpn(21, 34)
    quantization = calibrated(large) if precision == "int8" else None
    for graph, name in ((small, "small.tflite"), (large, "large.tflite")):
        write(graph, card(precision, scale=3), tmp_path / name, quantization)
    image = image_for(large)
    resized = Interpreter(str(tmp_path / "small.tflite"))
    resized.resize_tensor_input(resized.get_input_details()[0]["index"], (1, *image.shape))
    resized.allocate_tensors()
    resized.set_tensor(resized.get_input_details()[0]["index"], image[None])
    resized.invoke()
    upscaled = resized.get_tensor(resized.get_output_details()[0]["index"])[0]
    assert np.abs(upscaled - execute(tmp_path / "large.tflite", image)).max() < 1e-6


def test_the_file_carries_its_card_its_signature_and_its_minimum_runtime(tmp_path):
    graph, path = abpn(), tmp_path / "abpn.tflite"
    written = replace(card("int8", "uint8", scale=3), psnr={"Set5": 33.4})
    write(graph, written, path, calibrated(graph))
    model = model_at(path)
    entries = {
        entry.name.decode(): bytes(model.buffers[entry.buffer].data) for entry in model.metadata
    }
    assert Card.from_json(entries["ailsr"].decode()) == written
    assert entries["min_runtime_version"] == b"2.5.0".ljust(16, b"\0")  # int8 DEPTH_TO_SPACE
    assert model.description == b"ailsr abpn x3 int8"
    runner = Interpreter(str(path)).get_signature_runner("serving_default")
    (source,), (result,) = runner.get_input_details().items(), runner.get_output_details().items()
    assert (source[0], result[0]) == ("image", "upscaled")
    assert list(source[1]["shape"]) == [1, 20, 24, 3]
    assert list(result[1]["shape"]) == [1, 60, 72, 3]
    for end in (source[1], result[1]):
        assert end["dtype"] == np.uint8
        assert end["quantization"] == (np.float32(1 / 255), 0)


@pytest.mark.parametrize("precision", ["float32", "float16", "int8"])
def test_constants_are_aligned_and_shared_and_no_tensor_is_above_rank_4(precision, tmp_path):
    nodes = (conv("image", "x", 4, 4), conv("image", "y", 4, 4), Add("x", "y", "z"))
    graph, path = graph_of(*nodes), tmp_path / "file.tflite"
    write(graph, card(precision), path, calibrated(graph) if precision == "int8" else None)
    content = path.read_bytes()
    model = schema.Model.GetRootAs(content)
    seen = []
    for number in range(model.BuffersLength()):
        data = model.Buffers(number).DataAsNumpy()
        if not isinstance(data, int):  # an empty buffer is 0
            address = data.__array_interface__["data"][0]
            start = np.frombuffer(content, np.uint8).__array_interface__["data"][0]
            assert (address - start) % 16 == 0
            seen.append(data.tobytes())
    # One filter, one bias, and what is not a constant: card, seal, runtime, arithmetic.
    assert len(seen) == len(set(seen)) == (6 if precision == "float16" else 5)
    assert all(len(tensor.shape) <= 4 for tensor in model_at(path).subgraphs[0].tensors)


def test_int8_biases_are_in_units_of_the_accumulator(tmp_path):
    """TFLite's specification of 8-bit quantisation asks for it; engines do not check."""
    graph, path = GRAPHS["depthwise, two each"], tmp_path / "file.tflite"
    write(graph, card("int8"), path, untied(graph, run(graph, image_for(graph))))
    subgraph = model_at(path).subgraphs[0]
    convolution = subgraph.operators[1]
    source, weight, bias = (subgraph.tensors[i].quantization for i in convolution.inputs)
    assert weight.quantizedDimension == 3
    assert np.array_equal(bias.scale, source.scale * weight.scale)
    assert not bias.zeroPoint.any()
    assert not weight.zeroPoint.any()


@pytest.mark.parametrize("precision", ["float32", "float16", "int8"])
def test_equal_arguments_give_equal_bytes(precision, tmp_path):
    for name in ("first.tflite", "second.tflite"):
        graph = abpn()
        quantization = calibrated(graph) if precision == "int8" else None
        write(graph, card(precision), tmp_path / name, quantization)
    assert (tmp_path / "first.tflite").read_bytes() == (tmp_path / "second.tflite").read_bytes()


def test_what_does_not_fit_together_is_refused_and_leaves_no_file(tmp_path):
    graph, path = abpn(), tmp_path / "abpn.tflite"
    with pytest.raises(UsageError, match="given no quantisation parameters"):
        write(graph, card("int8", "uint8"), path)
    with pytest.raises(UsageError, match="float32 was given int8 quantisation"):
        write(graph, card("float32"), path, calibrated(graph))
    with pytest.raises(UsageError, match="takes and returns float32, not uint8"):
        write(graph, card("float16", "uint8"), path)
    with pytest.raises(ModelError, match="'features'"):
        write(
            graph, card("int8"), path, Quantization({"image": untied(graph, {}).tensors["image"]})
        )
    assert list(tmp_path.iterdir()) == []
