"""Tiles cover the image once and keep only what the network computes without the tile's edge."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ailsr.runtime import ModelError
from ailsr.runtime.upscaling.tiles import plan

sides = st.integers(1, 70)
radii = st.integers(0, 6)


@given(height=sides, width=sides, radius=radii, scale=st.integers(1, 4), data=st.data())
def test_tiles_cover_every_output_pixel_once(height, width, radius, scale, data):
    window = [data.draw(st.integers(2 * radius + 1, 40)) for _ in range(2)]
    covered = np.zeros((height * scale, width * scale), int)
    for tile in plan((height, width), (window[0], window[1]), radius, scale):
        covered[tile.target] += 1
        kept = np.zeros([(s.stop - s.start) * scale for s in tile.source])[tile.kept]
        assert kept.shape == covered[tile.target].shape
    assert (covered == 1).all()


@given(length=sides, radius=radii, extra=st.integers(1, 20))
def test_what_is_kept_lies_the_radius_away_from_edges_inside_the_picture(length, radius, extra):
    window = 2 * radius + extra
    for tile in plan((length, 1), (window, 1), radius, 1):
        source, target = tile.source[0], tile.target[0]
        assert source.stop - source.start == min(window, length)
        assert source.start == 0 or target.start - source.start >= radius
        assert source.stop == length or source.stop - target.stop >= radius


def test_a_window_without_room_between_the_overlaps_is_refused():
    assert len(plan((8, 8), (8, 8), 4, 2)) == 1  # one tile needs no overlap
    with pytest.raises(ModelError, match=r"8 pixels .* needs 9 or more"):
        plan((9, 8), (8, 8), 4, 2)
