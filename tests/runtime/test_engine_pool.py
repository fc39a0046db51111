"""A pool of engines, in any number and with any tiles, computes what one engine computes."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import onnx
import pytest

from ailsr.runtime import UsageError, load
from ailsr.runtime.engines.pixels import from_pixels, to_pixels
from ailsr.runtime.engines.registry import open_engine
from ailsr.runtime.imaging import image
from ailsr.runtime.memory import megabytes, parse_size
from ailsr.runtime.seal import SEAL_KEY, UNSEALED, sealed
from ailsr.runtime.upscaling.engine_pool import EnginePool

KINDS = ["onnx float32 float32", "onnx int8 uint8", "tflite float32 float32", "tflite int8 uint8"]


@pytest.fixture
def chelsea(photographs):
    return np.ascontiguousarray(photographs["chelsea"])  # 300×451


def together(pool, pictures):
    """The upscaled images, put together from their bands."""
    results = [np.zeros((p.shape[0] * 2, p.shape[1] * 2, 3), np.uint8) for p in pictures]
    order = []
    for band in pool.bands(pictures):
        results[band.image][band.rows] = band.pixels
        order.append((band.image, band.rows.start, band.last))
    assert order == sorted(order)
    assert [last for *_, last in order].count(True) == len(pictures)
    return results


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("threads", [1, 3])
def test_a_photograph_in_tiles_is_the_photograph_at_once_to_the_bit(
    write_network, chelsea, kind, threads
):
    whole = open_engine(write_network(kind, chelsea.shape[:2]), threads=1)
    expected = from_pixels(whole.run(to_pixels(chelsea, whole.io_dtype)), whole.io_dtype)
    pool = EnginePool(write_network(kind, (96, 128)), threads)
    pool.fit(chelsea.shape[:2])
    (result,) = together(pool, [chelsea])
    assert np.array_equal(result, expected)


def test_pictures_come_out_in_their_order(write_network, chelsea):
    path = write_network("tflite int8 uint8", (96, 128))
    pictures = [chelsea, chelsea[:50, :60], chelsea[::-1], chelsea[:97], chelsea[:, :200]]
    pool = EnginePool(path, 3)
    pool.fit_frames(chelsea.shape[:2])
    for result, rgb in zip(together(pool, pictures), pictures, strict=True):
        assert np.array_equal(result, load(path, threads=1).upscale(np.ascontiguousarray(rgb)))


def open_sides(path):
    """The ONNX file at ``path`` with open height and width, sealed again."""
    model = onnx.load(path)
    for tensor in (*model.graph.input, *model.graph.output):
        for axis in (2, 3):
            tensor.type.tensor_type.shape.dim[axis].dim_param = f"{tensor.name}{axis}"
    next(entry for entry in model.metadata_props if entry.key == SEAL_KEY).value = UNSEALED
    opened = path.with_name("open.onnx")
    opened.write_bytes(sealed(model.SerializeToString()))
    return opened


RUN = """
import sys
from ailsr.runtime.commands.upscale import Config, Path, main, peak_memory_bytes
*paths, limit = sys.argv[1:]
model, source, output = map(Path, paths)
main(Config(model, [source], output, threads=2, max_memory=limit or None))
print(peak_memory_bytes())
"""


@pytest.mark.parametrize(
    ("kind", "height"),
    [
        ("tflite int8 uint8", 1800),
        ("tflite int8 uint8", 300),  # less than the file's own: padded, with any tile
        ("tflite float32 float32", 1800),
        ("open onnx", 1800),
    ],
)
def test_memory_stays_below_the_limit_and_the_picture_is_the_same(
    write_network, tmp_path, photographs, kind, height
):
    opened = kind == "open onnx"
    path = write_network("onnx float32 float32" if opened else kind, (480, 640))
    path = open_sides(path) if opened else path
    image.write(np.tile(photographs["chelsea"], (height // 300, 4, 1)), tmp_path / "photo.png")
    peak = {}
    for limit in ("", "288M"):
        arguments = [path, tmp_path / "photo.png", tmp_path / f"large{limit}.png", limit]
        done = subprocess.run(
            [sys.executable, "-c", RUN, *map(str, arguments)], capture_output=True, text=True
        )
        assert (done.returncode, done.stderr) == (0, "")
        peak[limit] = int(done.stdout.splitlines()[-1])
    assert peak["288M"] < 288 << 20
    assert height < 480 or peak[""] > 288 << 20
    large, same = (image.read(tmp_path / f"large{limit}.png") for limit in peak)
    assert np.array_equal(large, same)
    assert len(list(tmp_path.iterdir())) == 3


def test_a_limit_that_is_enough_for_a_large_picture_is_for_a_small_one(
    write_network, tmp_path, photographs
):
    path = write_network("tflite float32 float32", (480, 640))
    large = np.tile(photographs["chelsea"], (4, 4, 1))
    sizes = [(900, 1200), (40, 60), (477, 300), (470, 636), (120, 900)]
    for height, width in sizes:
        image.write(large[:height, :width], tmp_path / "in" / f"{height}.png")
    arguments = [path, tmp_path / "in", tmp_path / "out", "288M"]
    done = subprocess.run(
        [sys.executable, "-c", RUN, *map(str, arguments)], capture_output=True, text=True
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert int(done.stdout.splitlines()[-1]) < 288 << 20
    upscaler = load(path, threads=1)
    for height, width in sizes:
        expected = upscaler.upscale(np.ascontiguousarray(large[:height, :width]))
        assert np.array_equal(image.read(tmp_path / "out" / f"{height}_x2.png"), expected)


def test_a_limit_that_is_too_low_says_what_the_file_takes(write_network):
    path = write_network("onnx int8 uint8", (96, 128))
    with pytest.raises(UsageError, match=r"--max-memory is too low: .* takes \d+M alone"):
        EnginePool(path, 2, limit=1 << 20)


@pytest.mark.parametrize(
    ("text", "size"), [("512M", 512 << 20), ("2G", 2 << 30), ("1.5g", 3 << 29), ("4096", 4096)]
)
def test_sizes_are_read_as_people_write_them(text, size):
    assert parse_size(text) == size
    assert parse_size(megabytes(size)) >= size


@pytest.mark.parametrize("text", ["", "lots", "-1M", "1T", "M"])
def test_other_sizes_are_refused(text):
    with pytest.raises(UsageError, match="write it as in 512M or 2G"):
        parse_size(text)
