"""Frames of a video: what has not changed is copied, and nothing else is different."""

from __future__ import annotations

import time

import numpy as np
import pytest

from ailsr.runtime import ImageError, load
from ailsr.runtime.upscaling.engine_pool import EnginePool
from ailsr.runtime.upscaling.sequence import Savings
from ailsr.runtime.upscaling.upscaler import Upscaler

KINDS = ["onnx float32 float32", "onnx int8 uint8", "tflite float32 float32", "tflite int8 uint8"]


def moving(rgb, count=12):
    """Frames of a still scene in which a small square moves, with a cut, and some that repeat."""
    frames = []
    for n in range(count):
        frame = (rgb if n < 8 else rgb[::-1]).copy()
        top, left = 3 * n % (len(rgb) - 6), 11 * (n // 2) % (rgb.shape[1] - 6)
        frame[top : top + 6, left : left + 6] = 255 - frame[top : top + 6, left : left + 6]
        frames += [frame] * (1 + n % 2)
    return frames


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("size", "window"),
    [
        ((150, 220), (150, 220)),  # one tile
        ((150, 220), (96, 128)),
        ((50, 70), (96, 128)),  # smaller than the file's input: padded
        ((150, 50), (96, 128)),
        ((64, 91), (64, 91)),
    ],
)
def test_frames_are_those_of_computing_everything(write_network, photographs, kind, size, window):
    path = write_network(kind, window)
    frames = moving(photographs["chelsea"][: size[0], : size[1]])
    pool = EnginePool(path, 2)
    pool.fit_frames(size)
    savings = Savings()
    upscaler = load(path, threads=1)
    for rgb, large in zip(frames, pool.frames(frames, savings), strict=True):
        assert np.array_equal(large, upscaler.upscale(rgb))
    assert savings.share > 0.3  # a third of the frames repeats the one before


def test_a_frame_that_repeats_is_the_same_array_and_costs_nothing(write_network, photographs):
    pool = EnginePool(write_network("tflite int8 uint8", (96, 128)), 2)
    rgb = photographs["rocket"][:96, :128]
    pool.fit_frames((96, 128))
    savings = Savings()
    first, *others = pool.frames([rgb, rgb.copy(), rgb], savings)
    assert all(other is first for other in others)
    assert savings.share == pytest.approx(2 / 3)


def test_a_small_change_costs_little(write_network, photographs):
    pool = EnginePool(write_network("tflite int8 uint8", (300, 448)), 2)
    rgb = photographs["chelsea"][:300, :448]
    changed = rgb.copy()
    changed[40, 40] ^= 255
    pool.fit_frames((300, 448))
    savings = Savings()
    list(pool.frames([rgb, *[changed, rgb] * 5], savings))
    assert savings.share > 0.8


def test_frames_of_another_size_are_computed_as_a_whole(write_network, photographs):
    path = write_network("tflite int8 uint8", (64, 64))
    rgb = photographs["rocket"]
    frames = [rgb[:80, :90], rgb[:80, :90], rgb[:70, :100], rgb[:70, :100]]
    pool = EnginePool(path, 2)
    pool.fit_frames((80, 90))
    upscaler = load(path, threads=1)
    for frame, large in zip(frames, pool.frames(frames, Savings()), strict=True):
        assert np.array_equal(large, upscaler.upscale(np.ascontiguousarray(frame)))


def test_an_engine_runs_one_tile_at_a_time_also_when_the_size_changes(
    write_network, photographs, monkeypatch
):
    busy, twice, run = set(), [], Upscaler.run

    def watched(upscaler, tile):
        twice.append(id(upscaler) in busy)
        busy.add(id(upscaler))
        time.sleep(0.01)  # so that the tiles of two sizes would meet
        try:
            return run(upscaler, tile)
        finally:
            busy.discard(id(upscaler))

    monkeypatch.setattr(Upscaler, "run", watched)
    rgb = photographs["rocket"]
    pool = EnginePool(write_network("tflite int8 uint8", (64, 64)), 2)
    pool.fit_frames((80, 90))
    sizes = [(80, 90), (70, 100)] * 4
    made = list(pool.frames((rgb[:height, :width] for height, width in sizes), Savings()))
    assert len(made) == 8
    assert len(twice) > 8 and not any(twice)


def test_frames_before_a_bad_one_are_finished(write_network, photographs):
    def frames():
        for n in range(3):
            yield photographs["rocket"][n : n + 64, :64]
        raise ImageError("a bad one")

    pool = EnginePool(write_network("tflite int8 uint8", (64, 64)), 2)
    pool.fit_frames((64, 64))
    made = []
    with pytest.raises(ImageError, match="a bad one"):
        for frame in pool.frames(frames(), Savings()):
            made.append(frame)
    assert len(made) == 3
