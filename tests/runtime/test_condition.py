"""JPEG quality and noise of images that are read."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from ailsr.runtime.imaging import image
from ailsr.runtime.imaging.condition import LOW_QUALITY, NOISY, Condition, noise_of_rows
from ailsr.runtime.imaging.jpeg_quality import quality_of, standard
from ailsr.runtime.imaging.no_reference import levels, noise
from ailsr.runtime.imaging.rgb_image import RgbImage


def read(file: io.BytesIO) -> RgbImage:
    return image.read_file(file, "it")


def saved(rgb: np.ndarray, kind: str = "JPEG", **options: object) -> RgbImage:
    file = io.BytesIO()
    Image.fromarray(rgb).save(file, kind, **options)
    return read(file)


@pytest.mark.parametrize("options", [{}, {"subsampling": 0}, {"progressive": True}])
def test_the_quality_of_a_jpeg_is_the_one_that_it_was_saved_with(photographs, options):
    rgb = photographs["chelsea"][:24, :40]
    for quality in range(1, 101):
        assert saved(rgb, quality=quality, **options).jpeg_quality == quality
        assert saved(rgb[..., 0], quality=quality).jpeg_quality == quality


def test_other_quantisers_have_the_quality_of_the_nearest_sum(photographs):
    for quality in (1, 40, 75, 100):
        assert quality_of(standard(quality)[::-1]) == quality  # in whatever order
    sums = {quality: sum(standard(quality)) for quality in range(1, 101)}
    for total in range(0, 17000, 7):
        nearest = min(range(100, 0, -1), key=lambda quality: abs(sums[quality] - total))
        assert quality_of([total, *[0] * 63]) == nearest
    flat = saved(photographs["chelsea"][:24, :40], qtables=[[20] * 64, [99] * 64])
    assert flat.jpeg_quality == quality_of([20] * 64) == 83


def test_other_files_have_no_quality_and_turned_ones_keep_it(photographs):
    rgb = photographs["chelsea"][:24, :40]
    for kind in ("PNG", "WEBP", "PPM", "TIFF"):
        assert saved(rgb, kind).jpeg_quality is None
    exif = Image.Exif()
    exif[0x0112] = 6
    turned = saved(rgb, quality=60, exif=exif)
    assert (turned.size, turned.jpeg_quality) == ((40, 24), 60)


@pytest.mark.parametrize("height", [10, 519, 1040])
def test_noise_of_rows_is_that_of_the_whole_image(height):
    rgb = np.random.default_rng(3).integers(90, 110, (height, 31, 3), dtype=np.uint8)
    assert noise_of_rows(rgb) == pytest.approx(noise(levels(rgb)))
    assert noise_of_rows(rgb[:9]) == 0


def test_an_image_is_degraded_from_the_thresholds_on():
    for jpeg_quality, level, degraded in [
        (LOW_QUALITY, 0, True), (LOW_QUALITY + 1, 0, False), (None, 0, False),
        (None, NOISY, True), (100, NOISY, True), (100, NOISY - 0.01, False),
    ]:  # fmt: skip
        assert Condition(jpeg_quality, level).is_degraded is degraded
    assert str(Condition(60, 1.234)) == "JPEG quality 60, noise 1.2"
    assert str(Condition(None, 0.0)) == "no JPEG, noise 0.0"
