"""The ONNX files, run by onnxruntime, against the graph computed by torch."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from graph_reference import error_bound, run, simulate
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
from ailsr.export.targets.onnx.writer import write
from ailsr.runtime.card import METADATA_KEY, Card

RELU: Clamp = (0.0, np.inf)
HEIGHT, WIDTH = 12, 15


def conv(source: str, output: str, inputs: int, outputs: int, kernel: int = 3, **how) -> Conv:
    """A random convolution that keeps height and width, its gain at most 1.5."""
    rng = np.random.default_rng([inputs, outputs, kernel])
    weight = rng.normal(size=(outputs, inputs // how.get("groups", 1), kernel, kernel))
    weight *= 1.5 / np.abs(weight).sum(axis=(1, 2, 3), keepdims=True)
    bias = rng.normal(size=outputs) / 10
    how.setdefault("pads", (kernel // 2,) * 4)
    return Conv(source, output, np.float32(weight), np.float32(bias), **how)


def network(*nodes: Node) -> Graph:
    return Graph(nodes, (3, HEIGHT, WIDTH))


def sesr(channels: int = 16, kernel: int = 5) -> Graph:
    return network(
        conv("image", "first", 3, channels, kernel, clamp=RELU),
        conv("first", "second", channels, channels, clamp=RELU),
        Add("second", "first", "skip"),
        conv("skip", "residual", channels, 12, kernel),
        conv("image", "anchor", 3, 12, 1),
        Add("residual", "anchor", "sum"),
        DepthToSpace("sum", "upscaled", 2),
    )


def vdsr() -> Graph:
    return network(
        Pad("image", "padded", (2, 2, 2, 2)),
        conv("padded", "phases", 3, 12, 5, pads=(0, 0, 0, 0)),
        DepthToSpace("phases", "enlarged", 2),
        conv("enlarged", "hidden", 3, 13, clamp=RELU),
        conv("hidden", "residual", 13, 3),
        Add("enlarged", "residual", "upscaled"),
    )


def everything() -> Graph:
    """Each node and each option that a network can become, odd numbers of channels among them."""
    slope = np.linspace(-0.2, 1.2, 10, dtype=np.float32)
    return network(
        conv("image", "a", 3, 10),
        PRelu("a", "b", slope),
        conv("b", "c", 10, 10, groups=5, clamp=(0.0, 6.0)),
        Concat(("b", "c", "image"), "d"),
        Clip("d", "e", (-0.5, 0.4)),
        conv("e", "f", 23, 7, clamp=(-1.0, 1.0)),
        conv("f", "g", 7, 7, dilation=(2, 2), pads=(2, 2, 2, 2), clamp=RELU),
        Add("f", "g", "h", clamp=(0.1, 0.7)),
        conv("h", "i", 7, 12, clamp=(0.0, 1.0)),
        DepthToSpace("i", "upscaled", 2),
    )


GRAPHS = {"sesr": sesr(), "vdsr": vdsr(), "everything": everything()}


def card(precision: str = "float32", pixels: str = "float32", **how) -> Card:
    size = how.pop("size", (HEIGHT, WIDTH))
    return Card("n", 2, "rgb", precision, pixels, size, 9, **how)


def calibrated(graph: Graph, image: np.ndarray) -> Quantization:
    tensors = run(graph, image)
    return quantization_of(graph, {k: (float(v.min()), float(v.max())) for k, v in tensors.items()})


def picture(graph: Graph = GRAPHS["sesr"], seed: int = 0) -> np.ndarray:
    """uint8 [h, w, 3]: blocks of random colours, flat and edged."""
    _, height, width = graph.input_shape
    small = np.random.default_rng(seed).integers(0, 256, (-(-height // 3), -(-width // 3), 3))
    return small.repeat(3, axis=0).repeat(3, axis=1)[:height, :width].astype(np.uint8)


def session(path: Path, optimized: Path | None = None) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    if optimized is not None:
        level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
        options.graph_optimization_level = level
        options.optimized_model_filepath = str(optimized)
    return onnxruntime.InferenceSession(str(path), options, ["CPUExecutionProvider"])


def upscale(path: Path, pixels: np.ndarray) -> np.ndarray:
    """What the file makes of ``pixels`` [h, w, 3], channels last again."""
    batch = np.ascontiguousarray(pixels.transpose(2, 0, 1)[None])
    return session(path).run(["upscaled"], {"image": batch})[0][0].transpose(1, 2, 0)


def written(graph: Graph, path: Path, card: Card) -> Path:
    quantization = None
    if card.precision == "int8":
        quantization = calibrated(graph, picture(graph) / 255)
    write(graph, card, path, quantization)
    return path


@pytest.mark.parametrize("name", GRAPHS)
@pytest.mark.parametrize(("precision", "tolerance"), [("float32", 1e-6), ("float16", 3e-3)])
def test_a_float_file_computes_the_graph(tmp_path, name, precision, tolerance):
    graph = GRAPHS[name]
    path = written(graph, tmp_path / "f.onnx", card(precision))
    pixels = picture(graph).astype(np.float32) / 255
    expected = run(graph, pixels)["upscaled"]
    np.testing.assert_allclose(upscale(path, pixels), expected, atol=tolerance)
    assert upscale(path, pixels).dtype == np.float32


def levels_of(graph: Graph, quantization: Quantization, pixels: np.ndarray) -> np.ndarray:
    return np.rint(simulate(graph, quantization, pixels / 255)["upscaled"] * 255)


@pytest.mark.parametrize("name", GRAPHS)
def test_an_int8_file_computes_the_simulated_levels(tmp_path, name):
    graph = GRAPHS[name]
    quantization = calibrated(graph, picture(graph) / 255)
    path = written(graph, tmp_path / "q.onnx", card("int8", "uint8"))
    for seed in range(3):
        pixels = picture(graph, seed)
        difference = np.abs(upscale(path, pixels) - levels_of(graph, quantization, pixels))
        # Rounding of an intermediate result may tip over, rarely and by one level.
        assert (difference <= 1).mean() > 0.999
        assert difference.max() <= max(1, 255 * error_bound(graph, quantization))


@pytest.mark.parametrize("name", GRAPHS)
def test_pixels_of_all_types_give_the_same_picture(tmp_path, name):
    graph, pixels = GRAPHS[name], picture(GRAPHS[name], 1)
    files = {
        p: written(graph, tmp_path / f"{p}.onnx", card("int8", p))
        for p in ("uint8", "int8", "float32")
    }
    expected = upscale(files["uint8"], pixels)
    assert expected.dtype == np.uint8
    signed = upscale(files["int8"], (pixels.astype(np.int16) - 128).astype(np.int8))
    assert signed.dtype == np.int8
    assert (signed.astype(np.int16) + 128 == expected).all()
    real = upscale(files["float32"], pixels.astype(np.float32) / 255)
    np.testing.assert_allclose(real * 255, expected, atol=1e-4)


@settings(max_examples=25, suppress_health_check=list(HealthCheck))
@given(
    channels=st.lists(st.integers(1, 20), min_size=1, max_size=4),
    clamps=st.lists(st.sampled_from([UNBOUNDED, RELU, (0.0, 1.0), (-0.2, 0.5)]), min_size=4),
    seed=st.integers(0, 999),
)
def test_channels_of_no_weight_change_nothing(tmp_path_factory, channels, clamps, seed):
    names = ["image", *(f"t{i}" for i in range(len(channels)))]
    nodes = [
        conv(names[i], names[i + 1], ([3, *channels])[i], width, clamp=clamps[i])
        for i, width in enumerate(channels)
    ]
    last = conv(names[-1], "upscaled", channels[-1], 3)
    graph = network(*nodes, last)
    folder = tmp_path_factory.mktemp("chain")
    path = written(graph, folder / "q.onnx", card("int8", "uint8"))
    pixels = picture(graph, seed)
    quantization = calibrated(graph, picture(graph) / 255)
    difference = np.abs(upscale(path, pixels) - levels_of(graph, quantization, pixels))
    assert (difference <= 1).mean() > 0.99
    assert difference.max() <= max(1, 255 * error_bound(graph, quantization))


def operators(path: Path) -> Counter[str]:
    return Counter(node.op_type for node in onnx.load(path).graph.node)


def test_onnxruntime_runs_an_int8_file_in_integers_throughout(tmp_path):
    path = written(sesr(), tmp_path / "q.onnx", card("int8", "uint8"))
    session(path, tmp_path / "optimized.onnx")
    found = operators(tmp_path / "optimized.onnx")
    assert found == {"Pad": 1, "QLinearConv": 4, "QLinearAdd": 2, "Slice": 2, "DepthToSpace": 1}


def test_a_float_file_has_no_operator_but_those_of_the_graph(tmp_path):
    path = written(sesr(), tmp_path / "f.onnx", card())
    assert operators(path) == {"Conv": 4, "Relu": 2, "Add": 2, "DepthToSpace": 1}


@pytest.mark.parametrize("precision", ["float32", "float16", "int8"])
def test_the_file_says_what_it_is_and_nothing_else(tmp_path, precision):
    pixels = "uint8" if precision == "int8" else "float32"
    described = card(precision, pixels, psnr={"Set5": 37.5})
    path = written(sesr(), tmp_path / "f.onnx", described)
    model = onnx.load(path)
    assert Card.from_json({p.key: p.value for p in model.metadata_props}[METADATA_KEY]) == described
    assert len(model.metadata_props) == 2  # the other is the seal
    versions = (model.ir_version, model.opset_import[0].version)
    assert versions == ((7, 13) if precision == "int8" else (6, 11))
    assert not any(n.doc_string or n.metadata_props for n in model.graph.node)
    assert str(Path.cwd()).encode() not in path.read_bytes()
    ends = [*model.graph.input, *model.graph.output]
    assert [end.name for end in ends] == ["image", "upscaled"]
    shapes = [[d.dim_value for d in end.type.tensor_type.shape.dim] for end in ends]
    assert shapes == [[1, 3, HEIGHT, WIDTH], [1, 3, 2 * HEIGHT, 2 * WIDTH]]


@pytest.mark.parametrize("precision", ["float32", "float16", "int8"])
def test_equal_arguments_give_equal_bytes(tmp_path, precision):
    described = card(precision, "uint8" if precision == "int8" else "float32")
    first, second = (
        written(everything(), tmp_path / f"{i}.onnx", described).read_bytes() for i in "ab"
    )
    assert first == second


def test_a_failed_write_leaves_the_old_file(tmp_path):
    path = written(sesr(), tmp_path / "f.onnx", card())
    before = path.read_bytes()
    with pytest.raises(KeyError):  # no parameters for any tensor
        write(sesr(), card("int8", "uint8"), path, Quantization({}))
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["f.onnx"]
