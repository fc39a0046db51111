"""TFLite operators, run by ai-edge-litert, against the graph computed by torch."""

from __future__ import annotations

import numpy as np
import pytest
from graph_reference import error_bound, run, simulate, untied
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tflite_graphs import (
    CLAMPS,
    GRAPHS,
    abpn,
    calibrated,
    card,
    conv,
    execute,
    image_for,
    model_at,
    operators,
)

from ailsr.export.graph.graph import (
    UNBOUNDED,
    Add,
    Clip,
    Concat,
    Conv,
    DepthToSpace,
    Graph,
    Node,
    Pad,
    PRelu,
)
from ailsr.export.targets.tflite.writer import write


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
