"""The app's core measures files as the runtime does, and tells when a delegate errs."""

from __future__ import annotations

import hashlib
import json
import re
import sys
from dataclasses import asdict, replace
from pathlib import Path

import fastjsonschema
import numpy as np
import pytest
from small_files import small_card, write_small, write_with

from ailsr.runtime import load
from ailsr.runtime.bench.latency import WARM_UP_RULE
from ailsr.runtime.bench.report_document import read_results, to_document
from ailsr.runtime.imaging import image
from ailsr.runtime.imaging.protocol import Pair, score
from ailsr.runtime.imaging.resize import crop_to_multiple, shrink
from ailsr.runtime.probe import Probe, probe_image
from ailsr.runtime.version import VERSION

ROOT = Path(__file__).parent.parent.parent
SCHEMA = json.loads((ROOT / "runtime" / "report.schema.json").read_text())
FAULTY_ENGINE = [sys.executable, str(Path(__file__).with_name("faulty_engine.py"))]


@pytest.fixture
def bench(core, engine, tmp_path):
    """``bench(models, images, **request)``: exit code and report of a measurement.

    ``pictures`` are pairs of paths (LR, HR) by scale.
    """

    def store(path: Path) -> str:
        content = path.read_bytes()
        sha256 = hashlib.sha256(content).hexdigest()
        (tmp_path / "files").mkdir(exist_ok=True)
        (tmp_path / "files" / sha256).write_bytes(content)
        return sha256

    def run(models, pictures, *, engine=engine, **changes):
        request = {
            "schema": "ailsr-request", "schema_version": 1, "id": "one",
            "files": [{"name": model.name, "sha256": store(model)} for model in models],
            "threads": 1, "runs": 5, "seconds": 1, "sustained_minutes": 0.01, "delegate": "cpu",
            "protocol": "Y-shave-s",
            "pictures": {
                scale: [{"name": hr.stem, "lr": store(lr), "hr": store(hr)} for lr, hr in pairs]
                for scale, pairs in pictures.items()
            },
        }  # fmt: skip
        (tmp_path / "requests").mkdir(exist_ok=True)
        (tmp_path / "requests" / "one.json").write_text(json.dumps(request | changes))
        done = core("org.ailsr.core.BenchMain", tmp_path, "one", "--", *engine)
        return done.returncode, json.loads((tmp_path / "reports" / "one.json").read_text())

    return run


