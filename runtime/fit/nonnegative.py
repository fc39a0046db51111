"""Least squares without negative coefficients (Lawson and Hanson, 1974, chapter 23)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def nonnegative_least_squares(
    matrix: NDArray[np.float64], target: NDArray[np.float64]
) -> NDArray[np.float64]:
    """x ≥ 0 that minimises |matrix x − target|; columns should be of similar length."""
    rows, columns = matrix.shape
    x = np.zeros(columns)
    used = np.zeros(columns, bool)
    tolerance = 1e-10 * float(np.abs(matrix.T @ target).max(initial=0))
    for _ in range(3 * columns):
        gradient = matrix.T @ (target - matrix @ x)
        gradient[used] = -np.inf
        entering = int(np.argmax(gradient))
        if gradient[entering] <= tolerance or used.sum() >= rows:
            break
        used[entering] = True
        while True:
            solution = np.zeros(columns)
            solution[used] = np.linalg.lstsq(matrix[:, used], target, rcond=1e-9)[0]
            negative = used & (solution <= 0)
            if not negative.any():
                break
            # Go as far towards the solution as all stay positive; who reaches 0 is out.
            steps = x[negative] / (x[negative] - solution[negative] + 1e-300)
            x = np.maximum(x + steps.min() * (solution - x), 0)
            leaving = negative & (x <= 1e-15)
            if not leaving.any():
                leaving = negative
            used &= ~leaving
            x[~used] = 0
        x = solution
    return x
