"""Video files: what is kept, what is joined, and what is refused."""

from __future__ import annotations

import itertools
import json
import signal
import subprocess
import sys
import time
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from clips import frames_of, packets_of, times_of, write_clip

from ailsr.runtime import ImageError, UsageError, load
from ailsr.runtime.upscaling.part import Part
from ailsr.runtime.video import library
from ailsr.runtime.video.colors import BT601, Colors, Writer
from ailsr.runtime.video.decoder import decode
from ailsr.runtime.video.segments import cut, parse_time
from ailsr.runtime.video.source import open_source

pytest.importorskip("av", reason='VIDEO NOT TESTED: pip install "ailsr[video]"')
COMMAND = Path(sys.executable).with_name("ailsr-upscale")
SLOW = 4  # frames per second: few frames in several segments


@pytest.fixture(scope="module")
def model(write_network):
    return write_network("tflite int8 uint8", (32, 48))


@pytest.fixture(scope="module")
def pan(photographs):
    """60 frames of 40×64, which differ."""
    rgb = photographs["chelsea"]
    return [rgb[2 * n : 2 * n + 40, 3 * n : 3 * n + 64] for n in range(60)]


@pytest.fixture(scope="module")
def film(tmp_path_factory, pan):
    """15 s with sound and subtitles, in three segments."""
    path = tmp_path_factory.mktemp("film") / "film.mkv"
    return write_clip(
        path, pan, rate=SLOW, context={"gop_size": 20}, sound="aac",
        subtitles=[(500, "One"), (7000, "Two")],
    )  # fmt: skip


def run(*arguments):
    return subprocess.run(
        [COMMAND, *map(str, arguments)], capture_output=True, text=True, check=False
    )


def upscale(*arguments):
    child = run(*arguments)
    assert child.returncode == 0, child.stderr
    return child


def decoded(path):
    source = open_source(path)
    return [frame for segment in cut(source, None, None) for frame in decode(source, segment)]


def test_sound_subtitles_and_times_are_kept(model, film, tmp_path):
    output = tmp_path / "large.mkv"
    child = upscale(model, film, "-o", output)
    assert child.stdout == f"{output}\n"
    (closing,) = child.stderr.splitlines()
    assert "60 frames at" in closing and "broken" not in closing
    assert times_of(output) == times_of(film)
    assert {(f.height, f.width) for f in frames_of(output)} == {(80, 128)}
    for kind in ("audio", "subtitle"):
        assert packets_of(output, kind) == packets_of(film, kind) != []
    assert [p.name for p in tmp_path.iterdir()] == ["large.mkv"]


def test_frames_are_what_the_network_makes_of_the_decoded_ones(model, pan, tmp_path):
    clip = write_clip(tmp_path / "clip.mp4", pan[:6])
    upscale(model, clip, "-o", tmp_path / "large.mkv", "--codec", "ffv1")
    upscaler = load(model, threads=1)
    for small, large in zip(decoded(clip), frames_of(tmp_path / "large.mkv"), strict=True):
        rgb = upscaler.upscale(small.pixels) / 255
        luma = 16 + 219 * (rgb @ [0.299, 0.587, 0.114])
        assert np.abs(large.to_ndarray()[:80] - luma).max() < 1


def test_parts_and_what_is_gone_on_with_are_the_bytes_of_one_run(model, film, tmp_path):
    whole, parts, halves = (tmp_path / f"{name}.mkv" for name in ("whole", "parts", "halves"))
    upscale(model, film, "-o", whole)
    for number in (3, 1, 2):
        child = upscale(model, film, "-o", parts, "--part", f"{number}/3")
        assert not parts.exists() and child.stdout == ""
    assert "all segments are made: --resume joins them" in child.stderr
    done = json.loads(upscale(model, film, "-o", parts, "--resume", "--json").stdout)
    assert done["frames"] == 0
    upscale(model, film, "-o", halves, "--part", "2/2", "--threads", 1)
    done = json.loads(upscale(model, film, "-o", halves, "--resume", "--json").stdout)
    assert 0 < done["frames"] < 60
    assert parts.read_bytes() == whole.read_bytes() == halves.read_bytes()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["halves.mkv", "parts.mkv", "whole.mkv"]


