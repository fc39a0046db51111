"""The app's core computes what the Python runtime computes."""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import flatbuffers
import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from PIL import Image
from small_files import remove_card, small_card, write_small, write_with

from ailsr.runtime import load
from ailsr.runtime.errors import ModelError
from ailsr.runtime.imaging import image
from ailsr.runtime.imaging.protocol import PROTOCOLS, Pair, score
from ailsr.runtime.imaging.resize import crop_to_multiple, enlarge, shrink
from ailsr.runtime.probe import Probe, probe_image

ROOT = Path(__file__).parent.parent.parent
APP = ROOT / "android_demo"


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
