"""MATLAB's ``imresize(..., 'bicubic')``: the degradation and the baseline of super-resolution.

Keys' cubic with a = -0.5, stretched by the factor when an image shrinks (antialiasing). A uint8
image is rounded and clamped to uint8 after each one-dimensional pass, first along the height,
then along the width, as MATLAB does: the low-resolution images of Set5 and Set14 that circulate
come out with no pixel different.
"""

from __future__ import annotations

from typing import Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

from ailsr.runtime.imaging.rows import Rows

Border = Literal["symmetric", "replicate"]
"""The pixels outside the image: its mirror image (MATLAB today), or its edge pixels repeated
(MATLAB until 2015 or so, and the files of SelfExSR)."""

Pixels = TypeVar("Pixels", np.uint8, np.float32, np.float64)

_ROWS = 32  # rows computed at a time (16 and 64 are slower on a photograph of 24 megapixels)
_PRODUCT = 2**18
"""Multiplications of a matrix product that OpenBLAS leaves to one thread. Its threads wait for each
other in a loop: on a busy machine that took seven to eight times the processor time."""


def resize(
    image: NDArray[Pixels], size: tuple[int, int], *, border: Border = "symmetric"
) -> NDArray[Pixels]:
    """``image`` (H×W or H×W×C) at ``size`` = (height, width), of the same element type.

    uint8 is rounded and clamped after each pass, floating point neither rounded nor clamped.
    """
    if min(*image.shape[:2], *size) < 1:
        raise ValueError(f"cannot resize {image.shape[:2]} to {size}: an empty image")
    rows = _resize_rows(image, size[0], border)
    columns = _resize_rows(rows.swapaxes(0, 1), size[1], border)
    return np.ascontiguousarray(columns.swapaxes(0, 1))


def shrink(image: NDArray[Pixels], scale: int, *, border: Border = "symmetric") -> NDArray[Pixels]:
    """``image`` 1/``scale`` as large: the low-resolution image of the protocol.

    Raises ValueError when the sides are no multiples of ``scale``: see ``crop_to_multiple``.
    """
    height, width = image.shape[:2]
    if height % scale or width % scale:
        raise ValueError(f"{height}x{width} is no multiple of {scale}: crop it first")
    return resize(image, (height // scale, width // scale), border=border)


def enlarge(image: NDArray[Pixels], scale: int, *, border: Border = "symmetric") -> NDArray[Pixels]:
    """``image`` ``scale`` times as large: the bicubic baseline."""
    height, width = image.shape[:2]
    return resize(image, (height * scale, width * scale), border=border)


def enlarge_rows(image: Rows, scale: int, rows: slice) -> NDArray[np.uint8]:
    """The rows ``rows`` of ``enlarge(image, scale)``, from the rows of ``image`` (H×W, uint8) that
    they need."""
    height, width = image.shape
    target = slice(*rows.indices(height * scale))
    weights, indices = contributions(height, height * scale, "symmetric")
    weights, indices = weights[target], indices[target]
    first = int(indices.min())
    source = image[first : int(indices.max()) + 1]
    tall = _combine(source, weights, indices - first)
    return np.ascontiguousarray(
        _resize_rows(tall.swapaxes(0, 1), width * scale, "symmetric").swapaxes(0, 1)
    )


def crop_to_multiple(image: NDArray[Pixels], scale: int) -> NDArray[Pixels]:
    """A view of ``image``, cut at the bottom and right to sides that ``scale`` divides."""
    height, width = image.shape[:2]
    return image[: height - height % scale, : width - width % scale]


def contributions(
    length: int, target: int, border: Border
) -> tuple[NDArray[np.float64], NDArray[np.intp]]:
    """(weights, indices), both [target, taps]: output i is the sum of weight × input[index].

    Source: the function of the same name in MATLAB's imresize.m.
    """
    factor = target / length
    stretch = min(factor, 1.0)
    taps = int(np.ceil(4 / stretch)) + 2
    center = (np.arange(1, target + 1) / factor) + 0.5 * (1 - 1 / factor)  # one-based
    left = np.floor(center - 2 / stretch)
    positions = left[:, None] + np.arange(taps)  # [target, taps]
    weights = stretch * _cubic(stretch * (center[:, None] - positions))
    weights /= weights.sum(axis=1, keepdims=True)
    indices = positions.astype(np.intp) - 1
    if border == "symmetric":
        indices %= 2 * length
        indices = np.where(indices < length, indices, 2 * length - 1 - indices)
    else:
        indices = np.clip(indices, 0, length - 1)
    used = np.any(weights != 0, axis=0)
    return weights[:, used], indices[:, used]


def _cubic(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """Keys' cubic convolution kernel with a = -0.5 (Keys 1981, eq. 15)."""
    x = np.abs(x)
    near = 1.5 * x**3 - 2.5 * x**2 + 1
    far = -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2
    return np.where(x <= 1, near, np.where(x <= 2, far, 0.0))


def _resize_rows(image: NDArray[Pixels], target: int, border: Border) -> NDArray[Pixels]:
    """``image`` with ``target`` rows, in the memory order of ``image``."""
    length = image.shape[0]
    if length == target:
        return image
    return _combine(image, *contributions(length, target, border))


def _combine(
    image: NDArray[Pixels], weights: NDArray[np.float64], indices: NDArray[np.intp]
) -> NDArray[Pixels]:
    """Row i of the result is the sum of weights[i] × rows of ``image`` at indices[i].

    A block of rows is one product of a narrow band matrix with the rows it reads: the dense
    product beats gathering tap by tap, and only a block is ever held in floating point.
    """
    target = len(weights)
    result = np.empty_like(image, shape=(target, *image.shape[1:]))
    for start in range(0, target, _ROWS):
        block = slice(start, start + _ROWS)
        first, last = indices[block].min(), indices[block].max() + 1
        band = np.zeros((len(indices[block]), last - first))
        np.add.at(band, (np.arange(len(band))[:, None], indices[block] - first), weights[block])
        source = image[first:last].astype(np.float64).reshape(last - first, -1)
        values = np.empty((len(band), source.shape[1]))
        step = max(1, _PRODUCT // band.size)
        for column in range(0, source.shape[1], step):
            part = slice(column, column + step)
            np.matmul(band, source[:, part], out=values[:, part])
        if image.dtype == np.uint8:
            # MATLAB rounds half away from zero; above 0 that is cutting off after adding 0.5.
            np.clip(values, 0, 255, out=values)
            values += 0.5
        result[block] = values.reshape(-1, *image.shape[1:])
    return result
