"""Metrics of videos: against their definitions, and against FFmpeg run on files."""

from __future__ import annotations

import json
import math
import re
import subprocess
import sys
import weakref
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from clips import write_clip

from ailsr.runtime import EngineError
from ailsr.runtime.imaging.metrics import ALWAYS, METRICS, OF_VIDEO, psnr, ssim
from ailsr.runtime.imaging.resize import enlarge, shrink
from ailsr.runtime.video.clip import Clip
from ailsr.runtime.video.meter import Meter
from ailsr.runtime.video.quality import judge_video

pytest.importorskip("av", reason="VIDEO NOT TESTED: no PyAV")
BENCH = Path(sys.executable).with_name("ailsr-bench")
OWN = (*ALWAYS, "flicker")


@pytest.fixture(scope="module")
def frames(photographs):
    """Grey frames, 80×96, that move over a photograph: what a grey video holds to the bit."""
    gray = photographs["chelsea"].mean(axis=2).astype(np.uint8)[..., None].repeat(3, axis=2)
    return [
        np.ascontiguousarray(gray[50 + n : 130 + n, 60 + 2 * n : 156 + 2 * n]) for n in range(12)
    ]


@pytest.fixture(scope="module")
def clip(frames, tmp_path_factory):
    path = tmp_path_factory.mktemp("clips") / "clip.mkv"
    return write_clip(path, frames, codec="ffv1", kind="gray", rate=10)


def luma(rgb):
    """Y of BT.601 of a grey frame, in whole levels, without a border of 2 pixels."""
    return np.rint(16 + rgb[2:-2, 2:-2, 0] * (219 / 255))


def judged(clip, upscale, metrics=OWN, **part):
    quality, left_out = judge_video(upscale, Clip(clip, **part), 2, "Y-shave-s", metrics)
    assert left_out == {}
    assert list(quality.images) == ["clip.mkv"] and quality.images["clip.mkv"] == quality.scores
    return quality.scores


def test_the_metrics_are_those_of_their_definitions(clip, frames):
    results = [enlarge(shrink(frame, 2), 2) for frame in frames]
    scores = judged(clip, lambda rgb: enlarge(rgb, 2))
    pairs = [(luma(result), luma(frame)) for result, frame in zip(results, frames, strict=True)]
    errors = np.array([result - frame for result, frame in pairs])
    mean_squared = np.mean(errors**2)
    assert scores["psnr"] == pytest.approx(10 * math.log10(255**2 / mean_squared), abs=1e-9)
    assert scores["ssim"] == pytest.approx(np.mean([ssim(*pair) for pair in pairs]), abs=1e-12)
    assert scores["flicker"] == pytest.approx(np.abs(np.diff(errors, axis=0)).mean(), abs=1e-12)
    assert scores["flicker"] > 0.5


def test_a_result_that_is_right_has_no_error(clip, frames):
    originals = iter(frames)
    scores = judged(clip, lambda rgb: next(originals))
    assert scores == {"psnr": math.inf, "ssim": pytest.approx(1), "flicker": 0}


def test_flicker_is_an_error_that_changes_not_one_that_stays(clip, frames):
    def off_by(errors):
        results = (np.clip(f + np.int16(e), 0, 255).astype(np.uint8) for f, e in errors)
        return judged(clip, lambda rgb: next(results))

    steady = off_by((frame, 10) for frame in frames)
    unsteady = off_by((frame, 10 * (-1) ** n) for n, frame in enumerate(frames))
    assert steady["psnr"] == pytest.approx(unsteady["psnr"], abs=0.5)
    assert steady["flicker"] < 0.7  # rounding
    assert unsteady["flicker"] == pytest.approx(20 * 219 / 255, rel=0.05)


def test_a_part_has_its_own_frames(clip):
    seen = []

    def upscale(rgb):
        seen.append(rgb)
        return enlarge(rgb, 2)

    judged(clip, upscale, start="0.3", end="0.8")
    assert len(seen) == 5
    scores = judged(clip, upscale, start="1.1")
    assert set(scores) == {*ALWAYS}, "a single frame does not flicker"
    quality, left_out = judge_video(upscale, Clip(clip, "9"), 2, "Y-shave-s", OWN)
    assert quality is None and "there is nothing between" in left_out["clip.mkv"]


def test_no_more_than_a_few_frames_are_held(clip):
    held = []

    def upscale(rgb):
        result = enlarge(rgb, 2)
        held.append(weakref.ref(result))
        assert sum(reference() is not None for reference in held) <= 3
        return result

    judged(clip, upscale)
    assert len(held) == 12


