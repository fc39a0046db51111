"""PNG in bands: Pillow reads what we write, we read what Pillow writes, damage is found."""

from __future__ import annotations

import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from ailsr.runtime import ImageError
from ailsr.runtime.imaging.image import Limit, read_image
from ailsr.runtime.imaging.png import PngWriter
from ailsr.runtime.imaging.png_reader import decode_png
from ailsr.runtime.imaging.rows import DiskRows


def written(pixels, rows, **facts):
    file = io.BytesIO()
    writer = PngWriter(file, pixels.shape[:2], alpha=pixels.shape[2] == 4, **facts)
    for start in range(0, len(pixels), rows):
        writer.write(pixels[start : start + rows])
    writer.close()
    return file.getvalue()


@settings(deadline=None, max_examples=40)
@given(st.integers(1, 40), st.integers(1, 40), st.sampled_from([3, 4]), st.integers(1, 41))
def test_pillow_reads_what_is_written_in_bands(height, width, channels, rows):
    pixels = np.random.default_rng(height).integers(0, 256, (height, width, channels), np.uint8)
    with Image.open(io.BytesIO(written(pixels, rows))) as image:
        assert np.array_equal(np.asarray(image), pixels)


def test_a_photograph_takes_no_more_room_than_pillow_gives_it(photographs):
    rgb = photographs["chelsea"]
    file = io.BytesIO()
    Image.fromarray(rgb).save(file, "png")
    assert len(written(rgb, 100)) < 1.02 * file.tell()


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "LA", "P"])
@pytest.mark.parametrize("memory", [20_000, 70_000, 1 << 30])
def test_bands_are_those_of_the_whole_picture(photographs, mode, memory):
    image = Image.fromarray(photographs["rocket"][100:160, 200:300]).convert(mode)
    file = io.BytesIO()
    image.save(file, "png")
    file.seek(0)
    bands = list(decode_png(file, "a.png", Limit(memory)).bands)
    assert (len(bands) == 1) == (memory == 1 << 30)
    pixels = np.concatenate([np.dstack([p for p in band if p is not None]) for band in bands])
    pillow = image.convert("RGB") if mode == "P" else image
    assert np.array_equal(pixels.squeeze(), np.asarray(pillow))


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "P"])
def test_a_picture_read_with_little_memory_is_the_same(tmp_path, photographs, mode):
    image = Image.fromarray(photographs["astronaut"]).convert(mode)
    image.save(tmp_path / "a.png", **({"transparency": 3} if mode == "P" else {}))
    whole = read_image(tmp_path / "a.png")
    banded = read_image(tmp_path / "a.png", limit=Limit(2**20, tmp_path))
    assert isinstance(banded.rgb, DiskRows)
    assert np.array_equal(banded.on_white(), whole.on_white())
    assert (banded.alpha is None, banded.notes, banded.grayscale) == (
        whole.alpha is None,
        whole.notes,
        whole.grayscale,
    )
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]


def test_what_pillow_decodes_whole_needs_room_for_it(tmp_path, photographs):
    Image.fromarray(photographs["astronaut"]).save(tmp_path / "a.jpg", quality=95)
    whole = read_image(tmp_path / "a.jpg")
    banded = read_image(tmp_path / "a.jpg", limit=Limit(2**21, tmp_path))
    assert isinstance(banded.rgb, DiskRows)
    assert np.array_equal(banded.rgb[:], whole.rgb)
    with pytest.raises(ImageError, match=r"a.jpg has 0 megapixels.* takes 1M.*--max-memory"):
        read_image(tmp_path / "a.jpg", limit=Limit(2**19, tmp_path))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_turned_picture_is_turned_band_by_band(tmp_path, photographs, orientation):
    rgb = np.ascontiguousarray(photographs["chelsea"])  # 300×451: more than one band
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(rgb).save(tmp_path / "a.png", exif=exif)
    whole = read_image(tmp_path / "a.png")
    banded = read_image(tmp_path / "a.png", limit=Limit(2**20, tmp_path))
    assert np.array_equal(banded.rgb[:], whole.rgb)
    assert banded.notes == whole.notes


def test_a_cut_or_damaged_file_is_an_error_in_bands_too(tmp_path, photographs):
    path = tmp_path / "a.png"
    data = written(photographs["chelsea"][:60, :80], 60)
    limit = Limit(2**24, tmp_path)
    for length in range(1, len(data) - 20, len(data) // 12):
        path.write_bytes(data[:length])
        with pytest.raises(ImageError, match=r"a\.png") as caught:
            read_image(path, limit=limit)
        assert "\n" not in str(caught.value)
    damaged = bytearray(data)
    damaged[len(data) // 2] ^= 1
    path.write_bytes(damaged)
    with pytest.raises(ImageError, match=r"a\.png cannot be read"):
        read_image(path, limit=limit)
