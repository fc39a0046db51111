"""Which int8 file ``ailsr-export`` writes: the method that was enough, or another precision."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from export_runs import export_code
from numpy.typing import NDArray

from ailsr.export import exporter
from ailsr.export.graph.passes import macs
from ailsr.export.graph.quantization import SAME_SCALE
from ailsr.export.int8.methods import QuantizedGraph
from ailsr.export.reading.source import network_source, open_source
from ailsr.export.targets import TARGETS
from ailsr.runtime import Upscaler, load
from ailsr.runtime.errors import ParityError
from ailsr.runtime.imaging.protocol import pairs
from ailsr.train import zoo

SIZE = "72x88"


def test_a_file_that_loses_too_much_is_not_written(folders, tmp_path, capsys):
    code = export_code(
        "zoo:sesr_m3_x2", "--target=tflite", "--precision=int8", "--max-drop=1e-6",
        "--no-int8x16", f"--input-size={SIZE}", f"--output={tmp_path}",
        f"--images={folders['images']}",
    )  # fmt: skip
    assert code == 1
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert line.startswith("error: the int8 file loses") and "allowed is 1e-06" in line
    assert " by correction, " in line and " by calibration, " in line
    assert " by search, " in line and " by mixed precision; " in line
    assert list(tmp_path.iterdir()) == []


def test_no_file_is_written_by_a_method_that_loses_more_by_estimate_than_one_that_failed(
    folders, tmp_path
):
    begun = []
    work = exporter.Exporter(
        open_source(zoo.path("sesr_m3_x2")), (64, 72), max_drop=1e-6, fall_back=False, **folders,
        progress=lambda doing, done, total: begun.append(doing) if done == 0 else None,
    )  # fmt: skip
    with pytest.raises(ParityError):
        work.export("onnx", "int8", tmp_path)
    drops = [work.int8.expected_drop(method) for method in work.int8.order("int8")]
    assert drops[1] > drops[0]  # plain calibration loses more than a correction
    best = [drop for place, drop in enumerate(drops) if drop < min(drops[:place], default=99)]
    assert sum(doing.startswith("verifying") for doing in begun) == len(best) < len(drops)


def test_int8_that_misses_the_limit_becomes_int8x16_and_says_so(folders, tmp_path):
    source = open_source(zoo.path("sesr_m3_research_x2"))
    earlier = exporter.Exporter(source, (64, 72), **folders).export("onnx", "int8", tmp_path)
    path = Path(earlier.file)
    work = exporter.Exporter(source, (64, 72), max_drop=earlier.psnr_drop / 3, **folders)
    found = work.export("onnx", "int8", tmp_path)
    assert (found.precision, found.method) == ("int8x16", "16-bit activations")
    assert found.psnr_drop <= earlier.psnr_drop / 3
    assert not path.exists() and Path(found.file).name == "sesr_m3_research_x2_int8x16.onnx"
    card = load(found.file).card
    assert card is not None
    assert (card.precision, card.means) == ("int8x16", "16-bit activations")
    message = (
        r"in dB \d+\.\d{3} by correction, \d+\.\d{3} by calibration, \d+\.\d{3} by search, "
        r"\d+\.\d{3} by mixed precision \(Core ML has no int8x16\)"
    )
    with pytest.raises(ParityError, match=message):
        work.export("coreml", "int8", tmp_path)
    assert list(tmp_path.iterdir()) == [Path(found.file)]


def test_what_int8_costs_each_layer_is_printed_and_drawn(folders, tmp_path, capsys):
    page = tmp_path / "layers.html"
    arguments = (
        "zoo:sesr_m3_x2", "--target=tflite", f"--input-size={SIZE}", f"--output={tmp_path}",
        f"--sensitivity={page}", *(f"--{name}={folder}" for name, folder in folders.items()),
    )  # fmt: skip
    assert export_code(*arguments, "--precision=int8", "--json") == 0
    losses = json.loads(capsys.readouterr().out)["sensitivity"]
    graph = exporter.Exporter(open_source(zoo.path("sesr_m3_x2")), (64, 72)).int8.graph
    moved = {node.output for node in graph.nodes if isinstance(node, SAME_SCALE)}
    assert {loss["layer"] for loss in losses} == {n.output for n in graph.nodes} - moved
    sums = [loss["activations_db"] + loss["weights_db"] for loss in losses]
    assert sums == sorted(sums, reverse=True) and 0.001 < sums[0] < 1 and sums[-1] >= 0
    assert sum(loss["macs_share"] for loss in losses) == pytest.approx(1)
    text = page.read_text()
    places = [text.index(f">{loss['layer']}<") for loss in losses]
    assert places == sorted(places) and "×2" in text
    assert export_code(*arguments, "--precision=float32") == 1
    assert "--sensitivity is of int8" in capsys.readouterr().err


def test_the_card_tells_what_a_mixed_precision_leaves_in_float(
    sane, folders, tmp_path, monkeypatch
):
    work = exporter.Exporter(network_source(sane("sesr_m3")), (64, 72), max_drop=99, **folders)
    graph, quantization = work.int8.quantized("correction")
    real = frozenset({"conv_2"})
    mixed = QuantizedGraph(graph, replace(quantization, real=real))
    monkeypatch.setitem(work.int8._made, "mixed precision", mixed)
    share = macs(graph)["conv_2"] / sum(macs(graph).values())
    for target in TARGETS:
        file = work.export_by("mixed precision", target, tmp_path)
        means = f"mixed precision: 1 of {len(graph.nodes)} operators in float32, {share:.1%} of"
        upscaler = load(file.file)
        assert file.method == upscaler.card.means == f"{means} the MACs"
        assert file.precision == "int8" and upscaler.fidelity().levels <= 2


def test_the_method_that_was_enough_for_one_target_comes_first(sane, folders, tmp_path):
    network = network_source(sane("sesr_m3"))
    work = exporter.Exporter(network, (64, 72), max_drop=5, **folders)
    work._sufficient.add("calibration")
    took = [work.export(target, "int8", tmp_path).method for target in ("tflite", "coreml")]
    assert took == ["calibration", "calibration"]


def test_int8x16_that_is_asked_for_beside_int8_does_not_stand_in_for_it(folders, tmp_path, capsys):
    flags = ["--target=tflite", "--precision=int8", "--precision=int8x16", "--max-drop=0.02"]
    where = [f"--{option}={folder}" for option, folder in folders.items()]
    model = "zoo:sesr_m3_x2"
    code = export_code(model, *flags, *where, f"--input-size={SIZE}", f"--output={tmp_path}")
    error = capsys.readouterr().err
    assert code == 1 and "1 of 2 files were not written" in error
    assert [path.name for path in tmp_path.iterdir()] == ["sesr_m3_x2_int8x16.tflite"]


def test_core_ml_has_no_int8x16(model, folders, tmp_path, capsys):
    common = [f"--input-size={SIZE}", f"--output={tmp_path}", f"--images={folders['images']}"]
    assert export_code(model, "--target=coreml", "--precision=int8x16", *common) == 1
    assert "Core ML has no int8x16" in capsys.readouterr().err
    assert export_code(model, "--target=all", "--precision=int8x16", *common) == 0
    assert "no file was written for it" in capsys.readouterr().err
    names = {"sesr_m5_x2_int8x16.onnx", "sesr_m5_x2_int8x16.tflite"}
    assert {path.name for path in tmp_path.iterdir()} == names
    files = [load(tmp_path / name) for name in names]
    for pair in pairs(folders["images"], 2):
        first, second = (file.upscale(pair.lr).astype(np.int16) for file in files)
        assert np.abs(first - second).max() <= 1


def test_fine_tuning_takes_the_place_of_int8x16(sane, folders, tmp_path):
    work = exporter.Exporter(network_source(sane("sesr_m3")), (64, 72), qat_steps=2, **folders)
    methods = ["correction", "calibration", "search", "mixed precision", "fine-tuning"]
    assert work.int8.order("int8") == methods
    file = work.export_by("fine-tuning", "tflite", tmp_path)
    assert file.method == "fine-tuning" and abs(file.psnr_drop) < 0.1


def test_int8_files_of_all_targets_come_to_the_same_levels_but_for_ties_on_set14(data, tmp_path):
    source = open_source(zoo.path("sesr_m5_research_x4"))
    work = exporter.Exporter(source, (128, 128), calibration=data / "benchmark" / "Set5")
    for method in ("calibration", "correction"):
        files = [load(work.write_by(method, t, tmp_path)) for t in TARGETS]
        results = [_samples(file, data / "benchmark" / "Set14", 4) for file in files]
        for first, second in combinations(results, 2):
            difference = np.abs(first - second)
            # Kernels round a sum of two tensors differently where it is nearly a tie, and the
            # convolutions after it carry that on to the pixels around.
            assert (difference > 0).mean() < 2e-5
            assert difference.max() <= 3


def _samples(file: Upscaler, folder: Path, scale: int) -> NDArray[np.int16]:
    """All samples of what ``file`` makes of the images of ``folder``."""
    results = [file.upscale(pair.lr).ravel() for pair in pairs(folder, scale)]
    return np.concatenate(results).astype(np.int16)
