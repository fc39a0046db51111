"""The Core ML packages, loaded back and computed by the reference evaluator, against torch."""

from __future__ import annotations

from importlib.metadata import entry_points
from pathlib import Path

import numpy as np
import pytest
import skimage.data
import torch
from coreml_graphs import (
    CLAMPS,
    GRAPHS,
    abpn,
    calibrated,
    conv,
    image_to_image,
    random_image,
    saved,
)
from graph_reference import error_bound, run, simulate, untied
from hypothesis import given, settings
from hypothesis import strategies as st

from ailsr.export.graph.graph import (
    Add,
    Graph,
)
from ailsr.export.targets.coreml import mil_operators
from ailsr.export.targets.coreml.coreml_reference import CoreMLReference
from ailsr.runtime.errors import (
    UnsupportedOperatorError,
)


def photograph() -> np.ndarray:
    return np.ascontiguousarray(skimage.data.coffee()[150:230, 250:354])


def same_in_all_precisions(graph: Graph, folder: Path) -> None:
    image = random_image(graph)
    expected = run(graph, image)
    for precision, tolerance in (("float32", 1e-5), ("float16", 5e-3)):
        engine = CoreMLReference(saved(graph, folder, precision=precision))
        assert np.abs(engine.evaluate(image) - expected["upscaled"]).max() < tolerance

    quantization = untied(graph, expected)
    engine = CoreMLReference(saved(graph, folder, quantization, precision="int8"))
    difference = np.abs(engine.evaluate(image) - simulate(graph, quantization, image)["upscaled"])
    assert (difference < 1e-5).mean() > 0.9  # the others are ties, that float32 breaks its way
    assert difference.max() < 1.01 * error_bound(graph, quantization)


@pytest.mark.parametrize("graph", GRAPHS.values(), ids=GRAPHS)
def test_every_node_computes_what_torch_computes(graph, tmp_path):
    same_in_all_precisions(graph, tmp_path)


@settings(max_examples=20)
@given(
    kernel=st.integers(1, 4),
    pads=st.tuples(*[st.integers(0, 3)] * 4),
    stride=st.tuples(*[st.integers(1, 3)] * 2),
    dilation=st.tuples(*[st.integers(1, 2)] * 2),
    groups=st.sampled_from([1, 2, 6]),
    clamp=st.sampled_from(CLAMPS),
)
def test_any_convolution(tmp_path_factory, kernel, **how):
    graph = image_to_image(conv("x", "y", 6, 12, kernel, **how), channels=6)
    same_in_all_precisions(graph, tmp_path_factory.mktemp("convolution"))


