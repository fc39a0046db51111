"""The core's way with videos: colours, frames in the buffers of codecs, and all of a video."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from small_files import small_card, write_with

from ailsr.runtime import load
from ailsr.runtime.imaging import image

MATRICES = {"BT601": (0.299, 0.114), "BT709": (0.2126, 0.0722), "BT2020": (0.2627, 0.0593)}
UNTOUCHED = 77
SIZES = [(6, 8), (7, 8), (6, 9), (1, 1), (5, 3)]
"""Height and width."""


@pytest.fixture(scope="module")
def ask_video(core):
    def run(*questions):
        done = core("org.ailsr.core.VideoParityMain", stdin=json.dumps(questions))
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    return run


def half(side):
    return (side + 1) // 2


def planes_of(content, height, width):
    """Y, Cb and Cr that lie one after the other."""
    flat = np.frombuffer(content, np.uint8)
    assert len(flat) == height * width + 2 * half(height) * half(width)
    luma, blue, red = np.split(flat, np.cumsum([height * width, half(height) * half(width)]))
    chroma = (half(height), half(width))
    return luma.reshape(height, width), blue.reshape(chroma), red.reshape(chroma)


def cubic(distance):
    x = np.abs(distance)
    near = 1.5 * x**3 - 2.5 * x**2 + 1
    return np.where(x <= 1, near, np.where(x <= 2, -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2, 0))


def interpolated(plane, rows, columns):
    """``plane`` at positions in units of its own samples, its edges repeated."""

    def matrix(samples, positions):
        taps = np.floor(positions)[:, None] + np.arange(-1, 3)
        weights = np.zeros((len(positions), samples))
        for number, (indices, position) in enumerate(zip(taps, positions, strict=True)):
            where = np.clip(indices, 0, samples - 1).astype(int)
            np.add.at(weights[number], where, cubic(position - indices))
        return weights

    tall, wide = matrix(plane.shape[0], rows), matrix(plane.shape[1], columns)
    return tall @ plane.astype(float) @ wide.T


def rgb_of(luma, blue, red, matrix, full):
    """H.273's equations, in floats."""
    height, width = luma.shape
    rows, columns = (np.arange(height) - 0.5) / 2, np.arange(width) / 2
    cb, cr = (interpolated(plane, rows, columns) - 128 for plane in (blue, red))
    y = luma.astype(float)
    if not full:
        y, cb, cr = (y - 16) * 255 / 219, cb * 255 / 224, cr * 255 / 224
    kr, kb = MATRICES[matrix]
    r, b = y + 2 * (1 - kr) * cr, y + 2 * (1 - kb) * cb
    g = (y - kr * r - kb * b) / (1 - kr - kb)
    return np.clip(np.dstack([r, g, b]), 0, 255)


def yuv_of(rgb, matrix, full):
    """H.273's equations, in floats; chroma lies beside the left one of two pixels, between rows."""
    kr, kb = MATRICES[matrix]
    r, g, b = np.moveaxis(rgb.astype(float), 2, 0)
    y = kr * r + (1 - kr - kb) * g + kb * b
    chroma = []
    for difference in ((b - y) / (2 * (1 - kb)), (r - y) / (2 * (1 - kr))):
        padded = np.pad(difference, ((0, len(y) % 2), (1, 1)), mode="edge")
        mixed = (padded[:, :-2] + 2 * padded[:, 1:-1] + padded[:, 2:]) / 4
        chroma.append((mixed[::2] + mixed[1::2])[:, ::2] / 2)
    if full:
        return y, chroma[0] + 128, chroma[1] + 128
    return (y * 219 / 255 + 16, *(c * 224 / 255 + 128 for c in chroma))


def near(found, expected):
    """Rounded, but for fixed point: one level where a value lies between two."""
    difference = np.abs(found - np.clip(expected, 0, 255))
    return difference.max() < 0.75 and (difference > 0.55).mean() < 0.1


def random_planes(height, width, seed=0):
    """Noise and saturated colours, without the level that fills the gaps."""
    generator = np.random.default_rng(seed)
    count = height * width + 2 * half(height) * half(width)
    levels = generator.choice([0, 16, 128, 235, 240, 255, *range(256)], count).astype(np.uint8)
    levels[levels == UNTOUCHED] += 1
    return levels


