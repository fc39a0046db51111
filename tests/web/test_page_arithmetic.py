"""The page computes what the Python runtime computes: tiles, statistics, the fidelity probe."""

from __future__ import annotations

import json
import zlib
from pathlib import Path

import numpy as np
import pytest

from ailsr.runtime.bench.latency import Latency, is_steady
from ailsr.runtime.errors import ModelError
from ailsr.runtime.probe import Fidelity, probe_image
from ailsr.runtime.upscaling.tiles import plan

RANDOM = np.random.default_rng(7)
PARITY = json.loads((Path(__file__).parents[1] / "parity" / "probe.json").read_text())


def python_tiles(picture, sizes, radius):
    """As Upscaler.plan, in the page's notation: rows' and columns' start, stop, first, last."""
    plans = []
    for height, width in sizes:
        try:
            tiles = plan(picture, (height, width), radius, 1)
        except ModelError:
            continue
        plans.append((len(tiles) * height * width, len(tiles), tiles))
    if not plans:
        return None
    return [
        [(s.start, s.stop, t.start, t.stop) for s, t in zip(tile.source, tile.target, strict=True)]
        for tile in min(plans, key=lambda found: found[:2])[-1]
    ]


def test_tiles_are_those_of_the_runtime(in_node):
    cases = [
        [
            RANDOM.integers(1, 400, 2).tolist(),
            RANDOM.integers(8, 120, (RANDOM.integers(1, 4), 2)).tolist(),
            int(RANDOM.integers(0, 20)),
        ]
        for _ in range(300)
    ]
    planned = [
        tiles and [[tuple(tile[axis].values()) for axis in ("rows", "columns")] for tile in tiles]
        for tiles in in_node("tiles", "planTiles", cases)
    ]
    assert planned == [python_tiles(*case) for case in cases]
    assert any(tiles is None for tiles in planned)
    assert any(tiles and len(tiles) > 9 for tiles in planned)


def test_statistics_are_those_of_the_harness(in_node):
    cases = [RANDOM.gamma(2, 5, n).tolist() for n in (1, 2, 3, 4, 9, 10, 100, 201)]
    summaries = in_node("latency", "summary", [[samples, 7, True] for samples in cases])
    for samples, summary in zip(cases, summaries, strict=True):
        expected = vars(Latency.of_samples(samples, 7, True))
        assert summary.pop("samples_ms") == pytest.approx(expected["samples_ms"])
        assert summary == pytest.approx({name: expected[name] for name in summary})


def test_warm_up_ends_by_the_rule_of_the_harness(in_node):
    cases = [(10 + RANDOM.normal(0, 1, n)).tolist() for n in RANDOM.integers(1, 30, 100)]
    steady = in_node("latency", "isSteady", [[samples] for samples in cases])
    assert steady == [is_steady(samples) for samples in cases]
    assert set(steady) == {True, False}


def test_the_probe_picture_is_that_of_the_runtime(in_node):
    sizes = [[picture["height"], picture["width"]] for picture in PARITY["pictures"]]
    pictures = in_node("probe", "probePicture", sizes)
    for picture, expected in zip(pictures, PARITY["pictures"], strict=True):
        assert (picture["height"], picture["width"]) == (expected["height"], expected["width"])
        assert zlib.crc32(bytes(picture["rgb"].values())) == expected["crc32"]


def repeated(height, width, scale):
    """The probe picture with each pixel ``scale`` times along each side: as if upscaled."""
    return probe_image(height, width).repeat(scale, 0).repeat(scale, 1)


def as_picture(rgb):
    return {"width": rgb.shape[1], "height": rgb.shape[0], "rgb": rgb.ravel().tolist()}


def flip_last_bit(rgb):
    rgb[0, 0, 2] ^= 1
    return rgb


CHANGES = {
    "none": lambda rgb: rgb,
    "add 1": lambda rgb: np.clip(rgb.astype(int) + 1, 0, 255),
    "add 9": lambda rgb: np.clip(rgb.astype(int) + 9, 0, 255),
    "swap red and blue": lambda rgb: rgb[..., ::-1],
    "shift down by a row": lambda rgb: np.roll(rgb, 1, 0),
    "the last bit of blue at row 0, column 0": flip_last_bit,
    "scale 3": lambda rgb: repeated(48, 64, 3),
}


def test_fidelity_is_that_of_the_runtime(in_node):
    probes = {(a["height"], a["width"], a["scale"]): a for a in PARITY["answers"]}
    cases, expected = [], []
    for size, probe in probes.items():
        cases.append([probe, as_picture(repeated(*size))])
        expected.append({"verdict": "exact", "levels": 0})
    for case in PARITY["fidelity"]:
        size = case["height"], case["width"], case["scale"]
        cases.append([probes[size], as_picture(CHANGES[case["change"]](repeated(*size)))])
        expected.append({"verdict": case["verdict"], "levels": case["levels"]})
    assert in_node("probe", "fidelity", cases) == expected


def test_fidelity_is_said_as_the_runtime_says_it(in_node):
    found = [("exact", 0), ("within", 1), ("within", 2), ("wrong", 31)]
    said = in_node("probe", "verdict", [[{"verdict": v, "levels": n}] for v, n in found])
    assert said == [str(Fidelity(*values)) for values in found]
    assert in_node("probe", "verdict", [[None]]) == ["not known"]


def test_page_and_runtime_are_small(node):
    page = Path(__file__).parents[2] / "runtime" / "web" / "page"
    sizes = {path.name: path.stat().st_size for path in page.rglob("*.gz")}
    assert sum(sizes.values()) < 15e6  # both runtimes, as carried and sent
    own = [size for name, size in sizes.items() if not name.startswith("ort")]
    assert sum(own) < 20e3
