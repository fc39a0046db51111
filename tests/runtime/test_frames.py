"""Frames in a pipe leave as they came, larger; a pipe that ends too soon is found."""

from __future__ import annotations

import contextlib
import io
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ailsr.runtime import ImageError, load
from ailsr.runtime.imaging.image import read_file
from ailsr.runtime.upscaling.frames import read_frames

COMMAND = Path(sys.executable).with_name("ailsr-upscale")


@pytest.fixture(scope="module")
def model(write_network):
    return write_network("tflite int8 uint8", (32, 48))


@pytest.fixture(scope="module")
def clip(photographs):
    """Seven frames of 40×60: more than one tile each."""
    rgb = photographs["chelsea"]
    return [np.ascontiguousarray(rgb[20 * n : 20 * n + 40, 100:160]) for n in range(7)]


def encoded(frames, kind):
    file = io.BytesIO()
    for rgb in frames:
        if kind == "rgb24":
            file.write(rgb.tobytes())
        else:
            Image.fromarray(rgb).save(file, kind)
    return file.getvalue()


def run(data, *arguments):
    return subprocess.run([COMMAND, *map(str, arguments)], input=data, capture_output=True)


@pytest.mark.parametrize("kind", ["rgb24", "png", "ppm"])
def test_frames_leave_as_they_came(model, clip, kind):
    size = ["--size", "60x40"] if kind == "rgb24" else []
    child = run(encoded(clip, kind), model, "-", "-o", "-", "--threads", 2, *size)
    assert (child.returncode, child.stderr) == (0, b"")
    again, frames = read_frames(io.BytesIO(child.stdout), (80, 120) if size else None)
    expected = [load(model, threads=1).upscale(rgb) for rgb in clip]
    assert again == kind
    for frame, rgb in zip(frames, expected, strict=True):
        assert np.array_equal(frame, rgb)


def test_what_a_frame_loses_is_told_once(model, clip, tmp_path):
    """16 bits, gray, alpha and orientation: a frame is read as a file is."""
    exif = Image.Exif()
    exif[0x0112] = 6
    turned, clear = io.BytesIO(), Image.fromarray(clip[1])
    Image.fromarray(clip[0]).save(turned, "png", exif=exif)
    clear.putalpha(Image.fromarray(np.tile(np.arange(60, dtype=np.uint8), (40, 1))))
    gray = np.arange(40 * 60, dtype=np.uint16).reshape(40, 60) * 27
    data, files = turned.getvalue(), []
    for image in (clear, Image.fromarray(gray), clear):
        file = io.BytesIO()
        image.save(file, "png")
        data += file.getvalue()
        files.append(file)
    child = run(data, model, "-", "-o", "-", "--threads", 2)
    assert child.returncode == 0
    assert child.stderr.decode().splitlines() == [
        "frame 1: turned as its EXIF orientation says",
        "frame 2: alpha dropped, put on white (frames in a pipe hold none)",
        "frame 3: 16 bits per channel reduced to 8",
        "frame 3: grayscale expanded to RGB",
    ]
    upscaler = load(model, threads=1)
    deep = np.rint(gray / 257).astype(np.uint8)[..., None].repeat(3, 2)
    expected = [np.ascontiguousarray(np.rot90(clip[0], -1)), read_file(files[0], "a").on_white()]
    for frame, rgb in zip(
        read_frames(io.BytesIO(child.stdout), None)[1], [*expected, deep, expected[1]], strict=True
    ):
        assert np.array_equal(frame, upscaler.upscale(rgb))


@pytest.mark.parametrize("kind", ["rgb24", "png", "ppm"])
def test_a_pipe_that_ends_inside_a_frame_is_an_error_after_the_whole_ones(model, clip, kind):
    size = ["--size", "60x40"] if kind == "rgb24" else []
    data = encoded(clip[:3], kind)
    child = run(data[: len(data) - 100], model, "-", "-o", "-", *size)
    assert child.returncode == 1
    (line,) = child.stderr.decode().splitlines()
    assert line.startswith("error: the pipe ended inside frame 3, ")
    assert line.endswith("the 2 frames before it are complete")
    _, frames = read_frames(io.BytesIO(child.stdout), (80, 120) if size else None)
    assert len(list(frames)) == 2


@pytest.mark.parametrize(
    ("data", "size", "message"),
    [
        (b"", None, "no frame came through the pipe"),
        (b"", (4, 4), "no frame came through the pipe"),
        (b"GIF89a" * 9, None, "neither PNG nor PPM.*--size WxH"),
        (b"P6 2 2 65536\n" + bytes(24), None, "frame 1 cannot be read: its white is 65536, not"),
        (
            b"P6 2 2 99\n" + bytes(range(99, 111)),
            None,
            "frame 1 .*a level of 110, above its white 99",
        ),
        (b"P6 9 9 255\n12345", None, "ended inside frame 1"),
        (b"x", (99999, 99999), "frame 1 takes 28610M, more than the 1024M"),
        (b"P6 0 2 255\n", None, "frame 1 cannot be read: it has 0x2 pixels"),
        (b"P6" + bytes(30), None, "frame 1 cannot be read"),
        (b"P6 99999999 99999999 255\n12345", None, "frame 1 takes 28610228920M, more than"),
        (b"\x89PNG\r\n\x1a\n\0\0\0\0IEND\0\0\0\0", None, "frame 1 cannot be read"),
        (b"P6 1 1 255\nabcxyz", None, "frame 2 cannot be read|ended inside frame 2"),
    ],
)
def test_what_is_no_frame_is_named(data, size, message):
    with pytest.raises(ImageError, match=message):
        list(read_frames(io.BytesIO(data), size)[1])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["-", "-o", "out.png"], "a pipe is read and written on its own"),
        (["-", "-", "-o", "-"], "a pipe is read and written on its own"),
        (["a.png", "-o", "-"], "a pipe is read and written on its own"),
        (["-", "-o", "-", "--json"], "--json does not go with -o -"),
        (["-", "-o", "-", "--size", "4"], "--size 4: write width x height"),
        (["-", "-o", "-", "--size", "0x9"], "--size 0x9: write width x height"),
        (["a.png", "-o", "b.png", "--size", "4x4"], "--size is that of raw frames in a pipe"),
        (["a.png", "-o", "b.png", "--max-memory", "lots"], "'lots' is no amount of memory"),
    ],
)
def test_options_that_do_not_fit_together_get_one_line(model, arguments, message):
    child = run(b"", model, *arguments)
    assert (child.returncode, child.stdout) == (1, b"")
    (line,) = child.stderr.decode().splitlines()
    assert line.startswith("error: ") and message in line


def test_a_reader_that_leaves_early_ends_it_quietly(model, clip):
    with subprocess.Popen(
        [COMMAND, model, "-", "-o", "-"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    ) as child:  # fmt: skip
        child.stdout.close()
        with contextlib.suppress(BrokenPipeError):
            child.stdin.write(encoded(clip * 40, "ppm"))
        with contextlib.suppress(BrokenPipeError):
            child.stdin.close()
        assert child.stderr.read() == b""
        assert child.wait() == 141
