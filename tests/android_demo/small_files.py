"""TFLite files of one convolution, which the tests of the app's core run."""

from __future__ import annotations

import numpy as np

from ailsr.export.graph.alpha import with_alpha
from ailsr.export.graph.graph import Conv, DepthToSpace, Graph
from ailsr.export.graph.quantization import PIXELS, Quantization
from ailsr.export.targets.tflite import writer as tflite_writer
from ailsr.runtime.card import Card
from ailsr.runtime.engines.layouts import CHANNELS


def write_small(path, pixels):
    """A file of one convolution that takes 48×64 pixels, or 64×48."""
    write_with(small_card(pixels), path)


def small_card(pixels):
    precision = "float32" if pixels == "float32" else "int8"
    return Card("small", 2, "rgb", precision, pixels, (48, 64), 1, other_sizes=((64, 48),))


def write_with(card, path, colors=None, bias=0.0):
    """The file with this card; each pixel is mixed by ``colors`` (12×3 at ×2) if given, and
    raised."""
    scale = card.scale
    shape = (3 * scale**2, 3, 3, 3)
    weight = np.random.default_rng(0).uniform(0, 2 / 27, shape).astype(np.float32)
    if colors is not None:
        weight = np.zeros_like(weight)
        weight[:, :, 1, 1] = colors
    if CHANNELS.get(card.layout) == 1:
        weight = 3 * weight[: scale**2, :1]
    graph = Graph(
        (
            Conv("image", "blocks", weight, np.full(len(weight), bias, np.float32), pads=(1,) * 4),
            DepthToSpace("blocks", "upscaled", scale),
        ),
        (weight.shape[1], 48, 64),
    )
    names = ("image", "blocks", "upscaled")
    floats = card.precision == "float32"
    quantization = None if floats else Quantization(dict.fromkeys(names, PIXELS))
    if card.layout == "rgba":
        graph, quantization = with_alpha(graph, quantization)
    tflite_writer.write(graph, card, path, quantization)


def remove_card(path):
    """Make the file one of another tool: without a card and without a seal."""
    path.write_bytes(path.read_bytes().replace(b"ailsr", b"other"))
