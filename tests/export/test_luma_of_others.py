"""Networks of others that take luma: files of RGB that do the same."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from export_runs import SIZE, ailsr_export
from graph_reference import run as run_graph
from onnx import helper, numpy_helper
from torch import nn

from ailsr.export.reading.from_torch import quiet, to_onnx
from ailsr.export.reading.luma import LUMA
from ailsr.export.reading.source import open_source
from ailsr.runtime.engines.encoding import Encoding
from ailsr.runtime.errors import ModelError
from ailsr.train.networks.skip import BicubicUpsampler


class Luma(nn.Module):
    """A network of luma, ×2, as ESPCN; it may have a global skip, and crop a border."""

    def __init__(self, skip: bool = False, border: int = 0) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.body = nn.Sequential(
            nn.Conv2d(1, 6, 5, padding=2), nn.Tanh(), nn.Conv2d(6, 4, 3, padding=1 - border)
        )
        self.shuffle = nn.PixelShuffle(2)
        self.skip = skip

    def forward(self, x):
        residual = self.shuffle(self.body(x))
        if self.skip:
            up = nn.functional.interpolate(x, scale_factor=2, mode="nearest")
            return 0.1 * residual + up
        return residual


@pytest.fixture(scope="module")
def image(photographs):
    return photographs["chelsea"][50:74, 100:132].astype(np.float32) / 255


def in_rgb(network: nn.Module, image: np.ndarray) -> np.ndarray:
    """Luma by ``network``, chroma by bicubic interpolation."""
    luma = np.float32(LUMA)
    rgb = torch.from_numpy(image).permute(2, 0, 1)[None]
    with torch.inference_mode():
        up = BicubicUpsampler(3, 2)(rgb)[0].permute(1, 2, 0).numpy()
        y = network(torch.from_numpy(image @ luma)[None, None])[0, 0].numpy()
    return up - (up @ luma)[..., None] + y[..., None]


def saved(network: nn.Module, path: Path) -> Path:
    example = torch.rand(1, 1, *SIZE)
    if path.suffix == ".pt2":
        with quiet():
            torch.export.save(torch.export.export(network.eval(), (example,)), path)
    else:
        onnx.save(to_onnx(network.eval(), example), path)
    return path


@pytest.mark.parametrize("skip", [False, True])
@pytest.mark.parametrize("kind", ["onnx", "pt2"])
def test_a_network_of_luma_becomes_one_of_rgb(tmp_path, image, kind, skip):
    network = Luma(skip).eval()
    source = open_source(saved(network, tmp_path / f"luma.{kind}"), must_fit=skip)
    assert (source.scale, source.color, source.input_size) == (2, "y", SIZE)
    expected = in_rgb(network, image)
    np.testing.assert_allclose(source.run(image), expected, atol=1e-5)
    graph = source.graph(SIZE)
    np.testing.assert_allclose(run_graph(graph, image)["upscaled"], expected, atol=1e-5)
    luma = np.float32(LUMA)
    with torch.inference_mode():
        y = network(torch.from_numpy(image @ luma)[None, None])[0, 0].numpy()
    np.testing.assert_allclose(source.run(image) @ luma, y, atol=1e-5)


def test_an_onnx_model_of_an_old_opset(tmp_path, image):
    """As PyTorch 1.x wrote them: a pixel shuffle by Reshape and Transpose."""
    network = Luma().eval()
    first, last = network.body[0], network.body[2]
    height, width = SIZE
    values = {"w1": first.weight, "b1": first.bias, "w2": last.weight, "b2": last.bias}
    tensors = [numpy_helper.from_array(v.detach().numpy(), n) for n, v in values.items()]
    for name, sides in (
        ("blocks", [1, 1, 2, 2, height, width]),
        ("sides", [1, 1, 2 * height, 2 * width]),
    ):
        tensors.append(numpy_helper.from_array(np.array(sides), name))
    nodes = [
        helper.make_node("Conv", ["x", "w1", "b1"], ["c1"], pads=[2] * 4),
        helper.make_node("Tanh", ["c1"], ["t"]),
        helper.make_node("Conv", ["t", "w2", "b2"], ["c2"], pads=[1] * 4),
        helper.make_node("Reshape", ["c2", "blocks"], ["r"]),
        helper.make_node("Transpose", ["r"], ["p"], perm=[0, 1, 4, 2, 5, 3]),
        helper.make_node("Reshape", ["p", "sides"], ["y"]),
    ]
    ends = [
        helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, (1, 1, k * height, k * width))
        for name, k in (("x", 1), ("y", 2))
    ]
    graph = helper.make_graph(nodes, "g", ends[:1], ends[1:], tensors)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 9)], ir_version=6)
    onnx.save(model, tmp_path / "old.onnx")
    source, expected = open_source(tmp_path / "old.onnx", must_fit=False), in_rgb(network, image)
    np.testing.assert_allclose(source.run(image), expected, atol=1e-5)
    found = run_graph(source.graph(SIZE), image)["upscaled"]
    np.testing.assert_allclose(found, expected, atol=1e-5)


@pytest.mark.parametrize("channels", [1, 3])
def test_channels_that_a_model_leaves_open_are_those_of_its_weights(tmp_path, image, channels):
    """As ``dynamic_axes`` of every axis writes it."""
    network = nn.Sequential(nn.Conv2d(channels, 4 * channels, 3, padding=1), nn.PixelShuffle(2))
    scaled = nn.Sequential(Scaled(), network).eval()
    model = to_onnx(scaled, torch.rand(1, channels, *SIZE))
    for value in (*model.graph.input, *model.graph.output):
        for axis, dim in enumerate(value.type.tensor_type.shape.dim):
            dim.dim_param = f"{value.name} {axis}"
    del model.graph.value_info[:]  # of one size
    onnx.save(model, tmp_path / "open.onnx")
    source = open_source(tmp_path / "open.onnx", candidates=[Encoding()])
    assert (source.color, source.scale) == ("y" if channels == 1 else "rgb", 2)
    assert source.input_size is None
    if channels == 1:
        expected = in_rgb(scaled, image)
    else:
        rgb = torch.from_numpy(image).permute(2, 0, 1)[None]
        expected = scaled(rgb)[0].permute(1, 2, 0).detach().numpy()
    np.testing.assert_allclose(source.run(image), expected, atol=1e-5)
    found = run_graph(source.graph(SIZE), image)["upscaled"]
    np.testing.assert_allclose(found, expected, atol=1e-5)


class Scaled(nn.Module):
    def forward(self, x):
        return x * 2.0 - 1.0


def test_it_is_exported_to_every_target(tmp_path, capsys, pictures):
    path = saved(Luma(skip=True), tmp_path / "luma.onnx")
    code, out, err = ailsr_export(
        capsys,
        path,
        "--precision=float32",
        f"--output={tmp_path / 'out'}",
        "--json",
        *pictures,
        "--allow-worse-than-bicubic",
    )
    assert code == 0, err
    assert len(json.loads(out)["files"]) == 3


@pytest.mark.parametrize("kind", ["onnx", "pt2"])
def test_a_network_that_crops_its_border_is_refused_with_the_reason(tmp_path, kind):
    path = saved(Luma(border=1), tmp_path / f"crops.{kind}")
    with pytest.raises(ModelError, match=r"44.*60.*24.*32.*|60x44 .*32x24: it crops a border"):
        open_source(path)
