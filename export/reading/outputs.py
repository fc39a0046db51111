"""The outputs of a network in PyTorch, which may be one tensor, or several in a list or a dict."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor, nn

from ailsr.runtime.errors import ModelError, UsageError


def chosen(names: Sequence[str], wanted: str | None) -> int:
    """Place of the output to export among those called ``names``. Raises UsageError."""
    if wanted is None and len(names) == 1:
        return 0
    if wanted not in names:
        given = "" if wanted is None else f"--output-name {wanted}: "
        raise UsageError(
            f"{given}it has the outputs {', '.join(names)}: choose the image among them with "
            "--output-name NAME"
        )
    return names.index(wanted)


def named_outputs(result: Any, name: str = "") -> dict[str, Tensor]:  # noqa: ANN401
    """The tensors in what a network returned, in the order of their places: a dict's by their keys,
    a list's by their numbers."""
    match result:
        case Tensor():
            return {name or "output": result}
        case Mapping():
            parts = [*result.items()]
        case tuple() | list():
            parts = [*enumerate(result)]
        case _:
            return {}
    prefix = f"{name}." if name else ""
    return {n: t for key, part in parts for n, t in named_outputs(part, f"{prefix}{key}").items()}


class Picked(nn.Module):
    """A network with one of its ``outputs`` alone, the one called ``wanted``.

    Raises UsageError when there are several and none is wanted, ModelError when it is no image.
    """

    def __init__(
        self, network: nn.Module, outputs: Mapping[str, Tensor], wanted: str | None
    ) -> None:
        super().__init__()
        if not outputs:
            raise ModelError("it returns no tensor")
        self.network = network
        self.name: str = [*outputs][chosen([*outputs], wanted)]
        shape = tuple(outputs[self.name].shape)
        if len(shape) != 4 or shape[0] != 1 or shape[1] not in (1, 3):
            raise ModelError(f"it returns {shape}; an image is (1, 3, height, width)")

    def forward(self, x: Tensor) -> Tensor:
        return named_outputs(self.network(x))[self.name]
