"""int8 weights that come out right on every CPU.

x86 kernels of AVX2, and of AVX-512 before VNNI, multiply unsigned activations by signed weights
with VPMADDUBSW, which adds two products in 16 bits and saturates: 255 · 127 twice is 64770, and
32767 is kept. A plain session of onnxruntime computes a wrong image by that, without a word. No
pair saturates whose weights of equal sign sum to PAIR_REACH at most, so weights are kept on such
levels. Kernels multiply with the channel innermost, by fours: pairs are the channels 0 and 1, 2 and
3, ... of one place of the kernel.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ailsr.export.graph.graph import Array

LARGEST = 127
"""Level of the largest weight; its negative is the least, so that both signs are alike."""
PAIR_REACH = 128
"""Largest sum of the levels of a pair, of those above zero and those below: 255 · 128 < 2^15."""
NEGLIGIBLE = 1e-30
"""A weight that counts as zero: a 127th of it is no float32 to divide by."""

Levels = NDArray[np.int8]


def quantize_weight(
    weight: Array, groups: int = 1, scale: Array | None = None
) -> tuple[Levels, Array]:
    """(levels in [-127, 127], scale per output channel) of ``weight`` (out, in / groups, kh, kw).

    ``scale`` None is ``weight_scale``. Each weight is on its nearest level, but where a pair would
    sum to more than PAIR_REACH: there the one that was rounded away from zero gives way.
    """
    if scale is None:
        scale = weight_scale(weight, groups)
    exact = (weight / scale.reshape(-1, 1, 1, 1)).reshape(len(weight), -1)
    levels = np.clip(np.rint(exact), -LARGEST, LARGEST)
    first, second = pairs(weight.shape, groups)
    for sign in (1, -1):
        one, other = (np.maximum(sign * levels[:, place], 0) for place in (first, second))
        excess = np.maximum(one + other - PAIR_REACH, 0)
        rounded = [sign * (levels - exact)[:, place] for place in (first, second)]
        first_gives = rounded[0] >= rounded[1]
        levels[:, first] -= sign * np.where(first_gives, excess, 0)
        levels[:, second] -= sign * np.where(first_gives, 0, excess)
    return levels.reshape(weight.shape).astype(np.int8), scale


def weight_scale(weight: Array, groups: int = 1) -> Array:
    """The least scale of each output channel by which its weights, and its pairs, are levels."""
    flat = weight.reshape(len(weight), -1)
    first, second = (flat[:, place] for place in pairs(weight.shape, groups))
    reach = np.abs(flat).max(axis=1) / LARGEST
    for sign in (1, -1):
        sums = np.maximum(sign * first, 0) + np.maximum(sign * second, 0)
        reach = np.maximum(reach, sums.max(axis=1, initial=0) / PAIR_REACH)
    scale: Array = np.where(reach * LARGEST > NEGLIGIBLE, reach, 1 / LARGEST).astype(np.float32)
    return scale


def pairs(shape: tuple[int, ...], groups: int = 1) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """The places (first, second) of the pairs among the weights of one output channel, flattened.

    ``shape`` is (out, in / groups, kh, kw). The channels of a grouped convolution are not filled up
    to fours, so that pairs of an odd number reach into the next place of the kernel.
    """
    _, channels, *kernel = shape
    order = np.arange(channels * np.prod(kernel)).reshape(channels, -1).T  # channel innermost
    if groups == 1 and channels % 2:
        order = np.pad(order, ((0, 0), (0, 1)), constant_values=-1)
    places = order.reshape(-1)
    first, second = places[: len(places) // 2 * 2].reshape(-1, 2).T
    return first[second >= 0], second[second >= 0]
