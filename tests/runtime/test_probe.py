"""The fidelity probe: equal in all runtimes, and what the commands make of its verdict."""

from __future__ import annotations

import json
import sys
import zlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from parity import vectors

from ailsr.runtime import load
from ailsr.runtime.card import Card
from ailsr.runtime.commands import bench, compare, show
from ailsr.runtime.errors import ModelError
from ailsr.runtime.probe import Probe, probe_image

VECTORS = json.loads((Path(__file__).parents[1] / "parity" / "probe.json").read_text())
SIZE = (40, 56)


def enlarged(height: int, width: int, scale: int) -> np.ndarray:
    return probe_image(height, width).repeat(scale, 0).repeat(scale, 1)


@pytest.mark.parametrize("case", VECTORS["pictures"])
def test_the_picture_is_the_same_everywhere(case):
    picture = probe_image(case["height"], case["width"])
    assert picture.shape == (case["height"], case["width"], 3)
    assert zlib.crc32(picture.tobytes()) == case["crc32"]


@pytest.mark.parametrize("case", VECTORS["answers"])
def test_an_answer_is_condensed_the_same_everywhere(case):
    probe = Probe.of(enlarged(case["height"], case["width"], case["scale"]))
    assert (probe.levels, list(probe.sums)) == (case["levels"], case["sums"])


@pytest.mark.parametrize("case", VECTORS["fidelity"], ids=lambda case: case["change"])
def test_verdicts_are_the_same_everywhere(case):
    right = enlarged(case["height"], case["width"], case["scale"])
    probe = replace(Probe.of(right), **vectors.tolerance(case))
    fidelity = probe.fidelity(vectors.CHANGES[case["change"]](right))
    assert (fidelity.verdict, fidelity.levels) == (case["verdict"], case["levels"])


def test_the_mean_of_a_photograph_s_contrast():
    """Grey levels of all kinds, colours apart in the mean, black and white among them."""
    picture = probe_image(360, 640).astype(int)
    means = picture.mean((0, 1))
    assert means[0] - means[1] > 4 and means[1] - means[2] > 4
    assert 40 < picture.std() < 100
    assert {0, 255} <= set(np.unique(picture[..., 1]))


@pytest.fixture
def files(write_network, tmp_path):
    """One with the right answer, one with that of the inverted image, one without."""
    right = load(write_network("onnx int8 uint8", SIZE)).upscale(probe_image(*SIZE))
    kinds = {"right": Probe.of(right), "wrong": Probe.of(255 - right), "old": None}
    return {
        name: write_network("onnx int8 uint8", SIZE, probe=probe).rename(tmp_path / f"{name}.onnx")
        for name, probe in kinds.items()
    }


def test_a_card_holds_a_tolerance_only_where_it_is_not_the_usual_one():
    usual = Probe.of(enlarged(*SIZE, 2))
    assert set(usual.to_json()) == {"levels", "sums"}
    own = replace(usual, within_levels=31, within_mean=1.25)
    card = Card("n", 2, "rgb", "int8", "uint8", SIZE, 1, probe=own)
    assert Card.from_json(card.to_json()).probe == own


def run(cli, *arguments: object) -> int:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["ailsr", *map(str, arguments)])
        with pytest.raises(SystemExit) as stopped:
            cli()
    return int(stopped.value.code or 0)


def test_show_asks_the_engine(files, capsys):
    pytest.importorskip("torch")  # reads a checkpoint
    assert run(show.cli, files["right"], "--probe") == 0
    assert "fidelity in onnxruntime" in (out := capsys.readouterr().out) and ": exact" in out
    assert run(show.cli, files["old"], "--probe") == 0
    assert ": not known" in capsys.readouterr().out
    assert run(show.cli, files["wrong"], "--probe", "--json") == 1
    streams = capsys.readouterr()
    assert json.loads(streams.out)["probe"]["fidelity"]["verdict"] == "wrong"
    assert "does not compute what was exported" in streams.err
    assert run(show.cli, "zoo:sesr_m5_x2", "--probe") != 0
    assert "--probe is for exported files" in capsys.readouterr().err


def test_bench_warns_and_fails_on_infidelity(files, tmp_path, capsys):
    common = ["--runs=2", "--seconds=0.1", f"--html={tmp_path / 'r.html'}"]
    paths = [files[name] for name in ("right", "wrong", "old")]
    assert run(bench.cli, *paths, *common) == 0
    out = capsys.readouterr().out
    assert out.startswith("warning: wrong.onnx: onnxruntime")
    assert " exact" in out and "wrong (" in out and "not known" in out
    html = (tmp_path / "r.html").read_text()
    assert html.index('class="warning"') < html.index("<h2>")
    assert run(bench.cli, *paths, "--runs=2", "--seconds=0.1", "--fail-on-infidelity=3") == 1
    assert "wrong.onnx is wrong (" in capsys.readouterr().err
    right = [files["right"], "--runs=2", "--seconds=0.1", "--fail-on-infidelity=0"]
    assert run(bench.cli, *right) == 0


def test_compare_tells_a_change_of_fidelity(files, tmp_path, capsys):
    reports = []
    for name in ("right", "wrong"):
        folder = tmp_path / name
        folder.mkdir()
        path = files[name].rename(folder / "net.onnx")
        assert run(bench.cli, path, "--runs=2", "--seconds=0.1", "--json") == 0
        (folder / "report.json").write_text(capsys.readouterr().out)
        reports.append(folder / "report.json")
    assert run(compare.cli, *reports) == 0
    assert "net.onnx: fidelity was exact, is wrong (" in capsys.readouterr().out


@pytest.mark.parametrize(
    "probe",
    [
        {"levels": "00" * 383, "sums": [0] * 48},
        {"levels": "zz" * 384, "sums": [0] * 48},
        {"levels": "00" * 384, "sums": [0] * 47},
        {"levels": "00" * 384, "sums": [0.5] * 48},
        {"levels": "00" * 384},
        [],
        "exact",
    ],
)
def test_a_probe_that_is_none_is_refused(write_network, probe, tmp_path):
    card = json.loads(Card("n", 2, "rgb", "int8", "uint8", SIZE, 1).to_json()) | {"probe": probe}
    with pytest.raises(ModelError, match="card cannot be read"):
        Card.from_json(json.dumps(card))