def test_a_run_that_is_interrupted_keeps_its_finished_segments(model, film, pan, tmp_path):
    long = write_clip(tmp_path / "long.mp4", pan * 6, rate=SLOW, context={"gop_size": 20})
    output, folder = tmp_path / "out.mp4", tmp_path / "out.mp4.parts"
    with subprocess.Popen(
        [COMMAND, model, long, "-o", output], stderr=subprocess.PIPE, text=True
    ) as child:
        while child.poll() is None and len(list(folder.glob("*.nut"))) < 2:
            time.sleep(0.01)
        child.send_signal(signal.SIGINT)
        said = child.stderr.read()
        assert child.wait() == 130
    assert "--resume goes on" in said and said.endswith("error: stopped by Ctrl-C\n")
    kept = len(list(folder.glob("*.nut")))
    assert 2 <= kept < 18 and not output.exists()
    child = run(model, long, "-o", output)
    assert child.returncode == 1 and "go on with --resume, or start again" in child.stderr
    child = run(model, long, "-o", output, "--resume", "--crf", 30)
    assert child.returncode == 1 and "is of another run (options differ)" in child.stderr
    child = run(model, long, "-o", output, "--resume", "--engine", "tflite=compiled")
    assert child.returncode == 1 and "is of another run (engine differ)" in child.stderr
    plan = folder / "plan.json"
    named = json.loads(plan.read_text())
    assert named["layout"] == "rgb"
    for other, said in (
        ({k: v for k, v in named.items() if k != "layout"}, "whose plan does not name layout: rem"),
        ({**named, "layout": "y"}, "is of another run (layout differ)"),
    ):
        plan.write_text(json.dumps(other))
        child = run(model, long, "-o", output, "--resume")
        assert child.returncode == 1 and said in child.stderr
    plan.write_text(json.dumps(named))
    upscale(model, long, "-o", output, "--resume")
    assert times_of(output) == times_of(long) and not folder.exists()


def test_rotation_aspect_and_varying_times_are_kept(model, pan, tmp_path):
    times = np.cumsum(np.random.default_rng(0).integers(300, 9000, 20)).tolist()
    clip = write_clip(
        tmp_path / "phone.mp4", pan[:20], times=[t - times[0] for t in times],
        time_base=Fraction(1, 90000), rotation=90,
        context={"sample_aspect_ratio": Fraction(4, 3)},
    )  # fmt: skip
    output = tmp_path / "large.mp4"
    upscale(model, clip, "-o", output)
    assert times_of(output) == times_of(clip)
    assert frames_of(output)[0].rotation == frames_of(clip)[0].rotation == 90
    with library.av.open(str(output)) as container:
        assert container.streams.video[0].sample_aspect_ratio == Fraction(4, 3)


RGB = {"codec": "libx264rgb", "kind": "rgb24"}


@pytest.mark.parametrize(
    ("given", "colors"),
    [
        ({}, "BT.601, studio range"),
        ({"kind": "yuv422p"}, "BT.601, studio range"),
        ({"kind": "yuv444p"}, "BT.601, studio range"),
        ({"kind": "yuvj420p", "codec": "mjpeg"}, "BT.601, full range"),
        (RGB, "BT.709, studio range"),
        ({"kind": "bgra", "codec": "ffv1"}, "BT.709, studio range"),
        (
            {"context": {"colorspace": 1}, "to": {"dst_colorspace": 1}},
            "BT.709, studio range",
        ),
        (
            {
                "context": {"colorspace": 1, "color_range": 2},
                "to": {"dst_colorspace": 1, "dst_color_range": 2},
            },
            "BT.709, full range",
        ),
        (
            {"context": {"colorspace": 9}, "to": {"dst_colorspace": 9}, "kind": "yuv444p"},
            "BT.2020, studio range",
        ),
    ],
)
def test_colors_are_read_by_matrix_and_range_and_leave_as_they_came(
    model, pan, tmp_path, given, colors
):
    sides = {"yuv422p": (39, 64), "yuv444p": (39, 63), "rgb24": (39, 63), "bgra": (39, 63)}
    height, width = sides.get(given.get("kind", ""), (40, 64))
    frames = [rgb[:height, :width] for rgb in pan[:3]]
    lossless = {"crf": "4"} if "codec" not in given else {"qmin": "1", "qmax": "1"}
    clip = write_clip(tmp_path / "clip.mkv", frames, options=lossless, **given)
    assert str(open_source(clip).colors) == colors
    for rgb, frame in zip(frames, decoded(clip), strict=True):
        assert np.abs(rgb.astype(int) - frame.pixels).mean() < 3
    upscale(model, clip, "-o", tmp_path / "large.mkv", "--crf", 4)
    assert str(open_source(tmp_path / "large.mkv").colors) == colors
    upscaler = load(model, threads=1)
    for small, large in zip(decoded(clip), decoded(tmp_path / "large.mkv"), strict=True):
        expected = upscaler.upscale(small.pixels)  # noise, of whose chroma 4:2:0 keeps the mean
        lost = expected.astype(int)[: len(large.pixels), : large.pixels.shape[1]] - large.pixels
        assert np.abs(lost.mean(axis=(0, 1))).max() < 3


