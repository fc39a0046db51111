"""The benchmarks run and report what they say, on little data; no time is judged."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import skimage.data

from ailsr.export import onnx_writer, tflite_writer
from ailsr.export.graph import Conv, DepthToSpace, Graph
from ailsr.runtime.card import Card
from ailsr.runtime.image import write

BENCHMARKS = Path(__file__).parent.parent / "benchmarks"


def run(name, *arguments, cwd):
    done = subprocess.run(
        [sys.executable, BENCHMARKS / name, *map(str, arguments), "--json"],
        cwd=cwd, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    folder = tmp_path_factory.mktemp("benchmarks")
    write(skimage.data.coffee()[50:200, 100:300], folder / "photos" / "coffee.png")
    return folder


def test_training_schemes_are_judged_alike_and_not_trained_twice(photos):
    command = [
        "--network", "sesr_m3", "--train", "photos", "--test", "photos", "--steps", 10,
        "--seeds", 2, "--only", "MSE", "--only", "AIL, self-taught", "--output", "schemes",
    ]  # fmt: skip
    first = run("training_schemes.py", *command, cwd=photos)
    assert {name: len(sets["photos"]) for name, sets in first["psnr"].items()} == {
        "MSE": 2, "AIL, self-taught": 2,
    }  # fmt: skip
    assert (photos / "schemes" / "schemes.png").exists()
    runs = sorted((photos / "schemes").rglob("last.pt"))
    written = [path.stat().st_mtime_ns for path in runs]
    assert len(runs) == 4
    assert run("training_schemes.py", *command, cwd=photos) == first
    assert [path.stat().st_mtime_ns for path in runs] == written


def test_training_speed_reports_its_ratios(photos):
    figures = run(
        "training_speed.py", "--network", "sesr_m3", "--teacher", "sesr_m3", "--train", "photos",
        "--times", 3, "--batch", 2, "--patch", 16, cwd=photos,
    )  # fmt: skip
    ms = figures["milliseconds"]
    assert figures["AIL / plain"] == pytest.approx(ms["AIL"] / ms["plain"])
    assert figures["authors' way / AIL"] == pytest.approx(ms["AIL, the authors' way"] / ms["AIL"])
    assert 0 < figures["maps / run"] < 1


def test_the_overhead_of_the_harness_is_measured(tmp_path):
    weight = np.zeros((12, 3, 1, 1), np.float32)
    weight[np.arange(12), np.arange(12) % 3] = 1  # channel 3*k + c is colour c of pixel k
    conv = Conv("image", "blocks", weight, np.zeros(12, np.float32))
    graph = Graph((conv, DepthToSpace("blocks", "upscaled", 2)), (3, 16, 16))
    card = Card("nearest", 2, "rgb", "float32", "float32", (16, 16), radius=0)
    onnx_writer.write(graph, card, tmp_path / "nearest.onnx", None)
    tflite_writer.write(graph, card, tmp_path / "nearest.tflite", None)
    figures = run(
        "harness_overhead.py", "nearest.onnx", "nearest.tflite", "--python", sys.executable,
        "--times", 1, cwd=tmp_path,
    )  # fmt: skip
    assert 0 <= figures["added, %"] <= figures["between, %"] + 0.1
    assert figures["start, s of CPU"] > 0.05 and figures["command, MB"] > 20
    assert all(-20 < megabytes < 200 for megabytes in figures["memory, MB"].values())
