"""int8 files with nodes in float32, and the choice of these nodes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from every_target import outputs
from graph_reference import run

from ailsr.export.graph.graph import (
    UNBOUNDED,
    Add,
    Concat,
    Conv,
    DepthToSpace,
    Graph,
    Mul,
    Pad,
    Pointwise,
    PRelu,
)
from ailsr.export.graph.passes import macs, with_separate_convolutions
from ailsr.export.graph.quantization import Quantization, quantization_of
from ailsr.export.int8.arithmetic import integer_output
from ailsr.export.int8.calibration import channel_ranges, ranges, ranges_of_copies
from ailsr.export.int8.correction import corrected
from ailsr.export.int8.crops import crops
from ailsr.export.int8.equalization import equalized
from ailsr.export.int8.mixed_precision import MOST, in_float, share_in_float
from ailsr.export.int8.responses import Responses, square_error
from ailsr.export.int8.simulation import output_of

SIZE = (20, 24)
RELU = (0.0, np.inf)


def conv(source, output, inputs, outputs, clamp=UNBOUNDED, kernel=3) -> Conv:
    rng = np.random.default_rng(len(output))
    weight = rng.normal(size=(outputs, inputs, kernel, kernel)) / np.sqrt(inputs * kernel**2)
    bias = np.linspace(-0.1, 0.1, outputs)
    pads = (kernel // 2,) * 4
    return Conv(source, output, np.float32(weight), np.float32(bias), pads, clamp=clamp)


def network() -> Graph:
    nodes = (
        conv("image", "first", 3, 8),
        PRelu("first", "bent", np.linspace(-0.5, 0.5, 8, dtype=np.float32)),
        Pad("bent", "padded", (1, 1, 1, 1), "edge"),
        replace(conv("padded", "second", 8, 8, RELU), pads=(0, 0, 0, 0)),
        Pointwise("second", "gate", "sigmoid"),
        Mul("second", "gate", "product"),
        Concat(("product", "bent"), "joined"),
        conv("joined", "third", 16, 8, RELU, kernel=1),
        Add("third", "first", "sum", clamp=(0.0, 6.0)),
        conv("sum", "phases", 8, 12),
        DepthToSpace("phases", "upscaled", 2),
    )
    return Graph(nodes, (3, *SIZE))


@pytest.fixture(scope="module")
def image(photographs):
    return photographs["chelsea"][100 : 100 + SIZE[0], 120 : 120 + SIZE[1]]


@pytest.fixture(scope="module")
def quantization(image) -> Quantization:
    tensors = run(network(), image / 255)
    ranges = {name: (float(t.min()), float(t.max())) for name, t in tensors.items()}
    return quantization_of(network(), ranges)


SETS = {
    "a convolution": {"second"},
    "the first": {"first", "bent"},
    "the last": {"phases", "upscaled"},
    "across a Concat": {"gate", "product", "joined", "third"},
    "slices": {"bent", "padded", "second"},
    "sums": {"third", "sum"},
    "all": {node.output for node in network().nodes},
}


@pytest.mark.parametrize("name", SETS)
def test_every_target_computes_these_nodes_in_float(name, image, quantization, tmp_path):
    graph, mixed = network(), replace(quantization, real=frozenset(SETS[name]))
    wanted = integer_output(graph, mixed, image).astype(float)
    plain = integer_output(graph, quantization, image)
    assert (wanted != plain).mean() > 0.02  # the set makes a difference
    for target, found in outputs(
        graph, (image / 255).astype(np.float32), tmp_path, "int8", mixed
    ).items():
        levels = np.abs(found * 255 - wanted)
        assert levels.max() < 3.01 and (levels > 0.01).mean() < 0.1, target  # ties
    float_levels = run(graph, image / 255)["upscaled"].clip(0, 1) * 255
    if name == "all":
        assert np.abs(wanted - float_levels).max() < 0.51


@pytest.mark.parametrize("name", ["a convolution", "across a Concat", "all"])
def test_the_simulation_is_the_arithmetic(name, image, quantization):
    mixed = replace(quantization, real=frozenset(SETS[name]))
    found = output_of(network(), crops([image], SIZE, "middle"), mixed)[0].permute(1, 2, 0).numpy()
    levels = np.abs(found * 255 - integer_output(network(), mixed, image))
    assert levels.max() < 2.01 and (levels > 0.01).mean() < 0.1  # biases are not rounded there


def test_a_correction_leaves_the_weights_of_these_nodes_alone(image, quantization):
    mixed = replace(quantization, real=frozenset({"second"}))
    graph, found = corrected(network(), mixed, [image])
    weights = [next(n.weight for n in g.nodes if n.output == "second") for g in (graph, network())]
    np.testing.assert_array_equal(*weights)
    assert "second" not in found.weight_scales and "first" in found.weight_scales


def test_the_cheap_node_that_costs_the_most_is_chosen(image):
    """One 1×1 convolution with weights far apart, of 2 % of the products, spoils the output."""
    wild = conv("first", "wild", 16, 16, RELU, kernel=1)
    weight = wild.weight.copy()
    weight[:, ::2] *= 200
    first = conv("image", "first", 3, 16, RELU)
    first = replace(first, weight=first.weight.copy(), bias=first.bias * 0)
    first.weight[::2] /= 200
    nodes = (
        first,
        replace(wild, weight=weight),
        conv("wild", "third", 16, 40, RELU),
        conv("third", "phases", 40, 12),
        DepthToSpace("phases", "upscaled", 2),
    )
    graph = Graph(nodes, (3, *SIZE))
    tensors = run(graph, image / 255)
    ranges = {name: (float(t.min()), float(t.max())) for name, t in tensors.items()}
    quantization = quantization_of(graph, ranges)
    responses = Responses(graph, crops([image], SIZE, "middle"))
    real = in_float(graph, graph, quantization, responses, 0)
    assert "wild" in real and "third" not in real
    mixed = replace(quantization, real=real)
    products = macs(graph)
    share = sum(products[n] for n in real if n in products) / sum(products.values())
    assert share_in_float(graph, mixed) == pytest.approx(share) and share <= MOST
    errors = [
        square_error(output_of(graph, responses.image, q), responses.output)
        for q in (quantization, mixed)
    ]
    assert errors[1] < errors[0] / 2
    assert in_float(graph, graph, quantization, responses, errors[0]) == frozenset()


def test_apart_convolutions_use_all_levels_of_each_channel_whatever_reads_them(photographs):
    """Of 8 channels that a gate and a sum read, one reaches 10 times as far: int8 gives the others
    few levels. Between convolutions in float32, each has all 256."""
    images = [photographs["chelsea"][:120, :160]]
    graph = network()
    first = graph.nodes[0]
    far = np.where(np.arange(8) == 3, 10, 1).astype(np.float32)
    nodes = (replace(first, weight=first.weight * far.reshape(-1, 1, 1, 1), bias=first.bias * 0),)
    third = graph.nodes[7]  # reads them behind the bent ones
    read = np.concatenate([np.ones(8), 1 / far]).astype(np.float32).reshape(1, -1, 1, 1)
    nodes += (*graph.nodes[1:7], replace(third, weight=third.weight * read), *graph.nodes[8:])
    graph = replace(graph, nodes=nodes)
    form, real = with_separate_convolutions(graph)
    image = images[0][: SIZE[0], : SIZE[1]] / 255
    channels = channel_ranges(graph, images)
    even, found = equalized(form, ranges_of_copies(form, channels))
    for same in (form, even):
        found_image = run(same, image)["upscaled"]
        np.testing.assert_allclose(found_image, run(graph, image)["upscaled"], atol=1e-3)
    low, high = found["first"]
    reach = np.maximum(-low, high)
    assert reach.min() > 0.99 * reach.max()
    convs = [node.output for node in graph.nodes if isinstance(node, Conv)]
    assert real.isdisjoint([*convs, "upscaled"]) and {"bent", "gate", "sum"} <= real
    parts = crops(images, SIZE, "middle")
    wanted = output_of(graph, parts).clamp(0, 1)
    plain = quantization_of(graph, ranges(channels))
    apart = replace(quantization_of(even, ranges(found)), real=real)
    errors = [
        square_error(output_of(g, parts, q), wanted) for g, q in ((graph, plain), (even, apart))
    ]
    assert errors[1] < errors[0] / 4


def test_factors_go_through_a_prelu_between_convolutions(image):
    """One depthwise convolution behind it is enough for both tensors to use all levels."""
    even = conv("image", "first", 3, 8)
    far = np.geomspace(1, 50, 8).astype(np.float32)
    nodes = (
        replace(even, weight=even.weight * far.reshape(-1, 1, 1, 1), bias=even.bias * 0),
        PRelu("first", "bent", np.linspace(-0.5, 0.5, 8, dtype=np.float32)),
        conv("bent", "phases", 8, 12),
        DepthToSpace("phases", "upscaled", 2),
    )
    graph = Graph(nodes, (3, *SIZE))
    form, real = with_separate_convolutions(graph)
    assert real == {"bent", "bent_scaled"}
    same, found = equalized(form, channel_ranges(form, [image]), evenly=True)
    tensors = [run(g, image / 255)["upscaled"] for g in (graph, same)]
    np.testing.assert_allclose(*tensors, atol=1e-3)
    for name in ("first", "bent_scaled"):
        reach = np.maximum(-found[name][0], found[name][1])
        assert reach.min() > (0.99 if name == "first" else 0.4) * reach.max()


def test_a_convolution_in_float_has_the_weights_of_the_network(image):
    """Chosen is the one whose rounded weights err, and what it errs by is gone."""
    graph = network()
    responses = Responses(graph, crops([image], SIZE, "middle"))
    spoilt = tuple(
        replace(node, weight=node.weight * 1.2) if node.output == "third" else node
        for node in graph.nodes
    )
    tensors = run(graph, image / 255)
    q = quantization_of(graph, {n: (float(t.min()), float(t.max())) for n, t in tensors.items()})
    errors = [
        square_error(output_of(g, responses.image, q), responses.output)
        for g in (graph, replace(graph, nodes=spoilt))
    ]
    assert errors[1] > 10 * errors[0]
    real = in_float(graph, replace(graph, nodes=spoilt), q, responses, 2 * errors[0])
    assert "third" in real and len(real) < 5
