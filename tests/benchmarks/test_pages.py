"""The benchmarks that write pages and figures, on little data."""

import json
import re
import shutil
import subprocess
import sys

import numpy as np
import onnx
import pytest
from benchmark_runs import BENCHMARKS, repeating, run
from PIL import Image

from ailsr.export.reading.source import open_source
from ailsr.export.targets.onnx.model import float_model
from ailsr.runtime.errors import UsageError
from ailsr.train import zoo


def test_the_zoo_table_measures_one_network_and_keeps_the_others(photos):
    page = (BENCHMARKS.parent / "docs" / "zoo.md").read_text(encoding="utf-8").splitlines()
    (photos / "zoo.md").write_text("\n".join(page), encoding="utf-8")
    sets = ("Set5", "Set14", "Kodak24")
    for name in sets:
        shutil.copytree(photos / "photos", photos / name)
    command = [
        sys.executable, BENCHMARKS / "zoo_table.py", "--only", "zoo:sesr_m3_research_x3",
        "--output", "zoo.md", "--psnr", "psnr.json", *(f"--test={name}" for name in sets),
    ]  # fmt: skip
    done = subprocess.run(command, cwd=photos, capture_output=True, text=True, check=False)
    assert done.returncode == 1 and "give --degraded as for those" in done.stderr
    assert (photos / "zoo.md").read_text(encoding="utf-8") == "\n".join(page)
    command += ["--degraded", "Set5", "--degraded", "Set14"]
    done = subprocess.run(
        [*command, "--test", "photos"], cwd=photos, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1 and "give --test as for those" in done.stderr
    subprocess.run(command, cwd=photos, check=True, capture_output=True)
    after = (photos / "zoo.md").read_text(encoding="utf-8").splitlines()
    changed = [(a, b) for a, b in zip(page, after, strict=True) if a != b and "sesr" in a]
    ((before, now),) = changed
    psnr, ssim = map(float, re.search(r"\| 1.12 \| ([\d.]+) / ([\d.]+) \|", now).groups())
    assert before.startswith("| `sesr_m3_research_x3` |") and 25 < psnr < 45 and 0.7 < ssim < 1
    found = json.loads((photos / "psnr.json").read_text())
    assert [*found] == ["sesr_m3_research_x3"] and round(
        found["sesr_m3_research_x3"]["Set5"], 2
    ) == psnr


def test_networks_of_others_are_taken_or_refused_with_the_reason(photos):
    folder = photos / "networks"
    folder.mkdir()
    repeating(3.0, folder / "bright.onnx", (24, 32))
    graph = open_source(zoo.path("sesr_m3_x2")).graph((24, 32))
    onnx.save(float_model(graph), folder / "small.onnx")
    (folder / "sources.tsv").write_text(
        "file\trepository\tlicence\toptions\nsmall.onnx\tours/ailsr\tApache-2.0\t\n"
    )
    command = [
        "foreign_networks.py", "networks", "--calibration", "photos", "--test", "photos",
        "--target", "tflite", "--size", "24x32", "--output", "networks.md",
    ]  # fmt: skip
    refused, taken = run(*command, cwd=photos)
    assert refused["file"] == "bright.onnx" and "bicubic" in refused["reason"]
    assert taken["reason"] == "" and taken["int8"]["precision"] == "int8"
    page = (photos / "networks.md").read_text()
    assert "1 of 2 networks" in page and "| `small.onnx` | ours/ailsr | Apache-2.0 |" in page
    assert "Of 1 networks that were tried in int8, 1\n(100%) become int8 files" in page
    assert "lose at most 0.10 dB with at most 10% of the MACs outside int8." in page
    assert "24x32 pixels" in page
    kept = (folder / "survey.json").read_bytes()
    run(*command, cwd=photos)  # what is known is not done again
    assert (folder / "survey.json").read_bytes() == kept
    (folder / "survey.json").unlink()
    (line,) = (line for line in page.splitlines() if line.startswith("| `small.onnx` | int8 |"))
    other = line.replace("small", "other").replace("| int8 |", "| int8x16 |")
    page = page.replace(line, f"{other}\n| `small.onnx` | old |") + "\nNote.\n"
    (photos / "networks.md").write_text(page)
    (found,) = run(*command, "--int8-only", "--only", "small.onnx", cwd=photos)
    assert found["float32"] == [] and found["int8"]["loss"] == taken["int8"]["loss"]
    again = (photos / "networks.md").read_text()
    assert "Of 2 networks that were tried in int8, 1\n(50%) become" in again and other in again
    for whole in (page, again):
        assert whole.partition("<!-- int8 -->")[0] == page.partition("<!-- int8 -->")[0]
    assert "old" not in again and again.endswith("\nNote.\n")


def test_the_crop_of_the_readme_is_that_of_the_file(photos):
    repeating(1.0, photos / "nearest_x2_float32.onnx", (24, 32))
    subprocess.run(
        [sys.executable, BENCHMARKS / "readme_figures.py", "--output", ".",
         "--photograph", "photos/coffee.png", "--file", "nearest_x2_float32.onnx"],
        cwd=photos, check=True,
    )  # fmt: skip
    with Image.open(photos / "crop.png") as crop:
        middle = np.asarray(crop)[22:, 246:486]
    pixels = middle[::3, ::3]
    np.testing.assert_array_equal(pixels.repeat(3, 0).repeat(3, 1), middle)
    first = int((pixels[0] != pixels[1]).any())  # the crop may begin between two equal rows
    np.testing.assert_array_equal(pixels[first:-1:2], pixels[first + 1 :: 2])


def test_the_page_of_int8_keeps_the_lines_of_networks_that_are_not_measured(photos):
    command = [
        sys.executable, BENCHMARKS / "int8_table.py", "--calibration", "photos", "--test", "photos",
        "--only", "sesr_m3_x2", "--output", "int8.md",
    ]  # fmt: skip
    page = photos / "int8.md"

    def lines():
        subprocess.run(command, cwd=photos, capture_output=True, check=True)
        return [line for line in page.read_text().splitlines() if line.startswith("| `")]

    first = lines()
    assert [line.split("`")[1] for line in first] == ["sesr_m3_x2"] * 2
    other, stale = first[0].replace("m3_x2", "m3_x3"), first[1].replace("m3_x2", "m3_x9")
    page.write_text(page.read_text().replace(first[0], f"{stale}\n{other}\n| `sesr_m3_x2` | old |"))
    assert lines() == [*first, other]


def test_the_page_of_converters_relates_others_to_ours_and_says_what_failed(monkeypatch):
    monkeypatch.syspath_prepend(BENCHMARKS)
    from converters_page import page

    def file(tool, milliseconds, error=None):
        return {
            "tool": tool, "precision": "int8", "error": error, "bytes": 3000, "operators": 9,
            "latencies": dict.fromkeys(("1", "2"), milliseconds), "load_ms": 1.0,
            "peak_memory_bytes": None, "psnr": 30.0, "export_seconds": 2.0,
        }  # fmt: skip

    files = [
        file("ailsr", (10, 9, 11)), file("litert-torch", (20, 18, 22)),
        file("onnx2tf", None, "why"),
    ]  # fmt: skip
    chains = ("ailsr", "litert-torch", "onnx2tf")
    text = page([{
        "network": "net_x2", "input_size": (360, 640), "images": "Set5", "calibration": "T91",
        "protocol": "Y-shave-s", "date": "2026-01-01", "cpu": "some", "cores": 2,
        "installed_bytes": dict.fromkeys(chains, 10**9), "files": files,
    }])  # fmt: skip
    assert "20.0 ± 2.0 (×2.00, 1.64–2.44)" in text and "onnx2tf, int8 | fails: why" in text
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert len({row.count("|") for row in rows[:5]}) == 1


def test_every_calibration_picture_is_on_a_canvas(monkeypatch):
    monkeypatch.syspath_prepend(BENCHMARKS)
    from tool_chains import canvases

    sizes = [(20, 30), (35, 40), (10, 90), (50, 50), (30, 60), (49, 99)]
    pictures = [np.full((*size, 3), 10 * n + 1, np.uint8) for n, size in enumerate(sizes)]
    found = np.concatenate([np.rint(255 * c).ravel() for c in canvases(pictures, (60, 100))])
    for number, (height, width) in enumerate(sizes):
        assert (found == 10 * number + 1).sum() == 3 * height * width


def test_the_text_of_a_page_stays_around_what_is_measured(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(BENCHMARKS)
    import page

    file = tmp_path / "page.md"
    page.write(file, "one\n")
    assert page.measured(file) == "one\n"
    file.write_text(f"# Title\n\n{file.read_text()}\nThe end.\n")
    page.write(file, "two")
    assert file.read_text() == f"# Title\n\n{page.START}two\n{page.END}\nThe end.\n"
    file.write_text("# Title\n")
    with pytest.raises(UsageError, match="choose another --output"):
        page.write(file, "three")
    assert file.read_text() == "# Title\n"
