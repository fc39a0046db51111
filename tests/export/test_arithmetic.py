"""The right answer of int8 files, and engines that give another."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from ailsr.export.exporter import Exporter
from ailsr.export.graph import weights
from ailsr.export.graph.graph import Conv, Graph
from ailsr.export.graph.quantization import PIXELS, QParams, Quantization
from ailsr.export.int8.arithmetic import integer_output
from ailsr.export.int8.methods import QuantizedGraph
from ailsr.export.int8.probe import UnstableError, int8_probe
from ailsr.export.reading.source import open_source
from ailsr.runtime import load
from ailsr.runtime.probe import Probe, probe_image
from ailsr.train import zoo

SIZE = (96, 112)


@pytest.fixture(
    scope="module", params=["sesr_m5_x2", "abpn_research_x3", "quicksrnet_small_research_x4"]
)
def work(request):
    return Exporter(open_source(zoo.path(request.param)), SIZE)


@pytest.mark.parametrize("target", ["onnx", "tflite", "coreml"])
def test_every_engine_gives_the_answer_of_integer_arithmetic(work, tmp_path, target):
    """On every CPU: those without VNNI included, where pairs of products may saturate."""
    graph, quantization = work.int8.quantized("correction")
    picture = probe_image(*SIZE)
    wanted = integer_output(graph, quantization, picture).astype(int)
    difference = np.abs(
        load(work.write_by("correction", target, tmp_path)).upscale(picture) - wanted
    )
    assert (difference > 1).mean() <= 1e-4
    assert difference.max() <= 3


def test_the_answer_of_sixteen_bits(work, tmp_path):
    graph, quantization = work.int8.quantized("16-bit activations")
    picture = probe_image(*SIZE)
    wanted = integer_output(graph, quantization, picture).astype(int)
    found = load(work.write_by("16-bit activations", "onnx", tmp_path)).upscale(picture)
    assert np.abs(found - wanted).max() <= 1


def test_an_exported_file_is_asked_and_answers(work, tmp_path):
    for target, precision in (("onnx", "int8"), ("tflite", "float32")):
        file = work.export(target, precision, tmp_path)
        fidelity = load(file.file).fidelity()
        assert fidelity is not None and fidelity.verdict != "wrong" and fidelity.levels <= 3
        card = load(file.file).card
        assert len(card.to_json()) - len(replace(card, probe=None).to_json()) < 2000


def saturating(node: Conv, levels: np.ndarray, quantization) -> np.ndarray:
    """The sums of ``node`` as PMADDUBSW and 16-bit saturation give them; levels (c, h, w)."""
    weight, _ = quantization.weight(node)
    top, left, bottom, right = node.pads
    zero_point = quantization.tensors[node.input].zero_point
    pads = ((0, -len(levels) % 4), (top, bottom), (left, right))
    padded = np.pad(levels, pads, constant_values=zero_point).astype(np.int64)
    kernel = np.pad(weight, ((0, 0), (0, -weight.shape[1] % 4), (0, 0), (0, 0))).astype(np.int64)
    height, width = (padded.shape[axis] - kernel.shape[axis + 1] + 1 for axis in (1, 2))
    sums = np.zeros((len(weight), height, width), np.int64)
    for i, j in np.ndindex(*kernel.shape[2:]):
        window = padded[:, i : i + height, j : j + width]
        for c in range(0, len(padded), 2):
            products = np.einsum("oc,chw->ohw", kernel[:, c : c + 2, i, j], window[c : c + 2])
            sums += products.clip(-(2**15), 2**15 - 1)
    return sums - zero_point * kernel.sum((1, 2, 3)).reshape(-1, 1, 1)


def test_the_probe_catches_saturation_and_pairs_of_today_have_none(work, monkeypatch):
    """Weights on 127 levels without regard to pairs, computed as x86 does without VNNI."""
    from ailsr.export.int8 import arithmetic

    graph, quantization = work.int8.quantized("calibration")
    picture = probe_image(*SIZE)

    def answers() -> list[np.ndarray]:
        exact = integer_output(graph, quantization, picture)

        def convolved(node, levels, quantization):
            sums = saturating(node, levels[0].numpy(), quantization)
            source, result = (quantization.tensors[name] for name in (node.input, node.output))
            _, scale = quantization.weight(node)
            bias = arithmetic.quantize_bias(node.bias, source.scale, scale)
            factor = (source.scale * scale / result.scale).reshape(-1, 1, 1)
            values = (sums + bias.reshape(-1, 1, 1)) * factor
            return arithmetic.torch.from_numpy(values[None]).float()

        with monkeypatch.context() as patch:
            patch.setattr(arithmetic, "_convolved", convolved)
            return [exact, integer_output(graph, quantization, picture)]

    exact, found = answers()
    assert np.abs(exact.astype(int) - found).max() <= 1
    monkeypatch.setattr(weights, "PAIR_REACH", 254)
    exact, found = answers()
    fidelity = Probe.of(exact).fidelity(found)
    assert fidelity.verdict == "wrong" and fidelity.levels > 8


def chaotic(layers: int) -> QuantizedGraph:
    """A network of ×1 that enlarges what is lost by rounding 1.9^layers-fold: the function
    0.95 · (1 - |2x - 1|), again and again."""
    one = np.eye(3, dtype=np.float32)
    forth = np.concatenate([1.9 * one, 3.8 * one])[:, :, None, None]  # relu(1.9x), relu(3.8x - 1.9)
    back = np.concatenate([one, -one], axis=1)[:, :, None, None]
    nodes, tensors, name = list[Conv](), {"image": PIXELS}, "image"
    for layer in range(layers):
        wide, folded = f"wide {layer}", f"folded {layer}"
        bias = np.repeat(np.float32([0, -1.9]), 3)
        nodes.append(Conv(name, wide, forth, bias, clamp=(0.0, np.inf)))
        nodes.append(Conv(wide, folded, back, np.zeros(3, np.float32), clamp=(0.0, 1.0)))
        tensors |= {wide: QParams.of_range(0, 2), folded: PIXELS}
        name = folded
    graph = Graph(tuple(nodes), (3, *SIZE), output=name)
    return QuantizedGraph(graph, Quantization(tensors))


def test_the_probe_has_the_tolerance_of_the_network():
    """Engines that round otherwise pass, those that compute something else do not."""
    image = probe_image(*SIZE)
    graph, quantization = chaotic(3)
    probe = int8_probe(graph, quantization, image)
    assert 8 < probe.within_levels < 32 and probe.within_mean > 0.5
    other = integer_output(graph, quantization, image, torch.Generator().manual_seed(9))
    assert probe.fidelity(other).verdict == "within"
    usual = replace(probe, within_levels=8, within_mean=0.5)
    assert usual.fidelity(other).verdict == "wrong"
    swapped = integer_output(graph, quantization, image[..., ::-1].copy())
    assert probe.fidelity(swapped).verdict == "wrong"
    shifted = integer_output(graph, quantization, np.roll(image, 1, axis=0))
    assert probe.fidelity(shifted).verdict == "wrong"
    with pytest.raises(UnstableError, match="depends on how sums are rounded"):
        int8_probe(*chaotic(8), image)


def test_the_zoo_has_the_usual_tolerance(work):
    """So that its files hold the bytes that they held before."""
    image = probe_image(*SIZE)
    graph, quantization = work.int8.quantized("correction")
    expected = Probe.of(integer_output(graph, quantization, image))
    assert int8_probe(graph, quantization, image) == expected


def test_a_missing_border_and_a_swapped_colour_order_are_wrong(work):
    graph, quantization = work.int8.quantized("calibration")
    picture = probe_image(*SIZE)
    right = Probe.of(integer_output(graph, quantization, picture))
    assert right.fidelity(integer_output(graph, quantization, picture)).verdict == "exact"
    swapped = integer_output(graph, quantization, picture[..., ::-1].copy())[..., ::-1]
    assert right.fidelity(swapped[..., ::-1]).verdict == "wrong"
    radius, scale = work.radius, work.source.scale
    inside = integer_output(graph, quantization, picture[radius:-radius, radius:-radius])
    border = radius * scale  # a file that computes no border, filled up with its last pixels
    filled = np.pad(inside, ((border, border), (border, border), (0, 0)), mode="edge")
    assert right.fidelity(filled).verdict == "wrong"


def test_a_writer_is_asked_by_the_probe_of_the_network_itself(work, tmp_path):
    """Float files answer as the network does, and the card says so."""
    for target in ("onnx", "tflite", "coreml"):
        file = load(work.export(target, "float32", tmp_path).file)
        assert file.fidelity().levels <= 1
