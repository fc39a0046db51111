"""Files of every target and precision from a checkpoint, on real images."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
import torch
from export_runs import UNTRAINED, export_code

from ailsr.export import exporter
from ailsr.export.reading.source import network_source
from ailsr.export.targets import PRECISIONS, TARGETS
from ailsr.runtime import load
from ailsr.runtime.imaging.protocol import evaluate, pairs

SIZE = "72x88"


@pytest.fixture(scope="module")
def exported(model, folders, tmp_path_factory):
    """The JSON report of an export to everything, and the folder of the files."""
    output = tmp_path_factory.mktemp("exported")
    where = [f"--{option}={folder}" for option, folder in folders.items()]
    flags = ["--target=all", "--precision=all", f"--input-size={SIZE}", f"--output={output}"]
    ailsr_export = [sys.executable, "-c", "from ailsr.export.command import cli; cli()"]
    done = subprocess.run(
        [*ailsr_export, model, *flags, "--json", *where, UNTRAINED],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return json.loads(done.stdout), output


def test_all_files_are_written_under_their_names_and_nothing_else(exported):
    report, output = exported
    expected = {f"sesr_m5_x2_{p}{f.ending}" for p in PRECISIONS for f in TARGETS.values()}
    assert {path.name for path in output.iterdir()} == expected
    assert {Path(file["file"]).name for file in report["files"]} == expected
    assert all(file["bytes"] > 10_000 for file in report["files"])


def test_float32_is_within_a_hundredth_and_int8_within_three_tenths_of_a_db(exported):
    report, _ = exported
    for file in report["files"]:
        limit = {"float32": 0.01, "float16": 0.01, "int8": 0.3}[file["precision"]]
        assert abs(file["loss"]) <= limit, file
        assert file["psnr"] + file["loss"] == pytest.approx(report["network_psnr"])


def test_the_reported_psnr_is_that_of_the_file(exported, folders):
    report, _ = exported
    for file in report["files"]:
        if file["target"] == "coreml" and file["precision"] != "int8":
            continue  # the reference evaluator takes its time
        upscaler = load(file["file"])
        scores = evaluate(upscaler.upscale, pairs(folders["images"], 2))
        assert scores.psnr_db == pytest.approx(file["psnr"], abs=1e-6)
        assert upscaler.card is not None
        assert upscaler.card.psnr == {"images": pytest.approx(file["psnr"], abs=1e-3)}


def test_int8_files_of_all_targets_agree_within_one_grey_level(exported, folders):
    files = [f["file"] for f in exported[0]["files"] if f["precision"] == "int8"]
    upscalers = [load(file) for file in files]
    for pair in pairs(folders["images"], 2):
        results = [upscaler.upscale(pair.lr).astype(np.int16) for upscaler in upscalers]
        for first, second in combinations(results, 2):
            assert (np.abs(first - second) <= 1).mean() >= 0.999


def test_the_card_tells_how_the_file_was_made_and_no_paths(exported, model):
    _, output = exported
    card = load(output / "sesr_m5_x2_int8.tflite").card
    assert card is not None
    assert (card.network, card.scale, card.color, card.input_size) == ("sesr_m5", 2, "y", (72, 88))
    assert (card.precision, card.pixels, card.radius) == ("int8", "uint8", 9)
    assert (card.protocol, card.calibration) == ("Y-shave-s", "calibration")
    assert card.licences == ("T91: not stated",)
    assert card.training == {
        "method": "ail", "steps": 7, "train": ["T91"], "images": 91,
        "licence": ["T91: not stated"],
    }  # fmt: skip
    assert card.checkpoint_sha256 == hashlib.sha256(model.read_bytes()).hexdigest()
    for path in output.rglob("*"):
        if path.is_file():
            content = path.read_bytes()
            assert b"/home/" not in content and str(model.parent).encode() not in content


def test_exporting_again_gives_the_same_bytes(exported, model, folders, tmp_path):
    """All targets and precisions, the first time in another process."""
    _, output = exported
    where = [f"--{option}={folder}" for option, folder in folders.items()]
    flags = ["--target=all", "--precision=all", f"--input-size={SIZE}", f"--output={tmp_path}"]
    assert export_code(model, *flags, *where) == 0
    first, second = (
        {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*.*")
         if path.is_file()}
        for folder in (output, tmp_path)
    )  # fmt: skip
    assert len(first) == 3 + 3 + 3 * 3  # a package is manifest, specification and weights
    assert first.keys() == second.keys()
    assert [name for name in first if first[name] != second[name]] == []


def test_pixels_of_every_type_give_the_same_picture(sane, folders, tmp_path):
    work = exporter.Exporter(network_source(sane("sesr_m3")), (64, 72), **folders)
    lr = pairs(folders["images"], 2)[0].lr
    for target in ("onnx", "tflite"):
        results = []
        for pixels in ("uint8", "int8", "float32"):
            file = work.export(target, "int8", tmp_path / pixels, pixels).file
            assert load(file).engine.io_dtype == pixels
            results.append(load(file).upscale(lr))
        assert all((result == results[0]).all() for result in results)


def test_a_file_of_several_sizes_takes_each_of_them(model, folders, tmp_path, capsys):
    where = [f"--{option}={folder}" for option, folder in folders.items()]
    sizes = ["--input-size=48x72", "--input-size=72x48", "--input-size=48x72"]
    flags = ["--target=all", "--precision=int8", "--json", f"--output={tmp_path}"]
    assert export_code(model, *flags, *sizes, *where) == 0
    report = json.loads(capsys.readouterr().out)
    assert (report["input_size"], report["other_sizes"]) == ([48, 72], [[72, 48]])
    upscalers = [load(path) for path in sorted(tmp_path.iterdir())]
    for size in ((48, 72), (72, 48)):
        picture = pairs(folders["images"], 2)[0].lr[: size[0], : size[1]]
        assert all(len(upscaler.plan(*size)) == 1 for upscaler in upscalers)
        first, *others = (upscaler.upscale(picture).astype(int) for upscaler in upscalers)
        assert all(np.abs(first - other).max() <= 1 for other in others)


@pytest.mark.parametrize("name", ["abpn", "quicksrnet_small", "vdsr_f13"])
def test_the_other_families_pass_too(sane, folders, tmp_path, name):
    torch.manual_seed(0)
    work = exporter.Exporter(network_source(sane(name, 3)), (64, 72), **folders)
    for target in ("onnx", "tflite"):
        for precision in PRECISIONS:
            found = work.export(target, precision, tmp_path)
            assert (
                abs(found.psnr_drop) <= {"float32": 1e-3, "float16": 0.01, "int8": 0.3}[precision]
            )
