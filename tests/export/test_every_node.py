"""Every node of the graph is known to each file of CONTRIBUTING.md's "Add an operator"."""

from __future__ import annotations

import re
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
from every_target import assert_the_same_everywhere, picture
from graph_reference import run

from ailsr.export.fit.probes import workload
from ailsr.export.graph.graph import (
    Add,
    Clip,
    Concat,
    Conv,
    Crop,
    DepthToSpace,
    Graph,
    MaxPool,
    Mean,
    MinMax,
    Mul,
    Node,
    Normalize,
    Pad,
    Pointwise,
    PRelu,
    Resize,
)
from ailsr.export.graph.quantization import OWN_SCALE, SAME_SCALE
from ailsr.export.graph.receptive_field import receptive_radius
from ailsr.export.graph.rewiring import renamed
from ailsr.export.reading.translation import OPERATORS

ROOT = Path(__file__).parent.parent.parent
SIZE = (12, 16)
NODES = get_args(Node)


def conv(source: str, output: str, inputs: int, outputs: int, kernel: int = 3) -> Conv:
    weight = np.random.default_rng(len(output)).normal(0, 0.07, (outputs, inputs, kernel, kernel))
    bias = np.linspace(-0.2, 0.2, outputs, dtype=np.float32)
    pads = (kernel // 2,) * 4
    return Conv(source, output, weight.astype(np.float32), bias, pads)


SAMPLES: dict[type, tuple[list[Node], int]] = {
    Conv: ([conv("x", "y", 8, 6)], 6),
    PRelu: (
        [
            PRelu("x", "steep", np.linspace(-0.1, 1.4, 8, dtype=np.float32)),
            PRelu("steep", "y", np.linspace(-0.1, 0.4, 8, dtype=np.float32)),
        ],
        8,
    ),
    Clip: ([Clip("x", "y", (-0.1, 0.2))], 8),
    Pointwise: ([Pointwise("x", "gelu", "gelu"), Pointwise("gelu", "y", "sigmoid")], 8),
    Add: ([conv("x", "other", 8, 8), Add("x", "other", "y")], 8),
    Mul: ([conv("x", "other", 8, 8), Mul("x", "other", "y")], 8),
    MinMax: ([conv("x", "other", 8, 8), MinMax("x", "other", "y", "max")], 8),
    Concat: ([conv("x", "other", 8, 8), Concat(("x", "other"), "y")], 16),
    DepthToSpace: ([DepthToSpace("x", "y", 2)], 2),
    Pad: ([Pad("x", "y", (1, 2, 0, 1))], 8),
    Crop: ([Crop("x", "y", (2, 0, 4, 8))], 8),
    Normalize: ([Normalize("x", "y", "channels", 1e-6)], 8),
    Mean: ([Mean("x", "mean"), Mul("x", "mean", "y")], 8),
    MaxPool: ([MaxPool("x", "y", (2, 2), (2, 2))], 8),
    Resize: ([Resize("x", "y", (24, 32))], 8),
}
"""By class: nodes that make ``y`` of the 8 channels of ``x``, and the channels of ``y``."""


def graph_with(kind: type) -> Graph:
    nodes, channels = SAMPLES[kind]
    ends = conv("y", "blocks", channels, 12), DepthToSpace("blocks", "upscaled", 2)
    return Graph((conv("image", "x", 3, 8), *nodes, *ends), (3, *SIZE))


def listed() -> list[str]:
    """The Python files that "Add an operator" names."""
    section = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8").partition("## Add an operator")
    return re.findall(r"`([\w/]+\.py)`", section[2].partition("\n## ")[0])


def test_there_is_a_sample_of_every_node():
    assert {*SAMPLES} == {*NODES}


def test_every_node_has_one_rule_of_quantisation():
    assert sorted(n.__name__ for n in (*SAME_SCALE, *OWN_SCALE)) == sorted(
        n.__name__ for n in NODES
    )


@pytest.mark.parametrize("kind", NODES)
def test_a_node_is_known_to_the_passes_and_the_same_on_every_target(kind, tmp_path):
    graph, image = graph_with(kind), picture(*SIZE)
    assert (receptive_radius(graph) is None) == (kind in (Mean, MaxPool, Resize))
    assert len(workload(graph).operators) >= len(graph.nodes)
    (node,) = renamed([n for n in graph.nodes if n.output == "y"], {"y": "z"})
    assert node.output == "z"
    assert_the_same_everywhere(graph, image, run(graph, image)["upscaled"], tmp_path)


@pytest.mark.parametrize("file", listed())
def test_a_file_of_the_list_names_every_node(file):
    text = (ROOT / file).read_text(encoding="utf-8")
    if "onnx_" in file:  # three files that share the nodes, also with what they read by
        text = "".join(p.read_text(encoding="utf-8") for p in (ROOT / file).parent.glob("*.py"))
    assert [n.__name__ for n in NODES if not re.search(rf"\b{n.__name__}\(?\b", text)] == []


def test_the_list_has_every_file_that_tells_nodes_apart():
    telling = {
        str(path.relative_to(ROOT))
        for path in (ROOT / "export").rglob("*.py")
        if "assert_never(node)" in path.read_text(encoding="utf-8")
    }
    few = {"export/graph/splitting.py", "export/graph/rewiring.py"}  # of classes that cover them
    assert telling - few <= {*listed()}


def test_the_docs_list_every_onnx_operator_that_is_read():
    text = (ROOT / "docs" / "bring-your-network.md").read_text(encoding="utf-8")
    found = re.search(r"The ONNX operators that are read: (.*?)\.", text, re.DOTALL)
    assert found is not None
    assert re.findall(r"`(\w+)`", found[1]) == sorted(OPERATORS)
