"""The methods of int8 together: in which order, how far, and for how much they make up."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from int8_graphs import bent, conv, error, gated, residual

from ailsr.export.graph.graph import DepthToSpace, Graph, Resize
from ailsr.export.graph.quantization import quantization_of
from ailsr.export.image_sets import ImageSet
from ailsr.export.int8 import qat
from ailsr.export.int8.calibration import channel_ranges, ranges
from ailsr.export.int8.methods import Int8Methods
from ailsr.export.int8.samples import Samples
from ailsr.runtime.imaging.protocol import Pair
from ailsr.runtime.imaging.resize import shrink


def test_fine_tuning_lowers_the_error(photographs, images):
    graph = residual()
    lr = [shrink(image, 2) for image in images]
    quantization = quantization_of(graph, ranges(channel_ranges(graph, lr)))
    done = []
    pairs = [Pair("", *pair) for pair in zip(lr, images, strict=True)]
    tuned = qat.fine_tuned(graph, quantization, graph, pairs, 60, lambda: done.append(1))
    assert len(done) == 60
    image = photographs["rocket"][200:]
    errors = [error(g, quantization, graph, image) for g in (graph, tuned)]
    assert errors[1] < errors[0]


@pytest.fixture(scope="module")
def calibration(photographs) -> ImageSet:
    hr = [photographs[name][:300, :300] for name in ("chelsea", "astronaut")]
    return ImageSet("two", [Pair(str(n), shrink(image, 2), image) for n, image in enumerate(hr)])


@pytest.mark.parametrize(("max_drop", "searches"), [(9.0, 1), (1e-6, 2)])
def test_slower_forms_are_searched_only_where_the_first_is_not_enough(
    calibration, max_drop, searches
):
    done = []
    methods = Int8Methods(
        bent(residual()), calibration, lambda doing, *_: done.append(doing), max_drop=max_drop
    )
    methods.quantized("search")
    assert done.count("searching ranges") == searches


def test_a_mixed_precision_makes_up_for_what_files_lose_beyond_the_estimate(calibration):
    """Half of what is allowed is lost by estimate: enough, unless a file loses 20 times as much."""
    expected = Int8Methods(gated(), calibration, lambda *_: None).expected_drop("search")
    drops = []
    for times in (1, 20):
        methods = Int8Methods(gated(), calibration, lambda *_: None, max_drop=4 * expected)
        methods.verified("search", times * methods.expected_drop("search"))
        drops.append(methods.expected_drop("mixed precision") / methods.expected_drop("search"))
    assert drops[0] == 1 and drops[1] < 0.9


def test_a_mixed_precision_whose_file_is_not_enough_is_tried_with_more_in_float(calibration):
    methods = Int8Methods(gated(), calibration, lambda *_: None)
    methods = Int8Methods(
        gated(), calibration, lambda *_: None, max_drop=4 * methods.expected_drop("search")
    )
    before = methods.quantized("mixed precision").quantization.real
    expected = methods.expected_drop("mixed precision")
    assert methods.verified("mixed precision", 20 * expected)
    assert methods.expected_drop("mixed precision") < expected
    assert len(methods.quantized("mixed precision").quantization.real) > len(before)
    assert not methods.verified("mixed precision", expected / 2)  # an estimate that was too high


def test_search_is_no_worse_than_the_methods_before_it(photographs, calibration):
    graph = gated()
    methods = Int8Methods(graph, calibration, lambda *_: None)
    image = photographs["rocket"][200:]
    found = {m: error(*methods.quantized(m), graph, image) for m in methods.order("int8")[:3]}
    assert list(found) == ["correction", "calibration", "search"]
    assert found["search"] < 0.8 * min(found["correction"], found["calibration"])


def test_large_networks_of_one_size_are_calibrated_on_fewer_images():
    """Each of 40 images is a tile of 128 pixels to them: 5·10⁹ products."""
    pair = Pair("", np.zeros((16, 16, 3), np.uint8), np.zeros((32, 32, 3), np.uint8))
    nodes = (
        conv("image", "seen", 3, 64),
        conv("seen", "many", 64, 550),
        Resize("many", "resized", (128, 128)),
        conv("resized", "phases", 550, 12),
        DepthToSpace("phases", "upscaled", 2),
    )
    free = replace(residual(), input_shape=(3, 128, 128))
    for graph, count in ((Graph(nodes, (3, 128, 128)), 32), (free, 40)):
        samples = Samples(ImageSet("many", [pair] * 40), graph, "rgb")
        assert len(list(samples.low_resolution())) == count