@pytest.mark.parametrize(
    ("codec", "options"),
    [
        ("libx264", {"crf": "1"}),
        ("libvpx-vp9", {"crf": "1", "b:v": "0"}),
        ("mpeg2video", {"qmin": "1", "qmax": "1"}),
    ],
)
def test_chroma_lies_beside_the_left_of_two_samples(tmp_path, codec, options):
    """A ramp of blue, which half a sample of displacement would change by half a level."""
    ramp = 64 + np.arange(128)
    blue = (ramp - 128) * (1.772 * 255 / 224)
    gray = (128 - 16) * 255 / 219
    rgb = np.stack([gray + 0 * blue, gray - 0.344136 / 1.772 * blue, gray + blue], 1)
    rgb = np.clip(np.rint(rgb), 0, 255).astype(np.uint8)[None].repeat(64, 0)
    frame = Writer(Colors(BT601, False), (64, 128)).write(rgb)
    chroma = np.frombuffer(bytes(frame.planes[1]), np.uint8)[24:40]
    assert np.array_equal(chroma, ramp[48:80:2])
    clip = write_clip(tmp_path / "ramp.mkv", [rgb], codec=codec, options=options, made=[frame])
    read = decoded(clip)[0].pixels[32, 40:80, 2] - gray
    assert abs(np.mean(read - blue[40:80])) < 0.3


def test_gray_is_read_in_its_range(pan, tmp_path):
    clip = write_clip(tmp_path / "gray.mkv", pan[:2], codec="ffv1", kind="gray")
    (plane,) = (frame.to_ndarray() for frame in frames_of(clip)[:1])
    first = decoded(clip)[0].pixels
    assert np.array_equal(first, plane[..., None].repeat(3, 2))


@pytest.mark.parametrize(
    ("name", "ending", "preset"),
    [("hevc", "mp4", "superfast"), ("av1", "mkv", 9), ("vp9", "webm", 5), ("ffv1", "mkv", None)],
)
def test_every_codec_keeps_every_frame(model, pan, tmp_path, name, ending, preset):
    clip = write_clip(tmp_path / "clip.mp4", pan[:50], rate=SLOW, context={"gop_size": 20})
    output = tmp_path / f"large.{ending}"
    more = () if preset is None else ("--preset", preset)
    child = upscale(model, clip, "-o", output, "--codec", name, *more)
    assert len(child.stderr.splitlines()) == 1
    assert times_of(output) == times_of(clip)


def test_a_slower_preset_takes_fewer_bytes(model, pan, tmp_path):
    clip, sizes = write_clip(tmp_path / "clip.mp4", pan[:20]), []
    for preset in ("ultrafast", "veryfast"):
        output = tmp_path / f"{preset}.mp4"
        upscale(model, clip, "-o", output, "--preset", preset)
        sizes.append(output.stat().st_size)
    assert sizes[1] < 0.8 * sizes[0]


def test_a_range_begins_at_its_start(model, film, tmp_path):
    output = tmp_path / "part.mkv"
    upscale(model, film, "-o", output, "--start", "0:04", "--end", 8.5, "--scale-to", "120x90")
    assert times_of(output) == [t - 4 for t in times_of(film) if 4 <= t < 8.5]
    assert (frames_of(output)[0].width, frames_of(output)[0].height) == (120, 76)
    assert packets_of(output, "subtitle") == [(3.0, b"Two")]


@pytest.fixture(scope="module")
def fragile(tmp_path_factory, pan):
    path = tmp_path_factory.mktemp("fragile") / "clip.mp4"
    return write_clip(
        path, pan, rate=SLOW, context={"gop_size": 20, "max_b_frames": 0}, options={"crf": "8"}
    )


def test_a_broken_frame_shows_the_one_before_and_is_counted(model, fragile, tmp_path):
    with library.av.open(str(fragile)) as container:
        packets = [(p.pos, p.size) for p in container.demux(video=0) if p.size]
    data = bytearray(fragile.read_bytes())
    place, size = packets[30]
    data[place + 4 : place + size] = bytes(size - 4)
    clip = tmp_path / "broken.mp4"
    clip.write_bytes(data)
    output = tmp_path / "large.mp4"
    child = upscale(model, clip, "-o", output)
    assert "; a broken frame shows its neighbour\n" in child.stderr
    assert times_of(output) == times_of(fragile)
    frames = decoded(clip)
    assert [n for n, frame in enumerate(frames) if frame.concealed] == [30]
    assert np.array_equal(frames[30].pixels, frames[29].pixels)


def test_a_file_that_was_cut_short_is_upscaled_as_far_as_it_goes(model, pan, tmp_path):
    whole = write_clip(tmp_path / "whole.ts", pan, codec="mpeg2video", rate=25)
    cut_short = tmp_path / "cut.ts"
    cut_short.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    upscale(model, cut_short, "-o", tmp_path / "large.mp4")
    assert 20 <= len(frames_of(tmp_path / "large.mp4")) < 60


