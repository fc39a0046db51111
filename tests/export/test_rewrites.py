"""Rewrites for accelerators: the same function, and in the file the operators they promise."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter
from every_target import outputs
from graph_reference import run

from ailsr.export.graph.graph import Add, Conv, DepthToSpace, Graph, Node, Pad, PRelu
from ailsr.export.graph.quantization import Quantization, quantization_of
from ailsr.export.graph.rewrites import RewriteName, rewritten
from ailsr.export.targets.coreml import writer as coreml_writer
from ailsr.export.targets.coreml.coreml_reference import CoreMLReference
from ailsr.export.targets.onnx import writer as onnx_writer
from ailsr.export.targets.tflite import writer as tflite_writer
from ailsr.runtime import load
from ailsr.runtime.anatomy.lint import lint
from ailsr.runtime.anatomy.lint_rules import DelegateName
from ailsr.runtime.anatomy.registry import anatomy
from ailsr.runtime.card import Card

RANDOM = np.random.default_rng(0)


def conv(source: str, output: str, inputs: int, outputs: int, kernel: int = 3, **how) -> Conv:
    shape = (outputs, inputs // how.get("groups", 1), kernel, kernel)
    weight = RANDOM.normal(0, 0.2, shape).astype(np.float32)
    bias = RANDOM.normal(0, 0.1, outputs).astype(np.float32)
    return Conv(source, output, weight, bias, (1, 1, 1, 1), **how)


def prelu(source: str, output: str, channels: int) -> PRelu:
    return PRelu(source, output, RANDOM.uniform(-0.3, 1.2, channels).astype(np.float32))


def upscaler(*body: Node) -> Graph:
    return Graph((*body, conv("y", "z", 8, 12), DepthToSpace("z", "upscaled", 2)), (3, 10, 14))


GRAPHS = {
    "prelu of a convolution": upscaler(conv("image", "x", 3, 8), prelu("x", "y", 8)),
    "two in a row": upscaler(
        conv("image", "x", 3, 8), prelu("x", "a", 8), conv("a", "b", 8, 8), prelu("b", "y", 8)
    ),
    "prelu of what is read twice": upscaler(
        conv("image", "x", 3, 8), prelu("x", "p", 8), Add("x", "p", "y")
    ),
    "prelu of a sum": upscaler(
        conv("image", "a", 3, 8), conv("image", "b", 3, 8), Add("a", "b", "x"), prelu("x", "y", 8)
    ),
    "prelu of a depthwise convolution": upscaler(
        conv("image", "x", 3, 8), conv("x", "d", 8, 8, groups=8), prelu("d", "y", 8)
    ),
    "groups": upscaler(
        conv("image", "x", 3, 8), conv("x", "y", 8, 8, groups=4, clamp=(0.0, np.inf))
    ),
    "depthwise, two each": upscaler(conv("image", "x", 3, 4), conv("x", "y", 4, 8, groups=4)),
}


@pytest.mark.parametrize("graph", GRAPHS.values(), ids=GRAPHS)
def test_the_file_computes_the_same_from_convolutions_alone(graph, tmp_path):
    image = RANDOM.random((10, 14, 3), np.float32)
    expected = run(graph, image)["upscaled"]
    path = tmp_path / "file.tflite"
    card = Card("net", 2, "rgb", "float32", "float32", (10, 14), 4)
    tflite_writer.write(rewritten(graph, list(RewriteName)), card, path)
    interpreter = Interpreter(str(path))
    interpreter.allocate_tensors()
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], image[None])
    interpreter.invoke()
    upscaled = interpreter.get_tensor(interpreter.get_output_details()[0]["index"])[0]
    assert np.abs(upscaled - expected).max() < 1e-5
    operators = {operator.title for operator in anatomy(str(path)).operators}
    assert {"CONV_2D v1", "DEPTH_TO_SPACE v1"} <= operators
    assert operators <= {"CONV_2D v1", "DEPTH_TO_SPACE v1", "ADD v1"}


def test_a_convolution_makes_both_halves_itself():
    graph = rewritten(GRAPHS["two in a row"], [RewriteName.PRELU])
    assert [type(node) for node in graph.nodes] == [Conv] * 5 + [DepthToSpace]
    assert [len(node.weight) for node in graph.nodes if isinstance(node, Conv)] == [
        16,
        8,
        16,
        8,
        12,
    ]


def test_nothing_is_rewritten_unasked():
    for graph in GRAPHS.values():
        assert rewritten(graph, []) is graph
    assert rewritten(GRAPHS["groups"], [RewriteName.PRELU]).nodes == GRAPHS["groups"].nodes


def bordered(mode: str) -> Graph:
    """Convolutions behind borders of an image and of features: even and uneven, wide and none."""
    first = conv("padded", "x", 3, 8, clamp=(0.0, np.inf))
    last = conv("wide", "z", 8, 12, 5)
    return Graph(
        (
            Pad("image", "padded", (1, 1, 1, 1), mode),
            replace(first, pads=(0, 0, 0, 0)),
            Pad("x", "wide", (3, 0, 1, 3), mode),
            replace(last, pads=(0, 1, 0, 0)),
            DepthToSpace("z", "upscaled", 2),
        ),
        (3, 40, 48),
    )


def calibrated(graph: Graph, image) -> Quantization:
    tensors = run(graph, image)
    return quantization_of(graph, {n: (float(t.min()), float(t.max())) for n, t in tensors.items()})


@pytest.mark.parametrize("mode", ["reflect", "edge"])
def test_a_border_of_slices_is_the_same_on_every_target(mode, photographs, tmp_path):
    image = photographs["astronaut"][60:100, 200:248] / np.float32(255)
    graph = bordered(mode)
    sliced = rewritten(graph, [RewriteName.PADDING])
    expected = run(graph, image)["upscaled"]
    for target, upscaled in outputs(sliced, image, tmp_path).items():
        assert np.abs(upscaled - expected).max() < 1e-5, target

    quantization = calibrated(graph, image)
    assert calibrated(sliced, image) == quantization
    plain = outputs(graph, image, tmp_path, "int8", quantization)
    for target, upscaled in outputs(sliced, image, tmp_path, "int8", quantization).items():
        assert np.array_equal(upscaled, plain[target]), target


@pytest.mark.parametrize("precision", ["float32", "int8"])
@pytest.mark.parametrize(
    ("mode", "remedies", "slices"),
    [("reflect", ["--rewrite padding"] * 2, 4 + 7), ("edge", [], 4 + 3)],
)
def test_a_border_of_slices_is_left_to_no_cpu(mode, remedies, slices, precision, tmp_path):
    """A replicated one is made so without being asked for: TFLite has no operator for it."""
    graph, path = bordered(mode), tmp_path / "file.tflite"
    quantization = calibrated(graph, np.zeros((40, 48, 3))) if precision == "int8" else None
    card = Card("net", 2, "rgb", precision, "float32", (40, 48), 4)

    tflite_writer.write(graph, card, path, quantization)
    findings = lint(anatomy(str(path)), DelegateName.NNAPI).findings
    assert [finding.remedy for finding in findings] == remedies

    tflite_writer.write(rewritten(graph, [RewriteName.PADDING]), card, path, quantization)
    found = anatomy(str(path))
    counts = Counter(operator.name for operator in found.operators)
    kept = {"PAD": 1, "CONV_2D": 2, "DEPTH_TO_SPACE": 1}
    if precision == "int8":
        kept |= {"QUANTIZE": 1, "DEQUANTIZE": 1}
    assert counts == {"STRIDED_SLICE": slices, "CONCATENATION": 4, **kept}
    for delegate in ("gpu", "nnapi", "qnn"):
        assert lint(found, DelegateName(delegate)).findings == []


@pytest.mark.parametrize("mode", ["reflect", "edge"])
def test_a_border_of_slices_is_one_at_every_size(mode, photographs, tmp_path):
    photograph = photographs["chelsea"][100:156, 200:240]
    graph = bordered(mode)
    large = replace(graph, input_shape=(3, 56, 40))
    expected = np.clip(run(large, photograph / 255)["upscaled"], 0, 1) * 255
    card = Card("net", 2, "rgb", "float32", "float32", (40, 48), 6, other_sizes=((56, 40),))
    graph = rewritten(graph, [RewriteName.PADDING])
    for writer, ending in ((onnx_writer, "onnx"), (tflite_writer, "tflite")):
        path = tmp_path / f"file.{ending}"
        writer.write(graph, card, path)
        assert np.array_equal(load(path, threads=1).upscale(photograph), np.rint(expected))
    coreml_writer.write(graph, card, tmp_path / "file.mlpackage")
    upscaled = CoreMLReference(tmp_path / "file.mlpackage").evaluate(photograph / np.float32(255))
    assert np.abs(np.clip(upscaled, 0, 1) * 255 - expected).max() < 1e-3


def test_a_border_of_nothing_stays_what_it_is():
    nothing = Graph((Pad("image", "upscaled", (0, 0, 0, 0)),), (3, 8, 8))
    assert rewritten(nothing, [RewriteName.PADDING]) == nothing
