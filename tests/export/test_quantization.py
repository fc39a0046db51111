"""The rules by which tensors get their int8 parameters, and the rounding of weights and biases."""

from __future__ import annotations

import numpy as np
import pytest
from graph_reference import run
from hypothesis import given
from hypothesis import strategies as st

from ailsr.export.graph.graph import (
    UNBOUNDED,
    Add,
    Clip,
    Concat,
    Conv,
    DepthToSpace,
    Graph,
    Mul,
    Pad,
    Pointwise,
)
from ailsr.export.graph.passes import with_separate_pixels
from ailsr.export.graph.quantization import (
    NEGLIGIBLE,
    PIXELS,
    QParams,
    quantization_of,
    quantize_bias,
)

RELU = (0.0, np.inf)
SHAPE = (3, 6, 7)
FINITE = st.floats(-1e4, 1e4, width=32)


def conv(source, output, inputs, outputs, clamp=UNBOUNDED) -> Conv:
    weight = np.random.default_rng(0).normal(size=(outputs, inputs, 3, 3)).astype(np.float32)
    return Conv(source, output, weight, np.ones(outputs, np.float32), (1, 1, 1, 1), clamp=clamp)


def nearest(output: str, channels: int) -> Conv:
    """The anchor of ABPN: every channel of the image several times."""
    weight = np.eye(3, dtype=np.float32).repeat(channels // 3, axis=0)[..., None, None]
    return Conv("image", output, weight, np.zeros(channels, np.float32))


@given(FINITE, FINITE)
def test_parameters_cover_their_range_and_hold_zero_exactly(low, high):
    low, high = min(low, high), max(low, high)
    params = QParams.of_range(low, high)
    lowest, highest = (params.scale * (q - params.zero_point) for q in (0, 255))
    assert 0 <= params.zero_point <= 255
    assert np.float32(params.scale) == params.scale
    slack = params.scale * 0.501 + NEGLIGIBLE  # the zero point is rounded to a whole level
    assert lowest - slack <= min(low, 0) and max(high, 0) <= highest + slack


def test_a_bias_beyond_int32_saturates():
    bias = quantize_bias(np.float32([1e9, -1e9, 0.25]), 1e-3, np.float32([1e-3, 1e-3, 1e-3]))
    assert bias.tolist() == [2**31 - 1, -(2**31), 250_000]


def test_the_tensors_of_an_anchored_network():
    nodes = (
        conv("image", "features", 3, 8, RELU),
        conv("features", "residual", 8, 12),
        nearest("anchor", 12),
        Add("residual", "anchor", "sum"),
        DepthToSpace("sum", "upscaled", 2),
    )
    ranges = {"features": (0.0, 5.1), "residual": (-0.2, 0.3), "anchor": (0.1, 0.8)}
    q = quantization_of(Graph(nodes, SHAPE), ranges | {"sum": (-0.3, 1.2)}).tensors
    assert q["features"] == QParams(pytest.approx(0.02), 0)  # ReLU: saturation is the clamp
    assert q["residual"] == QParams.of_range(-0.2, 0.3)  # a scale of its own
    assert q["anchor"] == q["image"] == PIXELS  # copied exactly
    assert q["sum"] == q["upscaled"] == PIXELS  # pinned: saturation ends at black and white


def test_what_is_only_rearranged_shares_its_parameters():
    nodes = (
        Pad("image", "padded", (2, 2, 2, 2)),
        Conv("padded", "phases", np.ones((12, 3, 5, 5), np.float32), np.zeros(12, np.float32)),
        DepthToSpace("phases", "enlarged", 2),
        conv("enlarged", "first", 3, 3, RELU),
        Concat(("enlarged", "first"), "both"),
        conv("both", "upscaled", 6, 3),
    )
    ranges = {"phases": (-0.1, 1.1), "first": (0.0, 2.0), "upscaled": (-1.0, 2.0)}
    q = quantization_of(Graph(nodes, SHAPE), ranges).tensors
    assert q["padded"] == PIXELS
    assert q["phases"] == q["enlarged"] == q["first"] == q["both"] == QParams.of_range(-0.1, 2.0)
    assert q["upscaled"] == PIXELS


def test_a_range_ends_at_its_clamp():
    nodes = (
        conv("image", "a", 3, 3, (-0.5, 0.5)),
        conv("a", "b", 3, 3, (0.0, 1.0)),
        Clip("b", "c", (0.0, 0.5)),
        conv("c", "upscaled", 3, 3),
    )
    ranges = {"a": (-9.0, 0.25), "b": (0.1, 0.2), "c": (0.1, 0.2), "upscaled": (0.0, 1.0)}
    q = quantization_of(Graph(nodes, SHAPE), ranges).tensors
    assert q["a"] == QParams.of_range(-0.5, 0.25)
    assert q["b"] == PIXELS  # the whole of [0, 1], however little of it calibration saw
    assert q["c"] == QParams.of_range(0.0, 0.2)


def test_sigmoid_and_tanh_have_what_tflite_prescribes_unless_they_become_pixels():
    nodes = (
        conv("image", "a", 3, 12),
        Pointwise("a", "gate", "sigmoid"),
        Pointwise("a", "signed", "tanh"),
        Pointwise("a", "smooth", "gelu"),
        Mul("gate", "signed", "product"),
        Add("product", "smooth", "sum"),
        Pointwise("sum", "phases", "sigmoid"),
        DepthToSpace("phases", "upscaled", 2),
    )
    graph = Graph(nodes, SHAPE)
    q = quantization_of(graph, dict.fromkeys(graph.shapes, (-0.1, 0.4))).tensors
    assert (q["gate"], q["signed"]) == (QParams(1 / 256, 0), QParams(1 / 128, 128))
    assert q["smooth"] == q["product"] == QParams.of_range(-0.1, 0.4)
    assert q["phases"] == q["upscaled"] == PIXELS


@pytest.mark.parametrize(
    ("params", "clamp", "expected"),
    [
        (QParams(0.02, 0), RELU, True),
        (QParams(0.02, 1), RELU, False),
        (PIXELS, (0.0, 1.0), True),
        (QParams(6.01 / 255, 0), (0.0, 6.0), True),
        (QParams(6.1 / 255, 0), (0.0, 6.0), False),
        (QParams(0.02, 128), UNBOUNDED, True),
    ],
)
def test_saturation_stands_for_a_clamp_within_half_a_level(params, clamp, expected):
    assert params.saturates_at(clamp) is expected


def test_pixels_are_copied_where_a_concatenation_would_tie_them_to_features():
    nodes = (
        conv("image", "features", 3, 5),
        Concat(("image", "features"), "both"),
        conv("both", "wide", 8, 12),
        conv("wide", "more", 12, 12),
        Add("wide", "more", "sum"),
        Concat(("sum", "wide"), "last"),
        conv("last", "phases", 24, 12),
        DepthToSpace("phases", "upscaled", 2),
    )
    graph = Graph(nodes, SHAPE)
    separate = with_separate_pixels(graph)
    (copy,) = separate.shapes.keys() - graph.shapes.keys()
    assert separate.producer(copy).inputs == ("image",)
    tensors = run(separate, np.random.default_rng(0).random((6, 7, 3)))
    q = quantization_of(separate, {k: (float(v.min()), float(v.max())) for k, v in tensors.items()})
    assert q.tensors["image"] == PIXELS != q.tensors["both"] == q.tensors["features"]


def test_a_tensor_that_is_shuffled_into_the_output_and_read_elsewhere_is_copied():
    nodes = (
        conv("image", "phases", 3, 12),
        DepthToSpace("phases", "preview", 2),
        conv("phases", "more", 12, 12),
        DepthToSpace("more", "detail", 2),
        Concat(("preview", "detail"), "both"),
        Conv("both", "mixed", np.ones((12, 6, 1, 1), np.float32), np.zeros(12, np.float32)),
        conv("phases", "rest", 12, 12),
        DepthToSpace("phases", "upscaled", 2),
    )
    graph = with_separate_pixels(Graph(nodes, SHAPE))
    (copy,) = graph.shapes.keys() - {"image", *(node.output for node in nodes)}
    assert graph.producer("upscaled") == DepthToSpace(copy, "upscaled", 2)
    image = np.random.default_rng(0).random((6, 7, 3))
    before, after = (run(g, image)["upscaled"] for g in (Graph(nodes, SHAPE), graph))
    np.testing.assert_allclose(before, after)
    q = quantization_of(graph, dict.fromkeys(graph.shapes, (-3.0, 3.0)))
    assert q.tensors["phases"] == QParams.of_range(-3, 3) != q.tensors[copy] == PIXELS


def test_networks_without_such_ties_stay_as_they_are():
    nodes = (
        Concat(("image",) * 4, "anchor"),
        conv("image", "residual", 3, 12),
        Add("anchor", "residual", "sum"),
        DepthToSpace("sum", "upscaled", 2),
    )
    assert with_separate_pixels(Graph(nodes, SHAPE)).nodes == nodes
