"""Videos on the page: every frame at its time, upscaled as an image is, with its sound."""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from ailsr.runtime import load

av = pytest.importorskip("av", reason='VIDEO NOT TESTED: pip install "ailsr[video]"')

WAIT = 90_000  # milliseconds; CI may be slow
TIMES = [0, 40, 80, 200, 240, 290, 400, 440]  # milliseconds: frames of no fixed rate
SIZE = (96, 128)


def write_clip(
    path: Path,
    photograph: np.ndarray,
    codec: str,
    sound: str | None,
    speed: float = 4,
    times: Sequence[int] = TIMES,
) -> None:
    """A clip that pans over ``photograph``, ``speed`` pixels a frame, with a tone of 0.48 s by the
    codec ``sound``; ``times`` of its frames in milliseconds."""
    with av.open(str(path), "w") as file:
        video = file.add_stream(codec, rate=25)
        video.width, video.height, video.pix_fmt = SIZE[1], SIZE[0], "yuv420p"
        video.bit_rate = 2_000_000
        video.codec_context.time_base = Fraction(1, 1000)
        audio = file.add_stream(sound, rate=48_000) if sound else None
        for i, time in enumerate(times):
            left = int(speed * i)
            rgb = np.ascontiguousarray(photograph[50 : 50 + SIZE[0], left : left + SIZE[1]])
            frame = av.VideoFrame.from_ndarray(rgb, "rgb24")
            frame.pts, frame.time_base = time, Fraction(1, 1000)
            file.mux(video.encode(frame))
        file.mux(video.encode())
        if audio:
            tone = np.sin(np.arange(23_040) / 20).astype(np.float32)[None] / 4
            sample_format = "fltp" if sound == "aac" else "flt"
            for start in range(0, tone.shape[1], 960):
                part = np.ascontiguousarray(tone[:, start : start + 960])
                frame = av.AudioFrame.from_ndarray(part, sample_format, "mono")
                frame.sample_rate, frame.pts = 48_000, start
                file.mux(audio.encode(frame))
            file.mux(audio.encode())


def read_clip(path: Path) -> tuple[list[int], list[np.ndarray], list[bytes]]:
    """Milliseconds and RGB of the frames, and the packets of the sound."""
    with av.open(str(path)) as file:
        frames = list(file.decode(video=0))
        times = [round(1000 * frame.time) for frame in frames]
        pixels = [frame.to_ndarray(format="rgb24") for frame in frames]
    with av.open(str(path)) as file:
        packets = [bytes(p) for p in file.demux(audio=0)] if file.streams.audio else []
    return times, pixels, [packet for packet in packets if packet]


def psnr(a: np.ndarray, b: np.ndarray) -> float:
    return float(10 * np.log10(255**2 / np.square(a.astype(float) - b).mean()))


@pytest.fixture
def page(models, serve, open_page):
    return open_page(serve([models.int8]))


@pytest.mark.parametrize(("codec", "sound"), [("libvpx", "libopus"), ("libvpx-vp9", None)])
def test_every_frame_comes_out_at_its_time(page, models, photographs, tmp_path, codec, sound):
    write_clip(tmp_path / "clip.webm", photographs["chelsea"], codec, sound)
    times, small, packets = read_clip(tmp_path / "clip.webm")
    assert times == TIMES and (len(packets) > 20 if sound else not packets)
    page.set_input_files("#choose", tmp_path / "clip.webm")
    page.locator("#save").wait_for(timeout=WAIT)
    outcome = page.locator("#outcome").inner_text()
    assert re.fullmatch(r"256 × 192, 8 frames in [\d.]+ s", outcome)
    with page.expect_download() as download:
        page.click("#save")
    assert download.value.suggested_filename == "clip_x2.webm"
    written, large, copied = read_clip(Path(download.value.path()))
    assert written == times
    assert copied == packets
    upscaler = load(models.int8)
    for before, after in zip(small, large, strict=True):
        assert psnr(after, upscaler.upscale(before)) > 30
    page.wait_for_function("document.getElementById('clip').videoWidth === 256")


def test_a_frame_that_is_as_the_one_before_is_not_computed_again(
    page, models, photographs, tmp_path
):
    stripes = np.linspace(30, 220, 4).astype(np.uint8).repeat(64)
    scene = np.broadcast_to(stripes[:, None], (50 + SIZE[0], len(stripes), 3))
    write_clip(tmp_path / "clip.webm", scene, "libvpx-vp9", None, speed=1 / 4)  # 0 or 1 pixel
    _, small, _ = read_clip(tmp_path / "clip.webm")
    kept = sum(np.array_equal(a, b) for a, b in itertools.pairwise(small))
    page.set_input_files("#choose", tmp_path / "clip.webm")
    page.locator("#save").wait_for(timeout=WAIT)
    said = re.search(r"(\d+) of them as the one before", page.locator("#outcome").inner_text())
    assert said and int(said[1]) == kept >= 1
    with page.expect_download() as download:
        page.click("#save")
    _, large, _ = read_clip(Path(download.value.path()))
    upscaler = load(models.int8)
    for before, after in zip(small, large, strict=True):
        assert psnr(after, upscaler.upscale(before)) > 30


def test_sound_that_cannot_be_kept_is_said(page, photographs, tmp_path):
    """AAC, which WebM does not take: a browser that encodes H.264 writes MP4, others say it."""
    write_clip(tmp_path / "clip.mkv", photographs["chelsea"], "libvpx-vp9", "aac")
    clip = {"name": "clip.mkv", "mimeType": "video/x-matroska"}
    page.set_input_files("#choose", {**clip, "buffer": (tmp_path / "clip.mkv").read_bytes()})
    page.locator("#save").wait_for(timeout=WAIT)
    with page.expect_download() as download:
        page.click("#save")
    times, _, packets = read_clip(Path(download.value.path()))
    assert len(times) == len(TIMES)
    ending = Path(download.value.suggested_filename).suffix
    outcome = page.locator("#outcome").inner_text()
    if ending == ".mp4":
        assert packets == read_clip(tmp_path / "clip.mkv")[2]
    else:
        assert (ending, packets) == (".webm", [])
    assert ("without its sound" in outcome) == (ending == ".webm")


def test_a_video_is_stopped_and_what_is_none_is_said(page, photographs, tmp_path):
    times = range(0, 12_000, 40)  # to be stopped before its end
    write_clip(tmp_path / "clip.webm", photographs["chelsea"], "libvpx", None, 0.1, times)
    page.set_input_files("#choose", tmp_path / "clip.webm")
    said = re.compile(r"frame \d+, \d+\.\d of 1\d\.\d s")
    page.locator("#what", has_text=said).wait_for(timeout=WAIT)
    page.click("#cancel")
    page.locator("#empty").wait_for(timeout=WAIT)
    write_clip(tmp_path / "old.mp4", photographs["chelsea"], "mpeg4", None)
    text = {"name": "notes.mp4", "mimeType": "video/mp4", "buffer": b"no video"}
    for file, said in ((text, "this is no video of"), (tmp_path / "old.mp4", "cannot decode")):
        page.set_input_files("#choose", file)
        page.get_by_role("alert").filter(has_text=said).wait_for(timeout=WAIT)
        page.locator("#empty").wait_for(timeout=WAIT)
