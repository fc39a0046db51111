"""Weights of int8 that make up for what rounding costs."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from int8_graphs import RELU, SIZE, conv, error, residual

from ailsr.export.graph.graph import Conv, DepthToSpace, Graph
from ailsr.export.graph.quantization import quantization_of
from ailsr.export.graph.weights import quantize_weight
from ailsr.export.int8 import weight_rounding
from ailsr.export.int8.calibration import channel_ranges, ranges
from ailsr.export.int8.correction import corrected
from ailsr.export.int8.simulation import convolve
from ailsr.export.int8.weight_rounding import compensated


@pytest.mark.parametrize("clamp", [RELU, (0.0, 1.0)])
def test_correction_at_least_halves_the_error_of_coarse_weights(images, clamp):
    """Kernels near the identity, as QuickSRNet's: 1.0 sets the step, the rest is a few steps."""
    graph = residual(clamp, spread=1.0)
    nodes = list(graph.nodes)
    for place in (1, 3):
        weight = nodes[place].weight * 0.1
        weight[np.arange(len(weight)), np.arange(len(weight)) % 8, 1, 1] += 1
        nodes[place] = replace(nodes[place], weight=weight.astype(np.float32))
    graph = replace(graph, nodes=tuple(nodes))
    quantization = quantization_of(graph, ranges(channel_ranges(graph, images)), bits=16)
    methods = [(graph, quantization), corrected(graph, quantization, images)]
    errors = [error(*made, graph, images[1][40:]) for made in methods]
    assert errors[1] < errors[0] / 2


@pytest.mark.parametrize("inputs", [3, 6])
def test_compensated_weights_are_levels_and_err_less_in_what_they_compute(inputs):
    node = conv("image", "x", inputs, 5)
    seen = torch.rand(1, inputs, 30, 30).cumsum(2).cumsum(3) / 900  # neighbours are alike
    weight, scale = compensated(node, [seen])
    levels, same = quantize_weight(weight, scale=scale)
    assert same is scale
    np.testing.assert_allclose(levels * scale.reshape(-1, 1, 1, 1), weight, atol=1e-6)
    plain, least = quantize_weight(node.weight)
    assert (scale <= 1.1001 * least).all() and (scale >= 0.7999 * least).all()
    exact, nearest, better = (
        torch.nn.functional.conv2d(seen, torch.from_numpy(np.float32(values)))
        for values in (node.weight, plain * least.reshape(-1, 1, 1, 1), weight)
    )
    errors = [(found - exact).std(dim=(0, 2, 3)).mean() for found in (nearest, better)]
    assert errors[1] < errors[0] / 2


@pytest.mark.parametrize("block", [1, 7, 1000])
def test_errors_are_handed_on_in_blocks_of_any_size(monkeypatch, block):
    node = conv("image", "x", 6, 5)
    seen = torch.rand(1, 6, 30, 30).cumsum(2).cumsum(3) / 900
    wanted = compensated(node, [seen])
    monkeypatch.setattr(weight_rounding, "BLOCK", block)
    for found, same in zip(compensated(node, [seen]), wanted, strict=True):
        np.testing.assert_array_equal(found, same)


@pytest.mark.parametrize("strides", [(1, 1), (2, 3)])
@pytest.mark.parametrize("dilation", [(1, 1), (3, 2)])
def test_weights_see_what_the_convolution_multiplies_them_by(strides, dilation):
    node = replace(conv("image", "x", 4, 5), stride=strides, dilation=dilation, pads=(1, 2, 0, 3))
    seen = torch.rand(2, 1, 4, 21, 17)
    samples = weight_rounding._samples(node, list(seen))
    wanted = [convolve(node, one, torch.from_numpy(node.weight), torch.zeros(5)) for one in seen]
    found = torch.from_numpy(node.weight).flatten(1) @ samples
    torch.testing.assert_close(found, torch.cat([one[0].flatten(1) for one in wanted], 1))


def test_a_convolution_of_one_sample_is_corrected(images):
    weight = np.full((1, 3, 1, 1), 1 / 3, np.float32)
    nodes = (
        Conv("image", "luma", weight, np.zeros(1, np.float32)),
        Conv("luma", "phases", np.ones((12, 1, 1, 1), np.float32) * 0.9, np.zeros(12, np.float32)),
        DepthToSpace("phases", "upscaled", 2),
    )
    graph = Graph(nodes, (3, *SIZE))
    quantization = quantization_of(graph, ranges(channel_ranges(graph, images)))
    found, _ = corrected(graph, quantization, images)
    np.testing.assert_allclose(found.nodes[1].weight, 0.9, atol=0.01)
