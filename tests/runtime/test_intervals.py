"""Confidence intervals hold what they promise."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ailsr.runtime.bench import intervals
from ailsr.runtime.bench.intervals import mean_interval, median_interval, ratio_reach
from ailsr.runtime.bench.latency import Latency


@given(st.lists(st.floats(0.1, 100), min_size=1, max_size=300))
def test_the_interval_holds_the_median(samples):
    latency = Latency.of_samples(samples)
    assert min(samples) <= latency.p50_low_ms <= latency.p50_ms + 1e-9
    assert latency.p50_ms - 1e-9 <= latency.p50_high_ms <= max(samples)


@pytest.mark.parametrize("n", [20, 200])
def test_nineteen_of_twenty_intervals_hold_the_true_median(n):
    random = np.random.default_rng(0)
    draws = random.lognormal(size=(2000, n))  # its median is 1
    held = [low <= 1 <= high for low, high in map(median_interval, draws)]
    assert 0.94 < np.mean(held) < 0.985


@pytest.mark.parametrize("level", [0.95, 0.99])
def test_quantiles_are_those_of_student(level):
    from scipy.stats import t

    for freedom in range(1, 21):
        expected = t.ppf((1 + level) / 2, freedom)
        assert intervals.student_t(level, freedom) == pytest.approx(expected, abs=1e-3)
    assert intervals.student_t(level, 1000) == intervals.student_t(level, 20)  # rather too wide


def test_the_interval_of_a_mean_is_that_of_scipy():
    from scipy.stats import t

    gains = [0.03, -0.01, 0.05, 0.02]
    low, high = t.interval(0.95, 3, np.mean(gains), np.std(gains, ddof=1) / 2)
    assert intervals.mean_reach(gains) == pytest.approx((high - low) / 2, rel=1e-3)


@pytest.mark.parametrize("processes", [2, 5, 20])
def test_ninety_nine_of_a_hundred_intervals_hold_the_true_ratio(processes):
    random = np.random.default_rng(0)
    before, after = np.exp(0.05 * random.standard_normal((2, 4000, processes)))
    alone = [low <= 1 <= high for low, high in (mean_interval(v, 0.99) for v in before)]
    assert 0.985 < np.mean(alone) < 0.995
    held = [
        abs(np.mean(np.log(b)) - np.mean(np.log(a))) <= ratio_reach(a, b, 0.99)
        for a, b in zip(before, after, strict=True)
    ]
    assert np.mean(held) > 0.985
