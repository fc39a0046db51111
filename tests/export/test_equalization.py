"""Equalised channels: the same function with the channels' levels used alike."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from graph_reference import run
from int8_graphs import SIZE, bent, conv, gated, residual

from ailsr.export.graph.graph import UNBOUNDED, Add, Conv, DepthToSpace, Graph, PRelu
from ailsr.export.graph.passes import forms
from ailsr.export.graph.quantization import quantization_of
from ailsr.export.int8.calibration import channel_ranges, ranges
from ailsr.export.int8.crops import crops
from ailsr.export.int8.equalization import equalized, scalable
from ailsr.export.int8.responses import Responses


def test_equalisation_leaves_the_function_as_it_is_and_evens_the_channels(images):
    graph = residual()
    channels = channel_ranges(graph, images)
    even, scaled = equalized(graph, channels)
    image = images[0][: SIZE[0], : SIZE[1]] / 255
    np.testing.assert_allclose(
        run(even, image)["upscaled"], run(graph, image)["upscaled"], atol=1e-5
    )
    for name, (low, high) in channel_ranges(even, images).items():
        np.testing.assert_allclose(low, scaled[name][0], rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(high, scaled[name][1], rtol=1e-4, atol=1e-5)
    reaches = [c["second"][1][c["second"][1] > 0] for c in (channels, scaled)]  # alive behind ReLU
    spread = [reach.max() / reach.min() for reach in reaches]
    assert spread[1] < spread[0] / 2


def test_a_set_of_channels_has_the_factors_that_cost_the_output_least(images):
    """Far below zero, where a PReLU is nearly flat, one tensor reaches 20 times as far in some
    channels: to even them, the rule widens the tensor that it is added to."""
    second = conv("first", "second", 8, 8, UNBOUNDED)
    second = replace(second, weight=second.weight / 5, bias=-np.geomspace(20, 1, 8).astype("f"))
    graph = Graph(
        (
            conv("image", "first", 3, 8, UNBOUNDED),
            second,
            PRelu("second", "bent", np.full(8, 0.05, np.float32)),
            Add("first", "bent", "sum"),
            conv("sum", "phases", 8, 12, UNBOUNDED),
            DepthToSpace("phases", "upscaled", 2),
        ),
        (3, *SIZE),
    )
    channels = channel_ranges(graph, images)
    responses = Responses(graph, crops(images, SIZE, "middle"))

    def cost(same, of):
        quantization, tensors = quantization_of(same, ranges(of)), graph.shapes.keys() - {"image"}
        return Responses(same, responses.image).error(quantization, tensors)

    plain, ruled = cost(graph, channels), cost(*equalized(graph, channels))
    even, scaled = equalized(graph, channels, responses)
    assert plain < 0.7 * ruled
    assert cost(even, scaled) < 1.05 * plain
    image = images[0][: SIZE[0], : SIZE[1]] / 255
    np.testing.assert_allclose(
        run(even, image)["upscaled"], run(graph, image)["upscaled"], atol=1e-4
    )


def free_sets(graph):
    """The sets of tensors with a channel that may be scaled."""
    return [set(tensors) for tensors, free in scalable(graph)]


def test_what_may_be_scaled():
    assert free_sets(residual()) == [{"first", "second", "sum"}]
    assert free_sets(residual(clamp=(0.0, 1.0))) == []  # a bound does not scale along
    graph = residual()
    grouped = replace(graph.nodes[3], groups=2, weight=graph.nodes[3].weight[:, :4])
    grouped = replace(graph, nodes=(*graph.nodes[:3], grouped, graph.nodes[4]))
    assert free_sets(grouped) == [{"first", "second", "sum"}]
    assert free_sets(bent(graph)) == [{"first", "second", "sum", "bent"}]


@pytest.mark.parametrize("graph", [gated(), residual()])
def test_every_form_is_the_same_function_equalised_too(images, graph):
    if graph.producer("sum"):
        graph = bent(graph)
    image = images[0][: SIZE[0], : SIZE[1]] / 255
    wanted = run(graph, image)["upscaled"]
    for form in forms(graph):
        even, _ = equalized(form, channel_ranges(form, images))
        assert any((a.weight != b.weight).any() for a, b in convolutions(form, even))
        for same in (form, even):
            np.testing.assert_allclose(run(same, image)["upscaled"], wanted, atol=1e-4)


def convolutions(*graphs):
    return zip(*([n for n in g.nodes if isinstance(n, Conv)] for g in graphs), strict=True)


def test_a_gate_and_what_it_gates_are_scaled_apart():
    (form,) = forms(gated())
    tensors = {"x", "skip", "product", "joined"}
    for graph, count in ((gated(), 4), (form, 12)):
        ((found, free),) = scalable(graph)
        assert found.keys() == tensors and free.sum() == count
