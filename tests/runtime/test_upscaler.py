"""An image of any size comes out as if the file had been made for its size."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ailsr.runtime import EngineError, ImageError, ModelError, load
from ailsr.runtime.engines.pixels import from_pixels, to_pixels
from ailsr.runtime.engines.registry import open_engine
from ailsr.runtime.upscaling.upscaler import UNKNOWN_RADIUS

RADIUS = 4
KINDS = [
    "onnx float32 float32",
    "onnx int8 uint8",
    "onnx int8 int8",
    "tflite float32 float32",
    "tflite int8 uint8",
    "tflite int8 int8",
]
few = settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
windows = st.tuples(st.integers(2 * RADIUS + 1, 24), st.integers(2 * RADIUS + 1, 24))
pictures = st.tuples(st.integers(1, 60), st.integers(1, 60))


def picture(size, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (*size, 3), dtype=np.uint8)


def padded(rgb, window):
    """``rgb`` and its mirror image until it is at least as large as the window."""
    missing = [(0, max(0, w - n)) for w, n in zip(window, rgb.shape, strict=False)]
    return np.pad(rgb, [*missing, (0, 0)], mode="symmetric")


@pytest.mark.parametrize("kind", KINDS)
@few
@given(size=pictures, window=windows, scale=st.sampled_from([2, 3]))
def test_tiled_result_equals_the_untiled_one(write_network, kind, size, window, scale):
    rgb = picture(size)
    tiled = load(write_network(kind, window, scale), threads=1)
    whole = padded(rgb, window)
    untiled = open_engine(write_network(kind, whole.shape[:2], scale), threads=1)
    pixels = untiled.io_dtype
    expected = untiled.run(to_pixels(whole, pixels))[: size[0] * scale, : size[1] * scale]
    assert np.array_equal(tiled.upscale(rgb), from_pixels(expected, pixels))


@pytest.mark.parametrize("kind", ["onnx float32 float32", "tflite int8 uint8"])
def test_an_overlap_one_pixel_short_shows(write_network, kind):
    """The test above can fail: with a smaller radius on the card the result differs."""
    rgb = picture((40, 40))
    honest = load(write_network(kind, (16, 16)), threads=1)
    lying = load(write_network(kind, (16, 16), radius=RADIUS - 1), threads=1)
    assert not np.array_equal(honest.upscale(rgb), lying.upscale(rgb))


def test_a_photograph_in_tiles_equals_the_photograph_at_once(write_network, photographs):
    rgb = photographs["chelsea"]
    kind = "tflite int8 uint8"
    whole = load(write_network(kind, rgb.shape[:2]), threads=1)
    tiled = load(write_network(kind, (64, 96)), threads=1)
    assert len(tiled.plan(*rgb.shape[:2])) > 20
    assert np.array_equal(tiled.upscale(rgb), whole.upscale(rgb))


@pytest.mark.parametrize("pixels", ["float32", "uint8", "int8"])
def test_every_level_survives_the_conversion_to_a_file_and_back(pixels):
    levels = np.arange(256, dtype=np.uint8).reshape(1, 256, 1).repeat(3, axis=2)
    values = to_pixels(levels, pixels)
    assert values.dtype == pixels
    assert (values.min(), values.max()) == {
        "float32": (0, 1),
        "uint8": (0, 255),
        "int8": (-128, 127),
    }[pixels]
    assert np.array_equal(from_pixels(values, pixels), levels)


def test_floats_are_clipped_and_rounded_half_to_even():
    values = np.array([-0.3, 0.5 / 255, 1.5 / 255, 2.5 / 255, 1.7], np.float32)
    assert from_pixels(values, "float32").tolist() == [0, 0, 2, 2, 255]


def test_nan_is_an_error_not_a_black_pixel():
    with pytest.raises(EngineError, match="NaN"):
        from_pixels(np.array([0.5, np.nan], np.float32), "float32")


@pytest.mark.parametrize(
    "array",
    [
        np.zeros((4, 4, 3), np.float32),
        np.zeros((4, 4), np.uint8),
        np.zeros((4, 4, 4), np.uint8),
        np.zeros((0, 4, 3), np.uint8),
    ],
)
def test_anything_but_uint8_rgb_is_refused(write_network, array):
    upscaler = load(write_network("onnx float32 float32", (12, 12)), threads=1)
    with pytest.raises(ImageError, match=array.dtype.name):
        upscaler.upscale(array)


def test_an_input_too_small_for_its_overlap_is_named_with_the_file(write_network):
    path = write_network("onnx float32 float32", (8, 8))
    upscaler = load(path, threads=1)
    assert upscaler.upscale(picture((8, 5))).shape == (16, 10, 3)
    with pytest.raises(ModelError, match=rf"{path.name}.*9 or more.*--input-size"):
        upscaler.upscale(picture((9, 8)))


def test_progress_counts_the_tiles(write_network):
    upscaler = load(write_network("onnx float32 float32", (16, 16)), threads=1)
    seen = []
    upscaler.upscale(picture((30, 20)), lambda what, done, of: seen.append((done, of)))
    assert seen == [(n + 1, len(seen)) for n in range(len(upscaler.plan(30, 20)))]


def test_no_float_copy_of_the_whole_picture_is_held(write_network):
    upscaler = load(write_network("onnx float32 float32", (32, 32)), threads=1)
    rgb = picture((300, 400))
    tracemalloc.start()
    try:
        result = upscaler.upscale(rgb)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 1.5 * result.nbytes  # float32 alone would be 4 times as much


def test_a_file_of_open_size_takes_small_pictures_as_they_are(write_peer):
    upscaler = load(write_peer([1, 3, "h", "w"]), threads=1)
    rgb = picture((10, 7)) // 2
    assert upscaler.radius == UNKNOWN_RADIUS
    assert np.array_equal(upscaler.upscale(rgb), lifted(rgb))
    wide = picture((20, 600)) // 2
    assert len(upscaler.plan(20, 600)) == 3
    assert np.array_equal(upscaler.upscale(wide), lifted(wide))


@pytest.mark.parametrize("shape", [[1, 3, 20, 24], [1, 20, 24, 3], ["n", "h", "w", 3]])
@pytest.mark.parametrize("white", [1.0, 255.0])
def test_layout_and_range_of_files_without_a_card_are_found(write_peer, shape, white):
    rgb = picture((23, 30)) // 2
    upscaler = load(write_peer(shape, white), threads=1)
    assert np.array_equal(upscaler.upscale(rgb), lifted(rgb))


def test_a_file_that_keeps_means_with_white_as_1_is_run_so(write_peer):
    """Though it would keep them even better with white as 255, where its bias is nothing."""
    rgb = picture((23, 30)) // 2
    upscaler = load(write_peer([1, 3, 20, 24], 1.0, lift=1.6, limit=1e9), threads=1)
    assert np.array_equal(upscaler.upscale(rgb), rgb.repeat(2, axis=0).repeat(2, axis=1) + 2)


def lifted(rgb):
    """What ``write_peer``'s files compute, to the grey level."""
    large = rgb.repeat(2, axis=0).repeat(2, axis=1)
    return large + np.uint8(20)
