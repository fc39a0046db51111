"""Figures of images without a ground truth: by their equations, and on blocks and noise that are
known."""

from __future__ import annotations

import csv
import io
import json
import math
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ailsr.runtime.bench.comparison import compare, load_report
from ailsr.runtime.bench.report_document import check_document, read_results, to_document
from ailsr.runtime.commands.compare import as_document
from ailsr.runtime.imaging import image
from ailsr.runtime.imaging.no_reference import (
    FIGURES,
    TENTH,
    blockiness,
    figures,
    levels,
    noise,
)
from ailsr.runtime.imaging.resize import enlarge, shrink

BENCH = Path(sys.executable).with_name("ailsr-bench")
SIGMAS = (1.0, 2.0, 5.0, 10.0, 20.0)


@pytest.fixture(scope="module")
def planes(photographs) -> dict[str, np.ndarray]:
    """Luma of photographs that were made half as large: nothing of an earlier JPEG is left."""
    return {name: levels(shrink(rgb[:300, :450], 2)) for name, rgb in photographs.items()}


def as_jpeg(luma: np.ndarray, quality: int) -> np.ndarray:
    file = io.BytesIO()
    Image.fromarray(luma.astype(np.uint8)).save(file, "JPEG", quality=quality)
    return np.asarray(Image.open(file)).astype(np.int32)


def noisy(luma: np.ndarray, sigma: float) -> np.ndarray:
    random = np.random.default_rng(5)
    return np.clip(np.rint(luma + random.normal(0, sigma, luma.shape)), 0, 255).astype(np.int32)


def repeated(luma: np.ndarray, scale: int) -> np.ndarray:
    return luma.repeat(scale, 0).repeat(scale, 1)


def test_luma_is_that_of_jpeg_files(photographs):
    rgb = photographs["chelsea"]
    expected = np.asarray(Image.fromarray(rgb).convert("YCbCr"))[..., 0].astype(int)
    assert np.abs(levels(rgb) - expected).max() <= 1


def test_blockiness_is_that_of_its_equation():
    luma = np.random.default_rng(1).integers(0, 256, (21, 30))
    at_border, elsewhere = [], []
    for plane in (luma, luma.T):
        height, width = plane.shape
        sums: dict[bool, list[int]] = {True: [], False: []}
        for row in range(height):
            for column in range(width - 1):
                step = abs(int(plane[row, column + 1]) - int(plane[row, column]))
                sums[column % 8 == 7].append(step)
        at_border.append(np.mean(sums[True]))
        elsewhere.append(np.mean(sums[False]))
    assert blockiness(luma) == pytest.approx(np.mean(at_border) / np.mean(elsewhere))


def test_blockiness_of_extremes():
    assert blockiness(np.full((16, 16), 7)) == 1
    dc_only = repeated(np.arange(9).reshape(3, 3) * 20, 8)
    assert blockiness(dc_only) == math.inf
    assert FIGURES["blockiness"].text(math.inf) == "∞"


@pytest.mark.parametrize("scale", [1, 2, 3, 4])
def test_repeated_pixels_have_the_figures_of_the_input(planes, scale):
    luma = noisy(as_jpeg(planes["chelsea"], 30), 3)
    for figure in FIGURES.values():
        assert figure.compute(repeated(luma, scale), scale) == pytest.approx(
            figure.compute(luma, 1)
        )


def test_blockiness_grows_as_the_quality_falls(planes):
    for luma in planes.values():
        assert blockiness(luma) == pytest.approx(1, abs=0.06)
        found = [blockiness(as_jpeg(luma, quality)) for quality in (90, 70, 50, 30, 10)]
        assert found == sorted(found) and found[2] > 1.1 and found[-1] > 1.6
        off_the_grid = as_jpeg(luma, 30)[4:, 4:]
        assert blockiness(off_the_grid) < 1.02


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_blocks_are_found_on_the_enlarged_grid(photographs, scale):
    small = shrink(photographs["chelsea"][:300, :450], 2)
    before, found = [], []
    for quality in (90, 50, 20):
        file = io.BytesIO()
        Image.fromarray(small).save(file, "JPEG", quality=quality)
        rgb = np.asarray(Image.open(file))
        before.append(blockiness(levels(rgb)))
        found.append(blockiness(levels(enlarge(rgb, scale)), scale))
    assert found == sorted(found) and found[0] == pytest.approx(before[0], abs=0.05)
    assert found[-1] > 1 + 0.5 * (before[-1] - 1)


def test_noise_is_that_of_its_equation():
    luma = np.random.default_rng(2).integers(100, 160, (10, 10))  # one block, and one pixel around
    mask = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]])
    total = sum(
        abs(int((mask * luma[row : row + 3, column : column + 3]).sum()))
        for row in range(8)
        for column in range(8)
    )
    assert noise(luma) * TENTH == pytest.approx(math.sqrt(math.pi / 2) * total / (6 * 64))


@pytest.mark.parametrize("sigma", SIGMAS)
def test_noise_of_a_flat_image_is_right(sigma):
    """To 5 %; whole levels add a noise of their own of 1/√12."""
    found = noise(noisy(np.full((256, 256), 128), sigma))
    assert found == pytest.approx(math.hypot(sigma, 1 / math.sqrt(12)), rel=0.05)


def test_noise_of_a_photograph_is_right_but_for_its_texture(planes):
    """Texture adds up to 1.5 levels to little noise; of much noise the estimate is 10 % off."""
    for luma in planes.values():
        found = [noise(noisy(luma, sigma)) for sigma in SIGMAS]
        assert found == sorted(found) and noise(luma) < 1.5
        for sigma, estimate in zip(SIGMAS, found, strict=True):
            assert 0.9 * sigma <= estimate <= 1.1 * sigma + 1.5


