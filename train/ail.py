"""Adaptive Importance Learning (Zhang et al., arXiv 1806.01576; IJCV 128, 2020).

A small network cannot fit every pixel, so each pixel gets an importance w: at first high where a
trained teacher does well, then, round by round, also where the student has nearly caught up.
Constants: the authors' released code. Intensities are in [0, 1]; maps are (N, C, H, W) at high
resolution, ``teacher_gap`` (N, 1, H, W).
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
    """Teacher's error at the steepest point of that fall."""
    lambda_: float = 0.15
    """Rise of w in round 1 at a student's error of 0."""
    rho: float = 0.15
    """Further rise with each later round."""
    gamma: float = 10.0
    """Decay of the rise with the student's error."""


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


def teacher_gap(taught: Tensor, output: Tensor) -> Tensor:
    """Distance of the student to its teacher, |T(x) − S(x)|, mean over channels (N, 1, H, W).

    Importance as the sampling probability of a patch; not of the paper. It is low in flat regions,
    which both networks leave as they are, and in noise, which neither can predict: most of a
    photograph is one or the other.
    """
    return (taught - output).abs().mean(dim=1, keepdim=True)


def importance_loss(output: Tensor, target: Tensor, importance: Tensor) -> Tensor:
    """Mean of (w · (S(x) − y))²: the weight multiplies the residual before squaring.

    The paper sums; the mean differs by a constant and keeps learning rates comparable with MSE.
    """
    return (importance * (output - target)).square().mean()
