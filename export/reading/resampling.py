"""Changes of size written as convolutions and pixel shuffles, which every target runs fast.

Each function gives the nodes that make ``output`` of ``input``, exactly: enlarging is a convolution
to block² times the channels, one set for each place (i, j) in a block, and a depth-to-space.
"""

from __future__ import annotations

from itertools import product

import numpy as np
from numpy.typing import NDArray

from ailsr.export.graph.graph import Array, Concat, Conv, DepthToSpace, Node, Pad

Pads = tuple[int, int, int, int]
"""Top, left, bottom, right."""


def transposed_convolution(
    input: str,
    output: str,
    weight: Array,
    bias: Array,
    size: tuple[int, int],
    result: tuple[int, int],
    stride: tuple[int, int],
    pads: tuple[int, int],
) -> list[Node] | None:
    """A transposed convolution; ``weight`` is (in, out, kh, kw), ``pads`` top and left.

    Output sample stride * q + r sums weight[stride * -d + r + pad] * input[q + d] over d, so that
    each r is a convolution of its own. None when ``result``, the size that it makes of ``size``, is
    not ``stride`` times that, or the stride not that of a square.
    """
    step = stride[0]
    if stride[1] != step or result != (size[0] * step, size[1] * step):
        return None
    inputs, outputs = weight.shape[:2]
    first, last = [], []  # the taps d of each axis
    for kernel, pad in zip(weight.shape[2:], pads, strict=True):
        first.append(-((kernel - 1 - pad) // step))
        last.append((step - 1 + pad) // step)
    if max(first) > 0:  # the result begins outside of the image
        return None
    taps = [z - a + 1 for a, z in zip(first, last, strict=True)]
    phases = np.zeros((step, step, outputs, inputs, *taps), np.float32)
    for (i, j), *tap in product(
        product(range(step), repeat=2), range(first[0], last[0] + 1), range(first[1], last[1] + 1)
    ):
        y, x = i + pads[0] - step * tap[0], j + pads[1] - step * tap[1]
        if 0 <= y < weight.shape[2] and 0 <= x < weight.shape[3]:
            phases[i, j, :, :, tap[0] - first[0], tap[1] - first[1]] = weight[:, :, y, x].T
    filters = phases.reshape(-1, inputs, *taps)
    border = (-first[0], -first[1], last[0], last[1])
    if step == 1:
        return [Conv(input, output, filters, bias, border)]
    wide = f"{output}, before the shuffle"
    convolution = Conv(input, wide, filters, np.tile(bias, step**2), border)
    return [convolution, DepthToSpace(wide, output, step)]


def space_to_depth(input: str, output: str, channels: int, order: NDArray[np.integer]) -> Conv:
    """Channel k of the result is sample ``order[k]``, (channel, i, j), of each block.

    The block is as large as ``order`` says: len(order) / channels samples.
    """
    block = round((len(order) / channels) ** 0.5)
    weight = np.zeros((len(order), channels, block, block), np.float32)
    weight[np.arange(len(order)), *order.T] = 1
    return Conv(input, output, weight, np.zeros(len(order), np.float32), stride=(block, block))


def nearest(input: str, output: str, block: int) -> list[Node]:
    """Each sample ``block`` x ``block`` times."""
    copies = f"{output}, before the shuffle"
    return [Concat((input,) * block**2, copies), DepthToSpace(copies, output, block)]


def interpolation(input: str, output: str, channels: int, block: int, kernel: Array) -> list[Node]:
    """Interpolation by ``kernel``, (block, taps): the weights of the taps for each place.

    Beyond the border the samples of the edge go on.
    """
    reach = kernel.shape[1] // 2
    planes = np.einsum("iy,jx->ijyx", kernel, kernel)
    weight = np.einsum("ijyx,oc->ijocyx", planes, np.eye(channels))
    padded, wide = f"{output}, padded", f"{output}, before the shuffle"
    filters = weight.reshape(-1, channels, *planes.shape[2:]).astype(np.float32)
    return [
        Pad(input, padded, (reach,) * 4, "edge"),
        Conv(padded, wide, filters, np.zeros(len(filters), np.float32)),
        DepthToSpace(wide, output, block),
    ]


def interpolation_kernel(block: int, cubic: float | None) -> Array:
    """(block, taps) weights of linear interpolation, or of cubic with a = ``cubic``.

    Sample block * q + i lies at q + (i + 1/2) / block - 1/2, pixels having their centres at the
    half. Cubic: Keys, IEEE Trans. ASSP 29, 1981.
    """
    reach = 1 if cubic is None else 2
    taps = np.arange(-reach, reach + 1)
    places = (np.arange(block) + 0.5) / block - 0.5
    distance: Array = np.abs(places[:, None] - taps)
    if cubic is None:
        return np.clip(1 - distance, 0, None)
    near = (cubic + 2) * distance**3 - (cubic + 3) * distance**2 + 1
    far = cubic * (distance**3 - 5 * distance**2 + 8 * distance - 4)
    return np.where(distance <= 1, near, np.where(distance < 2, far, 0))
