"""PSNR, SSIM and Y against closed forms, scikit-image and the figures of the literature."""

from __future__ import annotations

import numpy as np
import pytest
from skimage.color import rgb2ycbcr
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from ailsr.runtime.imaging import image
from ailsr.runtime.imaging.color import luma
from ailsr.runtime.imaging.metrics import psnr, shave, ssim, ssimulacra2
from ailsr.runtime.imaging.protocol import Pair, score
from ailsr.runtime.imaging.resize import crop_to_multiple, enlarge, shrink


@pytest.fixture
def noisy(photographs):
    rgb = photographs["astronaut"]
    noise = np.random.default_rng(0).normal(0, 9, rgb.shape)
    return np.clip(rgb + noise, 0, 255).round().astype(np.uint8)


@pytest.mark.parametrize(
    ("scale", "expected_psnr", "expected_ssim"),
    [(2, 33.69, 0.9307), (3, 30.41, 0.8691), (4, 28.43, 0.8113)],
)
def test_bicubic_on_set5_unrounded(data, scale, expected_psnr, expected_ssim):
    """The figures printed with VDSR and AIL: Y all the way, in floating point."""
    figures = []
    for path in image.list_images(data / "benchmark" / "Set5" / "HR"):
        y = luma(crop_to_multiple(image.read(path), scale))
        pair = [shave(plane, scale) for plane in (enlarge(shrink(y, scale), scale), y)]
        figures.append((psnr(*pair), ssim(*pair)))
    means = np.mean(figures, axis=0)
    assert means[0] == pytest.approx(expected_psnr, abs=0.005)
    assert means[1] == pytest.approx(expected_ssim, abs=0.00015)


def test_y_is_that_of_bt601(photographs):
    rgb = photographs["astronaut"]
    assert np.abs(luma(rgb) - rgb2ycbcr(rgb)[..., 0]).max() < 1e-9
    assert np.array_equal(luma(rgb.astype(np.float64)), luma(rgb))
    ends = luma(np.array([[[0, 0, 0], [255, 255, 255]]], np.uint8))
    assert ends.tolist() == [[16.0, pytest.approx(235.0)]]


def test_psnr_of_a_constant_error():
    picture = np.full((8, 9), 100, np.uint8)
    assert psnr(picture, picture + np.uint8(5)) == pytest.approx(20 * np.log10(255 / 5))
    assert psnr(picture + np.uint8(5), picture) == psnr(picture, picture + np.uint8(5))
    assert psnr(picture, picture) == float("inf")


def test_scikit_image_agrees(photographs, noisy):
    rgb = photographs["astronaut"]
    assert psnr(noisy, rgb) == pytest.approx(peak_signal_noise_ratio(rgb, noisy), abs=1e-9)
    options = {
        "gaussian_weights": True,
        "sigma": 1.5,
        "use_sample_covariance": False,
        "data_range": 255,
    }
    y, other = luma(rgb), luma(noisy)
    assert ssim(other, y) == pytest.approx(structural_similarity(other, y, **options), abs=1e-9)
    expected = structural_similarity(noisy, rgb, channel_axis=2, **options)
    assert ssim(noisy, rgb) == pytest.approx(expected, abs=1e-9)
    assert ssim(rgb, rgb) == pytest.approx(1.0)


def test_ssim_refuses_what_its_window_does_not_fit():
    with pytest.raises(ValueError, match="11 pixels or more"):
        ssim(np.zeros((10, 40)), np.zeros((10, 40)))
    with pytest.raises(ValueError, match="one size"):
        ssim(np.zeros((20, 40)), np.zeros((40, 20)))


def test_shave_takes_the_border_off_every_side():
    picture = np.arange(20).reshape(4, 5)
    assert shave(picture, 1).tolist() == [[6, 7, 8], [11, 12, 13]]
    assert shave(picture, 0).shape == (4, 5)


def test_ssimulacra2_is_that_of_its_package(photographs, tmp_path):
    package = pytest.importorskip("ssimulacra2")
    hr = photographs["chelsea"][:120, :160]
    worse = enlarge(shrink(hr, 2), 2)
    image.write(hr, tmp_path / "hr.png")
    image.write(worse, tmp_path / "worse.png")
    expected = package.compute_ssimulacra2(tmp_path / "hr.png", tmp_path / "worse.png")
    assert 0 < expected < 90
    assert ssimulacra2(worse, hr) == pytest.approx(expected, abs=1e-9)
    assert ssimulacra2(hr, hr) == pytest.approx(100)
    assert score(worse, Pair("a", shrink(hr, 2), hr), names=["ssimulacra2"]) == {
        "ssimulacra2": ssimulacra2(shave(worse, 2), shave(hr, 2))
    }
