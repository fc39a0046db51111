"""Adaptive Importance Learning (Zhang et al., arXiv 1806.01576; IJCV 128, 2020).

A small network cannot fit every pixel, so it is told which ones matter: first those on which a
trained teacher does well, then, round by round, more of those that it has nearly learnt itself.
The constants are those of the authors' released code. Intensities are in [0, 1]; maps have the
shape of the picture, (N, C, H, W), but for what a patch is drawn by, (N, 1, H, W).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Importance:
    """The constants of the importance maps."""

    alpha: float = 100.0
    """Steepness of the fall of w⁰ with the teacher's error."""
    beta: float = 0.01
    """Teacher's error at which w⁰ falls fastest."""
    lambda_: float = 0.15
    """What round 1 adds where the student makes no error."""
    rho: float = 0.15
    """What each later round adds to that."""
    gamma: float = 10.0
    """How fast the addition falls with the student's error."""


def initial_importance(teacher_error: Tensor, c: Importance) -> Tensor:
    """w⁰ in (0, 1] = σ(−α(e_T − β)) / σ(αβ): 1 where the teacher makes no error (eq. 6)."""
    at_zero = torch.sigmoid(torch.tensor(c.alpha * c.beta, dtype=teacher_error.dtype))
    return torch.sigmoid(-c.alpha * (teacher_error - c.beta)) / at_zero.to(teacher_error.device)


def raised_importance(initial: Tensor, student_error: Tensor, k: int, c: Importance) -> Tensor:
    """w of round k ≥ 1 = min(1, w⁰ + (λ + ρ(k − 1)) · exp(−γ e_S)).

    ``student_error`` is that of the student frozen at the end of round k − 1.
    """
    rise = (c.lambda_ + c.rho * (k - 1)) * torch.exp(-c.gamma * student_error)
    return (initial + rise).clamp(max=1.0)


def lacking(taught: Tensor, learnt: Tensor) -> Tensor:
    """|T(x) − S(x)|, mean over channels (N, 1, H, W): what the student lacks to its teacher.

    Not of the paper: importance as the chance of a patch to be drawn. Flat regions, which both
    leave as they are, and noise, which neither can foresee, teach nothing; most of a photograph is
    one or the other.
    """
    return (taught - learnt).abs().mean(dim=1, keepdim=True)


def importance_loss(output: Tensor, target: Tensor, importance: Tensor) -> Tensor:
    """Mean of (w · (S(x) − y))²: the weight multiplies the residual before squaring.

    The paper sums; the mean differs by a constant and keeps learning rates comparable with MSE.
    """
    return (importance * (output - target)).square().mean()
