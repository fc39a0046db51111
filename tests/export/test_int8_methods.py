"""Methods that keep int8 close to the network: equalisation, correction, fine-tuning, 16 bits."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from graph_reference import run, simulate

from ailsr.export.graph.graph import (
    UNBOUNDED,
    Add,
    Concat,
    Conv,
    DepthToSpace,
    Graph,
    Mul,
    Pointwise,
    PRelu,
    Resize,
)
from ailsr.export.graph.passes import forms, with_separate_pixels
from ailsr.export.graph.quantization import WIDE_PIXELS, QParams, Quantization, quantization_of
from ailsr.export.graph.weights import quantize_weight
from ailsr.export.image_sets import ImageSet
from ailsr.export.int8 import qat, weight_rounding
from ailsr.export.int8.calibration import (
    channel_ranges,
    ranges,
    ranges_of_copies,
    ranges_of_halves,
)
from ailsr.export.int8.correction import corrected
from ailsr.export.int8.crops import crops
from ailsr.export.int8.equalization import equalized, scalable
from ailsr.export.int8.methods import Int8Methods
from ailsr.export.int8.range_fit import fitted
from ailsr.export.int8.range_search import searched
from ailsr.export.int8.responses import Responses, square_error
from ailsr.export.int8.samples import Samples
from ailsr.export.int8.simulation import convolve, output_of, rounded, rounded_weight
from ailsr.export.int8.weight_rounding import compensated
from ailsr.export.reading.from_torch import graph_of
from ailsr.export.targets.onnx import writer as onnx_writer
from ailsr.export.targets.tflite import writer as tflite_writer
from ailsr.runtime import load
from ailsr.runtime.card import Card
from ailsr.runtime.imaging.protocol import Pair
from ailsr.runtime.imaging.resize import shrink

RELU = (0.0, np.inf)
SIZE = (24, 28)


def conv(source, output, inputs, outputs, clamp=RELU, spread=1.0) -> Conv:
    """Random; ``spread`` is the ratio of the largest to the smallest output channel."""
    weight = np.random.default_rng(len(output)).normal(size=(outputs, inputs, 3, 3)) * 0.2
    weight *= np.geomspace(1, 1 / spread, outputs).reshape(-1, 1, 1, 1)
    bias = np.linspace(-0.1, 0.1, outputs)
    return Conv(
        source, output, np.float32(weight), np.float32(bias), pads=(1, 1, 1, 1), clamp=clamp
    )


def residual(clamp=RELU, spread=100.0) -> Graph:
    nodes = (
        conv("image", "first", 3, 8, clamp, spread),
        conv("first", "second", 8, 8, clamp, spread),
        Add("first", "second", "sum"),
        conv("sum", "phases", 8, 12, UNBOUNDED),
        DepthToSpace("phases", "upscaled", 2),
    )
    return Graph(nodes, (3, *SIZE))


@pytest.fixture(scope="module")
def images(photographs):
    return [photographs[name][100:220, 80:200] for name in ("chelsea", "astronaut")]


def error(graph, quantization, exact, image) -> float:
    """Root mean square of int8's error in the output, in grey levels."""
    image = image[: SIZE[0], : SIZE[1]] / 255
    wanted = np.clip(run(exact, image)["upscaled"], 0, 1)
    found = np.clip(simulate(graph, quantization, image)["upscaled"], 0, 1)
    return float(np.sqrt(np.mean((found - wanted) ** 2)) * 255)


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


@pytest.mark.parametrize("name", ["sesr_m3", "quicksrnet_small", "vdsr_f13"])
def test_the_simulation_rounds_as_the_reference_does(sane, images, name):
    graph = with_separate_pixels(graph_of(sane(name).deploy(), SIZE))
    quantization = quantization_of(graph, ranges(channel_ranges(graph, images)))
    image = torch.from_numpy(images[0][: SIZE[0], : SIZE[1]].transpose(2, 0, 1)[None] / 255)
    found = output_of(graph, image.float(), quantization)[0].permute(1, 2, 0).numpy()
    wanted = simulate(graph, quantization, image[0].permute(1, 2, 0).numpy())["upscaled"]
    levels = np.abs(found - wanted) * 255
    assert levels.max() < 2.01 and (levels < 0.01).mean() > 0.9  # float32 and biases unrounded


