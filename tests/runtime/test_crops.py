"""Crops show where a network gains most."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_up_results import repaired

from ailsr.runtime.imaging import metrics
from ailsr.runtime.imaging.color import luma
from ailsr.runtime.imaging.crops import SIDE, best_window, crop
from ailsr.runtime.imaging.protocol import Pair
from ailsr.runtime.imaging.resize import enlarge, shrink


@given(st.integers(1, 6), st.integers(0, 2**32 - 1))
def test_the_best_window_is_that_of_an_exhaustive_search(side, seed):
    gain = np.random.default_rng(seed).normal(size=(9, 7))
    sums = {
        (top, left): gain[top : top + side, left : left + side].sum()
        for top in range(10 - side)
        for left in range(8 - side)
    }
    assert sums[best_window(gain, side)] == pytest.approx(max(sums.values()))


@pytest.fixture(scope="module")
def pair(photographs) -> Pair:
    hr = photographs["chelsea"]
    return Pair("chelsea", shrink(hr[:300, :450], 2), hr[:300, :450])


@pytest.mark.parametrize(("top", "left"), [(60, 121), (200, 300)])
def test_a_crop_shows_where_the_network_gains(pair, top, left):
    network = repaired(pair, top, left)
    found = crop(pair, {"float32": network, "int8": enlarge(pair.lr, 2)}, "Y-shave-s")
    assert (found.top, found.left) == (top, left)
    assert [panel.label for panel in found.panels] == ["bicubic", "float32", "int8", "ground truth"]
    assert found.panels[1].psnr_db == math.inf
    assert found.panels[3].psnr_db is None
    window = (slice(top, top + SIDE), slice(left, left + SIDE))
    np.testing.assert_array_equal(found.panels[0].pixels, enlarge(pair.lr, 2)[window])
    expected = metrics.psnr(
        np.rint(luma(found.panels[0].pixels)), np.rint(luma(found.panels[3].pixels))
    )
    assert found.panels[0].psnr_db == found.panels[2].psnr_db == expected
    in_rgb = crop(pair, {"float32": network}, "RGB-DIV2K").panels[0]
    assert in_rgb.psnr_db == metrics.psnr(in_rgb.pixels, pair.hr[window])


def test_a_small_picture_gives_a_small_crop(pair):
    small = Pair("small", pair.lr[:20, :30], pair.hr[:40, :60])
    found = crop(small, {"int8": enlarge(small.lr, 2)}, "Y-shave-s")
    assert found.size == (36, 36)  # without the border that the protocol leaves out