def outside(height, width, padding, stride, crop):
    """How many bytes of a codec's buffers are no samples of a frame."""
    luma = (width + 2 * crop + padding) * (height + 2 * crop)
    rows, columns = half(height), half(width)
    chroma = (stride * (columns + crop) + padding) * (rows + crop)
    buffers = luma + (chroma if stride == 2 else 2 * chroma)
    return buffers - height * width - 2 * rows * columns


@pytest.mark.parametrize("full", [0, 1])
@pytest.mark.parametrize("matrix", MATRICES)
def test_frames_become_rgba_by_the_equations_of_h273(ask_video, tmp_path, matrix, full):
    """Of odd sizes, with interleaved chroma, rows that are padded, and a crop."""
    cases = []
    for number, (height, width) in enumerate([*SIZES, (31, 44)]):
        (tmp_path / f"{number}").write_bytes(random_planes(height, width, number).tobytes())
        for stride, padding, crop in ((1, 0, 0), (1, 7, 1), (2, 0, 0), (2, 6, 2)):
            cases.append({
                "ask": "to_rgba", "height": height, "width": width, "stride": stride,
                "padding": padding, "crop": crop, "matrix": matrix, "full": full,
                "planes": str(tmp_path / f"{number}"), "rgba": str(tmp_path / f"{len(cases)}.rgba"),
            })  # fmt: skip
    for case, untouched in zip(cases, ask_video(*cases), strict=True):
        height, width = case["height"], case["width"]
        rgba = np.frombuffer(Path(case["rgba"]).read_bytes(), np.uint8).reshape(height, width, 4)
        planes = planes_of(Path(case["planes"]).read_bytes(), height, width)
        assert near(rgba[..., :3], rgb_of(*planes, matrix, full)), case
        assert (rgba[..., 3] == 255).all()
        layout = (case[name] for name in ("padding", "stride", "crop"))
        assert untouched == outside(height, width, *layout), case


@pytest.mark.parametrize("full", [0, 1])
@pytest.mark.parametrize("matrix", MATRICES)
def test_rgba_becomes_frames_by_the_equations_of_h273(ask_video, tmp_path, matrix, full):
    """Also where the frame is a corner of the image, and what lies between samples stays."""
    cases = []
    for number, (height, width) in enumerate([*SIZES, (31, 44)]):
        rgba = np.random.default_rng(number).choice([0, 255, *range(256)], (height, width + 1, 4))
        (tmp_path / f"{number}").write_bytes(rgba.astype(np.uint8).tobytes())
        for stride, padding, crop in ((1, 0, 0), (1, 7, 1), (2, 0, 0), (2, 6, 2)):
            cases.append({
                "ask": "of_rgba", "height": height, "width": width, "stride": stride,
                "padding": padding, "crop": crop, "matrix": matrix, "full": full,
                "image_height": height, "image_width": width + 1,
                "rgba": str(tmp_path / f"{number}"), "planes": str(tmp_path / f"{len(cases)}.yuv"),
            })  # fmt: skip
    for case, untouched in zip(cases, ask_video(*cases), strict=True):
        height, width = case["height"], case["width"]
        rgba = np.frombuffer(Path(case["rgba"]).read_bytes(), np.uint8).reshape(
            height, width + 1, 4
        )
        planes = planes_of(Path(case["planes"]).read_bytes(), height, width)
        for found, expected in zip(planes, yuv_of(rgba[:, :width, :3], matrix, full), strict=True):
            assert near(found, expected), case
        chance = sum((plane == UNTOUCHED).sum() for plane in planes)
        layout = (case[name] for name in ("padding", "stride", "crop"))
        assert untouched == outside(height, width, *layout) + chance, case


