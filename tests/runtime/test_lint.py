"""What accelerators are said to accept, on files whose operators are known."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from ailsr.export.graph.graph import Conv, DepthToSpace, Graph, Pad, PRelu
from ailsr.export.targets.coreml import writer as coreml_writer
from ailsr.export.targets.tflite import writer as tflite_writer
from ailsr.runtime.anatomy.anatomy import Anatomy, Operator, Tensor
from ailsr.runtime.anatomy.lint import lint
from ailsr.runtime.anatomy.lint_rules import DELEGATES, DelegateName
from ailsr.runtime.anatomy.registry import anatomy
from ailsr.runtime.anatomy.tflite import OPERATORS
from ailsr.runtime.card import Card
from ailsr.runtime.commands import show


def left(path, delegate: str) -> dict[str, str]:
    """Name and version of the operators that stay on the CPU, and what to do about them."""
    return {f.operator: f.remedy for f in lint(anatomy(str(path)), DelegateName(delegate)).findings}


def written(graph: Graph, path, precision: str = "float32"):
    writer = tflite_writer if path.suffix == ".tflite" else coreml_writer
    writer.write(graph, Card("net", 2, "rgb", precision, "float32", (12, 12), 1), path)
    return path


def conv(source: str, output: str, inputs: int, outputs: int, groups: int = 1) -> Conv:
    weight = np.ones((outputs, inputs // groups, 3, 3), np.float32)
    return Conv(source, output, weight, np.zeros(outputs, np.float32), (1, 1, 1, 1), groups=groups)


SHUFFLE = DepthToSpace("y", "upscaled", 2)


@pytest.mark.parametrize(
    ("kind", "delegate", "expected"),
    [
        ("tflite float32 float32", "gpu", {}),
        ("tflite float32 float32", "nnapi", {}),
        ("tflite float16 float32", "gpu", {}),
        ("tflite float16 float32", "nnapi", {"DEQUANTIZE v3"}),
        ("tflite int8 uint8", "gpu", {}),
        ("tflite int8 uint8", "nnapi", {}),
        ("tflite int8 uint8", "hexagon", {"DEQUANTIZE v2", "QUANTIZE v1"}),
        ("tflite int8 int8", "hexagon", {}),
        ("tflite float16 float32", "qnn", {}),
        ("tflite int8 uint8", "qnn", {}),
    ],
)
def test_files_of_a_plain_network(write_network, kind, delegate, expected):
    assert set(left(write_network(kind, (12, 12)), delegate)) == set(expected)


def test_what_a_delegate_lacks_is_found_with_its_remedy(tmp_path):
    body = (conv("image", "x", 3, 12), PRelu("x", "y", np.linspace(0, 1, 12, dtype=np.float32)))
    path = written(Graph((*body, SHUFFLE), (3, 12, 12)), tmp_path / "prelu.tflite")
    assert left(path, "hexagon")["PRELU v1"] == "--rewrite prelu"
    assert left(path, "gpu") == left(path, "nnapi") == {}

    grouped = (conv("image", "x", 3, 12), conv("x", "y", 12, 12, groups=4))
    path = written(Graph((*grouped, SHUFFLE), (3, 12, 12)), tmp_path / "groups.tflite")
    assert set(left(path, "nnapi")) == {"CONV_2D v6"}

    deep = (conv("image", "x", 3, 6), conv("x", "y", 6, 12, groups=6))
    path = written(Graph((*deep, SHUFFLE), (3, 12, 12)), tmp_path / "depthwise.tflite")
    assert left(path, "gpu") == {"DEPTHWISE_CONV_2D v1": "--rewrite groups"}

    mirrored = (Pad("image", "x", (1, 1, 1, 1)), conv("x", "y", 3, 12))
    path = written(Graph((*mirrored, SHUFFLE), (3, 12, 12)), tmp_path / "mirror.tflite")
    assert left(path, "nnapi") == {"MIRROR_PAD v1": "--rewrite padding"}
    assert left(path, "gpu") == {}
    assert left(path, "qnn") == {}
    repeated = (Pad("image", "x", (1, 1, 1, 1), "edge"), conv("x", "y", 3, 12))
    path = written(Graph((*repeated, SHUFFLE), (3, 12, 12)), tmp_path / "edge.tflite")
    assert left(path, "gpu") == left(path, "nnapi") == {}
    assert "float16" in lint(anatomy(str(path)), DelegateName.QNN).note


@pytest.mark.parametrize("precision", ["float32", "float16"])
def test_the_neural_engine_is_for_float16(tmp_path, precision):
    graph = Graph((conv("image", "y", 3, 12), SHUFFLE), (3, 12, 12))
    remedies = left(written(graph, tmp_path / "net.mlpackage", precision), "ane")
    if precision == "float16":
        assert remedies == {}
    else:
        assert remedies["conv"] == remedies["depth_to_space"] == "--precision float16"


def test_operators_with_odd_tensors_are_left_to_the_cpu():
    whole = Tensor("x", "int8", (1, 12, 12, 8))
    for operator in (
        Operator("DEPTHWISE_CONV_2D", 3, (whole,), (whole,)),  # no filters
        Operator("DEPTHWISE_CONV_2D", 3, (Tensor("x", "int8", (1, 1, 1, 0)), whole), (whole,)),
        Operator("CONV_2D", 3, (Tensor("x", "int8", ()),), (whole,)),
        Operator("QUANTIZE", 1, (whole,), ()),
    ):
        result = lint(Anatomy("TFLite", 1, operators=(operator,)), DelegateName.HEXAGON)
        assert [found.operator for found in result.findings] == [operator.title]


def test_rules_are_for_operators_that_exist_and_name_their_source():
    for delegate in DELEGATES.values():
        if delegate.kind == "TFLite":
            assert delegate.rules.keys() <= set(OPERATORS)
            assert delegate.remedies.keys() <= set(OPERATORS)
        assert delegate.source


def test_the_command_prints_each_kind_once(write_network, capsys, monkeypatch):
    path = write_network("tflite float16 float32", (12, 12))
    flags = ["--lint", "nnapi", "--lint", "gpu"]
    monkeypatch.setattr(sys, "argv", ["ailsr-show", str(path), *flags])
    with pytest.raises(SystemExit):
        show.cli()
    out = capsys.readouterr().out
    assert "4x DEQUANTIZE v3 (first at a/weight): it takes it up to version 2; try" in out
    assert "gpu: TFLite's GPU delegate accepts all 10 operators" in out

    monkeypatch.setattr(sys, "argv", ["ailsr-show", str(path), "--lint", "ane"])
    with pytest.raises(SystemExit):
        show.cli()
    assert "--lint ane is for Core ML files" in " ".join(capsys.readouterr().err.split())
