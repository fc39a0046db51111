"""Videos through networks of luma: the planes of the file, with nothing converted that need not."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from clips import frames_of, write_clip

from ailsr.export.graph.graph import Add, Concat, Conv, DepthToSpace, Graph
from ailsr.export.targets.tflite import writer as tflite_writer
from ailsr.runtime import load
from ailsr.runtime.card import Card

av = pytest.importorskip("av", reason='VIDEO NOT TESTED: pip install "ailsr[video]"')
STUDIO, FULL = {"color_range": 1}, {"color_range": 2}
BICUBIC = "flags=bicubic+accurate_rnd+full_chroma_int+full_chroma_inp+bitexact"


def run(command, *arguments):
    child = subprocess.run(
        [Path(sys.executable).with_name(command), *map(str, arguments)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert child.returncode == 0, child.stderr
    return child


@pytest.fixture(scope="module", params=["y", "y-full"])
def model(request, tmp_path_factory):
    """A file of luma that repeats pixels, and adds a little of what its convolutions make."""
    size, random = (32, 48), np.random.default_rng(0)

    def conv(source, output, weight, **more):
        bias = np.zeros(len(weight), np.float32)
        pads = (weight.shape[2] // 2,) * 4
        return Conv(source, output, weight.astype(np.float32), bias, pads=pads, **more)

    nodes = (
        conv("image", "a", random.normal(0, 0.3, (8, 1, 3, 3)), clamp=(0.0, np.inf)),
        conv("a", "residual", random.normal(0, 0.005, (4, 8, 3, 3))),
        Concat(("image",) * 4, "skip"),
        Add("residual", "skip", "sum", clamp=(0.0, 1.0)),
        DepthToSpace("sum", "upscaled", 2),
    )
    path = tmp_path_factory.mktemp(request.param) / f"luma_{request.param}.tflite"
    card = Card("luma", 2, "y", "float32", "float32", size, radius=2, layout=request.param)
    tflite_writer.write(Graph(nodes, (1, *size)), card, path, None)
    return path


@pytest.fixture(scope="module")
def pan(photographs):
    """3 frames of 40×64."""
    rgb = photographs["chelsea"]
    return [rgb[2 * n : 2 * n + 40, 3 * n : 3 * n + 64] for n in range(3)]


def planes(frame):
    return [
        np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)[: plane.height, : plane.width]
        for plane in frame.planes
    ]


def bicubic(frame, options):
    """``frame`` enlarged by FFmpeg itself, as 4:2:0."""
    graph = av.filter.Graph()
    source = graph.add_buffer(
        width=frame.width, height=frame.height, format=frame.format, time_base=frame.time_base
    )
    scale = graph.add("scale", f"w=2*iw:h=2*ih:{BICUBIC}:{options}")
    graph.link_nodes(source, scale, graph.add("format", "yuv420p"), graph.add("buffersink"))
    graph.configure()
    graph.vpush(frame)
    return graph.vpull()


@pytest.mark.parametrize(
    ("kind", "context", "place"),
    [
        ("yuv420p", STUDIO, "in_h_chr_pos=0:in_v_chr_pos=128:"),
        ("yuv420p", FULL, "in_h_chr_pos=0:in_v_chr_pos=128:"),
        ("yuv422p", STUDIO, "in_h_chr_pos=0:"),
        ("yuv444p", STUDIO, ""),
        ("gray", FULL, ""),
    ],
)
def test_luma_is_the_networks_and_chroma_ffmpegs(model, pan, tmp_path, kind, context, place):
    clip = write_clip(
        tmp_path / "clip.mkv", pan, codec="ffv1", kind=kind, context=context,
        to={"dst_color_range": context["color_range"]},
    )  # fmt: skip
    run("ailsr-upscale", model, clip, "-o", tmp_path / "large.mkv", "--codec", "ffv1")
    upscaler, full = load(model, threads=1), context is FULL
    same = full == model.name.startswith("luma_y-full")
    span = "pc" if full else "tv"
    options = f"in_range={span}:out_range={span}:{place}out_h_chr_pos=0:out_v_chr_pos=128"
    for small, large in zip(frames_of(clip), frames_of(tmp_path / "large.mkv"), strict=True):
        luma, *chroma = planes(large)
        if same:
            assert np.array_equal(luma, upscaler.upscale(planes(small)[0][..., None])[..., 0])
        else:  # levels that go through the other range, and back
            to = (lambda y: 16 + y * 219 / 255) if full else (lambda y: (y - 16) * 255 / 219)
            back = (lambda y: (y - 16) * 255 / 219) if full else (lambda y: 16 + y * 219 / 255)
            given = np.clip(np.rint(to(planes(small)[0].astype(float))), 0, 255).astype(np.uint8)
            expected = back(upscaler.upscale(given[..., None])[..., 0].astype(float))
            assert np.abs(luma - np.clip(expected, 0, 255)).max() <= 0.5
        for ours, ffmpegs in zip(chroma, planes(bicubic(small, options))[1:], strict=True):
            assert np.array_equal(ours, ffmpegs)


@pytest.mark.parametrize("kind", ["nv12", "yuyv422", "rgb24"])
def test_every_kind_of_plane_is_read(model, pan, tmp_path, kind):
    """Those without a plane of luma go through RGB."""
    clip = write_clip(tmp_path / "clip.nut", pan, codec="rawvideo", kind=kind)
    run("ailsr-upscale", model, clip, "-o", tmp_path / "large.mkv", "--codec", "ffv1")
    for rgb, large in zip(pan, frames_of(tmp_path / "large.mkv"), strict=True):
        shrunk = large.to_ndarray(format="rgb24").reshape(40, 2, 64, 2, 3).mean((1, 3))
        assert np.abs(shrunk - rgb).mean() < 6


@pytest.mark.parametrize(("box", "size"), [("60x100", (60, 96)), ("160x90", (90, 144))])
def test_frames_are_fitted_into_a_box(model, pan, tmp_path, box, size):
    clip = write_clip(tmp_path / "clip.mkv", pan, options={"crf": "4"})
    sides = "x".join(reversed(box.split("x"))) if box == "60x100" else box
    run("ailsr-upscale", model, clip, "-o", tmp_path / "l.mkv", "--scale-to", sides, "--crf", 4)
    frames = frames_of(tmp_path / "l.mkv")
    assert {(frame.height, frame.width) for frame in frames} == {size}
    for rgb, frame in zip(pan, frames, strict=True):
        small = frame.reformat(64, 40, "rgb24", interpolation="AREA").to_ndarray()
        assert np.abs(small.astype(int) - rgb).mean() < 6


def test_chroma_that_changes_alone_is_seen(model, tmp_path):
    """Luma of the second frame is copied; its colours are not."""
    frames = []
    for blue in (90, 160):
        frame = av.VideoFrame(64, 40, "yuv420p")
        for plane, level in zip(frame.planes, (120, blue, 128), strict=True):
            plane.update(bytes([level]) * plane.buffer_size)
        frames.append(frame)
    blank = np.zeros((40, 64, 3), np.uint8)
    clip = write_clip(tmp_path / "clip.mkv", [blank] * 2, codec="ffv1", made=frames)
    run("ailsr-upscale", model, clip, "-o", tmp_path / "large.mkv", "--codec", "ffv1")
    found = [int(planes(frame)[1].mean()) for frame in frames_of(tmp_path / "large.mkv")]
    assert found == [90, 160]
