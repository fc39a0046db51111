"""Checkpoints: plain dictionaries that load with ``weights_only=True``, never pickled modules."""

from __future__ import annotations

import io
import pickle
import re
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ailsr.runtime.errors import ModelError, UsageError
from ailsr.runtime.files import atomic_output
from ailsr.runtime.imaging.degradation import Degradation
from ailsr.runtime.rules import (
    Rule,
    check,
    flag,
    integer,
    items,
    mapping,
    number,
    optional,
    plain,
    text,
)
from ailsr.train.networks import NETWORKS, Network, create, is_known, is_reference

FORMAT = 1


@dataclass(frozen=True)
class Checkpoint:
    """A trained network with its training card and, in ``last.pt``, the state to resume from."""

    network: Network
    card: dict[str, Any]
    """Recipe, data, steps and PSNR of the training run. JSON values only."""
    progress: dict[str, Any] = field(default_factory=dict)
    """Optimiser, generator and round of an unfinished run; empty in ``best.pt``."""
    fused: bool = False
    """True for the fused form, a tenth to a thirtieth of the size for SESR."""

    @property
    def training(self) -> dict[str, Any]:
        """The training run in the card of an exported file."""
        return training_summary(self.card)


def save(checkpoint: Checkpoint, path: Path) -> None:
    """Write ``checkpoint`` to ``path``; an older file there stays until the new one is whole."""
    network = checkpoint.network
    content = {
        "format": FORMAT,
        "network": network.reference,
        "scale": network.scale,
        "state": {name: tensor.detach().cpu() for name, tensor in network.state_dict().items()},
        "card": checkpoint.card,
        "progress": checkpoint.progress,
        "fused": checkpoint.fused,
    }
    whole = io.BytesIO()
    torch.save(content, whole)  # torch hides a full disk behind errors of its own
    with atomic_output(path) as temporary:
        temporary.write_bytes(whole.getbuffer())


def load(path: Path, network: str | None = None) -> Checkpoint:
    """The checkpoint at ``path``, its network in eval mode on the CPU.

    ``network`` is the ``package.module:Class`` that the user allows to import; a file alone cannot
    cause an import. Raises ModelError when the file is missing, corrupt, or not a checkpoint of
    this project, UsageError when it needs another class than ``network``.
    """
    content = read(path)
    stored = create_stored(content["network"], content["scale"], path, network)
    fused = bool(content.get("fused", False))
    stored = stored.fuse() if fused else stored
    load_state(stored, content["state"], path)
    return Checkpoint(stored.eval(), content.get("card", {}), content.get("progress", {}), fused)


class ForeignCheckpointError(ModelError):
    """A file of tensors and plain values that ailsr-train did not write."""

    def __init__(self, path: Path, content: Any) -> None:  # noqa: ANN401
        super().__init__(f"{path}: not an ailsr checkpoint; train one with ailsr-train")
        self.content = content


def read(path: Path) -> Mapping[str, Any]:
    """The dictionary in the checkpoint at ``path``; makes no network. Raises ModelError,
    ForeignCheckpointError, which is one, for a file of others."""
    if not path.is_file():
        raise ModelError(f"{path}: there is no such checkpoint; ailsr-train writes RUN/best.pt")
    content = _plain_content(path)
    if not isinstance(content, Mapping) or not {"format", "network", "scale", "state"} <= set(
        content
    ):
        raise ForeignCheckpointError(path, content)
    try:
        check(content, {"format": integer(1, FORMAT)}, 1)
    except ValueError as error:
        raise ModelError(
            f"{path}: {error}, which this ailsr reads: upgrade ailsr (pip install -U ailsr)"
        ) from None
    try:
        check(content, _FIELDS, 4)
        check(content.get("card", {}), _CARD, 0)
    except ValueError as error:
        raise ModelError(f"{path}: a damaged checkpoint ({error}): copy it again") from None
    return content


def _tensors(value: Any) -> Mapping[str, Tensor]:  # noqa: ANN401
    """A rule: tensors by their names."""
    if not isinstance(value, Mapping) or not all(
        isinstance(name, str) and isinstance(tensor, Tensor) for name, tensor in value.items()
    ):
        raise ValueError("not tensors by their names")
    return value


_VALUES = mapping(plain(levels=6, most=100_000), most=100_000)
_FIELDS: dict[str, Rule] = {
    "format": integer(1, FORMAT),
    "network": text(),
    "scale": integer(1, 64),
    "state": _tensors,
    "card": _VALUES,
    "progress": mapping(lambda value: value),  # checked when it is taken up
    "fused": flag,
}
_CARD: dict[str, Rule] = {
    "recipe": mapping(plain(levels=4)),
    "validations": optional(
        items(
            lambda entry: check(
                entry, {"psnr": optional(number()), "protocol": optional(text())}, 0
            ),
            most=100_000,
        )
    ),
}
"""Rules of the entries that are used; ``Recipe.from_dict`` checks the recipe."""


def training_summary(card: Mapping[str, Any]) -> dict[str, Any]:
    """The training run in the card of an exported file; folders by name, without their paths."""
    recipe = card.get("recipe", {})
    values = {
        key: recipe.get(key)
        for key in ("method", "rounds", "steps", "optimizer", "batch", "patch", "seed")
    }
    if recipe.get("init"):
        values["init"] = Path(str(recipe["init"])).name
    if recipe.get("method") == "ail" and "teacher" in recipe:
        teacher = Path(str(recipe["teacher"])).name
        values |= {"teacher": teacher, "importance": recipe.get("importance")}
    for key in ("train", "train_lr"):
        if isinstance(folders := recipe.get(key), list):
            values[key] = [Path(str(folder)).name for folder in folders] or None
    values["licence"] = recipe.get("licence") or None
    values["images"] = card.get("pictures")
    degradation = Degradation.from_json(recipe.get("degradation", "bicubic"))
    values["degradation"] = str(degradation) if degradation.steps else None
    return {key: value for key, value in values.items() if value is not None}


