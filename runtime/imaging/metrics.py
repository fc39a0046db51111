"""PSNR and SSIM of two images, as the super-resolution literature computes them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

PEAK = 255.0
WINDOW = 11
"""Side of SSIM's window in pixels: no image may be smaller."""
SIGMA = 1.5

Plane = NDArray[Any]
"""H×W or H×W×C, intensities in [0, 255], any element type."""


def shave(image: Plane, border: int) -> Plane:
    """A view of ``image`` without ``border`` pixels on each side."""
    height, width = image.shape[:2]
    return image[border : height - border, border : width - border]


def psnr(image: Plane, reference: Plane) -> float:
    """PSNR in dB of ``image`` against ``reference`` for a peak of 255; inf when they are equal."""
    error = np.subtract(image, reference, dtype=np.float64)
    mse = float(np.mean(error * error))
    return 10 * float(np.log10(PEAK**2 / mse)) if mse else float("inf")


def ssim(image: Plane, reference: Plane) -> float:
    """Mean structural similarity of ``image`` and ``reference``, at most 1.

    11×11 Gaussian window with sigma 1.5, only windows that lie inside the image, K = (0.01,
    0.03) (Wang et al. 2004 and their ssim_index.m, without its downsampling). The mean over the
    channels when there are several. Raises ValueError for a side under 11 pixels.
    """
    if image.shape != reference.shape or min(image.shape[:2]) < WINDOW:
        raise ValueError(
            f"SSIM needs two pictures of one size, {WINDOW} pixels or more a side; "
            f"got {image.shape} and {reference.shape}"
        )
    c1, c2 = (0.01 * PEAK) ** 2, (0.03 * PEAK) ** 2
    x, y = image.astype(np.float64), reference.astype(np.float64)
    mean_x, mean_y = _blur(x), _blur(y)
    var_x = _blur(x * x) - mean_x**2
    var_y = _blur(y * y) - mean_y**2
    covariance = _blur(x * y) - mean_x * mean_y
    similarity = (2 * mean_x * mean_y + c1) * (2 * covariance + c2)
    similarity /= (mean_x**2 + mean_y**2 + c1) * (var_x + var_y + c2)
    return float(similarity.mean())


def _blur(plane: NDArray[np.float64]) -> NDArray[np.float64]:
    """``plane`` under the Gaussian window, where the window fits: 10 pixels less a side."""
    offsets = np.arange(WINDOW) - WINDOW // 2
    weights = np.exp(-(offsets**2) / (2 * SIGMA**2))
    weights /= weights.sum()
    height, width = (n - WINDOW + 1 for n in plane.shape[:2])
    columns = sum(w * plane[i : i + height] for i, w in enumerate(weights))
    blurred: NDArray[np.float64] = sum(w * columns[:, i : i + width] for i, w in enumerate(weights))
    return blurred
