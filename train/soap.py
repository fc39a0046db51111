"""SOAP: Adam in the eigenbasis of the gradient's covariance (Vyas et al., arXiv 2409.11321).

The weights of a convolution depend on each other, and Adam, which scales each by itself, goes only
as fast as their steepest common direction allows. SOAP takes the gradient of a kernel for a matrix
of its first dimension × all others, turns it to the eigenvectors of its rows' and its columns'
covariance (Shampoo's preconditioner), scales there as Adam does, and turns the step back.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import Tensor

DECAY = 0.95
"""Of all running means: of gradients, of their squares, of covariances."""
REFRESH = 10
"""Steps from one basis to the next."""
MAX_SIDE = 1024
"""Longest side of a matrix that is turned."""
MAX_RATIO = 16
"""Longest side that is turned, as a multiple of the other; not of the paper.

The last convolution of SESR, 4 × 400, is better left as it is: by 0.06 dB for ``sesr_m5``.
"""
EPSILON = 1e-8
"""Added to the root of the squares."""


class Soap(torch.optim.Optimizer):
    """SOAP for kernels of two and more dimensions, Adam of the same constants for biases."""

    def __init__(self, parameters: Iterable[Tensor], lr: float) -> None:
        super().__init__(parameters, {"lr": lr})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """One step by the gradients; the first one only measures them."""
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is None:
                    continue
                if parameter not in self.state:
                    self.state[parameter] = _new_state(parameter)
                update = _update(self.state[parameter], _matrix(parameter.grad))
                parameter.sub_(update.view_as(parameter), alpha=group["lr"])

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take up a stored state. Raises ValueError when it is none of SOAP for these weights."""
        super().load_state_dict(state_dict)
        for parameter, state in self.state.items():
            if _shapes(state) != _shapes(_new_state(parameter)):
                raise ValueError("its optimiser's state is not of these weights")


def _matrix(tensor: Tensor) -> Tensor:
    return tensor.flatten(1) if tensor.ndim > 1 else tensor.reshape(1, -1)


def _new_state(parameter: Tensor) -> dict[str, Any]:
    matrix = _matrix(torch.zeros_like(parameter))
    sides = [
        side if parameter.ndim > 1 and side <= min(MAX_SIDE, MAX_RATIO * other) else None
        for side, other in zip(matrix.shape, reversed(matrix.shape), strict=True)
    ]
    return {
        "step": 0,
        "mean": matrix,
        "squares": torch.zeros_like(matrix),  # in the eigenbasis
        "covariances": [None if side is None else matrix.new_zeros(side, side) for side in sides],
        "bases": [None if side is None else matrix.new_ones(side).diag() for side in sides],
    }


def _shapes(state: dict[str, Any]) -> dict[str, Any]:
    """What a state holds, without its values."""
    return {
        name: [getattr(part, "shape", type(part)) for part in value]
        if isinstance(value, list)
        else getattr(value, "shape", type(value))
        for name, value in state.items()
    }


def _update(state: dict[str, Any], gradient: Tensor) -> Tensor:
    """The step for a learning rate of 1."""
    state["step"] += 1
    # Before the step, not after it as in the paper: the basis has seen this gradient.
    _measure(state, gradient)
    bases = state["bases"]
    state["mean"].lerp_(gradient, 1 - DECAY)
    state["squares"].lerp_(_turned(gradient, bases).square(), 1 - DECAY)
    if state["step"] == 1:  # one gradient has no eigenbasis worth a step
        return torch.zeros_like(gradient)
    unbiased = 1 - DECAY ** state["step"]
    mean, squares = _turned(state["mean"], bases) / unbiased, state["squares"] / unbiased
    back = [None if basis is None else basis.T for basis in bases]
    return _turned(mean / (squares.sqrt() + EPSILON), back)


def _measure(state: dict[str, Any], gradient: Tensor) -> None:
    """Update the covariances and, when it is time, the bases by a step of power iteration."""
    for i, vectors in enumerate((gradient, gradient.T)):
        if (covariance := state["covariances"][i]) is None:
            continue
        covariance.lerp_(vectors @ vectors.T, 1 - DECAY)
        # On the CPU: small matrices take longer on a GPU, and MPS lacks the decompositions.
        if state["step"] == 1:  # in double: float32 fails on some matrices of low rank
            basis = torch.linalg.eigh(covariance.cpu().double()).eigenvectors.flip(1)
            state["bases"][i] = basis.to(covariance)
        elif state["step"] % REFRESH == 0:
            # QR keeps the order of columns only where they stand by falling eigenvalue. In another
            # order each square would soon belong to another direction, and steps be far too long.
            basis = state["bases"][i]
            stretched = covariance @ basis
            order = (basis * stretched).sum(0).argsort(descending=True)
            basis = torch.linalg.qr(stretched[:, order].cpu()).Q
            state["bases"][i] = basis.to(covariance.device)
            state["squares"] = state["squares"].index_select(i, order)


def _turned(matrix: Tensor, bases: Sequence[Tensor | None]) -> Tensor:
    """``matrix`` in the basis of its rows and of its columns, where there is one."""
    rows, columns = bases
    matrix = matrix if rows is None else rows.T @ matrix
    return matrix if columns is None else matrix @ columns
