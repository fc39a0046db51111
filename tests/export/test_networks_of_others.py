"""Whole networks of others: as programs and as ONNX models, from PyTorch to every target."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from every_target import assert_the_same_everywhere
from graph_reference import run
from networks_of_others import NETWORKS
from numpy.typing import NDArray

from ailsr.export.reading.from_torch import quiet, to_onnx
from ailsr.export.reading.source import open_source
from ailsr.runtime.engines.encoding import Encoding

SIZE = (24, 32)


def network_named(name: str) -> torch.nn.Module:
    """With random weights and small biases: great ones would be a sign of pixels up to 255."""
    torch.manual_seed(0)
    kind, scale = NETWORKS[name]
    network = kind(scale).eval()
    with torch.no_grad():
        for parameter in network.parameters():
            if parameter.ndim == 1:  # the slopes of PReLU, too
                parameter *= 0.01
    return network


@pytest.mark.parametrize("name", NETWORKS)
def test_a_network_is_the_same_in_pytorch_and_on_every_target(name, tmp_path, photographs):
    network = network_named(name)
    image: NDArray[np.float32] = photographs["chelsea"][60:84, 120:152].astype(np.float32) / 255
    with quiet():
        program = torch.export.export(network, (torch.rand(1, 3, *SIZE),))
        torch.export.save(program, tmp_path / "network.pt2")
    onnx.save(to_onnx(program), tmp_path / "network.onnx")
    with torch.inference_mode():
        expected = network(torch.from_numpy(image).permute(2, 0, 1)[None])[0].permute(1, 2, 0)

    source = open_source(tmp_path / "network.pt2", candidates=[Encoding()])
    assert source.scale == NETWORKS[name][1]
    graph = source.graph(SIZE)
    assert_the_same_everywhere(graph, image, expected.numpy(), tmp_path)
    theirs = open_source(tmp_path / "network.onnx", candidates=[Encoding()]).graph(SIZE)
    np.testing.assert_allclose(run(theirs, image)["upscaled"], expected.numpy(), atol=1e-5)


def peers() -> Path:
    """ONNX models that others offer, beside the benchmark images or where AILSR_PEERS says."""
    default = Path(os.environ.get("AILSR_DATA") or "unset").parent / "peers"
    return Path(os.environ.get("AILSR_PEERS") or default) / "sr_mobile_abpn_onnx"


@pytest.mark.parametrize("name", ["x2", "v3", "v4"])
def test_the_peers_are_the_same_on_every_target(name, tmp_path, photographs):
    path = peers() / f"generator_{name}_model.onnx"
    if not path.is_file():
        pytest.skip(f"no {path}: AILSR_PEERS names the folder of other people's models")
    source = open_source(path)
    size = source.input_size or SIZE
    height, width = size
    image = photographs["chelsea"][:height, :width].astype(np.float32) / 255
    assert image.shape[:2] == size
    expected = source.run(image)
    assert_the_same_everywhere(source.graph(size), image, expected, tmp_path, 1e-4)