@pytest.mark.parametrize("full", [0, 1])
def test_every_grey_goes_there_and_back(ask_video, tmp_path, full):
    levels = np.arange(256, dtype=np.uint8).reshape(16, 16)
    (tmp_path / "grey.rgba").write_bytes(np.dstack([levels] * 4).tobytes())
    same = {"height": 16, "width": 16, "stride": 1, "padding": 0, "crop": 0, "matrix": "BT709",
            "full": full, "image_height": 16, "image_width": 16}  # fmt: skip
    planes, back = str(tmp_path / "planes"), str(tmp_path / "back.rgba")
    ask_video(
        {"ask": "of_rgba", "rgba": str(tmp_path / "grey.rgba"), "planes": planes, **same},
        {"ask": "to_rgba", "rgba": back, "planes": planes, **same},
    )
    luma, blue, red = planes_of((tmp_path / "planes").read_bytes(), 16, 16)
    assert (luma.min(), luma.max()) == ((0, 255) if full else (16, 235))
    assert (blue == 128).all() and (red == 128).all()
    rgba = np.frombuffer((tmp_path / "back.rgba").read_bytes(), np.uint8).reshape(16, 16, 4)
    assert (np.ptp(rgba[..., :3], axis=2) == 0).all()
    assert np.abs(rgba[..., 0].astype(int) - levels).max() <= (0 if full else 1)


@pytest.fixture
def video(ask_video, engine, tmp_path):
    """``video(card, frames, **changes)``: what became of a video (its frames are contents of
    planes, a size and a time), its frames or None, and the file that upscaled it."""

    def run(card, frames, **changes):
        model = tmp_path / "small.tflite"
        write_with(card, model)
        question = {
            "ask": "video", "engine": engine, "model": str(model), "matrix": "BT601", "full": 0,
            "output": str(tmp_path / "output.yuv"), "cancel_at": -1, "damaged_at": -1,
            "full_at": -1, "frames": [],
        }  # fmt: skip
        for number, (content, (height, width), time) in enumerate(frames):
            path = tmp_path / f"frame {number}"
            path.write_bytes(content.tobytes())
            question["frames"].append(
                {"planes": str(path), "height": height, "width": width, "time_us": time}
            )
        (answer,) = ask_video(question | changes)
        output = tmp_path / "output.yuv"
        assert not list(tmp_path.glob(".*"))
        return answer, output.read_bytes() if output.exists() else None, load(model, threads=1)

    return run


@cache
def clip():
    """Four frames of several tiles, the third as the second; times as of a varying rate."""
    size = (71, 90)
    contents = [random_planes(*size, seed) for seed in (1, 2, 2, 3)]
    times = [0, 33_366, 100_100, 100_101]
    return [(c, size, t) for c, t in zip(contents, times, strict=True)]


@pytest.mark.parametrize(("layout", "pixels", "full"), [
    ("rgb", "uint8", 0), ("rgba", "uint8", 1), ("rgba", "int8", 0), ("y", "uint8", 0),
    ("y", "int8", 1), ("y", "float32", 0), ("y-full", "uint8", 0),
])  # fmt: skip
def test_every_frame_is_upscaled_at_its_time(video, layout, pixels, full):
    answer, content, upscaler = video(
        replace(small_card(pixels), layout=layout), clip(), full=full, matrix="BT709"
    )
    told = [event for event in answer["events"] if not event.startswith("frames")]
    times = [f"put {time}" for _, _, time in clip()]
    assert told == [f"start 180x142 BT709, {'full' if full else 'studio'} range", *times, "finish"]
    assert answer["events"][-2] == "frames 4 4"
    reported = [int(e.split()[1]) for e in answer["events"] if e.startswith("frames")]
    assert reported == sorted(reported) and {*reported} == {0, 1, 2, 3, 4}
    assert (answer["count"], answer["computed"], answer["measured"]) == (4, 3, 1)
    frames = np.frombuffer(content, np.uint8).reshape(4, -1)
    assert np.array_equal(frames[1], frames[2])
    for found, (planes, (height, width), _) in zip(frames, clip(), strict=True):
        found = planes_of(found.tobytes(), 2 * height, 2 * width)
        luma, blue, red = planes_of(planes.tobytes(), height, width)
        if layout.startswith("y"):
            seen = converted(luma, full, layout == "y-full")
            large = converted(upscaler.upscale(seen[..., None])[..., 0], layout == "y-full", full)
            assert np.array_equal(found[0], large)
            rows, columns = (np.arange(height) + 0.5) / 2 - 0.5, np.arange(width) / 2 - 1 / 8
            for plane, small in zip(found[1:], (blue, red), strict=True):
                assert near(plane, interpolated(small, rows, columns))
        else:
            rgb = np.rint(rgb_of(luma, blue, red, "BT709", full)).astype(np.uint8)
            large = upscaler.upscale(rgb)
            for plane, expected in zip(found, yuv_of(large, "BT709", full), strict=True):
                # A level of the small image's, where it lies between two, is a few of the large's.
                difference = np.abs(plane - np.clip(expected, 0, 255))
                assert difference.max() < 4 and difference.mean() < 0.3


