"""The parts of a torch.export program (.pt2), for ``ailsr-show``."""

from __future__ import annotations

from pathlib import Path

from ailsr.export.reading.program import Described, load_program
from ailsr.runtime.anatomy.anatomy import Anatomy, Operator, Tensor
from ailsr.runtime.files import size_bytes


def program_anatomy(model: str) -> Anatomy:
    """The parts of the program ``model``; nothing in it is run. Raises ModelError."""
    program = load_program(Path(model))
    return Anatomy(
        "torch.export program",
        size_bytes(Path(model)),
        inputs=tuple(map(_tensor, program.inputs)),
        outputs=tuple(map(_tensor, program.outputs)),
        operators=tuple(map(Operator, program.operators)),
        weights=sum(tensor.numel() for tensor in program.tensors),
        weight_bytes=sum(tensor.numel() * tensor.itemsize for tensor in program.tensors),
    )


def _tensor(described: Described) -> Tensor:
    sides = (side if isinstance(side, int) else str(side or "?") for side in described.shape)
    return Tensor(described.name, described.dtype, tuple(sides))