def test_a_report_is_one_of_the_schema_with_the_figures_of_the_runtime(
    bench, int8_file, photograph_files, tmp_path
):
    hr = crop_to_multiple(image.read(photograph_files / "chelsea.png"), 2)
    image.write(hr, tmp_path / "chelsea.png")
    image.write(shrink(hr, 2), tmp_path / "lr.png")
    damaged = tmp_path / "damaged.tflite"
    content = bytearray(int8_file.read_bytes())
    content[len(content) // 2] ^= 1
    damaged.write_bytes(content)

    code, report = bench(
        [int8_file, damaged], {"2": [(tmp_path / "lr.png", tmp_path / "chelsea.png")]}
    )
    assert code == 0
    fastjsonschema.validate(SCHEMA, report)
    assert report["ailsr_version"] == VERSION
    assert report["settings"]["warm_up_rule"] == WARM_UP_RULE.partition(", 0.5 s in a file's")[0]
    measured, failed = report["files"]
    assert failed["file"] == "damaged.tflite"
    assert "SHA-256" in failed["error"]

    upscaler = load(int8_file)
    assert (measured["scale"], measured["pixels"]) == (upscaler.scale, upscaler.engine.io_dtype)
    assert measured["input_size"] == list(upscaler.engine.input_size)
    assert measured["network"] == "sesr_m5"
    assert measured["engine"] == upscaler.engine.name
    assert measured["fidelity"] == asdict(upscaler.fidelity())
    assert measured["fidelity"]["verdict"] != "wrong" and measured["fallback"] is None
    assert measured["inference"]["n"] >= 3
    assert min(measured[name]["p50_ms"] for name in ("inference", "whole_path")) > 0
    assert measured["peak_memory_bytes"] > 10**7
    assert measured["sustained"][0]["p50_ms"] > 0
    scores = score(upscaler.upscale(shrink(hr, 2)), Pair("chelsea", shrink(hr, 2), hr))
    quality = measured["quality"]["images"]["chelsea"]
    assert quality["psnr_db"] == pytest.approx(scores["psnr"], abs=1e-6)
    assert quality["ssim"] == pytest.approx(scores["ssim"], abs=1e-8)
    (bicubic,) = report["baselines"]
    assert bicubic["quality"]["psnr_db"] < scores["psnr"]

    progress = json.loads((tmp_path / "progress" / "one.json").read_text())
    assert set(progress) == {"what", "done", "of"}
    assert not list(tmp_path.rglob("*.tmp"))


@pytest.fixture
def probed_file(tmp_path):
    """``probed_file(pixels)``: the small file with a probe that this machine answers exactly."""

    def write(pixels):
        path, card = tmp_path / f"{pixels}.tflite", small_card(pixels)
        write_with(card, path)
        upscaled = load(path, threads=1).run(probe_image(*card.input_size))
        write_with(replace(card, probe=Probe.of(upscaled)), path)
        return path

    return write


@pytest.mark.parametrize(
    ("fault", "pixels"),
    [
        *((fault, "uint8") for fault in ("swapped colours", "missing border", "wrong scale")),
        ("swapped colours", "float32"),
        ("not a number", "float32"),
    ],
)
def test_a_delegate_that_computes_something_else_is_not_used(bench, probed_file, fault, pixels):
    code, report = bench([probed_file(pixels)], {}, engine=[*FAULTY_ENGINE, fault], delegate="gpu")
    assert code == 0
    fastjsonschema.validate(SCHEMA, report)
    (measured,) = report["files"]
    said = re.fullmatch(
        r"GPU computes this file wrongly \((\d+) levels?\): CPU instead", measured["fallback"]
    )
    assert (int(said[1]) == 255) is (fault == "not a number")
    assert measured["delegate"] == "XNNPACK"
    assert measured["fidelity"] == {"verdict": "exact", "levels": 0}
    assert measured["whole_path"]["n"] >= 3
    again = to_document(read_results(report, "adb"))
    assert again["files"][0]["fallback"] == measured["fallback"]


def test_a_delegate_that_computes_the_same_is_used(bench, probed_file):
    engine = [*FAULTY_ENGINE, "none"]
    _, report = bench([probed_file("uint8")], {}, engine=engine, delegate="gpu")
    (measured,) = report["files"]
    assert (measured["delegate"], measured["fallback"]) == ("GPU", None)
    assert measured["fidelity"] == {"verdict": "exact", "levels": 0}


def test_without_a_probe_nothing_is_known_of_a_delegate(bench, tmp_path):
    write_small(tmp_path / "small.tflite", "uint8")
    engine = [*FAULTY_ENGINE, "swapped colours"]
    _, report = bench([tmp_path / "small.tflite"], {}, engine=engine, delegate="gpu")
    fastjsonschema.validate(SCHEMA, report)
    (measured,) = report["files"]
    assert (measured["delegate"], measured["fallback"]) == ("GPU", None)
    assert measured["fidelity"] is None


def test_a_cpu_that_computes_something_else_is_reported(bench, tmp_path):
    """There is nothing to fall back to."""
    card = replace(small_card("uint8"), probe=Probe.of(np.zeros((96, 128, 3), np.uint8)))
    write_with(card, tmp_path / "small.tflite")
    _, report = bench([tmp_path / "small.tflite"], {})
    (measured,) = report["files"]
    assert (measured["delegate"], measured["fallback"]) == ("XNNPACK", None)
    assert measured["fidelity"]["verdict"] == "wrong"
    assert measured["fidelity"]["levels"] > 100


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"delegate": "tpu"}, "cpu, gpu or nnapi"),
        ({"schema_version": 2}, "same version"),
        ({"runs": "many"}, "'runs' is many, not a whole number"),
        ({"protocol": "PSNR"}, "Y-shave-s or RGB-DIV2K"),
    ],
)
def test_a_request_that_cannot_be_carried_out_is_answered_in_one_line(
    bench, int8_file, change, said
):
    code, report = bench([int8_file], {}, **change)
    assert code == 1
    assert set(report) == {"error"}
    assert said in report["error"]
    assert "\n" not in report["error"]


def test_an_engine_that_dies_is_a_failure_of_its_file(bench, int8_file):
    killer = [sys.executable, "-c", "import os; os._exit(9)"]
    code, report = bench([int8_file], {}, engine=killer)
    assert code == 0
    fastjsonschema.validate(SCHEMA, report)
    assert report["files"][0]["error"] == "the engine ended the process with exit code 9"