def test_clipped_parts_do_not_hide_noise():
    luma = noisy(np.full((128, 128), 128), 5)
    luma[:64] = 255
    assert noise(luma) == pytest.approx(5, rel=0.1)
    assert noise(np.zeros((32, 32), np.int32)) == 0


def bench(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [str(BENCH), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=300)


@pytest.fixture(scope="module")
def jpegs(tmp_path_factory, photographs) -> Path:
    folder = tmp_path_factory.mktemp("jpegs")
    for name, rgb in photographs.items():
        small = Image.fromarray(shrink(rgb[:180, :256], 2))
        small.save(folder / f"{name}.jpg", quality=25)
    return folder


def test_a_report_without_a_reference(jpegs, write_network, tmp_path):
    files = [write_network("onnx float32 float32", (48, 64)) for _ in range(2)]
    page, table, text = tmp_path / "r.html", tmp_path / "r.csv", tmp_path / "r.md"
    done = bench(
        *files, "--no-reference", "--images", jpegs, "--runs", 3, "--seconds", 0.1, "--json",
        "--html", page, "--csv", table, "--markdown", text,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    check_document(document)
    assert document["settings"]["protocol"] == "no-reference"
    before, bicubic = document["no_reference"]
    assert [(e["name"], e["scale"]) for e in (before, bicubic)] == [("input", 1), ("bicubic", 2)]
    rgb = image.read(jpegs / "rocket.jpg")
    for entry, version, scale in ((before, rgb, 1), (bicubic, enlarge(rgb, 2), 2)):
        assert entry["images"]["rocket"] == pytest.approx(figures(version, scale))
        for name in FIGURES:
            values = [found[name] for found in entry["images"].values()]
            assert entry[name] == pytest.approx(np.mean(values))
    assert before["blockiness"] > 1.1
    for entry in document["files"]:
        assert entry["quality"] is None and set(entry["no_reference"]["images"]) == {
            *("astronaut", "chelsea", "rocket")
        }
    assert document["baselines"] == [] and "psnr" not in done.stdout

    html = page.read_text("utf-8")
    assert html.count('class="crop"') == 3 and "Whole image, no reference" in html
    for label in ("input", "bicubic", *(path.name for path in files)):
        assert html.count(f"<b>{label}</b>") >= 3
    assert "PSNR" not in html and "ground truth</b>" not in html
    with table.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["file"] for row in rows] == [*map(str, files), "input", "bicubic"]
    assert float(rows[2]["blockiness"]) == pytest.approx(before["blockiness"])
    assert float(rows[0]["noise"]) == pytest.approx(document["files"][0]["no_reference"]["noise"])
    markdown = text.read_text("utf-8")
    assert "Blockiness, no reference | Noise, no reference" in markdown and "| input |" in markdown
    assert "PSNR" not in markdown

    results = read_results(document, "local")
    again = json.loads(json.dumps(to_document(results)))
    assert again == document
    worse = replace(results.measured[0].no_reference, figures={"blockiness": math.inf, "noise": 9})
    files_after = [replace(results.measured[0], no_reference=worse), *results.measured[1:]]
    after = json.loads(json.dumps(to_document(replace(results, files=files_after))))
    check_document(after)
    assert after["files"][0]["no_reference"]["blockiness"] is None
    first, second = as_document(compare(document, after))["changes"]
    assert second["no_reference_changes"] == {"blockiness": 0, "noise": 0}
    change = 9 - document["files"][0]["no_reference"]["noise"]
    assert first["no_reference_changes"] == pytest.approx({"noise": change})

    for name, report in (("a", document), ("b", after)):
        (tmp_path / f"{name}.json").write_text(json.dumps(report))
        assert load_report(tmp_path / f"{name}.json") == report
    said = bench("compare", tmp_path / "a.json", tmp_path / "b.json").stdout
    assert "no reference" in said and f"{change:+.3f}" in said and "PSNR" not in said


def test_an_image_that_cannot_be_used_costs_only_itself(jpegs, write_network, tmp_path):
    for path in jpegs.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    image.write(np.zeros((10, 40, 3), np.uint8), tmp_path / "small.png")
    file = write_network("onnx float32 float32", (48, 64))
    done = bench(
        file, "--no-reference", "--images", tmp_path, "--runs", 3, "--seconds", 0.1, "--json",
        "--html", tmp_path / "r.html",
    )  # fmt: skip
    document = json.loads(done.stdout)
    assert "small" not in document["files"][0]["no_reference"]["images"]
    assert "small has 40x10 pixels, too few" in document["files"][0]["left_out"]["small"]
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("error: the figures leave out: small has 40x10")
    assert (tmp_path / "r.html").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "--no-reference is of images: add --images DIR"),
        (["--images", "{images}", "--budget-ms", "9"], "--budget-ms compares with a ground truth"),
        (
            ["--images", "{images}", "--degradation", "web", "--metric", "ssim"],
            "--degradation, --metric compare with a ground truth",
        ),
        (["--images", "{empty}"], "no images in {empty}"),
    ],
)
def test_what_needs_a_truth_is_refused(jpegs, write_network, tmp_path, arguments, message):
    places = {"images": jpegs, "empty": tmp_path}
    file = write_network("onnx float32 float32", (48, 64))
    done = bench(file, "--no-reference", *(text.format(**places) for text in arguments))
    assert (done.returncode, done.stdout) == (1, "")
    (line,) = done.stderr.splitlines()
    assert line.startswith("error: " + message.format(**places))
