"""Files of RGBA and of planes of luma: the image that the RGB file makes."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from export_runs import export_code
from graph_reference import run
from layout_graphs import SIZE, STRUCTURES, anchor_before_the_shuffle, photograph, quantized
from numpy.typing import NDArray

from ailsr.export import targets
from ailsr.export.graph.alpha import with_alpha
from ailsr.export.graph.graph import Conv, Graph
from ailsr.export.graph.passes import macs, on_levels, with_separate_pixels
from ailsr.export.graph.quantization import QParams, Quantization, pixels_of, quantization_of
from ailsr.export.int8.arithmetic import integer_output
from ailsr.export.reading.planes import in_layout
from ailsr.export.reading.source import Source, network_source, open_source
from ailsr.runtime import load
from ailsr.runtime.card import Card, Layout, Precision
from ailsr.runtime.engines.layouts import levels_of, plane_of, rgb_of
from ailsr.runtime.errors import ModelError
from ailsr.runtime.imaging import color, image
from ailsr.runtime.imaging.protocol import evaluate, pairs


@pytest.mark.parametrize("target", ["onnx", "tflite"])
@pytest.mark.parametrize("precision", ["float32", "float16", "int8", "int8x16", "mixed"])
@pytest.mark.parametrize("name", STRUCTURES)
def test_an_rgba_file_makes_the_rgb_file_s_pixels_and_is_opaque(name, precision, target, tmp_path):
    nodes, added = STRUCTURES[name]()
    graph, quantization = Graph(tuple(nodes), (3, *SIZE)), None
    written: Precision = "int8" if precision == "mixed" else precision
    if written.startswith("int8"):
        graph = with_separate_pixels(graph)
        real = frozenset([graph.nodes[-2].output]) if precision == "mixed" else frozenset()
        quantization = quantized(graph, 16 if written == "int8x16" else 8, real)
        for node in graph.nodes:
            if isinstance(node, Conv) and precision == "int8":  # as a correction leaves them
                scale = 1.1 * quantization.weight(node)[1]
                quantization.weight_scales[node.output] = scale
    pixels = "uint8" if quantization else "float32"
    card = Card("n", 2, "rgb", written, pixels, SIZE, 4)
    rgb, rgba = (tmp_path / f"{layout}.{target}" for layout in ("rgb", "rgba"))
    targets.write(target, graph, card, rgb, quantization)
    wide = with_alpha(graph, quantization)
    targets.write(target, wide[0], replace(card, layout="rgba"), rgba, wide[1])

    picture = photograph(*SIZE)
    alpha = np.random.default_rng(0).integers(0, 256, SIZE, np.uint8)
    expected = load(rgb, trusted=True).upscale(picture)
    upscaler = load(rgba, trusted=True)
    upscaled = upscaler.upscale(np.dstack([picture, alpha]))
    difference = np.abs(upscaled[..., :3].astype(int) - expected)
    assert difference.max() <= (1 if precision.startswith("float") else 0)
    assert upscaled.shape == (24, 28, 4) and (upscaled[..., 3] == 255).all()
    assert np.array_equal(upscaler.upscale(picture), upscaled[..., :3])
    assert expected.std() > 5  # it is no empty image
    assert len(macs(wide[0])) - len(macs(graph)) == added


def test_alpha_is_255_where_no_level_is_1():
    nodes = anchor_before_the_shuffle()
    graph = Graph(tuple(nodes), (3, *SIZE))
    narrow = QParams.of_range(-0.2, 0.6)
    tensors = dict.fromkeys(graph.shapes, narrow)
    ends = dict.fromkeys(("image", "sum", "upscaled"), pixels_of(graph))
    wide, quantization = with_alpha(graph, Quantization(tensors | ends))
    assert quantization is not None
    rgba = np.dstack([photograph(*SIZE), np.zeros(SIZE, np.uint8)])
    assert (integer_output(wide, quantization, rgba)[..., 3] == 255).all()
    high = QParams.of_range(-0.3, 1.04)  # which has none at 1, but one above
    wide, quantization = with_alpha(graph, Quantization(tensors | {"anchor": high} | ends))
    assert quantization is not None and len(macs(wide)) == len(macs(graph))
    assert (integer_output(wide, quantization, rgba)[..., 3] == 255).all()


@pytest.mark.parametrize("network", ["sesr_m3", "vdsr_f13"])
@pytest.mark.parametrize("layout", ["y", "y-full"])
def test_a_network_of_planes_computes_the_luma_of_that_of_rgb(sane, network, layout):
    source = network_source(sane(network))
    planes = in_layout(source, layout)
    picture = photograph(24, 28)
    levels = plane_of(picture, layout)
    luma = (255 * source.run((picture / 255).astype(np.float32))).astype(np.float64)
    expected = plane_of(luma, layout)  # type: ignore[arg-type]
    upscaled = planes.run((levels / 255).astype(np.float32)[..., None])
    assert np.abs(255 * upscaled[..., 0] - expected).max() < 0.01

    traced = planes.graph((24, 28))
    for graph in (on_levels(traced), on_levels(on_levels(traced))):
        result = run(graph, (levels / 255)[..., None])[graph.output]
        assert np.abs(result - upscaled).max() < 1e-4
    low, high = traced.ends
    numbers = low + (levels / 255)[..., None] * (high - low)
    result = run(traced, numbers)[traced.output]
    assert np.abs((result - low) / (high - low) - upscaled).max() < 1e-4
    first, last = sum(macs(source.graph((24, 28))).values()), sum(macs(traced).values())
    assert last < first


@pytest.fixture(scope="module", params=["y", "y-full"])
def traced(sane, request) -> tuple[Layout, Source, Graph]:
    """sesr_m3 as a network of planes, by layout."""
    source = in_layout(network_source(sane("sesr_m3")), request.param)
    return request.param, source, with_separate_pixels(source.graph(SIZE))


@pytest.mark.parametrize("precision", ["int8", "int8x16"])
@pytest.mark.parametrize("pixels", ["uint8", "int8"])
def test_int8_files_of_planes_are_what_is_simulated(traced, pixels, precision, tmp_path):
    layout, source, graph = traced
    levels = levels_of(photograph(*SIZE), layout)
    low, high = graph.ends
    tensors = run(graph, low + levels / 255 * (high - low))
    ranges = {name: (float(t.min()), float(t.max())) for name, t in tensors.items()}
    quantization = quantization_of(graph, ranges, 16 if precision == "int8x16" else 8)
    expected = integer_output(graph, quantization, levels)
    exact = 255 * source.run((levels / 255).astype(np.float32))
    assert np.abs(expected - exact).mean() < (1.5 if precision == "int8" else 0.5)
    for target in ("onnx", "tflite"):
        path = tmp_path / f"plane.{target}"
        card = Card("n", 2, "y", precision, pixels, SIZE, 4, layout=layout)
        targets.write(target, graph, card, path, quantization)
        upscaled = load(path, trusted=True).upscale(levels)
        difference = np.abs(upscaled.astype(int) - expected)
        assert difference.max() <= 1 and (difference > 0).mean() < 0.02, target


@pytest.fixture(scope="module")
def files(data: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[Layout, Path]:
    """sesr_m3_research ×2 in int8, by layout; its probes come out exact."""
    folder = tmp_path_factory.mktemp("files")
    for layout in ("rgb", "rgba", "y"):
        options = ["--layout", layout, "--precision", "int8", "--target", "tflite"]
        more = ["--output", folder, "--input-size=160x160", "--images", data / "benchmark/Set5/HR"]
        assert export_code("zoo:sesr_m3_research_x2", *options, *more, untrained=False) == 0
    names: dict[Layout, str] = {"rgb": "", "rgba": "rgba_", "y": "y_"}
    return {k: folder / f"sesr_m3_research_x2_{name}int8.tflite" for k, name in names.items()}


def test_set5_comes_out_alike_in_every_layout(files, data):
    upscalers = {layout: load(path, trusted=True) for layout, path in files.items()}
    assert [u.card.layout for u in upscalers.values()] == ["rgb", "rgba", "y"]
    assert all(str(u.fidelity()) == "exact" for u in upscalers.values())
    set5 = pairs(data / "benchmark/Set5/HR", 2)
    lr = set5[1].lr
    assert np.array_equal(upscalers["rgba"].upscale(lr), upscalers["rgb"].upscale(lr))
    psnr = {k: evaluate(upscalers[k].upscale, set5).psnr_db for k in ("rgb", "y")}
    assert psnr["y"] == pytest.approx(psnr["rgb"], abs=0.04)  # luma is rounded to 8 bits
    # A device that holds 8 bits of luma has an RGB image of them, not the one they were made of.
    held = [replace(p, lr=rgb_of(levels_of(p.lr, "y"), p.lr, "y", "uint8")) for p in set5]
    assert psnr["y"] > evaluate(upscalers["rgb"].upscale, held).psnr_db - 0.02

    plane = levels_of(lr, "y")
    alone, whole = upscalers["y"].upscale(plane), upscalers["y"].upscale(lr)
    assert np.abs(color.luma(whole) - alone[..., 0]).mean() < 0.4  # rounding, and colours cut off


@pytest.mark.parametrize("layout", ["rgba", "y"])
def test_a_file_of_another_layout_is_no_network_to_export(layout, sane, tmp_path):
    source = in_layout(network_source(sane("sesr_m3")), layout)
    graph = on_levels(source.graph(SIZE))
    if layout == "rgba":
        graph, _ = with_alpha(graph)
    card = Card("n", 2, "y", "float32", "float32", SIZE, 4, layout=layout)
    targets.write("onnx", graph, card, tmp_path / "n.onnx")
    with pytest.raises(ModelError, match=f"n.onnx: it is a file of ailsr in the layout {layout}"):
        open_source(tmp_path / "n.onnx")


def test_the_probe_of_an_rgba_file_sees_an_alpha_that_is_not_opaque(files):
    upscaler = load(files["rgba"], trusted=True)
    engine_run = upscaler.engine.run

    def fading(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
        upscaled = engine_run(pixels).copy()
        upscaled[..., 3] = 254
        return upscaled

    upscaler.engine.run = fading  # type: ignore[method-assign]
    fidelity = upscaler.fidelity()
    assert fidelity is not None and fidelity.verdict == "wrong"


def test_commands_take_files_of_every_layout(files, data, tmp_path, capsys):
    from ailsr.runtime.commands import bench, upscale

    small = tmp_path / "small.png"
    image.write(photograph(40, 30), small)
    for path in files.values():
        output = tmp_path / f"{path.stem}.png"
        assert _command(upscale, [path, small, "-o", output]) == 0
        assert image.read(output).shape == (80, 60, 3)
    options = ["--runs", 3, "--seconds", 1, "--processes", 1, "--json"]
    capsys.readouterr()
    assert _command(bench, [*files.values(), *options]) == 0
    for entry in json.loads(capsys.readouterr().out)["files"]:
        assert entry["fidelity"]["verdict"] == "exact", entry


def _command(module: object, arguments: list[object]) -> int:
    import sys

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["command", *map(str, arguments)])
        with pytest.raises(SystemExit) as stopped:
            module.cli()  # type: ignore[attr-defined]
    return int(stopped.value.code or 0)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["zoo:abpn_research_x2", "--layout", "y"], "abpn_research computes RGB"),
        (["zoo:sesr_m3_x2", "--layout", "rgba", "--target", "coreml"], "Core ML files take"),
        (["zoo:sesr_m3_x2", "--layout", "y", "--io", "float32"], "--io float32 is not for"),
        (["zoo:sesr_m3_x2", "--layout", "y", "--precision", "int8", "--qat", "5"], "--qat is not"),
    ],
)
def test_a_layout_that_cannot_be_is_refused_in_one_line(options, message, tmp_path, capsys):
    assert export_code(*options, "--output", tmp_path) != 0
    said = capsys.readouterr().err
    assert message in said and "Traceback" not in said
    assert not [*tmp_path.iterdir()]
