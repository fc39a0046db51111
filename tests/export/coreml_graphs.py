"""Graphs for the tests of Core ML, packages of them, and what a package holds."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
from graph_reference import run

from ailsr.export.graph.graph import (
    UNBOUNDED,
    Add,
    Clamp,
    Clip,
    Concat,
    Conv,
    DepthToSpace,
    Graph,
    Node,
    Pad,
    PRelu,
)
from ailsr.export.graph.quantization import Quantization, quantization_of
from ailsr.export.targets.coreml import writer as coreml_writer
from ailsr.runtime.card import Card, Precision

RELU: Clamp = (0.0, np.inf)
SPECIFICATION = "Data/com.apple.CoreML/model.mlmodel"
WEIGHTS = "Data/com.apple.CoreML/weights/weight.bin"
SLOPES = np.float32([0.1, 0.25, -0.3, 1.0, 0.0])
CLAMPS: list[Clamp] = [
    *(UNBOUNDED, RELU, (0.0, 6.0), (-1.0, 1.0), (0.0, 1.0), (-0.2, 0.3), (0.05, 0.2)),
    *((-np.inf, 0.2), (-0.1, np.inf)),
]


def conv(source: str, output: str, inputs: int, outputs: int, kernel: int = 3, **how) -> Conv:
    """A random convolution whose gain is at most 1.5."""
    rng = np.random.default_rng([inputs, outputs, kernel, *output.encode()])
    weight = rng.normal(size=(outputs, inputs // how.get("groups", 1), kernel, kernel))
    weight *= 1.5 / np.abs(weight).sum(axis=(1, 2, 3), keepdims=True)
    how.setdefault("pads", (kernel // 2,) * 4)
    return Conv(
        source, output, np.float32(weight), np.float32(rng.normal(size=outputs) / 10), **how
    )


def image_to_image(*nodes: Node, channels: int = 5) -> Graph:
    """``nodes``, which make the tensor y of x, between two convolutions: from RGB and to RGB."""
    body = Graph((conv("image", "x", 3, channels), *nodes), (3, 11, 9), output="y")
    last = conv("y", "upscaled", body.shapes["y"][0], 3, 1)
    return Graph((*body.nodes, last), body.input_shape)


GRAPHS = {
    "3x3": image_to_image(conv("x", "y", 5, 6)),
    "1x1": image_to_image(conv("x", "y", 5, 6, 1)),
    "no border": image_to_image(conv("x", "y", 5, 6, pads=(0, 0, 0, 0))),
    "uneven border": image_to_image(conv("x", "y", 5, 6, pads=(1, 2, 0, 3))),
    "stride": image_to_image(conv("x", "y", 5, 6, stride=(2, 1))),
    "dilation": image_to_image(conv("x", "y", 5, 6, dilation=(2, 3))),
    "groups": image_to_image(conv("x", "y", 6, 4, groups=2), channels=6),
    "depthwise": image_to_image(conv("x", "y", 6, 6, groups=6, clamp=RELU), channels=6),
    "prelu": image_to_image(PRelu("x", "y", SLOPES)),
    "concat": image_to_image(Concat(("x", "image", "x"), "y")),
    "depth to space": image_to_image(DepthToSpace("x", "y", 3), channels=27),
    "reflect": image_to_image(Pad("x", "y", (1, 2, 3, 4))),
    "reflect, sliced": image_to_image(Pad("x", "y", (1, 2, 3, 4), sliced=True)),
    "replicate, sliced": image_to_image(Pad("x", "y", (1, 0, 3, 2), "edge", sliced=True)),
    **{f"conv {c}": image_to_image(conv("x", "y", 5, 6, clamp=c)) for c in CLAMPS},
    **{f"add {c}": image_to_image(conv("x", "z", 5, 5), Add("x", "z", "y", c)) for c in CLAMPS},
    **{f"bound {c}": image_to_image(Clip("x", "y", c)) for c in CLAMPS[1:]},
    "relu6, reached": image_to_image(
        replace(conv("x", "y", 5, 6, clamp=(0.0, 6.0)), bias=np.float32([5, 5.5, 5.9, 6, 6.1, 7]))
    ),
    "names that are no identifiers": image_to_image(
        conv("x", "/body/conv.1", 5, 4),
        conv("x", "body conv 1", 5, 4),
        conv("x", "2", 5, 4),
        Add("/body/conv.1", "2", "é"),
        Concat(("é", "body conv 1"), "y"),
    ),
}


def abpn(height: int, width: int, scale: int = 2, channels: int = 12) -> Graph:
    """The deploy form of ABPN: convolutions, the image repeated, their sum, pixel shuffle."""
    pixels = 3 * scale**2
    return Graph(
        (
            conv("image", "features", 3, channels, clamp=RELU),
            conv("features", "deep", channels, pixels, clamp=RELU),
            conv("deep", "residual", pixels, pixels),
            Concat(("image",) * scale**2, "anchor"),
            Add("residual", "anchor", "sum"),
            DepthToSpace("sum", "upscaled", scale),
        ),
        (3, height, width),
    )


def card_for(graph: Graph, precision: Precision = "float32") -> Card:
    scale = max(1, graph.shapes["upscaled"][1] // graph.input_shape[1])
    return Card("abpn", scale, "rgb", precision, "uint8", graph.input_shape[1:], 4)


def saved(graph: Graph, folder: Path, quantization: Quantization | None = None, **how) -> Path:
    path = folder / "file.mlpackage"
    coreml_writer.write(graph, card_for(graph, **how), path, quantization)
    return path


def calibrated(graph: Graph, image: np.ndarray) -> Quantization:
    values = run(graph, image)
    return quantization_of(graph, {n: (float(v.min()), float(v.max())) for n, v in values.items()})


def random_image(graph: Graph) -> np.ndarray:
    levels = np.random.default_rng(0).integers(0, 256, (*graph.input_shape[1:], 3))
    return np.float32(levels / 255)


def model_at(path: Path):
    return coreml_writer.coremltools().utils.load_spec(str(path))


def contents(package: Path) -> dict[str, bytes]:
    files = [file for file in package.rglob("*") if file.is_file()]
    return {str(file.relative_to(package)): file.read_bytes() for file in files}
