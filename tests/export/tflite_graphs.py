"""Graphs for the tests of TFLite, and what a file of one computes and holds."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter
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
from ailsr.runtime.card import Card

RELU: Clamp = (0.0, np.inf)
OPERATORS = {
    code: name for name, code in vars(schema.BuiltinOperator).items() if isinstance(code, int)
}


def conv(
    source: str, output: str, channels: int, width: int, kernel: tuple[int, int] = (3, 3), **how
) -> Conv:
    """A random convolution of ``channels`` to ``width`` channels, its gain at most 1.5."""
    rng = np.random.default_rng([channels, width, *kernel])
    weight = rng.normal(size=(width, channels // how.get("groups", 1), *kernel))
    weight *= 1.5 / np.abs(weight).sum(axis=(1, 2, 3), keepdims=True)
    bias = rng.normal(size=width) / 10
    if "pads" not in how:
        reach = [(k - 1) * d for k, d in zip(kernel, how.get("dilation", (1, 1)), strict=True)]
        how["pads"] = (*(r // 2 for r in reach), *(r - r // 2 for r in reach))
    return Conv(source, output, np.float32(weight), np.float32(bias), **how)


def graph_of(*nodes: Node, shape: tuple[int, int, int] = (4, 11, 9)) -> Graph:
    return Graph(nodes, shape, output=nodes[-1].output)


def abpn(height: int = 20, width: int = 24, channels: int = 8, scale: int = 3) -> Graph:
    """The deploy form of ABPN: convolutions, the image repeated, their sum, pixel shuffle."""
    pixels = 3 * scale**2
    return graph_of(
        conv("image", "features", 3, channels, clamp=RELU),
        conv("features", "deep", channels, pixels, clamp=RELU),
        conv("deep", "residual", pixels, pixels),
        Concat(("image",) * scale**2, "anchor"),
        Add("residual", "anchor", "sum", clamp=(0.0, 1.0)),
        DepthToSpace("sum", "upscaled", scale),
        shape=(3, height, width),
    )


def card(precision: str, pixels: str = "float32", scale: int = 1) -> Card:
    return Card("abpn", scale, "rgb", precision, pixels, (11, 9), 4, training={"loss": "AIL"})


def image_for(graph: Graph, seed: int = 0) -> np.ndarray:
    """Random pixels (h, w, c) in [0, 1]."""
    channels, height, width = graph.input_shape
    levels = np.random.default_rng(seed).integers(0, 256, (height, width, channels))
    return np.float32(levels / 255)


def execute(path: Path, image: np.ndarray, **how) -> np.ndarray:
    interpreter = Interpreter(str(path), num_threads=1, **how)
    interpreter.allocate_tensors()
    (source,), (result,) = interpreter.get_input_details(), interpreter.get_output_details()
    interpreter.set_tensor(source["index"], image[None])
    interpreter.invoke()
    return interpreter.get_tensor(result["index"])[0]


def model_at(path: Path) -> schema.ModelT:
    return schema.ModelT.InitFromPackedBuf(path.read_bytes())


def operators(path: Path) -> list[str]:
    """Name, version and fused activation of every operator, in order."""
    model = model_at(path)
    names = []
    for operator in model.subgraphs[0].operators:
        code = model.operatorCodes[operator.opcodeIndex]
        activation = getattr(operator.builtinOptions, "fusedActivationFunction", 0)
        fused = ["", " RELU", " RELU_N1_TO_1", " RELU6"][activation]
        names.append(f"{OPERATORS[code.builtinCode]} {code.version}{fused}")
    return names


SLOPES = np.float32([0.1, 0.25, -0.3, 1.0, 0.0])
CLAMPS: list[Clamp] = [
    *(UNBOUNDED, RELU, (0.0, 6.0), (-1.0, 1.0), (0.0, 1.0), (0.0, 0.3), (-0.2, 0.3)),
    *((-np.inf, 0.2), (-0.1, np.inf), (0.05, 0.2)),
]
GRAPHS = {
    "3x3": graph_of(conv("image", "y", 4, 6, clamp=RELU)),
    "1x1": graph_of(conv("image", "y", 4, 6, (1, 1))),
    "even kernel": graph_of(conv("image", "y", 4, 6, (2, 4))),
    "even kernel, zeros before": graph_of(conv("image", "y", 4, 6, (2, 2), pads=(1, 1, 0, 0))),
    "no border": graph_of(conv("image", "y", 4, 6, pads=(0, 0, 0, 0))),
    "uneven border": graph_of(conv("image", "y", 4, 6, (3, 5), pads=(1, 2, 0, 3))),
    "stride": graph_of(conv("image", "y", 4, 6, stride=(2, 2))),
    "stride, even sizes": graph_of(conv("image", "y", 4, 6, stride=(2, 2)), shape=(4, 10, 8)),
    "stride of one axis": graph_of(conv("image", "y", 4, 6, stride=(1, 2)), shape=(4, 10, 8)),
    "dilation": graph_of(conv("image", "y", 4, 6, dilation=(2, 3))),
    "stride and dilation": graph_of(conv("image", "y", 4, 6, stride=(2, 2), dilation=(2, 2))),
    "groups": graph_of(conv("image", "y", 4, 6, groups=2)),
    "depthwise": graph_of(conv("image", "y", 4, 4, groups=4, clamp=RELU)),
    "depthwise, two each": graph_of(conv("image", "y", 4, 8, groups=4)),
    "depthwise, stride": graph_of(conv("image", "y", 4, 4, groups=4, stride=(2, 1))),
    "depthwise, dilation": graph_of(conv("image", "y", 4, 4, groups=4, dilation=(2, 2))),
    "prelu": graph_of(conv("image", "x", 4, 5), PRelu("x", "y", SLOPES)),
    "prelu, steep": graph_of(conv("image", "x", 4, 5), PRelu("x", "y", 2 * SLOPES)),
    "prelu, one slope": graph_of(conv("image", "x", 4, 5), PRelu("x", "y", SLOPES[[1] * 5])),
    "prelu, one tiny slope": graph_of(conv("image", "x", 4, 5), PRelu("x", "y", SLOPES * 0 + 1e-4)),
    "prelu, slopes of 0": graph_of(conv("image", "x", 4, 5), PRelu("x", "y", SLOPES * 0)),
    "concat": graph_of(
        conv("image", "x", 4, 5), conv("image", "z", 4, 2), Concat(("x", "z", "x"), "y")
    ),
    "image repeated": graph_of(Concat(("image",) * 9, "y")),
    "features repeated": graph_of(conv("image", "x", 4, 5), Concat(("x", "x"), "y")),
    "depth to space": graph_of(conv("image", "x", 4, 27), DepthToSpace("x", "y", 3)),
    "reflect": graph_of(conv("image", "x", 4, 5), Pad("x", "y", (1, 2, 3, 4))),
    "reflect, sliced": graph_of(conv("image", "x", 4, 5), Pad("x", "y", (1, 2, 3, 4), sliced=True)),
    "replicate": graph_of(conv("image", "x", 4, 5), Pad("x", "y", (1, 0, 3, 2), "edge")),
    "reflect the image": graph_of(Pad("image", "x", (2, 2, 2, 2)), conv("x", "y", 4, 3)),
    **{f"conv {clamp}": graph_of(conv("image", "y", 4, 6, clamp=clamp)) for clamp in CLAMPS},
    **{
        f"add {clamp}": graph_of(conv("image", "x", 4, 4), Add("x", "image", "y", clamp=clamp))
        for clamp in CLAMPS
    },
    **{
        f"bound {clamp}": graph_of(conv("image", "x", 4, 4), Clip("x", "y", clamp=clamp))
        for clamp in CLAMPS[1:]
    },
}


def calibrated(graph: Graph) -> Quantization:
    tensors = run(graph, image_for(graph))
    return quantization_of(graph, {n: (float(t.min()), float(t.max())) for n, t in tensors.items()})
