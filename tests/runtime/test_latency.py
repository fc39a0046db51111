"""Statistics of latencies, and the loop that takes them."""

from __future__ import annotations

import contextlib
import statistics
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ailsr.runtime.bench.latency import (
    BLOCKS,
    MIN_RUNS,
    WARM_UP_WINDOW,
    Latency,
    Ratio,
    Sustained,
    is_steady,
    measure_latencies,
    measure_sustained,
    slowdown,
)
from ailsr.runtime.bench.system import System

milliseconds = st.floats(1e-3, 1e4)


@given(st.lists(milliseconds, min_size=2, max_size=60))
def test_statistics_are_those_of_the_standard_library(samples):
    latency = Latency.of_samples(samples)
    hundredths = statistics.quantiles(samples, n=100, method="inclusive")
    expected = [hundredths[q - 1] for q in (50, 90, 99)]
    assert [latency.p50_ms, latency.p90_ms, latency.p99_ms] == pytest.approx(expected)
    assert latency.mean_ms == pytest.approx(statistics.fmean(samples))
    assert latency.sd_ms == pytest.approx(statistics.stdev(samples), rel=1e-6, abs=1e-9)
    assert latency.n == len(samples)


def test_percentiles_of_a_known_distribution():
    latency = Latency.of_samples([float(n) for n in range(1, 102)])
    assert (latency.p50_ms, latency.p90_ms, latency.p99_ms) == (51, 91, 100)
    assert (latency.mean_ms, latency.sd_ms) == pytest.approx((51, 29.300171))


def test_one_sample_has_no_spread():
    assert Latency.of_samples([3.0]).sd_ms == 0


@given(st.floats(0, 0.3), milliseconds)
def test_latency_is_steady_when_the_medians_of_two_windows_agree(change, level):
    before, last = [level] * WARM_UP_WINDOW, [level * (1 + change)] * WARM_UP_WINDOW
    if abs(change - 0.05) > 1e-6:
        assert is_steady([9 * level, *before, *last]) == (change < 0.05)
    assert not is_steady(before + last[1:])  # one run short
    assert is_steady([*before, 50 * level, *before[1:]])  # a median does not mind one outlier


def test_calls_are_measured_in_turn():
    order = []

    def call(name):
        order.append(name)
        time.sleep(0.002)

    first, second = measure_latencies([lambda: call("A"), lambda: call("B")], runs=7, seconds=60)
    assert (first.n, second.n) == (7, 7)
    assert first.warm_up_runs == second.warm_up_runs >= 2 * WARM_UP_WINDOW or not first.steady
    assert "".join(order) == "AB" * (7 + first.warm_up_runs)
    assert first.p50_ms >= 2


def test_a_slow_call_is_measured_the_least_number_of_times():
    (latency,) = measure_latencies([lambda: time.sleep(0.001)], runs=100, seconds=0)
    assert latency.n == MIN_RUNS


def test_runs_are_made_in_blocks_that_others_may_come_between():
    order = []

    @contextlib.contextmanager
    def block():
        order.append("(")
        yield
        order.append(")")

    calls = [lambda: order.append("A"), lambda: order.append("B")]
    first, second = measure_latencies(calls, runs=40, seconds=60, block=block, refill=True)
    warm_up, *blocks = "".join(order).split("(")
    assert warm_up == "AB" * first.warm_up_runs
    assert blocks == ["AB" * 3 + ")"] * BLOCKS  # two measured runs and one before
    for latency in (first, second):
        assert (latency.n, len(latency.samples_ms)) == (40, 40)
        pairs = np.reshape(latency.samples_ms, (BLOCKS, 2))
        assert latency.block_p50_ms == pytest.approx(np.median(pairs, axis=1), abs=1e-5)


def test_a_block_of_slow_runs_is_short():
    (latency,) = measure_latencies([lambda: time.sleep(0.004)], runs=2000, seconds=0.02)
    assert latency.block_p50_ms == latency.samples_ms  # one run is longer than a block may take
    assert MIN_RUNS <= latency.n <= 5


@given(st.floats(0.1, 10), st.lists(st.floats(1, 50), min_size=1, max_size=40))
def test_a_ratio_is_free_of_what_burdens_both_files(factor, burdens):
    baseline = Latency.of_blocks([[burden] for burden in burdens])
    own = Latency.of_blocks([[factor * burden] for burden in burdens])
    ratio = Ratio.of("base.onnx", own, baseline)
    assert (ratio.to, ratio.blocks) == ("base.onnx", len(burdens))
    assert (ratio.low, ratio.ratio, ratio.high) == pytest.approx((factor,) * 3, rel=1e-3)


def test_a_sustained_run_tells_how_much_it_slowed():
    curve = [Sustained(second, 5.0 if second < 10 else 8.0, None, None) for second in range(60)]
    assert slowdown(curve) == pytest.approx(1.6)
    assert slowdown(curve[:1]) == 1
    (point,) = measure_sustained(lambda: time.sleep(0.05), 0.3, System())
    assert point.p50_ms >= 50 and point.second > 0
