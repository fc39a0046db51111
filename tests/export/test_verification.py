"""A file that does not compute what the network computes is found out."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from ailsr.export.graph.graph import Conv, Graph
from ailsr.export.graph.quantization import quantization_of
from ailsr.export.image_sets import ImageSet
from ailsr.export.reading.from_torch import graph_of
from ailsr.export.reading.source import module_run
from ailsr.export.targets.onnx import writer as onnx_writer
from ailsr.export.verification import Reference, SourceEngine
from ailsr.runtime.card import Card
from ailsr.runtime.errors import ParityError
from ailsr.runtime.imaging.metrics import psnr
from ailsr.runtime.imaging.protocol import Pair
from ailsr.runtime.imaging.resize import shrink
from ailsr.runtime.upscaling.upscaler import Upscaler

SIZE = (40, 48)


@pytest.fixture(scope="module")
def network(sane):
    return sane("sesr_m3")


@pytest.fixture(scope="module")
def card(network) -> Card:
    return Card("sesr_m3", 2, "y", "float32", "float32", SIZE, network.radius)


@pytest.fixture(scope="module")
def graph(network) -> Graph:
    return graph_of(network.deploy(), SIZE)


@pytest.fixture(scope="module")
def images(photographs) -> ImageSet:
    hr = {name: photographs[name][100:220, 80:180] for name in ("chelsea", "astronaut")}
    return ImageSet("crops", [Pair(name, shrink(p, 2), p) for name, p in hr.items()])


@pytest.fixture(scope="module")
def reference(network, card, images) -> Reference:
    return Reference(module_run(network.deploy()), card, images)


def altered(graph: Graph, factor: float) -> Graph:
    """``graph`` with the weights of one convolution ``factor`` times as large."""
    place, node = next((i, n) for i, n in enumerate(graph.nodes) if n.output == "conv_2")
    assert isinstance(node, Conv)
    nodes = (*graph.nodes[:place], replace(node, weight=node.weight * np.float32(factor)))
    return replace(graph, nodes=(*nodes, *graph.nodes[place + 1 :]))


@pytest.mark.parametrize(("precision", "difference"), [("float32", 1e-5), ("float16", 3e-3)])
def test_a_true_file_passes(tmp_path, graph, card, reference, precision, difference):
    path = tmp_path / "f.onnx"
    onnx_writer.write(graph, replace(card, precision=precision), path)
    found = reference.verify(path, precision)
    assert 0 < found.difference < difference
    assert abs(found.psnr_drop) < 5e-3
    assert found.psnr == pytest.approx(reference.scores.psnr_db, abs=5e-3)


@pytest.mark.parametrize(("precision", "factor"), [("float32", 1.01), ("float16", 1.5)])
def test_altered_weights_are_found(tmp_path, graph, card, reference, precision, factor):
    path = tmp_path / "f.onnx"
    onnx_writer.write(altered(graph, factor), replace(card, precision=precision), path)
    with pytest.raises(ParityError, match=f"the {precision} file (differs|loses)"):
        reference.verify(path, precision)


def test_a_file_that_computes_no_numbers_is_refused(tmp_path, graph, card, reference):
    path = tmp_path / "f.onnx"
    onnx_writer.write(altered(graph, float("nan")), card, path)
    with pytest.raises(ParityError):
        reference.verify(path, "float32")


def test_a_picture_that_comes_out_perfectly_loses_nothing(tmp_path, sane, card):
    network = sane("quicksrnet_small").deploy()  # without biases black stays black
    for parameter in network.parameters():
        if parameter.ndim == 1:
            parameter.zero_()
    black = np.zeros((80, 96, 3), np.uint8)
    images = ImageSet("black", [Pair("p", black[::2, ::2], black)])
    reference = Reference(module_run(network), card, images)
    path = tmp_path / "f.onnx"
    onnx_writer.write(graph_of(network, SIZE), card, path)
    found = reference.verify(path, "float32")
    assert found.psnr == reference.scores.psnr_db == float("inf") and found.psnr_drop == 0


def test_int8_is_judged_by_its_loss(tmp_path, graph, card, reference):
    path = tmp_path / "q.onnx"
    wide = dict.fromkeys(graph.shapes, (-3.0, 3.0))  # far too coarse
    int8 = replace(card, precision="int8", pixels="uint8")
    onnx_writer.write(graph, int8, path, quantization_of(graph, wide))
    found = reference.verify(path, "int8", max_drop=50)
    assert found.psnr_drop > 0.01
    with pytest.raises(ParityError, match=r"loses .* dB of PSNR .* on crops.*--calibration"):
        reference.verify(path, "int8", max_drop=found.psnr_drop / 2)


def test_the_reference_is_the_network_on_whole_pictures(network, card, images, reference):
    """Its tiling, which the files share, leaves no trace."""
    deployed = network.deploy()
    for pair in images.pairs:
        batch = torch.from_numpy(pair.lr.astype(np.float32) / 255).permute(2, 0, 1)[None]
        with torch.inference_mode():
            whole = deployed(batch)[0].permute(1, 2, 0).numpy()
        rounded = np.rint(np.clip(whole, 0, 1) * 255).astype(np.uint8)
        upscaler = Upscaler(SourceEngine(module_run(deployed), card), Path("network"))
        assert psnr(upscaler.upscale(pair.lr), rounded) > 70  # equal but for ties in rounding
    assert reference.scores.images.keys() == {"chelsea", "astronaut"}
    assert 20 < reference.scores.psnr_db < 40
