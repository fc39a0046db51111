"""``ailsr-bench``: its table, its JSON and its messages."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from bench_runs import SIZE, bench
from report_runs import SCHEMA_DOCUMENT as SCHEMA

from ailsr.runtime.bench.harness import bicubic_quality
from ailsr.runtime.imaging import image, protocol
from ailsr.runtime.imaging.degradation import PHOTO
from ailsr.runtime.imaging.resize import enlarge


def test_the_command_prints_a_table_and_goes_on_after_a_failure(
    with_engines, cubic_files, images, tmp_path
):
    html = tmp_path / "new" / "report.html"
    paths = [cubic_files["onnx int8"], with_engines / "model.crash", with_engines / "model.ref"]
    done = bench(*paths, "--images", images, "--runs", 3, "--seconds", 0.2, "--html", html)
    assert done.returncode == 1
    lines = done.stdout.splitlines()
    row = {line.split()[0]: line for line in reversed(lines) if line}  # the first table's
    assert "failed" in row["model.crash"]
    assert "model.crash failed: the engine crashed (SIGABRT): double free" in lines
    assert "not measurable  here" in row["model.ref"]
    psnr = f"{bicubic_quality(images, 2, 'Y-shave-s').psnr_db:.2f}"
    assert psnr in row["bicubic"]
    size, load, p50, p90, p99, whole_p50, whole_p90, *rest = row["cubic_x2_int8.onnx"].split()[1:]
    assert float(size) == pytest.approx(cubic_files["onnx int8"].stat().st_size / 1000, abs=0.06)
    assert float(p50) <= float(p90) <= float(p99) and float(whole_p50) <= float(whole_p90)
    assert float(load) > 0 and len(rest) == 4
    assert any("Y-shave-s" in line for line in lines)
    assert done.stderr.splitlines()[-1].startswith("error: 1 of 3 files failed: model.crash: the")
    page = html.read_text()
    assert "failed: the engine crashed (SIGABRT)" in page and "not measurable here" in page


def test_files_that_an_export_did_not_write_stand_in_every_report_as_failed(
    cubic_files, images, tmp_path
):
    reason = "the int8 file loses 0.3 dB: no file was written; accept more with --max-drop DB"
    refused = {"file": "exported/cubic_x2_int8.tflite", "target": "tflite", "reason": reason}
    document = {"files": [{"file": str(cubic_files["onnx int8"])}], "refused": [refused]}
    exported, html, table = (tmp_path / name for name in ("export.json", "r.html", "r.md"))
    exported.write_text(json.dumps(document), encoding="utf-8")
    flags = ["--exported", exported, "--images", images, "--runs", 3, "--seconds", 0.1]
    done = bench(*flags, "--html", html, "--markdown", table)
    assert done.returncode == 1
    lines = done.stdout.splitlines()
    row = {line.split()[0]: line for line in reversed(lines) if line}  # the first table's
    assert "failed" in row["cubic_x2_int8.tflite"] and "failed" not in row["cubic_x2_int8.onnx"]
    assert f"cubic_x2_int8.tflite failed: {reason}" in lines
    assert f"1 of 2 files failed: cubic_x2_int8.tflite: {reason}" in done.stderr
    assert f"failed: {reason}" in html.read_text() and f"failed: {reason}" in table.read_text()

    exported.write_text(json.dumps(document | {"files": []}), encoding="utf-8")  # none is written
    html.unlink()
    done = bench(*flags, "--html", html, "--json")
    assert (done.returncode, "Traceback" in done.stderr) == (1, False)
    assert json.loads(done.stdout)["files"] == [{"file": refused["file"], "error": reason}]
    assert f"failed: {reason}" in html.read_text()


@pytest.mark.parametrize("content", ["", "[]", '{"files": [{}]}', '{"files": 1}'])
def test_what_is_no_report_of_an_export_gets_one_line(tmp_path, content):
    path = tmp_path / "export.json"
    path.write_text(content)
    done = bench("--exported", path)
    (line,) = done.stderr.splitlines()
    assert done.returncode == 1
    assert line.startswith(f"error: --exported {path}: this is not what ailsr-export --json prints")


def test_without_a_file_it_says_what_to_name():
    done = bench()
    assert done.returncode == 1
    assert done.stderr.startswith("error: no file to measure: name some, or")


def test_the_command_prints_one_json_document(cubic_files, images):
    paths = [cubic_files["onnx float32"], cubic_files["tflite float32"]]
    done = bench(*paths, "--images", images, "--runs", 3, "--seconds", 0.2, "--json", columns=20)
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    properties = {name: set(kind["properties"]) for name, kind in SCHEMA["definitions"].items()}
    assert set(document) == set(SCHEMA["properties"]) - {"budget", "comparison"}
    assert (document["schema"], document["schema_version"]) == ("ailsr-bench", 1)
    assert set(document["host"]) == {
        *("cpu", "cores", "memory_bytes", "os", "machine", "python", "governor", "load_average"),
        "device",
    }
    assert document["host"]["cores"] >= 1 and document["host"]["memory_bytes"] > 2**28
    for entry, path in zip(document["files"], paths, strict=True):
        assert set(entry) == properties["measurement"]
        assert entry["file"] == str(path)
        assert entry["input_size"] == list(SIZE)
        assert set(entry["inference"]) == properties["latency"] - {"histogram"}
        assert set(entry["quality"]) == {"protocol", "psnr_db", "ssim", "images"}
        assert set(entry["quality"]["images"]["rocket"]) == {"psnr_db", "ssim"}
    first, second = document["files"]
    assert (first["ratio"], document["settings"]["baseline"]) == (None, str(paths[0]))
    assert second["ratio"]["to"] == str(paths[0]) and second["ratio"]["blocks"] == 3
    assert len(second["to_reference"]) == 1  # three runs are one process's
    assert document["reference"]["latency"]["p50_ms"] > 0
    assert second["ratio"]["low"] <= second["ratio"]["ratio"] <= second["ratio"]["high"]
    assert {backend["name"] for backend in second["backends"]} == {"XNNPACK", "CPU"}
    assert first["delegate"] == "CPU" and first["fallback"] is None
    assert all(value > 0 for value in first["parts"].values())
    (baseline,) = document["baselines"]
    assert (baseline["name"], baseline["scale"]) == ("bicubic", 2)


def test_a_degradation_makes_the_low_resolution_images(cubic_files, images, tmp_path):
    page = tmp_path / "report.html"
    done = bench(
        *(cubic_files["onnx float32"], "--images", images, "--runs", 3, "--seconds", 0.2, "--json"),
        *("--degradation", "photo", "--html", page),
    )
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert document["settings"]["protocol"] == "Y-shave-s/photo-1"
    degraded = protocol.pairs(images, 2, PHOTO)
    expected = protocol.evaluate(lambda lr: enlarge(lr, 2), degraded)
    clean = protocol.evaluate(lambda lr: enlarge(lr, 2), protocol.pairs(images, 2))
    for quality in (document["files"][0]["quality"], document["baselines"][0]["quality"]):
        assert quality["protocol"] == "Y-shave-s/photo-1"
        # The file computes bicubic interpolation to within a level.
        assert quality["psnr_db"] == pytest.approx(expected.psnr_db, abs=0.05)
        assert quality["psnr_db"] < clean.psnr_db - 0.5
    assert "photo-1" in page.read_text("utf-8")
    assert bench(cubic_files["onnx float32"], "--degradation", "foto").returncode == 1


def test_pictures_that_cannot_be_used_cost_only_themselves(cubic_files, images, tmp_path):
    mixed = tmp_path / "mixed"
    shutil.copytree(images, mixed)
    (mixed / "broken.png").write_bytes((images / "rocket.png").read_bytes()[:900])
    image.write(np.zeros((10, 10, 3), np.uint8), mixed / "small.png")
    done = bench(
        cubic_files["onnx int8"], "--images", mixed, "--runs", 3, "--seconds", 0.2, "--json",
        "--history", tmp_path / "h.jsonl", "--html", tmp_path / "r.html",
    )  # fmt: skip
    document = json.loads(done.stdout)
    (entry,) = document["files"]
    assert entry["error"] is None and entry["whole_path"]["n"] == 3
    assert set(entry["left_out"]) == {"broken", "small"}
    bicubic = bicubic_quality(images, 2, "Y-shave-s")  # of the others alone
    assert entry["quality"]["psnr_db"] == pytest.approx(bicubic.psnr_db, abs=0.1)
    assert document["baselines"][0]["quality"]["psnr_db"] == pytest.approx(bicubic.psnr_db)
    assert json.loads((tmp_path / "h.jsonl").read_text()) == document
    assert "Mean over the images, without broken, small." in (tmp_path / "r.html").read_text()
    assert done.returncode == 1
    error = done.stderr.splitlines()[-1]
    assert error.startswith("error: PSNR and SSIM leave out: ")
    assert "broken.png cannot be read" in error and "small has 10x10 pixels" in error


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs Linux's /dev/full")
def test_a_report_that_cannot_be_written_costs_only_itself(cubic_files, tmp_path):
    (tmp_path / "r.csv").mkdir()
    done = bench(cubic_files["onnx int8"], "--csv", tmp_path / "r.csv")
    assert (done.returncode, done.stdout) == (1, "")  # known before anything is measured
    assert done.stderr == f"error: {tmp_path / 'r.csv'} is a folder: name a file in it\n"
    (tmp_path / "r.csv").rmdir()
    done = bench(
        cubic_files["onnx int8"], "--runs", 3, "--seconds", 0.2, "--history", "/dev/full",
        "--csv", tmp_path / "r.csv",
    )  # fmt: skip
    assert done.returncode == 1 and "cubic_x2_int8.onnx" in done.stdout
    assert done.stderr.splitlines()[-1] == (
        "error: /dev/full cannot be written: No space left on device"
    )
    assert [path.name for path in tmp_path.iterdir()] == ["r.csv"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["absent.onnx"], "error: no model file at absent.onnx: check the name"),
        (["{model}", "--images", "{empty}"], "error: no images in {empty}"),
        (["{model}", "--images", "{empty}/no"], "error: no folder of images at {empty}/no"),
    ],
)
def test_what_cannot_be_measured_at_all_is_one_line(cubic_files, tmp_path, arguments, message):
    places = {"model": cubic_files["onnx float32"], "empty": tmp_path}
    done = bench(*(argument.format(**places) for argument in arguments))
    assert (done.returncode, done.stdout) == (1, "")
    (line,) = done.stderr.splitlines()
    assert line.startswith(message.format(**places))