def test_vmaf_and_xpsnr_are_those_of_ffmpeg_on_files(clip, frames, tmp_path):
    ffmpeg = pytest.importorskip("imageio_ffmpeg", reason="VMAF NOT TESTED: no imageio-ffmpeg")
    results = [enlarge(shrink(frame, 2), 2) for frame in frames]
    scores = judged(clip, lambda rgb: enlarge(rgb, 2), (*ALWAYS, *OF_VIDEO))
    for name, images in (("result", results), ("source", frames)):
        grey = np.full((2, 76, 92), 128, np.uint8)
        planes = [np.stack([luma(image), *grey]).astype(np.uint8) for image in images]
        (tmp_path / name).write_bytes(b"".join(plane.tobytes() for plane in planes))
    raw = ["-f", "rawvideo", "-pix_fmt", "yuv444p", "-s", "92x76", "-r", "10", "-i"]

    def compare(first, second, graph, found):
        command = [ffmpeg.get_ffmpeg_exe(), *raw, tmp_path / first, *raw, tmp_path / second]
        command += ["-lavfi", graph, "-f", "null", "-"]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        return float(re.search(found, done.stderr)[1])

    vmaf = compare(
        "result", "source", "libvmaf=model=version=vmaf_v0.6.1neg", r"VMAF score: ([\d.]+)"
    )
    assert scores["vmaf"] == pytest.approx(vmaf, abs=1e-3)
    assert 0 < vmaf < 100
    xpsnr = compare("source", "result", "xpsnr", r"XPSNR\s+y: *([\d.]+)")
    assert scores["xpsnr"] == pytest.approx(xpsnr, abs=1e-3)
    assert set(scores) == {*ALWAYS, *OF_VIDEO}
    right = iter(frames)
    assert judged(clip, lambda rgb: next(right), (*ALWAYS, "xpsnr"))["xpsnr"] == math.inf


def test_an_ffmpeg_that_ends_is_told(frames):
    pytest.importorskip("imageio_ffmpeg", reason="VMAF NOT TESTED: no imageio-ffmpeg")
    meter = Meter(("xpsnr",), Fraction(25))
    try:
        meter.add(luma(frames[0]), luma(frames[0]))
        meter._process.kill()
        with pytest.raises(EngineError, match=r"FFmpeg (ended early|failed): "):
            for _ in range(1000):
                meter.add(luma(frames[0]), luma(frames[0]))
            meter.scores()
    finally:
        meter.close()


def test_the_command_measures_a_video(write_network, clip, tmp_path):
    pytest.importorskip("imageio_ffmpeg", reason="VMAF NOT TESTED: no imageio-ffmpeg")
    path, html = write_network("tflite int8 uint8", (24, 36)), tmp_path / "report.html"
    command = [BENCH, path, "--video", clip, "--end", "0.5", "--processes", "1", "--runs", "3"]
    command += ["--seconds", "0", "--threads", "1", "--html", html]
    report = tmp_path / "report.json"
    done = subprocess.run([*command, "--json"], capture_output=True, text=True, check=True)
    report.write_text(done.stdout)
    found = json.loads(done.stdout)
    assert found["settings"]["images"] == str(clip)
    assert found["settings"]["video_part"] == "to 0.5"
    assert found["settings"]["metrics"] == [*ALWAYS, *OF_VIDEO]
    keys = {METRICS[name].key for name in (*ALWAYS, *OF_VIDEO)}
    (bicubic,) = found["baselines"]
    for quality in (found["files"][0]["quality"], bicubic["quality"]):
        assert keys <= quality.keys() and quality["images"]["clip.mkv"].keys() == keys
    assert bicubic["quality"]["psnr_db"] > found["files"][0]["quality"]["psnr_db"]
    page = html.read_text(encoding="utf-8")
    assert "VMAF</th>" in page and "flicker<br>levels</th>" in page
    assert "Over the frames of the video" in page

    shown = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    for word in ("VMAF", "XPSNR", "flicker", "on", "clip.mkv", "0.5"):
        assert word in shown
    tables = shown[: shown.index(" thread")].splitlines()[:-1]
    assert max(map(len, tables)) <= 100
    header = next(n for n, line in enumerate(tables) if "VMAF" in line)
    assert "memory" not in tables[header]
    assert any("bicubic" in line for line in tables[header:])
    done = subprocess.run(
        [BENCH, "compare", report, report, "--json"], capture_output=True, text=True, check=True
    )
    (change,) = json.loads(done.stdout)["changes"]
    assert change["flicker_change_levels"] == 0 and change["vmaf_change"] == 0


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (["--video", "CLIP", "--images", "."], "--video takes the place of --images"),
        (["--video", "CLIP", "--device", "adb"], "--video measures on this machine"),
        (["--video", "no.mp4"], "no video at no.mp4: check the path"),
        (["--video", "CLIP", "--start", "x"], "--start x: write seconds"),
        (["--start", "1"], "--start and --end are of a video: add --video CLIP"),
        (["--images", ".", "--metric", "flicker"], "--metric flicker is of videos: give --video"),
    ],
)
def test_what_does_not_fit_is_one_line(write_network, clip, options, reason):
    path = write_network("tflite int8 uint8", (24, 36))
    command = [BENCH, path, *(str(clip) if option == "CLIP" else option for option in options)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr.startswith(f"error: {reason}") and done.stderr.count("\n") == 1


def test_psnr_of_a_video_of_one_frame_is_that_of_the_image(clip, frames):
    scores = judged(clip, lambda rgb: enlarge(rgb, 2), end="0.1")
    result = enlarge(shrink(frames[0], 2), 2)
    assert scores["psnr"] == pytest.approx(psnr(luma(result), luma(frames[0])), abs=1e-9)
