"""Where a training run stands: all that a step depends on."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from ailsr.runtime.errors import TrainingError
from ailsr.train import checkpoint
from ailsr.train.networks import Network

SILENCE = 1e-6
"""A channel's gradient, as a share of the network's largest, from which on it is none.

Where all but one of a layer's ReLUs have shut, 1e-8 may still come through.
"""


@dataclass
class State:
    """Where a run stands; all of it goes into ``last.pt``."""

    student: Network
    average: Network
    """Exponential moving average of the student's weights: what is evaluated and shipped."""
    optimizer: torch.optim.Optimizer
    generator: torch.Generator
    step: int = 0
    teacher: Network | None = None
    """Frozen; gives w⁰."""
    previous: Network | None = None
    """The student frozen at the end of the previous round; gives e_S."""
    best_psnr: float = -math.inf
    validations: list[dict[str, Any]] = field(default_factory=list)

    def deaf(self) -> float:
        """Share of the student's channels that the last step's gradient did not reach."""
        gradients = [p.grad for p in self.student.parameters() if p.grad is not None]
        loudest = max(float(g.abs().max()) for g in gradients)
        channels = torch.cat([g.flatten(1).abs().amax(dim=1) for g in gradients if g.ndim > 1])
        return float((channels <= SILENCE * loudest).float().mean())

    def progress(self) -> dict[str, Any]:
        """What ``restore`` needs, as tensors and JSON values."""
        frozen = {"teacher": self.teacher, "previous": self.previous}
        return {
            "student": self.student.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "generator": self.generator.get_state(),
            "step": self.step,
            "best_psnr": self.best_psnr,
            "validations": self.validations,
            **{
                name: network and {"name": network.reference, "state": network.state_dict()}
                for name, network in frozen.items()
            },
        }

    def restore(self, progress: dict[str, Any], average: Network, source: Path) -> None:
        """Take up the state stored by ``progress``, with the averaged weights of ``average``."""
        try:
            checkpoint.load_state(self.student, progress["student"], source)
            self.average.load_state_dict(average.state_dict())
            self.optimizer.load_state_dict(progress["optimizer"])
            self.generator.set_state(progress["generator"])
            self.step, self.best_psnr = progress["step"], progress["best_psnr"]
            self.validations = progress["validations"]
            for name in ("teacher", "previous"):
                if (stored := progress[name]) is not None:
                    allowed, scale = self.student.reference, self.student.scale
                    network = checkpoint.create_stored(stored["name"], scale, source, allowed)
                    network = network.fuse()
                    checkpoint.load_state(network, stored["state"], source)
                    setattr(self, name, frozen(network, next(self.student.parameters()).device))
        except KeyError as error:
            raise TrainingError(f"{source}: holds no progress to resume from ({error})") from error


def frozen(network: Network, device: torch.device) -> Network:
    """A fused copy of ``network`` on ``device``, in eval mode and without gradients."""
    return placed(network.fuse(), device).eval().requires_grad_(False)


def placed(network: Network, device: torch.device) -> Network:
    """``network`` itself on ``device``, channels last (twice as fast on a CPU)."""
    network.to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    return network
