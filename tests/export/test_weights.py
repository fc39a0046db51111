"""int8 weights: their levels, and pairs that no 16-bit sum of two products saturates."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as st_numpy

from ailsr.export.graph.weights import pairs, quantize_weight, weight_scale

WEIGHTS = st_numpy.arrays(
    np.float32,
    st.tuples(st.integers(1, 3), st.integers(1, 5), st.integers(1, 3), st.integers(1, 3)),
    elements=st.floats(-8, 8, width=32),
)


def sums_of_pairs(levels: np.ndarray, groups: int) -> np.ndarray:
    """As PMADDUBSW sums them: unsigned 255 times the positive, or the negative, of two neighbours
    in the order (kh, kw, in), channels filled up to fours where there are no groups."""
    rows = levels.transpose(0, 2, 3, 1).astype(int)
    if groups == 1:
        rows = np.pad(rows, ((0, 0), (0, 0), (0, 0), (0, -rows.shape[3] % 4)))
    rows = rows.reshape(len(rows), -1)
    rows = np.pad(rows, ((0, 0), (0, rows.shape[1] % 2))).reshape(len(rows), -1, 2)
    return np.concatenate([255 * rows.clip(0).sum(2), 255 * rows.clip(max=0).sum(2)])


@pytest.mark.parametrize("groups", [1, 2])
@given(weight=WEIGHTS, factor=st.floats(0.5, 2))
def test_no_pair_of_products_leaves_sixteen_bits(groups, weight, factor):
    scale = weight_scale(weight, groups) * np.float32(factor)
    for chosen in (None, scale):
        levels, used = quantize_weight(weight, groups, chosen)
        assert levels.dtype == np.int8 and np.abs(levels.astype(int)).max() <= 127
        sums = sums_of_pairs(levels, groups)
        assert sums.max() < 2**15 and sums.min() >= -(2**15)
        assert chosen is None or used is scale


@pytest.mark.parametrize("groups", [1, 3])
@given(weight=WEIGHTS)
def test_weights_are_on_the_nearest_level_but_for_one_of_a_full_pair(groups, weight):
    levels, scale = quantize_weight(weight, groups)
    steps = np.abs(levels - weight / scale.reshape(-1, 1, 1, 1).astype(np.float64))
    assert steps.max() <= 1.001
    rows = steps.reshape(len(steps), -1)
    first, second = pairs(weight.shape, groups)
    assert (np.minimum(rows[:, first], rows[:, second]) <= 0.501).all()
    alone = np.setdiff1d(np.arange(rows.shape[1]), [*first, *second])
    assert (rows[:, alone] <= 0.501).all()


def test_a_lone_large_weight_keeps_its_127_levels():
    weight = np.zeros((1, 4, 3, 3), np.float32)
    weight[0, :, 1, 1] = 1.0, 0.003, -1.0, 0.5  # pairs: the first two, the last two
    levels, scale = quantize_weight(weight)
    assert levels[0, :, 1, 1].tolist() == [127, 0, -127, 64]
    assert scale == pytest.approx(1 / 127)


def test_a_pair_of_large_weights_shares_128_levels():
    weight = np.zeros((2, 4, 1, 1), np.float32)
    weight[:, :2, 0, 0] = (1.0, 1.0), (1.0, -1.0)
    levels, scale = quantize_weight(weight)
    assert levels[:, :2, 0, 0].tolist() == [[64, 64], [127, -127]]
    np.testing.assert_allclose(scale, [1 / 64, 1 / 127], rtol=1e-6)


def test_pairs_are_neighbours_with_the_channel_innermost():
    first, second = pairs((8, 3, 1, 2))  # places: channel * 2 + column; channel 2 is alone
    assert list(zip(first, second, strict=True)) == [(0, 2), (1, 3)]
    first, second = pairs((8, 3, 1, 2), groups=2)  # not filled up: channel 2 meets the next column
    assert list(zip(first, second, strict=True)) == [(0, 2), (4, 1), (3, 5)]
