"""Rewrites for accelerators: the same function, and in the file the operators they promise."""

from __future__ import annotations

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter
from graph_reference import run

from ailsr.export import tflite_writer
from ailsr.export.graph import Add, Conv, DepthToSpace, Graph, Node, PRelu
from ailsr.export.rewrites import RewriteName, rewritten
from ailsr.runtime.anatomy import anatomy
from ailsr.runtime.card import Card

RANDOM = np.random.default_rng(0)


def conv(source: str, output: str, inputs: int, outputs: int, **how) -> Conv:
    shape = (outputs, inputs // how.get("groups", 1), 3, 3)
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
