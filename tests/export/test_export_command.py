"""``ailsr-export``: its options, its messages, and what it leaves when something fails."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
from export_runs import export_code
from PIL import Image

from ailsr.export import exporter
from ailsr.export.graph.graph import Conv
from ailsr.export.graph.sizes import default_input_size
from ailsr.export.options import ExportConfig
from ailsr.export.reading.source import network_source
from ailsr.export.targets import TARGETS
from ailsr.export.verification import EngineParityError
from ailsr.runtime import load
from ailsr.runtime.card import Precision
from ailsr.runtime.errors import AilsrError, ModelError
from ailsr.train import zoo

SIZE = "72x88"


def test_the_table_names_every_figure(model, folders, tmp_path, capsys):
    code = export_code(
        model, "--target=onnx", "--precision=int8", "--io=int8", f"--input-size={SIZE}",
        f"--output={tmp_path}", f"--images={folders['images']}",
        f"--calibration={folders['images']}",
    )  # fmt: skip
    out, err = capsys.readouterr()
    assert code == 0
    assert "sesr_m5_x2_int8.onnx" in out and "the network itself:" in out and "(Y-shave-s)" in out
    assert "licences of the training images, as in the card: T91: not stated" in out
    assert "warning: int8 was calibrated on the images it is judged by" in err
    card = load(tmp_path / "sesr_m5_x2_int8.onnx").card
    assert card is not None and card.pixels == "int8"


def test_a_name_of_the_zoo_stands_for_its_file(model, folders, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(zoo, "FOLDER", model.parent)
    code = export_code(
        "zoo:best", "--target=onnx", "--precision=int8", f"--input-size={SIZE}", "--json",
        f"--output={tmp_path}", f"--images={folders['images']}",
    )  # fmt: skip
    report = json.loads(capsys.readouterr().out)
    assert (code, report["model"], report["network"]) == (0, "zoo:best", "best")
    card = load(tmp_path / "best_x2_int8.onnx").card
    assert card is not None
    assert card.checkpoint_sha256 == hashlib.sha256(model.read_bytes()).hexdigest()


def test_without_folders_the_pictures_are_at_hand(model, tmp_path, capsys):
    code = export_code(
        model, "--target=onnx", "--precision=int8", f"--input-size={SIZE}",
        f"--output={tmp_path}", "--json",
    )  # fmt: skip
    report = json.loads(capsys.readouterr().out)
    assert code == 0
    assert report["images"] == "scikit-image (chelsea, coffee)"
    assert "astronaut" in report["calibration"]


@pytest.fixture
def spoil(monkeypatch):
    """``spoil(target)``: one convolution of its int8 files is another, as if its engine erred."""
    write_true = exporter.targets.write

    def set_up(target: str) -> None:
        def write_spoilt(to, graph, card, *rest) -> None:
            if to == target and card.precision == "int8":
                nodes = [
                    replace(node, weight=node.weight * np.float32(0.5))
                    if isinstance(node, Conv) and node.output == "conv_2"
                    else node
                    for node in graph.nodes
                ]
                assert "conv_2" in [node.output for node in nodes]
                graph = replace(graph, nodes=tuple(nodes))
            write_true(to, graph, card, *rest)

        monkeypatch.setattr(exporter.targets, "write", write_spoilt)

    return set_up


def test_an_engine_that_is_wrong_on_this_cpu_spoils_no_other_target(sane, folders, tmp_path, spoil):
    spoil("onnx")
    network = network_source(sane("sesr_m3"))
    work = exporter.Exporter(network, (64, 72), max_drop=99, **folders)
    with pytest.raises(EngineParityError, match=r"onnxruntime .* on this CPU does not compute"):
        work.export("onnx", "int8", tmp_path)
    assert list(tmp_path.iterdir()) == []
    assert work.export("tflite", "int8", tmp_path).method == "correction"


def test_what_is_not_ours_is_left_alone(sane, folders, tmp_path, spoil):
    spoil("onnx")
    work = exporter.Exporter(network_source(sane("sesr_m3")), (64, 72), **folders)
    folder = work.path("onnx", "int8", tmp_path)
    folder.mkdir()
    (folder / "mine.txt").write_text("mine")
    with pytest.raises(AilsrError):
        work.export("onnx", "int8", tmp_path)
    assert (folder / "mine.txt").read_text() == "mine"


def test_of_several_files_the_good_ones_are_written_and_the_others_named(
    model, folders, tmp_path, spoil, capsys
):
    where = [f"--{option}={folder}" for option, folder in folders.items()]
    flags = ["--precision=int8", "--max-drop=2", "--no-int8x16", f"--input-size={SIZE}", *where]
    command = [model, "--target=all", *flags, f"--output={tmp_path}"]
    assert export_code(*command, "--json") == 0
    assert json.loads(capsys.readouterr().out)["refused"] == []
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == [f"sesr_m5_x2_int8.{ending}" for ending in ("mlpackage", "onnx", "tflite")]

    spoil("tflite")
    lost = tmp_path / "sesr_m5_x2_int8.tflite"
    assert export_code(*command, "--json") == 1
    out, err = capsys.readouterr()
    assert sorted(path.name for path in tmp_path.iterdir()) == names[:2]
    removed, error = err.strip().splitlines()
    assert removed == f"removed {lost}, which an earlier run had written"
    assert error == f"error: 1 of 3 files were not written: {lost}"
    report = json.loads(out)
    assert {file["target"] for file in report["files"]} == {"onnx", "coreml"}
    (refused,) = report["refused"]
    assert (refused["file"], refused["target"], refused["precision"]) == (
        str(lost), "tflite", "int8",
    )  # fmt: skip
    assert "on this CPU does not compute the int8 file as exported" in refused["reason"]

    assert export_code(*command) == 1
    lines = capsys.readouterr().out.splitlines()
    (row,) = (line for line in lines if line.startswith(str(lost)) and "not written" in line)
    assert row.split()[1:5] == ["tflite", "int8", "not", "written"]
    assert f"{lost}: {refused['reason']}" in lines


def test_targets_and_precisions_can_be_repeated(model, folders, tmp_path, capsys):
    flags = ["--target=tflite", "--target=onnx", "--target=tflite", "--precision=float16"]
    flags += ["--precision=float32", "--precision=float16", f"--images={folders['images']}"]
    assert export_code(model, *flags, f"--input-size={SIZE}", f"--output={tmp_path}") == 0
    capsys.readouterr()
    kinds = ("float32", "float16")
    expected = {f"sesr_m5_x2_{kind}.{end}" for kind in kinds for end in ("onnx", "tflite")}
    assert {path.name for path in tmp_path.iterdir()} == expected


@pytest.mark.parametrize(
    ("given", "targets", "precisions"),
    [
        ({}, list(TARGETS), ["float32", "float16", "int8"]),
        (
            {"target": ["coreml", "onnx"], "precision": ["int8x16", "int8"]},
            ["onnx", "coreml"],
            ["int8", "int8x16"],
        ),
        (
            {"target": ["onnx", "all"], "precision": ["all", "int8x16"]},
            list(TARGETS),
            list(get_args(Precision)),
        ),
    ],
)
def test_all_stands_for_every_target_and_for_the_usual_precisions(given, targets, precisions):
    config = ExportConfig(Path("m.pt"), **given)
    assert (config.targets, config.precisions) == (targets, precisions)


def test_ctrl_c_leaves_nothing_half_written(model, folders, tmp_path, monkeypatch):
    def stop(*arguments: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(exporter.Reference, "verify", stop)
    earlier = tmp_path / "sesr_m5_x2_float32.onnx"
    earlier.write_bytes(b"of an earlier run")
    code = export_code(
        model, "--target=all", "--precision=float32", f"--input-size={SIZE}",
        f"--output={tmp_path}", f"--images={folders['images']}",
    )  # fmt: skip
    assert code == 130
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [b"of an earlier run"]


def test_lint_speaks_before_the_export_as_after_it(model, folders, tmp_path, capsys):
    where = [f"--{option}={folder}" for option, folder in folders.items()]
    flags = ["--target=tflite", "--precision=int8", "--lint=hexagon", f"--output={tmp_path}"]
    assert export_code(model, f"--input-size={SIZE}", *flags, *where) == 0
    told = capsys.readouterr()
    before, after = told.err.splitlines(), told.out.splitlines()
    start = next(i for i, line in enumerate(before) if line.startswith("before export, "))
    findings = [line for line in before[start + 1 :] if not line.startswith("warning: ")]
    assert len(findings) == 3 and findings == after[-3:]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["MISSING.pt"], "there is no such checkpoint"),
        (["zoo:sesr_m5_x9"], "zoo:sesr_m5_x9: "),
        (["MODEL", "--network=sesr_m3"], "the network of"),
        (["MODEL", "--input-size=640"], "give height x width"),
        (["MODEL", "--input-size=0x9"], "give height x width"),
        (["MODEL", "--input-size=18x99"], "19x19 is the least"),
        (["MODEL", "--target=onnx", "--input-size=40x40", "--input-size=9x40"], "19x19 is the"),
        (["MODEL", "--precision=float32", "--io=uint8"], "--io uint8 is for int8 files"),
        (["MODEL", "--target=onnx", "--lint=gpu"], "give --target tflite or all"),
        (["MODEL", "--target=pb"], "--target pb: choose one of onnx, tflite, coreml, all"),
        (["MODEL", "--precision=int8", "--precision=int4"], "--precision int4: choose one of"),
        (["MODEL", "--images=MISSING"], "no folder of images at MISSING"),
        (["MODEL", "--calibration=MISSING"], "no folder of images at MISSING"),
    ],
)
def test_a_mistake_gets_one_line(model, tmp_path, capsys, arguments, message):
    named = [str(model) if argument == "MODEL" else argument for argument in arguments]
    assert export_code(*named, f"--output={tmp_path / 'out'}") == 1
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert line.startswith("error: ") and message in line
    assert not (tmp_path / "out").exists()


def test_a_file_too_small_for_tiles_is_made_for_images_that_need_none(
    model, tmp_path, capsys, photographs
):
    images = tmp_path / "images"
    images.mkdir()
    Image.fromarray(photographs["chelsea"][100:132, 100:136]).save(images / "small.png")
    options = ["--target=onnx", "--precision=float32", "--input-size=16x18"]
    where = [f"--images={images}", f"--output={tmp_path / 'out'}"]
    assert export_code(model, *options, *where) == 0
    assert "refuses larger images: export it at 19x19 or more" in capsys.readouterr().err
    (file,) = (tmp_path / "out").iterdir()
    upscaler = load(file)
    assert upscaler.upscale(photographs["chelsea"][:16, :18]).shape == (32, 36, 3)
    with pytest.raises(ModelError, match="export it with a larger --input-size"):
        upscaler.upscale(photographs["chelsea"][:17, :18])


def test_a_missing_package_is_named_with_its_remedy(model, tmp_path, capsys, monkeypatch):
    missing = TARGETS["coreml"]._replace(packages=("coremltools_that_is_missing",))
    monkeypatch.setitem(TARGETS, "coreml", missing)
    assert export_code(model, "--target=all", f"--output={tmp_path / 'out'}") == 1
    error = capsys.readouterr().err
    assert "Core ML files need coremltools_that_is_missing" in error
    assert 'pip install "ailsr[export]"' in error


def test_help_does_not_wait_for_torch():
    code = "import sys, ailsr.export.command; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize(("scale", "size"), [(2, (360, 640)), (3, (240, 426)), (4, (180, 320))])
def test_the_default_input_becomes_720p(scale, size):
    assert default_input_size(scale) == size