def test_what_networks_do_not_see_is_refused(model, pan, tmp_path):
    ten = write_clip(
        tmp_path / "ten.mkv", pan[:3], codec="ffv1", kind="yuv420p10le", context={"color_trc": 18}
    )
    bright = write_clip(tmp_path / "bright.mkv", pan[:3], context={"color_trc": 16})
    for path, reason in [(ten, "has 10 bits per sample (HLG)"), (bright, "is HDR (PQ)")]:
        child = run(model, path, "-o", tmp_path / "large.mp4")
        assert (child.returncode, child.stdout) == (1, "")
        (line,) = child.stderr.splitlines()
        assert line.startswith(f"error: {path} {reason}")
    assert len(list(tmp_path.iterdir())) == 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["film.mkv", "-o", "out.png"], "a video becomes a video: give -o film_large.mp4"),
        (["missing.mp4", "-o", "out.mp4"], "no video at missing.mp4"),
        (["text.mp4", "-o", "out.mp4"], "text.mp4 cannot be read"),
        (["film.mkv", "-o", "film.mkv"], "film.mkv is the image itself"),
        (["film.mkv", "-o", "text.mp4"], "text.mp4 exists: give another"),
        (["film.mkv", "-o", "out.mp4"], "files hold no subtitle in subrip"),
        (["film.mkv", "film.mkv", "-o", "out.mp4"], "one video at a time"),
        (["film.mkv", "-o", "out.mkv", "--codec", "mpeg1"], "--codec mpeg1: choose one of h264"),
        (["film.mkv", "-o", "out.webm", "--codec", "h264"], ".webm files hold no h264"),
        (["film.mkv", "-o", "out.mkv", "--crf", "99"], "--crf 99: give 0 to 51"),
        (["film.mkv", "-o", "out.mkv", "--preset", "quick"], "--preset quick: libx264 has ultra"),
        (["film.mkv", "-o", "out.mkv", "--codec", "av1", "--preset", "fast"], "libsvtav1 has 0, 1"),
        (
            ["film.mkv", "-o", "out.mkv", "--codec", "ffv1", "--preset", "fast"],
            "--preset does not go with --codec ffv1, which loses nothing",
        ),
        (["film.mkv", "-o", "out.mkv", "--part", "4/3"], "--part 4/3: write which of how many"),
        (["film.mkv", "-o", "out.mkv", "--start", "99"], "nothing between --start and --end"),
        (["film.mkv", "-o", "out.mkv", "--end", "x"], "--end x: write seconds or h:mm:ss"),
        (["film.mkv", "-o", "out.mkv", "--scale-to", "big"], "--scale-to big: write a height"),
        (["a.png", "-o", "b.png", "--crf", "9"], "--crf is for videos: give -o OUT.mp4"),
    ],
)
def test_what_cannot_be_done_gets_one_line(model, film, tmp_path, arguments, message):
    (tmp_path / "film.mkv").write_bytes(film.read_bytes())
    (tmp_path / "text.mp4").write_text("no video")
    before = sorted(tmp_path.iterdir())
    child = subprocess.run(
        [COMMAND, model, *arguments], capture_output=True, text=True, cwd=tmp_path
    )
    assert (child.returncode, child.stdout) == (1, "")
    (line,) = child.stderr.splitlines()
    assert line.startswith("error: ") and message in line
    assert sorted(tmp_path.iterdir()) == before


def test_frames_that_change_their_size_are_refused(pan, tmp_path):
    one = write_clip(tmp_path / "one.ts", pan[:5], codec="mpeg2video")
    two = write_clip(tmp_path / "two.ts", [f[:32, :48] for f in pan[:5]], codec="mpeg2video")
    both = tmp_path / "both.ts"
    both.write_bytes(one.read_bytes() + two.read_bytes())
    with pytest.raises(ImageError, match=r"changes from 64x40 to 48x32 at .*--start and --end"):
        decoded(both)


def test_without_pyav_the_message_says_what_to_install(film, monkeypatch):
    monkeypatch.setattr(library, "av", None)
    with pytest.raises(UsageError, match=r'pip install "ailsr\[video\]"'):
        open_source(film)


@pytest.mark.parametrize("count", [0, 1, 5, 16, 33])
@pytest.mark.parametrize("of", [1, 3, 16])
def test_parts_are_all_and_no_segment_twice(count, of):
    segments = list(range(count))
    parts = [Part(number, of).share(segments) for number in range(1, of + 1)]
    assert list(itertools.chain(*parts)) == segments
    assert max(map(len, parts)) - min(map(len, parts)) <= 1


@pytest.mark.parametrize(
    ("text", "seconds"), [("90", 90), ("1:30", 90), ("0:01:30.5", 90.5), ("1:00:00", 3600)]
)
def test_times_are_read_as_people_write_them(text, seconds):
    assert parse_time(text, "--start") == Fraction(seconds)
