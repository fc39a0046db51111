"""The bicubic resize is MATLAB's, to the pixel."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from ailsr.runtime.imaging import image
from ailsr.runtime.imaging.resize import (
    contributions,
    crop_to_multiple,
    enlarge,
    enlarge_rows,
    resize,
    shrink,
)

SETS = [
    ("Set5", "LR_bicubic", "symmetric"),
    ("Set5", "LR_bicubic_selfexsr", "replicate"),
    ("Set14", "LR_bicubic", "replicate"),
]


@pytest.mark.parametrize(("name", "folder", "border"), SETS)
@pytest.mark.parametrize("scale", [2, 3, 4])
def test_every_low_resolution_image_of_matlab_is_reproduced(data, name, folder, border, scale):
    root = data / "benchmark" / name
    compared = 0
    for path in image.list_images(root / "HR"):
        hr = crop_to_multiple(image.read(path), scale)
        lr = image.read(root / folder / f"X{scale}" / f"{path.stem}x{scale}.png")
        differing = np.count_nonzero(shrink(hr, scale, border=border) != lr)
        assert differing == 0, path.name
        compared += 1
    assert compared == {"Set5": 5, "Set14": 14}[name]


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_grayscale_is_resized_as_a_plane(photographs, scale):
    rgb = crop_to_multiple(photographs["chelsea"], scale)
    assert np.array_equal(shrink(rgb[..., 1], scale), shrink(rgb, scale)[..., 1])


def test_the_weights_of_halving_are_keys_cubic():
    weights, indices = contributions(16, 8, "symmetric")
    taps = np.array([-3, -9, 29, 111, 111, 29, -9, -3]) / 256
    assert np.allclose(weights, taps, atol=1e-15)
    assert indices[0].tolist() == [2, 1, 0, 0, 1, 2, 3, 4]
    assert contributions(16, 8, "replicate")[1][0].tolist() == [0, 0, 0, 0, 1, 2, 3, 4]


@pytest.mark.parametrize("size", [(150, 451), (77, 451), (700, 451), (300, 100), (300, 902)])
def test_one_axis_agrees_with_pillow_inside(photographs, size):
    """Pillow has the same kernel, in fixed point and with another order of the axes and border."""
    rgb = photographs["chelsea"]  # 300×451
    pillow = Image.fromarray(rgb).resize(size[::-1], Image.Resampling.BICUBIC)
    difference = np.abs(resize(rgb, size).astype(int) - np.asarray(pillow))[8:-8, 8:-8]
    assert difference.max() <= 1
    assert difference.mean() < 0.05


@settings(max_examples=40)
@given(
    size=st.tuples(st.integers(1, 40), st.integers(1, 40)),
    target=st.tuples(st.integers(1, 60), st.integers(1, 60)),
    border=st.sampled_from(["symmetric", "replicate"]),
    level=st.integers(0, 255),
)
def test_symmetries_hold_at_any_size(size, target, border, level):
    picture = np.random.default_rng(level).random((*size, 2))
    resized = resize(picture, target, border=border)
    assert resized.shape == (*target, 2)
    turned = resize(picture[::-1, ::-1], target, border=border)[::-1, ::-1]
    assert np.allclose(turned, resized, atol=1e-9)
    swapped = resize(picture.swapaxes(0, 1), target[::-1], border=border).swapaxes(0, 1)
    assert np.allclose(swapped, resized, atol=1e-9)
    flat = resize(np.full((*size, 3), level, np.uint8), target, border=border)
    assert (flat == level).all()


def test_element_types_are_kept_and_floats_not_clipped(photographs):
    rgb = photographs["chelsea"][:60, :60]
    exact = enlarge(rgb.astype(np.float64), 2)
    assert exact.dtype == np.float64
    assert (exact < 0).any() or (exact > 255).any() or exact.max() > rgb.max()
    single = enlarge(rgb.astype(np.float32), 2)
    assert single.dtype == np.float32
    assert np.abs(single - exact).max() < 1e-4
    whole = enlarge(rgb, 2)
    assert whole.dtype == np.uint8
    assert np.abs(whole - np.clip(exact, 0, 255)).max() <= 1.5  # two roundings


def test_sizes_that_cannot_be_are_refused():
    picture = np.zeros((6, 9), np.uint8)
    with pytest.raises(ValueError, match="6x9 is no multiple of 2"):
        shrink(picture, 2)
    with pytest.raises(ValueError, match="empty image"):
        resize(picture, (0, 4))
    assert crop_to_multiple(picture, 4).shape == (4, 8)
    assert resize(picture, (6, 9)).tolist() == picture.tolist()


@given(st.integers(1, 30), st.integers(1, 30), st.integers(1, 4), st.data())
def test_rows_of_an_enlarged_plane_are_those_of_the_whole(height, width, scale, data):
    plane = np.random.default_rng(height).integers(0, 256, (height, width), np.uint8)
    start = data.draw(st.integers(0, height * scale - 1))
    rows = slice(start, data.draw(st.integers(start + 1, height * scale)))
    assert np.array_equal(enlarge_rows(plane, scale, rows), enlarge(plane, scale)[rows])
