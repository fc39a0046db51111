"""The benchmarks run and report what they say, on little data; no time is judged."""

import errno
import json
import re
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import onnx
import pytest
import skimage.data
from PIL import Image

from ailsr.export.exporter import Exporter
from ailsr.export.fit.command import MeasureConfig, measure_table
from ailsr.export.fit.probes import ProbeNetwork
from ailsr.export.graph.graph import Conv, DepthToSpace, Graph
from ailsr.export.reading.source import open_source
from ailsr.export.targets.onnx import writer as onnx_writer
from ailsr.export.targets.onnx.model import float_model
from ailsr.export.targets.tflite import writer as tflite_writer
from ailsr.runtime.card import Card
from ailsr.runtime.cpu import read_text
from ailsr.runtime.errors import UsageError
from ailsr.runtime.imaging.image import write
from ailsr.train import checkpoint, zoo

BENCHMARKS = Path(__file__).parent.parent / "benchmarks"
SVG = "{http://www.w3.org/2000/svg}"


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


def test_robustness_is_judged_on_the_same_images(photos):
    on_clean, on_photo = run(
        "robustness.py", "zoo:sesr_m3_x2", "--against", "zoo:sesr_m5_x2", "--test", "photos",
        "--degradation", "bicubic", "--degradation", "photo", cwd=photos,
    )  # fmt: skip
    assert (on_clean["protocol"], on_photo["protocol"]) == ("Y-shave-s", "Y-shave-s/photo-1")
    psnr = {name: scores["psnr"] for name, scores in on_clean["scores"].items()}
    assert psnr["bicubic"] < psnr["Lanczos"] < psnr["zoo:sesr_m3_x2"] < psnr["zoo:sesr_m5_x2"]
    assert all(on_photo["scores"][name]["psnr"] < value for name, value in psnr.items())