def converted(luma, full, becomes_full):
    level = luma.astype(float)
    if full and not becomes_full:
        level = level * 219 / 255 + 16
    elif becomes_full and not full:
        level = (level - 16) * 255 / 219
    return np.clip(np.rint(level), 0, 255).astype(np.uint8)


def test_of_an_odd_result_the_last_row_and_column_go(video, tmp_path):
    """By a file of ×3: 4:2:0 takes even sides."""
    size = (25, 31)
    card = replace(small_card("uint8"), layout="y", scale=3)
    answer, content, upscaler = video(card, [(random_planes(*size), size, 5)])
    assert answer["events"][0] == "start 92x74 BT601, studio range"
    luma, blue, red = planes_of(content, 74, 92)
    small = planes_of(random_planes(*size).tobytes(), *size)
    large = upscaler.upscale(small[0][..., None])[..., 0]
    assert large.shape == (75, 93) and np.array_equal(luma, large[:74, :92])
    rows, columns = (np.arange(37) + 0.5) / 3 - 0.5, np.arange(46) / 3 - 1 / 6
    assert near(blue, interpolated(small[1], rows, columns))
    assert near(red, interpolated(small[2], rows, columns))


def test_a_cancelled_video_leaves_nothing(video):
    answer, content, _ = video(small_card("uint8"), clip(), cancel_at=1)
    assert content is None
    assert [e for e in answer["events"] if not e.startswith("frames")] == [
        "start 180x142 BT601, studio range", "put 0", "cancelled",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("change", "said", "put"),
    [
        ({"damaged_at": 2}, "error: frame 2 cannot be decoded", 2),
        ({"damaged_at": 0}, "error: frame 0 cannot be decoded", 0),
        ({"full_at": 3}, "error: the encoder takes no more", 3),
    ],
)
def test_what_fails_in_the_middle_ends_the_work_and_leaves_nothing(video, change, said, put):
    answer, content, _ = video(small_card("uint8"), clip(), **change)
    assert content is None
    assert answer["events"][-1] == said
    assert sum(event.startswith("put") for event in answer["events"]) == put
    assert "finish" not in answer["events"]


@pytest.mark.parametrize(
    ("frames", "said"),
    [
        ([], "the video holds no frame that can be decoded"),
        ([(6, 8), (8, 6)], r"frame 2 is of 6x8 pixels, those before it of 8x6: .*"),
    ],
)
def test_a_video_that_cannot_be_upscaled_is_said_in_one_line(video, frames, said):
    clip = [(random_planes(*size), size, number) for number, size in enumerate(frames)]
    answer, content, _ = video(small_card("uint8"), clip)
    assert re.fullmatch(f"error: {said}", answer["events"][-1])
    assert content is None


def test_a_photograph_goes_there_and_back_within_a_few_levels(
    ask_video, photograph_files, tmp_path
):
    """Of real colours little is lost: chroma of half the size, and rounding."""
    rgb = image.read(photograph_files / "chelsea.png")[:150, :200]
    (tmp_path / "rgba").write_bytes(np.dstack([rgb, rgb[..., 0]]).tobytes())
    same = {"height": 150, "width": 200, "stride": 2, "padding": 8, "crop": 0, "matrix": "BT601",
            "full": 0, "image_height": 150, "image_width": 200}  # fmt: skip
    planes, back = str(tmp_path / "planes"), str(tmp_path / "back")
    ask_video(
        {"ask": "of_rgba", "rgba": str(tmp_path / "rgba"), "planes": planes, **same},
        {"ask": "to_rgba", "rgba": back, "planes": planes, **same},
    )
    found = np.frombuffer((tmp_path / "back").read_bytes(), np.uint8).reshape(150, 200, 4)
    error = found[..., :3].astype(float) - rgb
    assert 10 * np.log10(255**2 / (error**2).mean()) > 38
