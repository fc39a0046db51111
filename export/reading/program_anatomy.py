"""The parts of a torch.export program (.pt2), for ``ailsr-show``."""

from __future__ import annotations

from pathlib import Path

from torch import Tensor
from torch.export import ExportedProgram

from ailsr.export.reading.program import load_program
from ailsr.runtime.anatomy.anatomy import Anatomy, Operator
from ailsr.runtime.anatomy.anatomy import Tensor as Described
from ailsr.runtime.files import size_bytes


def program_anatomy(model: str) -> Anatomy:
    """The parts of the program ``model``; nothing in it is run. Raises ModelError."""
    program, _ = load_program(Path(model))
    signature = program.graph_signature
    weights = [*program.state_dict.values(), *program.constants.values()]
    tensors = [value for value in weights if isinstance(value, Tensor)]
    return Anatomy(
        "torch.export program",
        size_bytes(Path(model)),
        inputs=_described(program, [str(name) for name in signature.user_inputs]),
        outputs=_described(program, [str(name) for name in signature.user_outputs]),
        operators=tuple(
            Operator(str(node.target))
            for node in program.graph.nodes
            if node.op == "call_function" and not str(node.target).startswith("<")
        ),
        weights=sum(tensor.numel() for tensor in tensors),
        weight_bytes=sum(tensor.numel() * tensor.itemsize for tensor in tensors),
    )


def _described(program: ExportedProgram, names: list[str]) -> tuple[Described, ...]:
    values = {node.name: node.meta["val"] for node in program.graph.nodes if "val" in node.meta}
    return tuple(
        Described(
            name,
            str(values[name].dtype).removeprefix("torch."),
            tuple(side if isinstance(side, int) else str(side) for side in values[name].shape),
        )
        for name in names
    )
