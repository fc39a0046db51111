"""Files of several input sizes: each size works, and images are cut by the one that fits best."""

from __future__ import annotations

import numpy as np
import pytest

from ailsr.runtime import EngineError, load

KINDS = ["onnx float32 float32", "onnx int8 uint8", "tflite float32 float32", "tflite int8 uint8"]
SIZES = ((20, 30), (30, 20), (14, 14))


def picture(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("size", [*SIZES, (47, 31), (33, 70)])
def test_every_picture_comes_out_as_from_a_file_of_its_own_size(write_network, kind, size):
    several = load(write_network(kind, SIZES[0], other_sizes=SIZES[1:]), threads=1)
    exact = load(write_network(kind, (max(14, size[0]), max(14, size[1]))), threads=1)
    expected = exact.upscale(picture(*size)).astype(int)
    assert np.abs(several.upscale(picture(*size)) - expected).max() <= (1 if "int8" in kind else 0)


def test_the_size_is_that_with_the_fewest_pixels_to_compute(write_network):
    upscaler = load(write_network("tflite float32 float32", SIZES[0], other_sizes=SIZES[1:]))
    assert upscaler.sizes == SIZES
    for size in SIZES:
        assert len(upscaler.plan(*size)) == 1
    landscape = upscaler.plan(20, 60)  # 30 wide, overlapping by 4 on each side
    assert [tile.source[1] for tile in landscape] == [
        slice(0, 30),
        slice(22, 52),
        slice(30, 60),
    ]
    (small,) = upscaler.plan(10, 10)
    assert small.source == (slice(0, 10), slice(0, 10))
    padded = np.pad(picture(10, 10), ((0, 4), (0, 4), (0, 0)), mode="symmetric")  # to 14x14
    expected = upscaler.upscale(padded)[:20, :20]
    assert (upscaler.upscale(picture(10, 10)) == expected).all()


def test_a_size_that_is_not_on_the_card_is_refused(write_network):
    engine = load(write_network("tflite float32 float32", SIZES[0], other_sizes=SIZES[1:])).engine
    for height, width in SIZES:
        upscaled = engine.run(np.zeros((height, width, 3), np.float32))
        assert upscaled.shape == (2 * height, 2 * width, 3)
    with pytest.raises(EngineError, match=r"the image \(16, 16\)"):
        engine.run(np.zeros((16, 16, 3), np.float32))
