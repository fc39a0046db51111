"""The app's core computes what the Python runtime computes."""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
import sys
from dataclasses import asdict, replace
from pathlib import Path

import fastjsonschema
import flatbuffers
import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from PIL import Image
from small_files import remove_card, small_card, write_small, write_with

from ailsr.runtime import load
from ailsr.runtime.bench.latency import WARM_UP_RULE
from ailsr.runtime.bench.report_document import read_results, to_document
from ailsr.runtime.errors import ModelError
from ailsr.runtime.imaging import image
from ailsr.runtime.imaging.protocol import PROTOCOLS, Pair, score
from ailsr.runtime.imaging.resize import crop_to_multiple, enlarge, shrink
from ailsr.runtime.probe import Probe, probe_image
from ailsr.runtime.version import VERSION

ROOT = Path(__file__).parent.parent.parent
APP = ROOT / "android_demo"
SCHEMA = json.loads((ROOT / "runtime" / "report.schema.json").read_text())
FAULTY_ENGINE = [sys.executable, str(Path(__file__).with_name("faulty_engine.py"))]


def test_junit(core):
    names = sorted(p.stem for p in (APP / "core" / "src" / "test").rglob("*Test.java"))
    done = core("org.junit.runner.JUnitCore", *(f"org.ailsr.core.{name}" for name in names))
    assert done.returncode == 0, done.stdout
    assert int(re.search(r"OK \((\d+) tests\)", done.stdout)[1]) > len(names)


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_a_photograph_is_reduced_and_enlarged_to_the_same_pixels(
    ask, photograph_files, tmp_path, scale
):
    ask({
        "ask": "resize", "scale": scale, "picture": str(photograph_files / "chelsea.png"),
        "small": str(tmp_path / "small.png"), "large": str(tmp_path / "large.png"),
    })  # fmt: skip
    small = shrink(crop_to_multiple(image.read(photograph_files / "chelsea.png"), scale), scale)
    assert np.array_equal(image.read(tmp_path / "small.png"), small)
    assert np.array_equal(image.read(tmp_path / "large.png"), enlarge(small, scale))


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("gray", [False, True])
def test_psnr_and_ssim_equal_those_of_the_runtime(ask, photograph_files, tmp_path, protocol, gray):
    path = photograph_files / "astronaut.png"
    if gray:
        path = tmp_path / "gray.png"
        Image.open(photograph_files / "astronaut.png").convert("L").save(path)
    hr = crop_to_multiple(image.read(path), 3)
    upscaled = enlarge(shrink(hr, 3), 3)
    image.write(upscaled, tmp_path / "upscaled.png")
    (answer,) = ask({
        "ask": "score", "scale": 3, "protocol": protocol,
        "hr": str(path), "upscaled": str(tmp_path / "upscaled.png"),
    })  # fmt: skip
    scores = score(upscaled, Pair("picture", shrink(hr, 3), hr, gray), protocol)
    assert 20 < answer["psnr"] < 40
    assert answer["psnr"] == pytest.approx(scores["psnr"], abs=1e-6)
    assert answer["ssim"] == pytest.approx(scores["ssim"], abs=1e-8)


@pytest.fixture
def upscaled_by_core(core, engine, tmp_path):
    """What the core makes of an image with a model."""

    def run(model, picture):
        output = tmp_path / "upscaled.png"
        done = core("org.ailsr.core.UpscaleMain", model, picture, output, "--", *engine)
        assert done.returncode == 0, done.stderr
        return image.read(output)

    return run


def test_set5_comes_out_bit_for_bit_as_from_the_runtime(upscaled_by_core, int8_file, data):
    upscaler = load(int8_file)
    for path in sorted((data / "benchmark" / "Set5" / "LR_bicubic" / "X2").glob("*.png")):
        upscaled = upscaled_by_core(int8_file, path)
        assert np.array_equal(upscaled, upscaler.upscale(image.read(path))), path.name


def test_a_photograph_of_12_megapixels_comes_out_bit_for_bit(
    upscaled_by_core, int8_file, photograph_files, tmp_path
):
    small = Image.open(photograph_files / "coffee.png")
    large = small.resize((4032, 3024), Image.Resampling.LANCZOS)
    grain = np.random.default_rng(0).integers(-4, 5, (3024, 4032, 1))
    rgb = np.clip(np.asarray(large).astype(int) + grain, 0, 255).astype(np.uint8)
    Image.fromarray(rgb).save(tmp_path / "large.png", compress_level=1)
    upscaler = load(int8_file)
    assert len(upscaler.plan(3024, 4032)) > 50
    upscaled = upscaled_by_core(int8_file, tmp_path / "large.png")
    assert np.array_equal(upscaled, upscaler.upscale(rgb))


@pytest.mark.parametrize("card", [True, False])
@pytest.mark.parametrize("pixels", ["float32", "uint8", "int8"])
def test_every_kind_of_file_is_understood(
    upscaled_by_core, photograph_files, tmp_path, pixels, card
):
    """Elements, several input sizes, and files of others: these have no card and no seal."""
    rgb = image.read(photograph_files / "chelsea.png")[:150, :131]
    image.write(rgb, tmp_path / "picture.png")
    write_small(tmp_path / "small.tflite", pixels)
    if not card:
        remove_card(tmp_path / "small.tflite")
    expected = load(tmp_path / "small.tflite", threads=1).upscale(rgb)
    upscaled = upscaled_by_core(tmp_path / "small.tflite", tmp_path / "picture.png")
    assert np.array_equal(upscaled, expected)


