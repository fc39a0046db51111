"""The encoding of a network: ranges as they are written and applied, and as they are found."""

from __future__ import annotations

import math

import numpy as np
import pytest

from ailsr.runtime.engines.encoding import (
    RANGES,
    Comparison,
    Encoding,
    Range,
    encodings,
)
from ailsr.runtime.imaging.resize import resize
from ailsr.runtime.probe import probe_image

EDSR = "mean=0.4488,0.4371,0.404/std=0.00392157"


@pytest.mark.parametrize("text", [*RANGES, "-0.5..0.5", "16..235", "1..0", EDSR])
def test_a_range_is_read_as_it_is_written(text):
    assert str(Range.parse(text)) == text


def test_numbers_of_a_range():
    image = np.array([[[0, 0.5, 1]]], np.float32)
    for text, expected in (
        ("0..255", [0, 127.5, 255]),
        ("-1..1", [-1, 0, 1]),
        ("1..0", [1, 0.5, 0]),
        ("imagenet", [-0.485 / 0.229, (0.5 - 0.456) / 0.224, (1 - 0.406) / 0.225]),
        ("mean=0.5/std=0.25,1,2", [-2, 0, 0.25]),
        (EDSR, [-0.4488 * 255, (0.5 - 0.4371) * 255, (1 - 0.404) * 255]),
    ):
        numbers = Range.parse(text).encode(image)
        np.testing.assert_allclose(numbers[0, 0], expected, rtol=1e-6, atol=1e-7)
        np.testing.assert_allclose(Range.parse(text).decode(numbers), image, atol=1e-6)


@pytest.mark.parametrize(
    "text",
    ["", "1", "0..", "1..1", "0..inf", "nan..1", "0..1..2", "mean=1", "mean=1/std=0", "caffe",
     "mean=1,2/std=1", "mean=/std=1", "mean=x/std=1"],
)  # fmt: skip
def test_what_is_no_range_is_refused(text):
    with pytest.raises(ValueError):
        Range.parse(text)


def test_means_are_those_of_red_green_and_blue_in_any_order_of_channels():
    image = np.array([[[0.1, 0.2, 0.3]]], np.float32)
    encoding = Encoding(RANGES["imagenet"], RANGES["0..255"], "bgr")
    assert np.array_equal(encoding.encode(image), RANGES["imagenet"].encode(image)[..., ::-1])
    assert np.array_equal(encoding.decode(image), image[..., ::-1] / np.float32(255))


def sharpened(image):
    """A stand-in for a network: bicubic interpolation, sharpened a little."""
    large = resize(image, (2 * image.shape[0], 2 * image.shape[1]))
    around = sum(np.roll(large, shift, axis) for shift in (1, -1) for axis in (0, 1)) / 4
    return large + np.float32(0.4) * (large - around)


def strict(encoding):
    """A function that repeats pixels, in the levels of 255 of its own encoding alone."""

    def run(numbers):
        large = encoding.input.decode(numbers).repeat(2, axis=0).repeat(2, axis=1)
        large = large + np.float32(0.2) * np.sin(255 * np.pi * large) ** 2
        return encoding.output.encode(np.clip(large, 0, 1))

    return run


@pytest.mark.parametrize("encoding", encodings(), ids=str)
@pytest.mark.parametrize("size", [(64, 64), (200, 90)])
def test_each_encoding_is_found(encoding, size):
    found = Comparison.of(strict(encoding), 2, size, encodings())
    assert found.is_image and found.best == encoding


def test_0_to_1_is_preferred_where_there_is_no_telling():
    found = Comparison.of(sharpened, 2, (64, 64), encodings())
    assert found.best == Encoding()
    assert min(found.errors.values()) < found.bicubic


@pytest.mark.parametrize("value", [0.5, math.nan, math.inf, 1e30])
def test_an_output_without_an_image_is_told(value):
    found = Comparison.of(
        lambda x: np.full((128, 128, 3), value, np.float32), 2, (64, 64), encodings()
    )
    assert not found.is_image


def test_the_image_has_the_levels_that_tell_ranges_apart():
    """Black, white and much between, so that no range of another passes for [0, 1]."""
    histogram = np.bincount(probe_image(128, 128).ravel(), minlength=256)
    assert histogram[0] and histogram[255] and (histogram > 0).sum() > 200
