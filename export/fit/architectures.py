"""The networks of the zoo's families as graphs, of any depth and width, with random weights.

They have the operators that the export makes of a trained network (a test compares them), without
torch: for latency, which does not depend on the weights.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np

from ailsr.export.graph.graph import UNBOUNDED, Add, Clamp, Conv, DepthToSpace, Graph, Node
from ailsr.export.graph.quantization import PIXELS, Quantization
from ailsr.runtime.upscaling.tiles import Size

_RELU: Clamp = (0.0, np.inf)
_UNIT: Clamp = (0.0, 1.0)


def sesr(depth: int, width: int, scale: int, size: Size, ends: int = 5) -> Graph:
    """``ends``×``ends`` in, ``depth`` 3×3, long skip, ``ends``×``ends`` out, anchor."""
    blocks = 3 * scale**2
    body = _chain("features_0", [width] * (depth + 1), 3, _RELU)
    return Graph(
        (
            _conv("image", "features_0", 3, width, ends, _RELU),
            *body,
            Add(f"features_{depth}", "features_0", "features"),
            _conv("features", "residual", width, blocks, ends),
            *_with_anchor(scale),
        ),
        (3, *size),
    )


def quicksrnet(depth: int, width: int, scale: int, size: Size) -> Graph:
    """3×3 convolutions clamped to [0, 1], no skip."""
    return Graph(
        (
            _conv("image", "features_0", 3, width, 3, _UNIT),
            *_chain("features_0", [width] * (depth + 1), 3, _UNIT),
            _conv(f"features_{depth}", "sum", width, 3 * scale**2, 3),
            DepthToSpace("sum", "upscaled", scale),
        ),
        (3, *size),
    )


def abpn(depth: int, width: int, scale: int, size: Size) -> Graph:
    """3×3 convolutions, two of them on the blocks of the output, anchor."""
    blocks = 3 * scale**2
    return Graph(
        (
            _conv("image", "features_0", 3, width, 3, _RELU),
            *_chain("features_0", [width] * (depth + 1) + [blocks], 3, _RELU),
            _conv(f"features_{depth + 1}", "residual", blocks, blocks, 3),
            *_with_anchor(scale),
        ),
        (3, *size),
    )


ARCHITECTURES: dict[str, Callable[..., Graph]] = {
    "sesr": sesr,
    "sesr3": partial(sesr, ends=3),
    "quicksrnet": quicksrnet,
    "abpn": abpn,
}
"""By the name in ``FAMILIES`` of ``ailsr.train.networks``: the families that are proposed."""


def pinned(graph: Graph) -> Quantization:
    """Quantisation parameters without a calibration: the results of the graph are of no use, its
    latency is the same."""
    return Quantization(dict.fromkeys(graph.shapes, PIXELS))


def _chain(source: str, widths: list[int], kernel: int, clamp: Clamp) -> list[Node]:
    """Convolutions from each of ``widths`` to the next: ``features_1``, ``features_2``, ..."""
    names = [source, *(f"features_{i}" for i in range(1, len(widths)))]
    steps = zip(names, names[1:], widths, widths[1:], strict=False)
    return [_conv(*step, kernel, clamp) for step in steps]


def _with_anchor(scale: int) -> tuple[Node, ...]:
    """The residual on the nearest-neighbour enlargement."""
    blocks = 3 * scale**2
    return (
        _conv("image", "anchor", 3, blocks, 1),
        Add("residual", "anchor", "sum"),
        DepthToSpace("sum", "upscaled", scale),
    )


def _conv(
    source: str, target: str, inputs: int, outputs: int, kernel: int, clamp: Clamp = UNBOUNDED
) -> Conv:
    weight = np.random.default_rng(0).normal(0, 1, (outputs, inputs, kernel, kernel))
    weight *= (2 / (inputs * kernel**2)) ** 0.5
    bias = np.zeros(outputs, np.float32)
    pads = (kernel // 2,) * 4
    return Conv(source, target, weight.astype(np.float32), bias, pads=pads, clamp=clamp)
