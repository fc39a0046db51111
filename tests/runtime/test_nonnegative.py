"""Least squares without negative coefficients, against SciPy's."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import nnls

from ailsr.runtime.fit.nonnegative import nonnegative_least_squares


@given(st.integers(0, 10**6), st.integers(2, 30), st.integers(1, 12), st.booleans())
def test_it_is_as_near_as_scipy_comes(seed, rows, columns, repeated):
    random = np.random.default_rng(seed)
    matrix = random.random((rows, columns))
    if repeated:
        matrix[:, -1] = matrix[:, 0]  # no single solution
    target = random.normal(0.5, 1, rows)
    x = nonnegative_least_squares(matrix, target)
    scipys, _ = nnls(matrix, target)
    assert (x >= 0).all()
    distance, best = (np.linalg.norm(matrix @ each - target) for each in (x, scipys))
    assert distance <= best * (1 + 1e-6) + 1e-8  # SciPy 1.15 is wrong at times, and further away


def test_what_is_a_sum_of_the_columns_is_found():
    matrix = np.array([[1.0, 2, 0], [0, 1, 3], [4, 0, 1], [1, 1, 1]])
    assert nonnegative_least_squares(matrix, matrix @ [2, 0, 5]) == pytest.approx([2, 0, 5])