def _plain_content(path: Path) -> Any:  # noqa: ANN401
    """The tensors and plain values in the file at ``path``. Raises ModelError."""
    try:
        _check_archive(path)
        if _is_torchscript(path):
            raise ModelError(
                f"{path}: a TorchScript program, which is code: save its weights, "
                f"torch.save(torch.jit.load({path.name!r}).state_dict(), 'weights.pth'), and give "
                "the class with --network module:Class"
            )
        return torch.load(path, map_location="cpu", weights_only=True)
    except ModelError:
        raise
    except pickle.UnpicklingError as error:
        named = re.search(r"GLOBAL (\S+)", str(error))
        what = f"holds {named[1]}, which is code" if named else "is no checkpoint, or holds code"
        raise ModelError(
            f"{path}: it {what}, and only tensors and plain values are read (weights_only=True): "
            "where you trust the file, load it and save its weights alone, "
            "torch.save(model.state_dict(), 'weights.pth')"
        ) from error
    except Exception as error:  # torch raises a dozen kinds for a damaged file
        raise ModelError(f"{path}: a damaged checkpoint, or none: copy it again") from error


def _is_torchscript(path: Path) -> bool:
    if not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as archive:
        return any(name.endswith("/constants.pkl") for name in archive.namelist())


def _check_archive(path: Path) -> None:
    """Raise BadZipFile when a checksum in the archive differs; torch compares none."""
    if not zipfile.is_zipfile(path):
        return  # truncated or another format: torch raises
    with zipfile.ZipFile(path) as archive:
        if (damaged := archive.testzip()) is not None:
            raise zipfile.BadZipFile(damaged)


def create_stored(reference: str, scale: int, source: Path, allowed: str | None) -> Network:
    """The network ``reference``, with random weights; a user's class only if it is ``allowed``.

    ``source`` is the file that names it. Importing a module runs its code, so a file must not
    cause it. Raises UsageError or ModelError.
    """
    if is_reference(str(reference)):
        if reference != allowed:
            raise UsageError(
                f"{source}: its network is {reference}, code that is imported only when you name "
                f"it: add --network {reference} if you trust it"
            )
    elif not is_known(str(reference)):
        raise ModelError(
            f"{source}: its network {reference!r} is none of {', '.join(NETWORKS)}; if a newer "
            "ailsr wrote it, upgrade (pip install -U ailsr)"
        )
    try:
        return create(reference, scale)
    except UsageError as error:
        raise UsageError(f"{source}: {error}") from error


def init_from(student: Network, initial: Checkpoint, source: Path) -> None:
    """Initialise ``student`` with the weights of ``initial``, read from ``source``.

    From a smaller scale, the student's output is that of ``initial`` with nearest-neighbour
    upsampling. From a larger scale, it takes the weights that do not depend on the scale and keeps
    its own for the rest. Raises ModelError when ``initial`` is another network.
    """
    trained = initial.network
    if trained.reference != student.reference:
        raise ModelError(
            f"{source}: its network is {trained.reference}, not {student.reference}: --init takes "
            "weights of the same network"
        )
    if initial.fused:
        trained = create(trained.reference, trained.scale)
        trained.unfuse(initial.network)
    state, own = trained.state_dict(), student.state_dict()
    if trained.scale != student.scale:
        learnt = {name for name, _ in student.named_parameters()}
        for name in state.keys() & own.keys():
            weights = state[name]
            if name in learnt and trained.scale < student.scale:
                weights = _upsampled_nearest(weights, own[name].shape, trained.scale, student.scale)
            if weights.shape == own[name].shape:
                own[name] = weights
        state = own
    load_state(student, state, source)


def _upsampled_nearest(weights: Tensor, shape: Sequence[int], trained: int, wanted: int) -> Tensor:
    """``weights`` of scale ``trained`` for scale ``wanted``: nearest-neighbour upsampled output.

    Sub-pixels are repeated along axis 0 (outputs) and axis 1 (inputs, divided by their number of
    copies). Axes without sub-pixels stay as they are.
    """
    nearest = torch.arange(wanted) * trained // wanted
    square = (nearest[:, None] * trained + nearest).flatten()  # as pixel_shuffle orders them
    for axis, (size, other) in enumerate(zip(weights.shape[:2], shape, strict=False)):
        channels, rest = divmod(size, trained**2)
        if size != other == channels * wanted**2 and rest == 0:
            index = (torch.arange(channels)[:, None] * trained**2 + square).flatten()
            weights = weights.index_select(axis, index)
            if axis == 1:
                copies = index.bincount()[index]
                weights = weights / copies.view(1, -1, *[1] * (weights.ndim - 2))
    return weights


def load_state(network: Network, state: Mapping[str, Tensor], source: Path) -> None:
    """Copy ``state`` into ``network``. Raises ModelError naming ``source`` when it does not fit."""
    try:
        network.load_state_dict(dict(state))
    except (RuntimeError, TypeError, ValueError, AttributeError) as error:
        line = str(error).splitlines()[-1].strip()
        raise ModelError(
            f"{source}: its weights do not fit {network.name} x{network.scale} ({line})"
        ) from error