def test_networks_of_one_descent_are_mixed(photos):
    (found,) = run(
        "robustness.py", "zoo:sesr_m5_photo_x2", "--against", "zoo:sesr_m5_photo_x2",
        "--mix", "zoo:sesr_m5_web_x2", "--share", 0, "--share", 0.5, "--share", 1,
        "--test", "photos", "--degradation", "web", cwd=photos,
    )  # fmt: skip
    psnr = {name: scores["psnr"] for name, scores in found["scores"].items()}
    photo = "zoo:sesr_m5_photo_x2"
    none, half, all_of_it = (
        psnr[f"{photo}, {s} zoo:sesr_m5_web_x2"] for s in ("0%", "50%", "100%")
    )
    assert psnr[photo] == pytest.approx(none, abs=0.01)
    assert all_of_it > none
    assert half > min(none, all_of_it)


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
    other = [BENCHMARKS / "training_schemes.py", *command, "--batch", 2]
    done = subprocess.run(
        [sys.executable, *map(str, other)], cwd=photos, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "holds a run with other options" in done.stderr


def test_training_schemes_are_judged_on_images_degraded_as_in_training(photos):
    figures = run(
        "training_schemes.py", "--network", "sesr_m3", "--train", "photos", "--test", "photos",
        "--degradation", "photo", "--teacher", "zoo:sesr_m5_photo_x2", "--steps", 10,
        "--seeds", 2, "--only", "L1", "--only", "AIL, teacher sees degraded", "--output",
        "degraded", cwd=photos,
    )  # fmt: skip
    assert figures["protocol"] == "Y-shave-s/photo-1"
    assert [len(sets["photos"]) for sets in figures["psnr"].values()] == [2, 2]


def test_training_schemes_without_a_plain_one_are_compared_to_the_last(photos):
    command = [
        "--network", "sesr_m3", "--train", "photos", "--test", "photos", "--teacher",
        "zoo:sesr_m5_x2", "--steps", 10, "--seeds", 2, "--rounds", 2, "--max-megapixels", 0.002,
        "--patch", 8, "--only", "AIL", "--only", "distillation", "--output", "rounds",
    ]  # fmt: skip
    psnr = run("training_schemes.py", *command, cwd=photos)["psnr"]
    differences = [
        a - b for a, b in zip(psnr["AIL"]["photos"], psnr["distillation"]["photos"], strict=True)
    ]
    done = subprocess.run(
        [sys.executable, *map(str, [BENCHMARKS / "training_schemes.py", *command])],
        cwd=photos, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert "to distillation with its 95 %" in " ".join(done.stdout.split())
    assert f"{sum(differences) / 2:+.3f}" in done.stdout
    card = checkpoint.load(next((photos / "rounds").rglob("ail_0/last.pt"))).card
    assert len(card["validations"]) == 2
    assert card["recipe"]["max_megapixels"] == 0.002


def test_training_speed_reports_its_ratios(photos):
    figures = run(
        "training_speed.py", "--network", "sesr_m3", "--teacher", "sesr_m3", "--train", "photos",
        "--times", 3, "--batch", 2, "--patch", 16, "--degradation", "photo", cwd=photos,
    )  # fmt: skip
    ms = figures["milliseconds"]
    assert figures["AIL / plain"] == pytest.approx(ms["AIL"] / ms["plain"])
    assert figures["authors' way / AIL"] == pytest.approx(ms["AIL, the authors' way"] / ms["AIL"])
    assert 0 < figures["maps / run"] < 1
    assert figures["degraded anew / plain"] > 0


def test_latency_prediction_compares_and_writes_its_page(photos):
    (photos / "page.md").write_text("# Fit\n\n## Method\n\nkept\n\n## Accuracy\n\nold\n")
    networks = [ProbeNetwork("sesr", depth, 8, 2, (24, 32)) for depth in (1, 9)]
    table = photos / "tables" / "tflite_int8_1.json"  # small, since one that is there is used
    measure_table(MeasureConfig(table, "tflite", "int8", 1, seconds=0), networks)
    figures = run(
        "latency_prediction.py", "--setting", "tflite int8 1", "--most", 1, "--seconds", 0,
        "--tables", "tables", "--page", "page.md", cwd=photos,
    )["tflite int8 1"]  # fmt: skip
    (network,) = figures["networks"]
    assert network["error"] == pytest.approx(
        network["predicted_p90_ms"] / network["measured_p90_ms"] - 1
    )
    assert figures["largest error"] == abs(network["error"])
    page = (photos / "page.md").read_text()
    assert "kept" in page and "old" not in page
    assert "| `zoo:sesr_m3_research_x2` | 640×360 |" in page.split("## Accuracy")[1]


def repeating(gain, path, size=(16, 16)):
    """A file that repeats each pixel, ``gain`` times as bright."""
    weight = np.zeros((12, 3, 1, 1), np.float32)
    weight[np.arange(12), np.arange(12) % 3] = gain  # channel 3*k + c is colour c of pixel k
    conv = Conv("image", "blocks", weight, np.zeros(12, np.float32))
    graph = Graph((conv, DepthToSpace("blocks", "upscaled", 2)), (3, *size))
    card = Card("nearest", 2, "rgb", "float32", "float32", size, radius=0)
    writer = {".onnx": onnx_writer, ".tflite": tflite_writer}[path.suffix]
    writer.write(graph, card, path, None)


def test_the_zoo_table_measures_one_network_and_keeps_the_others(photos):
    page = (BENCHMARKS.parent / "docs" / "zoo.md").read_text(encoding="utf-8").splitlines()
    (photos / "zoo.md").write_text("\n".join(page), encoding="utf-8")
    subprocess.run(
        [sys.executable, BENCHMARKS / "zoo_table.py", "--test", "photos", "--degraded", "photos",
         "--only", "sesr_m3_research_x3", "--output", "zoo.md", "--psnr", "psnr.json"],
        cwd=photos, check=True, capture_output=True,
    )  # fmt: skip
    after = (photos / "zoo.md").read_text(encoding="utf-8").splitlines()
    changed = [(a, b) for a, b in zip(page, after, strict=True) if a != b and "sesr" in a]
    ((before, now),) = changed
    psnr, ssim = map(float, re.search(r"\| 1.12 \| ([\d.]+) / ([\d.]+) \|", now).groups())
    assert before.startswith("| `sesr_m3_research_x3` |") and 25 < psnr < 45 and 0.7 < ssim < 1
    found = json.loads((photos / "psnr.json").read_text())
    assert [*found] == ["sesr_m3_research_x3"] and round(
        found["sesr_m3_research_x3"]["photos"], 2
    ) == psnr


@pytest.mark.skipif(
    "amx_tile" not in (read_text("/proc/cpuinfo") or ""), reason="AMX NOT TESTED: there is none"
)
def test_amx_is_refused_to_a_process_and_its_children():
    request = "libc.syscall(amx.ARCH_PRCTL, amx.REQUEST_TILES, 18), ctypes.get_errno()"
    child = f"import amx, ctypes; libc = ctypes.CDLL(None, use_errno=True); print({request})"
    code = "import amx, subprocess, sys; amx.switch_off(); subprocess.run(sys.argv[1:])"
    done = subprocess.run(
        [sys.executable, "-c", code, sys.executable, "-c", child],
        cwd=BENCHMARKS, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout.split() == ["-1", str(errno.EPERM)]


def test_shapes_of_networks_are_timed():
    (deep,) = run(
        "kernel_shapes.py", "sesr3_m4_w8", "--size", "24x32", "--seconds", 0, cwd=BENCHMARKS
    )
    # 3×3 from RGB to 8, from 8 to 8 four times, from 8 to four RGB pixels, and the skip, 1×1
    count = 24 * 32 * (9 * 3 * 8 + 4 * 9 * 8 * 8 + 9 * 8 * 12 + 3 * 12)
    assert deep["gmac"] == pytest.approx(count / 1e9)
    assert deep["block_gmac"] == pytest.approx(24 * 32 * 9 * 8 * 8 / 1e9)
    assert deep["ms"] > 0


def test_the_overhead_of_the_harness_is_measured(tmp_path):
    for ending in ("onnx", "tflite"):
        repeating(1.0, tmp_path / f"nearest.{ending}")
    figures = run(
        "harness_overhead.py", "nearest.onnx", "nearest.tflite", "--python", sys.executable,
        "--times", 1, cwd=tmp_path,
    )  # fmt: skip
    assert 0 <= figures["added, %"] <= figures["between, %"] + 0.1
    assert figures["start, s of CPU"] > 0.05 and figures["command, MB"] > 20
    assert all(-20 < megabytes < 200 for megabytes in figures["memory, MB"].values())


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


def test_hard_crops_are_those_that_bicubic_enlargement_misses_most(photos):
    folder = photos / "two"
    flat, noise = np.full((48, 96, 3), 90, np.uint8), np.zeros((48, 96, 3), np.uint8)
    noise[:, 48:] = np.random.default_rng(0).integers(0, 256, (48, 48, 3))
    write(flat, folder / "flat.png")
    write(noise, folder / "noise.png")
    arguments = ("hard_crops.py", folder, "--side", 48, "--share", 0.25)
    assert [*run(*arguments, "--output", "hard", cwd=photos)] == ["noise_0_48"]
    (file,) = (photos / "hard").iterdir()
    np.testing.assert_array_equal(np.asarray(Image.open(file)), noise[:, 48:])


def test_the_front_holds_what_nothing_beats(photos):
    repeating(1.0, photos / "nearest.tflite", (40, 60))
    (table,) = run(
        "front.py", "--calibration", "photos", "--test", "photos", "--only", "sesr_m3",
        "--only", "sesr_m5", "--only", "sesr_m5_research", "--scale", 2, "--input-size", "40x60",
        "--file", "nearest.tflite", "--runs", 3, "--seconds", 0.1, "--processes", 1,
        "--output", "front.md", "--figure", "front.svg", cwd=photos,
    )  # fmt: skip
    rows = {row["name"]: row for row in table["rows"]}
    assert {"FSRCNN, OpenCV", "ArtCNN C4F16", "eSR-MAX"} <= set(table["left_out"])
    assert set(table["left_out"].values()) == {"no --peers given"}
    nearest, m3, m5, research = (
        rows[name] for name in ("nearest.tflite", "sesr_m3", "sesr_m5", "sesr_m5_research")
    )
    assert (m5["images"], research["images"], nearest["images"]) == ("free", "research", "peer")
    assert rows["Pillow Lanczos"]["psnr"]["photos"] > rows["Pillow bicubic"]["psnr"]["photos"]
    assert research["p50_ms"] == m5["p50_ms"] and m5["ratio"] == 1
    places = {n: (-row["p50_ms"], round(row["psnr"]["photos"], 2)) for n, row in rows.items()}
    for name, row in rows.items():
        behind = any(
            place != places[name] and all(np.greater_equal(place, places[name]))
            for place in places.values()
        )
        alike = [rows[n]["front"] for n, place in places.items() if place == places[name]]
        assert sorted(filter(None, alike)) == ([] if behind else [["photos"]])
        assert row["free_front"] == [] or row["images"] in ("free", "CC0", "")
    # 5×5 from RGB to 16, 3×3 from 16 to 16 three times, 5×5 from 16 to four RGB pixels, and the
    # skip, 1×1 from RGB to four pixels; by four.
    count = 25 * 3 * 16 + 3 * 9 * 16 * 16 + 25 * 16 * 12 + 3 * 12
    assert m3["multiplications"] == count / 4
    assert nearest["multiplications"] == 3 * 12 / 4
    page = (photos / "front.md").read_text()
    assert page.count("\n| `sesr_m") == 3 and "FSRCNN, OpenCV (no --peers given)" in page
    words = [text.text for text in ElementTree.parse(photos / "front.svg").iter(f"{SVG}text")]
    assert {"images for research", "images free for any use", "of others"} <= set(words)


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


def test_the_thresholds_of_auto_are_those_of_the_highest_psnr(photos, monkeypatch):
    for name, gain in (("clean.onnx", 1.0), ("photo.onnx", 0.98)):
        repeating(gain, photos / name)
    found = run("condition.py", "clean.onnx", "photo.onnx", "--test", "photos", cwd=photos)
    assert len(found["cases"]) == 12 + 9
    assert {case["jpeg_quality"] for case in found["cases"]} >= {None, 98, 30}
    means = found["psnr"]
    assert means["better"] >= max(means["clean"], means["photo"], means["auto"])
    monkeypatch.syspath_prepend(BENCHMARKS)
    from condition import Case, compared, threshold

    def case(quality, gain):
        return Case("any", quality, 0.0, 1.0, 30.0, 30.0 + gain)

    cases = [case(95, -1.0), case(90, -0.2), case(80, 0.4), case(75, -0.1), case(50, 0.5)]
    assert threshold(cases, lambda case: -case.jpeg_quality) == -80
    assert threshold(cases[:2], lambda case: -case.jpeg_quality) == float("inf")
    assert compared(cases) == pytest.approx(
        {"clean": 30.0, "photo": 29.92, "auto": 30.16, "better": 30.18}
    )


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


def test_video_is_measured_beside_the_network_and_bicubic(tmp_path):
    pytest.importorskip("av", reason='VIDEO NOT TESTED: pip install "ailsr[video]"')
    repeating(1.0, tmp_path / "nearest.tflite", (64, 96))
    found = run(
        "video_speed.py", "nearest.tflite", "--frames", 6, "--size", "192x128", "--times", 1,
        "--preset", "superfast", cwd=tmp_path,
    )  # fmt: skip
    rows = {(row["clip"], row["what"]): row for row in found}
    wholes = ("network alone", "ailsr-upscale", "FFmpeg's bicubic")
    parts = ("decoding", "colours in", "network", "colours out", "encoding", "the rest")
    assert list(rows) == [
        (clip, what)
        for clip in ("pan", "still scene")
        for what in (*wholes, *(f"of it {part}" for part in parts))
    ]
    for clip, saved in (("pan", 0.0), ("still scene", 0.3)):
        network, whole = rows[clip, "network alone"], rows[clip, "ailsr-upscale"]
        assert whole["preset"] == "superfast" and whole["saved"] >= saved
        assert whole["of_network"] == whole["frames_per_s"] / network["frames_per_s"]
        of_it = sum(rows[clip, f"of it {part}"]["cpu_ms"] for part in parts)
        assert of_it == pytest.approx(whole["cpu_ms"])
    assert rows["pan", "ailsr-upscale"]["saved"] == 0


def test_files_of_luma_and_rgb_are_judged_on_the_same_planes(photos):
    for layout in ("rgb", "y"):
        source = open_source(zoo.path("sesr_m3_x2"))
        exporter = Exporter(source, (75, 100), images=photos / "photos", layout=layout)
        exporter.export("onnx", "float32", photos)
    names = [f"sesr_m3_x2_{layout}float32.onnx" for layout in ("", "y_")]
    (found,) = run("luma_planes.py", *names, "--test", "photos", cwd=photos)
    assert found["set"] == "photos"
    assert found["y"] > found["rgb"] - 0.02
    assert found["rgb"] < found["rgb_never_planes"] < found["rgb"] + 0.3
    done = subprocess.run(
        [sys.executable, BENCHMARKS / "luma_planes.py", *reversed(names), "--test", "photos"],
        cwd=photos, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 1 and "give a file of --layout rgb, then" in done.stderr


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
