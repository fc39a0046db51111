"""State of a training run: all that a step depends on."""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from ailsr.runtime.errors import TrainingError, UsageError
from ailsr.runtime.rules import check, integer, items, mapping, number, plain
from ailsr.train import checkpoint, zoo
from ailsr.train.digest import weights_digest
from ailsr.train.file_teacher import FileTeacher, is_file
from ailsr.train.networks import Network, create
from ailsr.train.recipe import Recipe
from ailsr.train.soap import Soap

_PROGRESS = {
    "step": integer(0, 1 << 53),
    "best_psnr": number(),
    "validations": items(mapping(plain(levels=2)), most=100_000),
}
DEAD_GRADIENT = 1e-6
"""Largest gradient of a dead channel, as a fraction of the network's largest.

Through a layer whose ReLUs are all dead but one, 1e-8 may still pass.
"""


@dataclass
class State:
    """State of a run; ``last.pt`` holds all of it."""

    student: Network
    average: Network
    """Exponential moving average of the student's weights; it is evaluated and saved."""
    optimizer: torch.optim.Optimizer
    generator: torch.Generator
    fused: bool = False
    """True if the student is in its fused form."""
    step: int = 0
    teacher: Network | None = None
    """Frozen; gives T(x)."""
    teacher_digest: str | None = None
    """Of the weights, before they were fused, or the file of ``--teacher``; None: there is none, or
    the run began before digests were kept."""
    previous: Network | None = None
    """The student frozen at the end of the previous round, or ``--init``; gives S(x)."""
    best_psnr: float = -math.inf
    validations: list[dict[str, Any]] = field(default_factory=list)

    def dead_channel_fraction(self) -> float:
        """Fraction of the student's channels with no gradient in the last step."""
        gradients = [p.grad for p in self.student.parameters() if p.grad is not None]
        largest = torch.stack([g.abs().max() for g in gradients]).max()
        channels = torch.cat([g.flatten(1).abs().amax(dim=1) for g in gradients if g.ndim > 1])
        return float((channels <= DEAD_GRADIENT * largest).float().mean())

    def progress(self) -> dict[str, Any]:
        """The state as tensors and JSON values, for ``restore``."""
        networks = {"teacher": self.teacher, "previous": self.previous}
        return {
            "student": self.student.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "generator": self.generator.get_state(),
            "step": self.step,
            "best_psnr": self.best_psnr,
            "validations": self.validations,
            "teacher_digest": self.teacher_digest,
            **{name: network and _stored(network) for name, network in networks.items()},
        }

    def restore(self, progress: dict[str, Any], average: Network, source: Path) -> None:
        """Continue from ``progress``, with the averaged weights of ``average``.

        Raises TrainingError naming ``source`` when ``progress`` is incomplete.
        """
        try:
            checkpoint.load_state(self.student, progress["student"], source)
            self.average.load_state_dict(average.state_dict())
            self.optimizer.load_state_dict(progress["optimizer"])
            self.generator.set_state(progress["generator"])
            found = check(progress, _PROGRESS, len(_PROGRESS))
            self.step, self.best_psnr = found["step"], found["best_psnr"]
            self.validations = list(found["validations"])
            self.teacher_digest = progress.get("teacher_digest")
            for name in ("teacher", "previous"):
                if (stored := progress[name]) is not None and "sha256" in stored:
                    self._check_teacher(stored["sha256"])
                elif stored is not None:
                    allowed, scale = self.student.reference, self.student.scale
                    network = checkpoint.create_stored(stored["name"], scale, source, allowed)
                    network = network.fuse()
                    checkpoint.load_state(network, stored["state"], source)
                    setattr(self, name, frozen(network, next(self.student.parameters()).device))
        except (AttributeError, LookupError, TypeError, ValueError, RuntimeError) as error:
            raise TrainingError(f"{source}: holds no progress to resume from ({error})") from error

    def _check_teacher(self, sha256: str) -> None:
        """Raise UsageError unless the teacher is the file with this digest."""
        if not isinstance(self.teacher, FileTeacher) or self.teacher.sha256 != sha256:
            raise UsageError("--teacher is another file than at the start of the run: restore it")


def _stored(network: Network) -> dict[str, Any]:
    """What a checkpoint holds of a frozen network: of one in a file only which it is."""
    if isinstance(network, FileTeacher):
        return {"sha256": network.sha256}
    return {"name": network.reference, "state": network.state_dict()}


def initial_state(recipe: Recipe, device: torch.device) -> State:
    """The state at step 0; with ``--resume``, still to be restored.

    Raises UsageError or ModelError when ``--init`` or ``--teacher`` cannot be used.
    """
    torch.manual_seed(recipe.seed)
    student = create(recipe.network, recipe.scale)
    teacher: Network | None = None
    previous: Network | None = None
    if recipe.teacher_model and is_file(recipe.teacher_model):
        teacher = _teacher(recipe)
    if not recipe.resume:  # else both come from last.pt
        previous = _initial(student, recipe)
        teacher = teacher or _teacher(recipe) or (previous if recipe.teacher == "self" else None)
    fused = recipe.optimizer == "soap" and student.linear_branches
    if fused:
        student = student.fuse()
    student = to_device(student, device)
    return State(
        student,
        copy.deepcopy(student),
        _optimizer(student, recipe),
        torch.Generator().manual_seed(recipe.seed),
        fused=fused,
        teacher=teacher and frozen(teacher, device),
        teacher_digest=None if teacher in (None, previous) else _digest(teacher),
        previous=previous and frozen(previous, device),
    )


def _optimizer(student: Network, recipe: Recipe) -> torch.optim.Optimizer:
    if recipe.optimizer == "soap":
        return Soap(student.parameters(), recipe.peak_learning_rate)
    return torch.optim.Adam(student.parameters(), recipe.peak_learning_rate, fused=True)


def _digest(teacher: Network) -> str:
    return teacher.sha256 if isinstance(teacher, FileTeacher) else weights_digest(teacher)


def _initial(student: Network, recipe: Recipe) -> Network | None:
    """Initialise ``student`` by ``--init``; returns that network if AIL needs it as S(x)."""
    if recipe.init is None:
        return None
    initial = checkpoint.load(zoo.resolve(recipe.init), recipe.network)
    checkpoint.init_from(student, initial, recipe.init)
    if recipe.method != "ail":
        return None
    if initial.network.scale == recipe.scale:
        return initial.network
    if recipe.teacher == "self":
        raise UsageError(
            f"--init {recipe.init} enlarges {initial.network.scale} times, so it cannot "
            f"teach AIL at --scale {recipe.scale}: name a --teacher, or use another method"
        )
    return None


def _teacher(recipe: Recipe) -> Network | None:
    """The network of ``--teacher``; None for ``self`` and for plain training."""
    if (model := recipe.teacher_model) is None:
        return None
    teacher = (
        FileTeacher(Path(model), recipe.threads or None)
        if is_file(model)
        else checkpoint.load(zoo.resolve(model), recipe.network).network
    )
    if teacher.scale != recipe.scale:
        raise UsageError(
            f"--teacher {model} enlarges {teacher.scale} times, --scale is "
            f"{recipe.scale}: a teacher has the student's scale"
        )
    return teacher


def frozen(network: Network, device: torch.device) -> Network:
    """A fused copy of ``network`` on ``device``, in eval mode and without gradients."""
    return to_device(network.fuse(), device).eval().requires_grad_(False)


def to_device(network: Network, device: torch.device) -> Network:
    """``network`` itself, moved to ``device``, channels last (twice as fast on a CPU)."""
    network.to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    return network
