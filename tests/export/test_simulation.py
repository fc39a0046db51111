"""int8 and 16 bits as torch simulates them: what files compute, and its gradients."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from graph_reference import simulate
from int8_graphs import SIZE, residual

from ailsr.export.graph.graph import Conv
from ailsr.export.graph.passes import with_separate_pixels
from ailsr.export.graph.quantization import WIDE_PIXELS, QParams, Quantization, quantization_of
from ailsr.export.int8.calibration import channel_ranges, ranges
from ailsr.export.int8.crops import crops
from ailsr.export.int8.responses import Responses, square_error
from ailsr.export.int8.simulation import output_of, rounded, rounded_weight
from ailsr.export.reading.from_torch import graph_of
from ailsr.export.targets.onnx import writer as onnx_writer
from ailsr.export.targets.tflite import writer as tflite_writer
from ailsr.runtime import load
from ailsr.runtime.card import Card


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
