"""The file with the best image within a budget of milliseconds."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from ailsr.runtime.bench.budget import Choice, check_met, choices, document, sentence
from ailsr.runtime.bench.host import Host
from ailsr.runtime.bench.latency import Latency
from ailsr.runtime.bench.measurement import Failure, Measurement
from ailsr.runtime.bench.results import Results
from ailsr.runtime.errors import BudgetError
from ailsr.runtime.imaging import image
from ailsr.runtime.imaging.metrics import METRICS
from ailsr.runtime.imaging.protocol import Quality

BENCH = Path(sys.executable).with_name("ailsr-bench")
HOST = Host("Cortex-A76", 4, 8 * 10**9, "Linux", "aarch64", "3.11.2", "performance", 0.1)


def measured(file: str, p90_ms: float | None, psnr_db: float, scale: int = 2) -> Measurement:
    quality = Quality("Y-shave-s", {"psnr": psnr_db, "ssim": 0.9})
    whole = p90_ms and Latency.of_samples([0.8 * p90_ms] * 8 + [p90_ms] * 3)
    return Measurement(
        f"exported/{file}", "engine 1", None, None, "uint8", scale, (90, 160), 1, 9000,
        whole is not None, whole_path=whole, quality=quality,
    )  # fmt: skip


FILES = [
    measured("large.tflite", 20, 33.1),
    measured("middle.tflite", 16, 33.0),
    measured("same.tflite", 12, 33.0),
    measured("small.tflite", 8, 32.5),
    measured("reference.mlpackage", None, 34),
    replace(measured("Pillow bicubic x2 160x90", 4, 35), size_bytes=0),
    measured("x4.tflite", 30, 28, scale=4),
    Failure("exported/broken.onnx", "cannot load it"),
]


def results(files: list[Measurement | Failure]) -> Results:
    return Results(HOST, datetime.now(UTC), 1, 10, 1.0, "Y-shave-s", "photos", files)


@pytest.mark.parametrize(
    ("budget_ms", "file", "p90_ms"),
    [(100, "large", 20), (20, "large", 20), (16, "same", 12), (11.9, "small", 8), (7, None, 8)],
)
def test_the_best_picture_that_fits(budget_ms, file, p90_ms):
    double, quadruple = choices(results(FILES), budget_ms)
    name = file and f"exported/{file}.tflite"
    assert (double.scale, double.file, double.fastest) == (2, name, "exported/small.tflite")
    assert double.p90_ms == pytest.approx(p90_ms)
    assert (quadruple.scale, quadruple.file is None) == (4, budget_ms < 30)


def test_it_is_said_in_words():
    found = results(FILES)
    double, quadruple = choices(found, 16)
    assert sentence(double, found, 16) == (
        "×2: same.tflite is the best of those that fit into 16 ms: 33.00 dB, p90 12.0 ms"
    )
    assert sentence(quadruple, found, 16) == (
        "×4: no file fits into 16 ms; the fastest, x4.tflite, has a p90 of 30.0 ms"
    )
    check_met([double, quadruple], found, 16)
    with pytest.raises(BudgetError, match=r"x4\.tflite.*: train a smaller network \(ailsr-fit"):
        check_met([quadruple], found, 16)


def test_nothing_timed_leaves_no_choice():
    with pytest.raises(BudgetError, match="no file was both timed and evaluated"):
        choices(results([FILES[4], FILES[5], FILES[7]]), 16)


def test_a_perfect_picture_is_valid_json():
    entry = document([Choice(2, "a.onnx", float("inf"), 1.0, "a.onnx")], METRICS["psnr"], 16)
    assert json.loads(json.dumps(entry, allow_nan=False))["choices"][0]["psnr_db"] is None


def test_the_command_names_the_file_or_fails(write_network, photographs, tmp_path):
    for name, rgb in photographs.items():
        image.write(rgb[100:200, 150:290], tmp_path / f"{name}.png")
    path = write_network("tflite int8 uint8", (20, 30))
    command = [BENCH, path, "--images", tmp_path, "--runs", "3", "--seconds", "0.1"]
    done = subprocess.run([*command, "--budget-ms", "1e5"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert f"×2: {path.name} is the best of those" in done.stdout.splitlines()[-1]
    done = subprocess.run(
        [*command, "--budget-ms", "1e-6", "--json"], capture_output=True, text=True
    )
    assert done.returncode == 1
    assert done.stderr.startswith("error: ×2: no file fits into 1e-06 ms; the fastest, ")
    assert json.loads(done.stdout)["budget"]["choices"][0]["file"] is None
    done = subprocess.run([BENCH, path, "--budget-ms", "9"], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "error: --budget-ms chooses by quality: add --images DIR\n"
