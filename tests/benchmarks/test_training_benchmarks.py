"""The benchmarks of training and of networks' quality run and report what they say."""

import shutil
import subprocess
import sys

import numpy as np
import pytest
from benchmark_runs import BENCHMARKS, repeating, run
from PIL import Image

from ailsr.export.exporter import Exporter
from ailsr.export.reading.source import open_source
from ailsr.runtime.imaging.image import write
from ailsr.train import checkpoint, zoo


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
    command[-1] = photos / "schemes"  # the same folder by another name
    assert run("training_schemes.py", *command, cwd=photos) == first
    assert [path.stat().st_mtime_ns for path in runs] == written
    for option, value in (("batch", 2), ("train", ".")):
        other = [BENCHMARKS / "training_schemes.py", *command, f"--{option}", value]
        done = subprocess.run(
            [sys.executable, *map(str, other)],
            cwd=photos, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 1
        assert f"holds a run of another {option}: choose another --output" in done.stderr
    shutil.copytree(photos / "photos", photos / "other" / "photos")
    done = subprocess.run(
        [sys.executable, *map(str, [BENCHMARKS / "training_schemes.py", *command]), "--test",
         "other/photos"],
        cwd=photos, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 1 and "are both called photos" in done.stderr


def test_training_schemes_are_judged_on_images_degraded_as_in_training(photos):
    figures = run(
        "training_schemes.py", "--network", "sesr_m3", "--train", "photos", "--test", "photos",
        "--degradation", "photo", "--teacher", "zoo:sesr_m5_photo_x2", "--steps", 10,
        "--seeds", 2, "--only", "L1", "--only", "AIL, teacher sees degraded", "--output",
        "degraded", cwd=photos,
    )  # fmt: skip
    assert figures["protocol"] == "Y-shave-s/photo-1"
    done = subprocess.run(
        [sys.executable, BENCHMARKS / "training_schemes.py", "--train", "photos", "--test",
         "photos", "--only", "AIL, teacher sees degraded"],
        cwd=photos, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 1 and "(it needs --degradation)" in done.stderr
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
