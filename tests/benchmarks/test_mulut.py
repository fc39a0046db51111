"""The rivals that ``front.py`` times: MuLUT's look-ups on tables of the test's own, which need no
numba, and where published files are looked for."""

import os
import sys
from pathlib import Path

import numpy as np
import pytest

from ailsr.runtime.bench.harness import Plan, measure_files
from ailsr.runtime.bench.measurement import Measurement
from ailsr.runtime.errors import EngineError, ModelError
from ailsr.runtime.progress import silent

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture
def mulut(monkeypatch):
    monkeypatch.syspath_prepend(BENCHMARKS)
    import mulut

    return mulut


def one_look_up(table, four):
    """Interpolation of ``table`` [17, 17, 17, 17, n, n] between its entries at the levels ``four``:
    from the lowest corner of their cell to the highest, by the pixels in falling order of what they
    lie above it, each step weighted by that."""
    low, above = np.divmod(np.array(four, int), 16)
    corner, value = low.copy(), 16 * table[tuple(low)].astype(int)
    for pixel in np.argsort(-above, kind="stable"):
        before = table[tuple(corner)].astype(int)
        corner[pixel] += 1
        value += above[pixel] * (table[tuple(corner)].astype(int) - before)
    return value / 16


def one_stage(plane, tables, patterns, scale):
    """The sum of the look-ups of ``plane`` turned four times, each turned back."""
    total = 0
    for table, pattern in zip(tables, patterns, strict=True):
        for turn in range(4):
            turned = np.rot90(plane, turn)
            height, width = turned.shape
            padded = np.pad(turned, ((0, 2), (0, 2)), mode="edge")
            found = np.empty((scale * height, scale * width))
            for y, x in np.ndindex(height, width):
                four = [padded[y + dy, x + dx] for dy, dx in ((0, 0), *pattern)]
                block = np.s_[scale * y : scale * (y + 1), scale * x : scale * (x + 1)]
                found[block] = one_look_up(table, four)
            total = total + np.rot90(found, -turn)
    return total


def test_random_tables_give_what_their_definition_does(mulut):
    random = np.random.default_rng(0)
    first, second = (random.integers(-128, 128, (3, 17**4, n), np.int8) for n in (1, 16))
    image = random.integers(0, 256, (3, 5, 2), np.uint8)
    image[0, :2, 0] = 255, 0
    patterns = list(mulut.PATTERNS.values())
    expected = []
    for plane in (image[..., 0], image[..., 1]):
        sums = one_stage(plane, first.reshape(3, 17, 17, 17, 17, 1, 1), patterns, 1)
        between = np.rint(np.clip(sums / 12 + 127, 0, 255)).astype(int)
        sums = one_stage(between, second.reshape(3, 17, 17, 17, 17, 4, 4), patterns, 4)
        expected.append(np.rint(np.clip(sums / 3, 0, 255)))
    np.testing.assert_array_equal(
        mulut.upscale(image, mulut.packed(first, second)), np.stack(expected, axis=-1)
    )


def test_tables_of_a_linear_function_repeat_each_pixel(mulut):
    node = np.arange(17).repeat(17**3)[:, None]  # of an entry's own pixel
    first = np.clip(16 * node - 127, -128, 127).astype(np.int8)
    second = np.repeat(4 * node, 16, axis=1).astype(np.int8)
    tables = mulut.packed(np.stack([first] * 3), np.stack([second] * 3))
    image = np.random.default_rng(0).integers(0, 241, (4, 3, 3), np.uint8)
    np.testing.assert_array_equal(mulut.upscale(image, tables), image.repeat(4, 0).repeat(4, 1))


@pytest.fixture
def tables(mulut, tmp_path):
    """The path of tables that make grey of all."""
    path = tmp_path / "mulut" / mulut.FIRST_TABLE
    path.parent.mkdir()
    for stage, n in (("s1", 1), ("s2", 16)):
        for pattern in mulut.PATTERNS:
            name = path.name.replace("s1_s", f"{stage}_{pattern}")
            np.save(path.with_name(name), np.full((17**4, n), 32, np.int8))
    return path


def test_tables_that_are_none_of_it_are_refused(mulut, tables, monkeypatch):
    first, second = mulut.tables_of(tables)
    assert first.shape == (3, 17**4) and second.shape == (3, 17**4, 2)
    assert np.unique(mulut.upscale(np.zeros((1, 2, 1), np.uint8), (first, second))) == 128
    np.save(tables.with_name(tables.name.replace("s1_s", "s2_y")), np.zeros((17**4, 4), np.int8))
    with pytest.raises(ModelError, match=r"s2_y\.npy is no table of MuLUT ×4 in 4 bits"):
        mulut.tables_of(tables)
    tables.with_name(tables.name.replace("s1_s", "s1_d")).unlink()
    with pytest.raises(ModelError, match=r"s1_d\.npy cannot be read: fetch it again"):
        mulut.tables_of(tables)
    monkeypatch.setattr(mulut, "numba_version", "")
    with pytest.raises(EngineError, match="needs numba: pip install numba"):
        mulut.LookUpEngine(tables, 1)


def test_the_harness_finds_the_engine(mulut, tables, tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setenv("PYTHONPATH", os.environ.get("PYTHONPATH", ""))
    mulut.register(tmp_path / "engines")
    (found,) = measure_files(Plan((str(tables),), 1, 3, 0.1, processes=1), silent).files
    if mulut.numba_version:
        assert isinstance(found, Measurement)
        assert (found.scale, found.input_size) == (4, (180, 320))
    else:
        assert found.error.endswith("needs numba: pip install numba")


def test_published_files_are_looked_for_in_every_folder(mulut, tables, tmp_path):
    from front import Front
    from front_files import Entry, of_others

    (tmp_path / "edge_sr").mkdir()
    (tmp_path / "edge_sr" / "eSR-MAX_s4_K7_C8.onnx").write_bytes(b"no network")
    folders = [tmp_path / "none", tmp_path]
    left_out = {}
    config = Front(calibration=tmp_path, test=[tmp_path], peers=folders, kept=tmp_path)
    assert [*of_others(4, config, left_out)] == [Entry("MuLUT", "peer", str(tables))]
    assert left_out["ESPCN, OpenCV"] == "no opencv_dnn_superres/ESPCN_x4.pb in --peers"
    assert left_out["eSR-CNN"] == "no edge_sr/eSR-CNN_s4_C8_D9_S6.onnx in --peers"
    for precision in ("float32", "int8"):
        assert "eSR-MAX_s4_K7_C8.onnx" in left_out[f"eSR-MAX, {precision}"]