def test_gradients_pass_through_rounding_but_not_through_saturation():
    values = torch.tensor([-0.3, 0.101, 0.5, 9.0], requires_grad=True)
    rounded(values, QParams(0.01, 0)).sum().backward()
    assert values.grad.tolist() == [0, 1, 1, 0]
    weight = torch.randn(4, 3, 3, 3, requires_grad=True)
    node = Conv("image", "x", weight.detach().numpy(), np.zeros(4, np.float32))
    rounded_weight(weight, node, Quantization({})).sum().backward()
    assert (weight.grad == 1).all()


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


def test_sixteen_bits_are_symmetric_and_hold_every_pixel():
    params = QParams.of_range(-0.2, 0.5, bits=16)
    assert params.zero_point == 2**15 and params.scale == pytest.approx(0.5 / 32767)
    pixels = torch.arange(256) / 255
    assert torch.allclose(rounded(pixels, WIDE_PIXELS), pixels, atol=1e-6)


@pytest.mark.parametrize("name", ["abpn", "quicksrnet_small", "vdsr_f13"])
@pytest.mark.parametrize("pixels", ["uint8", "int8"])
def test_int8x16_files_compute_what_is_simulated(sane, images, tmp_path, name, pixels):
    """VDSR has its depth-to-space in the middle, which TFLite does not have for int16."""
    graph = with_separate_pixels(graph_of(sane(name, 3).deploy(), SIZE))
    quantization = quantization_of(graph, ranges(channel_ranges(graph, images)), bits=16)
    image = np.ascontiguousarray(images[0][: SIZE[0], : SIZE[1]])
    wanted = simulate(graph, quantization, image / 255)["upscaled"].clip(0, 1) * 255
    card = Card(name, 3, "rgb", "int8x16", pixels, SIZE, 9)
    for writer, ending in ((onnx_writer, "onnx"), (tflite_writer, "tflite")):
        writer.write(graph, card, tmp_path / f"f.{ending}", quantization)
        found = load(tmp_path / f"f.{ending}").upscale(image)
        assert np.abs(found - wanted).max() < 1


def gated(reach=60.0) -> Graph:
    """x · tanh(x) of a convolution that reaches far beyond where tanh changes, beside the image."""
    first = conv("image", "x", 3, 8, UNBOUNDED, 10.0)
    first = replace(first, weight=first.weight * reach, bias=first.bias * 0)
    nodes = (
        first,
        Pointwise("x", "gate", "tanh"),
        Mul("x", "gate", "product"),
        conv("image", "skip", 3, 4, UNBOUNDED),
        Concat(("skip", "product"), "joined"),
        conv("joined", "phases", 12, 12, UNBOUNDED),
        DepthToSpace("phases", "upscaled", 2),
    )
    last = replace(nodes[5], weight=nodes[5].weight / reach)
    return Graph((*nodes[:5], last, nodes[6]), (3, *SIZE))


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


def test_the_error_of_a_part_is_that_of_the_whole_with_only_it_rounded(images):
    graph = residual()
    quantization = quantization_of(graph, ranges(channel_ranges(graph, images)))
    image = crops(images, SIZE, "middle")
    responses = Responses(graph, image)
    assert responses.error(quantization, ()) == 0
    everything = responses.error(
        quantization, graph.shapes.keys() - {"image"}, [n.output for n in graph.nodes]
    )
    first = responses.of_first(1).error(quantization, {"second"})
    alone = Responses(graph, image[:1]).error(quantization, {"second"})
    assert first == pytest.approx(alone, rel=0.01)
    assert first != responses.error(quantization, {"second"})
    whole = square_error(output_of(graph, image, quantization), responses.output)
    assert everything == pytest.approx(whole, rel=0.05)  # pixels as levels differ by rounding


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


def bent(graph: Graph) -> Graph:
    """``residual`` with a PReLU in it."""
    slopes = PRelu("sum", "bent", np.linspace(-0.5, 0.5, 8, dtype=np.float32))
    last = replace(graph.nodes[3], input="bent")
    return replace(graph, nodes=(*graph.nodes[:3], slopes, last, graph.nodes[4]))


def test_the_halves_of_what_a_prelu_reads_are_not_calibrated_again(images):
    graph = bent(residual())
    known = channel_ranges(graph, images)
    split = forms(graph)[-1]
    found = ranges_of_copies(split, known | ranges_of_halves(graph, known))
    wanted = channel_ranges(split, images)
    assert "bent_halves" in wanted
    for name, ends in wanted.items():
        np.testing.assert_allclose(found[name], ends, atol=1e-4)


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
