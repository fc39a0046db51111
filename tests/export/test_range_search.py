"""Ranges by what they cost: searched, cut off, and those of copies."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from int8_graphs import SIZE, bent, conv, residual

from ailsr.export.graph.graph import UNBOUNDED, DepthToSpace, Graph, Pointwise
from ailsr.export.graph.passes import forms
from ailsr.export.graph.quantization import QParams, quantization_of
from ailsr.export.int8.calibration import channel_ranges, ranges_of_copies, ranges_of_halves
from ailsr.export.int8.range_fit import fitted
from ailsr.export.int8.range_search import searched
from ailsr.export.int8.responses import Responses
from ailsr.export.int8.simulation import rounded


def test_a_range_ends_where_the_output_no_longer_changes():
    """tanh is flat beyond 4 or so: of a reach of 60 most levels are wasted."""
    first = conv("image", "x", 3, 8, UNBOUNDED)
    graph = Graph(
        (
            replace(first, weight=first.weight * 60),
            Pointwise("x", "bent", "tanh"),
            conv("bent", "phases", 8, 12, UNBOUNDED),
            DepthToSpace("phases", "upscaled", 2),
        ),
        (3, *SIZE),
    )
    image = torch.rand(4, 3, *SIZE).cumsum(2).cumsum(3) / (SIZE[0] * SIZE[1])
    furthest = quantization_of(graph, {"x": (-60.0, 60.0), "phases": (-1.0, 2.0)})
    found = searched(graph, furthest, image)
    low, high = found.tensors["x"].ends
    assert -15 < low < -1 and 1 < high < 15
    changed = {t for t in graph.shapes if found.tensors[t] != furthest.tensors[t]}
    assert changed == {"x"}  # pixels, and what tanh gives, stay
    responses = Responses(graph, image)
    errors = [responses.error(q, {"x"}) for q in (furthest, found)]
    assert errors[1] < errors[0] / 10


def test_the_halves_of_what_a_prelu_reads_are_not_calibrated_again(images):
    graph = bent(residual())
    known = channel_ranges(graph, images)
    split = forms(graph)[-1]
    found = ranges_of_copies(split, known | ranges_of_halves(graph, known))
    wanted = channel_ranges(split, images)
    assert "bent_halves" in wanted
    for name, ends in wanted.items():
        np.testing.assert_allclose(found[name], ends, atol=1e-4)


def test_a_range_is_cut_off_where_levels_are_worth_more_than_few_samples():
    """The first channel is even and keeps its range; the second reached 20 once, elsewhere."""
    rng = np.random.default_rng(0)
    samples = np.stack([rng.uniform(-1, 1, 10_000), rng.laplace(size=10_000)])
    values = torch.from_numpy(samples.astype(np.float32).reshape(1, 2, 100, 100))
    graph = Graph((conv("image", "seen", 2, 2, UNBOUNDED),), (2, 100, 100))
    responses = Responses(graph, values)
    responses.tensor("seen").copy_(values)
    reach = np.array([1, 20], np.float32)
    low, high = fitted({"seen": (-reach, reach)}, responses)["seen"]
    np.testing.assert_array_equal(low, -high)
    assert high[0] == 1 and 6 < high[1] < 15
    errors = []
    for end in (20.0, float(high[1])):
        found = rounded(values[:, 1].clone(), QParams.of_range(-end, end))
        errors.append(float((found - values[:, 1]).square().mean()))
    assert errors[1] < 0.7 * errors[0]
