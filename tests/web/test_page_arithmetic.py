"""The page computes what the Python runtime computes: tiles, statistics."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ailsr.runtime.bench.latency import Latency, is_steady
from ailsr.runtime.errors import ModelError
from ailsr.runtime.upscaling.tiles import plan

RANDOM = np.random.default_rng(7)


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


def test_page_and_runtime_are_small(node):
    page = Path(__file__).parents[2] / "runtime" / "web" / "page"
    sizes = {path.name: path.stat().st_size for path in page.rglob("*.gz")}
    assert sum(sizes.values()) < 15e6  # both runtimes, as carried and sent
    own = [size for name, size in sizes.items() if not name.startswith("ort")]
    assert sum(own) < 20e3