@pytest.mark.parametrize("pixels", ["float32", "uint8", "int8"])
@pytest.mark.parametrize("layout", ["rgba", "y", "y-full"])
def test_every_layout_gives_the_image_that_it_gives_the_runtime(
    upscaled_by_core, photograph_files, tmp_path, layout, pixels
):
    rgb = image.read(photograph_files / "chelsea.png")[:70, :91]  # of several tiles
    image.write(rgb, tmp_path / "picture.png")
    path = tmp_path / "small.tflite"
    write_with(replace(small_card(pixels), layout=layout), path)
    upscaled = upscaled_by_core(path, tmp_path / "picture.png")
    difference = np.abs(upscaled.astype(int) - load(path, threads=1).upscale(rgb))
    # The runtime gives float files luma that is not rounded to 8 bits.
    assert difference.max() <= (2 if layout != "rgba" and pixels == "float32" else 0)


@pytest.mark.parametrize("pixels", ["uint8", "int8"])
@pytest.mark.parametrize("scale", [0.0035, 1 / 200, 0.9])
def test_levels_of_another_tool_are_taken_for_what_they_stand_for(
    upscaled_by_core, photograph_files, tmp_path, pixels, scale
):
    rgb = image.read(photograph_files / "chelsea.png")[:48, :64] // 2  # 0.0035 ends below white
    image.write(rgb, tmp_path / "picture.png")
    path = tmp_path / "small.tflite"
    write_small(path, pixels)
    right = load(path, threads=1).upscale(rgb)
    remove_card(path)
    model = schema.ModelT.InitFromPackedBuf(path.read_bytes(), 0)
    (graph,) = model.subgraphs
    for tensor in graph.tensors:
        lowest = {schema.TensorType.UINT8: 0, schema.TensorType.INT8: -128}.get(tensor.type)
        if lowest is not None and list(tensor.quantization.zeroPoint) == [lowest]:
            tensor.quantization.scale, tensor.quantization.zeroPoint = [scale], [lowest + 3]
    builder = flatbuffers.Builder()
    builder.Finish(model.Pack(builder), b"TFL3")
    path.write_bytes(builder.Output())
    expected = load(path, threads=1).upscale(rgb)
    upscaled = upscaled_by_core(path, tmp_path / "picture.png")
    assert np.array_equal(upscaled, expected)
    assert np.abs(upscaled.astype(int) - right).max() <= 2


@pytest.mark.parametrize(("bias", "white"), [(0.006, 1), (1.53, 255)])
def test_the_range_of_a_float_file_without_a_card_is_found(
    upscaled_by_core, photograph_files, tmp_path, bias, white
):
    """A small bias counts even less with white as 255, which does not make a file one of those."""
    rgb = image.read(photograph_files / "chelsea.png")[:48, :64]
    image.write(rgb, tmp_path / "picture.png")
    path = tmp_path / "small.tflite"
    write_with(small_card("float32"), path, np.tile(np.eye(3), (4, 1)), bias)
    remove_card(path)
    upscaled = upscaled_by_core(path, tmp_path / "picture.png")
    assert np.array_equal(upscaled, load(path, threads=1).upscale(rgb))
    assert np.array_equal(upscaled, rgb.repeat(2, 0).repeat(2, 1) + round(255 * bias / white))


def test_an_interrupted_picture_is_gone_on_with(ask, engine, photograph_files, tmp_path):
    write_small(tmp_path / "small.tflite", "uint8")
    picture, upscaled = photograph_files / "chelsea.png", tmp_path / "upscaled.png"
    (before,) = ask({
        "ask": "resume", "engine": engine, "model": str(tmp_path / "small.tflite"),
        "picture": str(picture), "upscaled": str(upscaled),
    })  # fmt: skip
    rgb = image.read(picture)
    assert rgb.shape[0] / 2 < before < 2 * rgb.shape[0]
    assert np.array_equal(
        image.read(upscaled), load(tmp_path / "small.tflite", threads=1).upscale(rgb)
    )


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"format": 4}, "has format 4, this app reads up to 3: update the app"),
        ({"layout": "bgr"}, "layout 'bgr' is unknown: update the app"),
        ({"probe": Probe("00", (0,))}, "a probe of another length"),
        ({"probe": Probe("00" * 384, (0.5,) * 48)}, "a probe whose sums are not whole numbers"),
    ],
)
def test_a_card_that_is_not_understood_is_refused(core, engine, tmp_path, changes, said):
    write_with(replace(small_card("uint8"), **changes), tmp_path / "small.tflite")
    with pytest.raises(ModelError):
        load(tmp_path / "small.tflite")
    picture = tmp_path / "picture.png"
    image.write(probe_image(20, 30), picture)
    output = tmp_path / "upscaled.png"
    done = core(
        "org.ailsr.core.UpscaleMain", tmp_path / "small.tflite", picture, output, "--", *engine
    )
    assert done.returncode == 1
    assert "the file's ailsr card cannot be read" in done.stderr and said in done.stderr
    assert not output.exists()


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


def test_a_network_and_its_like_for_photographs_are_a_pair(ask, int8_file, tmp_path):
    command = [sys.executable, "-c", "from ailsr.export.command import cli; cli()"]
    options = ["--target", "tflite", "--precision", "float32", "--output", str(tmp_path)]
    for name in ("sesr_m5_photo_x2", "sesr_m3_x2"):
        subprocess.run([*command, f"zoo:{name}", *options], check=True, capture_output=True)
    photo, other = sorted(tmp_path.glob("*.tflite"), reverse=True)
    files = [str(file) for file in (other, int8_file, photo)]
    noisy, quiet = ask(
        {"ask": "pairs", "files": files, "noise": 9.0},
        {"ask": "pairs", "files": files, "noise": 0.5},
    )
    assert noisy == [[int8_file.name, photo.name, photo.name]]
    assert quiet == [[int8_file.name, photo.name, int8_file.name]]
