"""Checkpoints: plain dictionaries that load with ``weights_only=True``, never pickled modules."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ailsr.runtime.errors import ModelError
from ailsr.runtime.files import atomic_output
from ailsr.train.networks import Network, create

FORMAT = 1


@dataclass(frozen=True)
class Checkpoint:
    """A trained network with its training card and, in ``last.pt``, what resuming needs."""

    network: Network
    card: dict[str, Any]
    """How it was trained: recipe, data, steps, PSNR. JSON values only."""
    progress: dict[str, Any] = field(default_factory=dict)
    """Optimiser, generator and round of an unfinished run; empty in ``best.pt``."""


def save(checkpoint: Checkpoint, path: Path) -> None:
    """Write ``checkpoint`` to ``path``; what stood there stays until the new file is whole."""
    network = checkpoint.network
    content = {
        "format": FORMAT,
        "network": network.name,
        "scale": network.scale,
        "state": {name: tensor.detach().cpu() for name, tensor in network.state_dict().items()},
        "card": checkpoint.card,
        "progress": checkpoint.progress,
    }
    with atomic_output(path) as temporary:
        torch.save(content, temporary)


def load(path: Path) -> Checkpoint:
    """The checkpoint at ``path``, its network in eval mode on the CPU.

    Raises ModelError when the file is missing, corrupt, or not a checkpoint of this project.
    """
    if not path.is_file():
        raise ModelError(f"{path}: there is no such checkpoint; ailsr-train writes RUN/best.pt")
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises a dozen kinds for a damaged file
        reason = str(error).strip().splitlines()[0][:120] if str(error).strip() else type(error)
        raise ModelError(
            f"{path}: not a checkpoint, or a damaged one ({reason}); only files that load with "
            "weights_only=True are read"
        ) from error
    if not isinstance(content, Mapping) or not {"format", "network", "scale", "state"} <= set(
        content
    ):
        raise ModelError(f"{path}: not an ailsr checkpoint; train one with ailsr-train")
    if content["format"] != FORMAT:
        raise ModelError(
            f"{path}: checkpoint format {content['format']}, this ailsr reads {FORMAT}: upgrade "
            "ailsr (pip install -U ailsr)"
        )
    network = create(content["network"], content["scale"])
    load_state(network, content["state"], path)
    return Checkpoint(network.eval(), content.get("card", {}), content.get("progress", {}))


def load_state(network: Network, state: Mapping[str, Tensor], source: Path) -> None:
    """Copy ``state`` into ``network``. Raises ModelError naming ``source`` when it does not fit."""
    try:
        network.load_state_dict(dict(state))
    except (RuntimeError, TypeError, ValueError, AttributeError) as error:
        line = str(error).splitlines()[-1].strip()
        raise ModelError(
            f"{source}: its weights do not fit {network.name} x{network.scale} ({line})"
        ) from error
