"""Files of others and a run of ``ailsr-export``, for the tests."""

from __future__ import annotations

import sys
from pathlib import Path

import onnx
import pytest
import torch
import torch.nn.functional as F
from onnx import TensorProto, helper
from torch import nn
from torch.export import Dim

from ailsr.export import command
from ailsr.export.reading.from_torch import quiet, to_onnx
from ailsr.train.networks.skip import NearestAnchor

SIZE = (24, 32)


class Theirs(nn.Module):
    """A network of someone else's, ×2; pixels up to ``white``, clamped there."""

    def __init__(self, white: float = 1.0) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.body = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 12, 3))
        self.nearest = NearestAnchor(3, 2)
        self.white = white
        with torch.no_grad():
            self.body[0].bias *= white
            self.body[2].weight *= 0.1
            self.body[2].bias *= 0.1 * white

    def forward(self, x):
        residual = self.body(F.pad(x, (1, 1, 1, 1), mode="reflect"))
        return F.pixel_shuffle(residual + self.nearest(x), 2).clamp(0.0, self.white)


def saved(network: nn.Module, path: Path, *, dynamic: bool = True) -> Path:
    """``network`` as the file ``path``, an ONNX model or a program."""
    sides = {2: Dim("h", min=4, max=2048), 3: Dim("w", min=4, max=2048)}
    shapes = ({0: None, 1: None, **sides},) if dynamic else None
    with quiet():
        program = torch.export.export(
            network.eval(), (torch.rand(1, 3, *SIZE),), dynamic_shapes=shapes
        )
        if path.suffix == ".pt2":
            torch.export.save(program, path)
    if path.suffix == ".onnx":
        onnx.save(to_onnx(program), path)
    return path


def model_of(*operators: onnx.NodeProto, shapes=((1, 3, 8, 8), (1, 3, 16, 16)), opset=14) -> bytes:
    """An ONNX model of the tensors a (its input), b, c... as bytes."""
    names = [operators[0].input[0], operators[-1].output[0]]
    ends = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
        for name, shape in zip(names, shapes, strict=True)
    ]
    graph = helper.make_graph(operators, "g", ends[:1], ends[1:])
    imports = [helper.make_opsetid("", opset)]
    model = helper.make_model(graph, opset_imports=imports, ir_version=7)
    return bytes(model.SerializeToString())


UNTRAINED = "--allow-worse-than-bicubic"
"""For networks of random weights."""


def export_code(*arguments: object, untrained: bool = True) -> int:
    """The exit code of ``ailsr-export ARGUMENTS``."""
    more = [UNTRAINED] if untrained else []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["ailsr-export", *map(str, arguments), *more])
        with pytest.raises(SystemExit) as stopped:
            command.cli()
    return int(stopped.value.code or 0)


def ailsr_export(capsys, *arguments: object, untrained: bool = True) -> tuple[int, str, str]:
    """The exit code of ``ailsr-export ARGUMENTS``, and what it printed: stdout, stderr."""
    return export_code(*arguments, untrained=untrained), *capsys.readouterr()