@pytest.mark.parametrize(("channels", "kernel", "groups"), [(3, 5, 1), (64, 5, 1), (16, 3, 16)])
def test_a_convolution_of_levels_is_exact(channels, kernel, groups):
    rng = np.random.default_rng(channels)
    levels = torch.from_numpy(
        rng.choice([-128.0, 0, 127], (1, channels, 12, 14), p=[0.1, 0.1, 0.8])
    )
    weight = torch.from_numpy(
        rng.integers(100, 128, (16, channels // groups, kernel, kernel)) + 0.0
    )
    steps = torch.from_numpy(rng.uniform(1e-3, 1e-2, 16).astype(np.float32)).double()
    x = {"scale": 0.25, "zero_point": -128.0}
    bias = torch.from_numpy(rng.integers(-(2**20), 2**20, 16)) * steps * 0.25
    how = {"bias": bias, "pad_type": "custom", "pad": (1, 2, 0, 1), "groups": groups}
    w = {"quantized_data": weight, "scale": steps, "zero_point": 0 * steps, "axis": 0}
    dequantized = mil_operators.constexpr_affine_dequantize(**w)
    real = mil_operators.conv(mil_operators.dequantize(levels, **x), dequantized, **how)
    found = mil_operators.conv_of_levels(x, w, levels, **how)
    assert found.dtype == torch.float64
    assert (found - real).abs().max() <= 1e-12 * real.abs().max()

    step = np.float32(0.7)  # of the output: one float32 factor for the whole sum, as in kernels
    sums = (real / (steps * 0.25).reshape(-1, 1, 1)).round().numpy().astype(np.float32)
    factor = (steps.numpy().astype(np.float32) * np.float32(0.25) / step).reshape(-1, 1, 1)
    rounded = mil_operators.conv_of_levels(x, w, levels, **how, output_scale=float(step))
    assert np.array_equal(np.rint(rounded.numpy() / step.astype(float)), np.rint(sums * factor))


def test_depth_to_space_is_tensorflows():
    """The example in TensorFlow's documentation of depth_to_space, one pixel of 12 channels."""
    x = torch.arange(1.0, 13).reshape(1, 12, 1, 1)
    result = mil_operators.depth_to_space(x, 2).permute(0, 2, 3, 1)  # NHWC
    assert result.tolist() == [[[[1, 2, 3], [4, 5, 6]], [[7, 8, 9], [10, 11, 12]]]]


@pytest.mark.parametrize(
    ("size", "expected"), [(5, [0, 0.1, 0.5, 0.9, 1]), (6, [0, 0, 1 / 3, 2 / 3, 1, 1])]
)
def test_resize_bilinear_is_coremltools(size, expected):
    """The examples of sampling_mode UNALIGN_CORNERS in the documentation of resize_bilinear."""
    x = torch.tensor([0.0, 1.0]).reshape(1, 1, 1, 2)
    result = mil_operators.resize_bilinear(x, 1, size, "UNALIGN_CORNERS").flatten()
    assert result.tolist() == pytest.approx(expected, abs=1e-2 if size == 6 else 1e-6)


@pytest.mark.parametrize(
    ("operator", "arguments"),
    [
        ("resize_bilinear", {"sampling_mode": "ALIGN_CORNERS"}),
        ("max_pool", {"kernel_sizes": [3, 3], "pad_type": "same"}),
        ("gelu", {"mode": "SIGMOID_APPROXIMATION"}),
    ],
)
def test_another_mode_of_an_operator_is_refused(operator, arguments):
    with pytest.raises(UnsupportedOperatorError, match=next(reversed(arguments.values()))):
        mil_operators.OPERATORS[operator](torch.zeros(1, 1, 4, 4), **arguments)


@pytest.mark.parametrize("precision", ["float32", "float16"])
def test_a_photograph_comes_out_as_rounded_by_torch(precision, tmp_path):
    picture = photograph()
    graph = abpn(*picture.shape[:2])
    expected = np.clip(np.rint(255 * run(graph, picture / 255)["upscaled"]), 0, 255)
    engine = CoreMLReference(saved(graph, tmp_path, precision=precision), threads=1)
    result = engine.run(picture)
    assert (engine.scale, engine.io_dtype, result.dtype) == (2, "uint8", np.uint8)
    levels = np.abs(result - expected)
    assert levels.max() <= 1
    assert (levels > 0).mean() < {"float32": 1e-4, "float16": 0.1}[precision]


def test_an_int8_photograph_comes_out_as_simulated(tmp_path):
    picture = photograph()
    graph = abpn(*picture.shape[:2])
    quantization = calibrated(graph, picture / 255)
    expected = np.rint(255 * simulate(graph, quantization, picture / 255)["upscaled"])
    result = CoreMLReference(saved(graph, tmp_path, quantization, precision="int8")).run(picture)
    assert np.abs(result - expected).max() <= 1
    assert (result != expected).mean() < 1e-3


@pytest.mark.parametrize("precision", ["float32", "float16", "int8", "int8, not pinned"])
def test_the_output_is_whole_pixels_before_core_ml_converts_it(precision, tmp_path):
    graph = Graph((conv("image", "x", 3, 3), Add("x", "image", "upscaled")), (3, 11, 9))
    image = random_image(graph)
    tensors = run(graph, image)
    assert tensors["upscaled"].min() < 0 and tensors["upscaled"].max() > 1
    quantization = {
        "int8": calibrated(graph, image),
        "int8, not pinned": untied(graph, tensors),
    }.get(precision)
    precision = precision.partition(",")[0]
    engine = CoreMLReference(saved(graph, tmp_path, quantization, precision=precision))
    pixels = torch.from_numpy(255 * image.transpose(2, 0, 1))[None]
    result = engine.program.compute({"image": pixels}, "upscaled").numpy()
    assert np.array_equal(result, np.rint(result))
    assert (result.min(), result.max()) == (0, 255)


def test_threads_are_set_for_the_run_only(tmp_path):
    before = torch.get_num_threads()
    CoreMLReference(saved(abpn(8, 8), tmp_path), threads=before + 1).run(
        np.zeros((8, 8, 3), np.uint8)
    )
    assert torch.get_num_threads() == before


def test_the_engine_is_found_by_the_ending():
    (found,) = entry_points(group="ailsr.engines", name="mlpackage")
    assert found.load() is CoreMLReference
