"""Confidence intervals of medians, of means over processes, and of the ratio of two of them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import stdev

import numpy as np

Interval = tuple[float, float]
"""(low, high)"""
# Two-sided quantiles of Student's t by degrees of freedom, from 1; what is beyond takes the last.
_T = {
    0.95: (
        *(12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228),
        *(2.201, 2.179, 2.160, 2.145, 2.131, 2.120, 2.110, 2.101, 2.093, 2.086),
    ),
    0.99: (
        *(63.657, 9.925, 5.841, 4.604, 4.032, 3.707, 3.499, 3.355, 3.250, 3.169),
        *(3.106, 3.055, 3.012, 2.977, 2.947, 2.921, 2.898, 2.878, 2.861, 2.845),
    ),
}


def median_interval(samples: Sequence[float]) -> Interval:
    """95 % confidence interval of the median of independent ``samples``, whatever they follow.

    Between the order statistics of ranks n/2 ± 0.98·√n (Conover, Practical Nonparametric
    Statistics, 3.2).
    """
    ordered, n = sorted(samples), len(samples)
    reach = 0.98 * math.sqrt(n)
    low, high = math.floor(n / 2 - reach), math.ceil(n / 2 + reach)
    return ordered[max(low, 1) - 1], ordered[min(high + 1, n) - 1]


LEVEL = 0.99
"""Confidence of what is called a change."""


def geometric_mean(values: Sequence[float]) -> float:
    """exp of the mean of the logarithms of positive ``values``."""
    return math.exp(np.log(values).mean())


def mean_interval(values: Sequence[float], level: float = 0.95) -> Interval:
    """Confidence interval of the geometric mean of two or more positive ``values``.

    By Student's t on their logarithms; ``level`` is 0.95 or 0.99.
    """
    error = np.log(values).std(ddof=1) / math.sqrt(len(values))
    reach = student_t(level, len(values) - 1) * error
    middle = geometric_mean(values)
    return middle / math.exp(reach), middle * math.exp(reach)


def mean_reach(values: Sequence[float]) -> float:
    """Half the width of the 95 % confidence interval of the mean of two or more ``values``.

    By Student's t; for differences, of pairs.
    """
    return student_t(0.95, len(values) - 1) * stdev(values) / math.sqrt(len(values))


def decides(interval: Interval, percent: float) -> bool:
    """Whether an interval of new / old tells if the new one is slower by more than ``percent``.

    It is at most ``percent`` wide on each side, or leaves out the limit; 0 asks for neither.
    """
    low, high = interval
    limit = 1 + percent / 100
    return not percent or 50 * (high - low) <= percent or low > limit or high < limit


def ratio_reach(before: Sequence[float], after: Sequence[float], level: float) -> float:
    """Half the width of the confidence interval of log(after / before), for geometric means.

    Two or more independent positive values each; Welch's t on their logarithms (Welch, 1947).
    """
    parts = [float(np.log(values).var(ddof=1)) / len(values) for values in (before, after)]
    total = sum(parts)
    if total == 0:
        return 0.0
    sizes = (len(before), len(after))
    freedom = total**2 / sum(p**2 / (n - 1) for p, n in zip(parts, sizes, strict=True))
    return student_t(level, math.floor(freedom + 1e-9)) * math.sqrt(total)


def student_t(level: float, freedom: int) -> float:
    """Two-sided quantile of Student's t for a ``level`` of 0.95 or 0.99."""
    table = _T[level]
    return table[min(freedom, len(table)) - 1]
