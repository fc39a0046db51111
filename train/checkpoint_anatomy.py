"""Contents of a checkpoint, for ``ailsr-show``; imports no class of the user's own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from ailsr.runtime.anatomy.anatomy import Anatomy
from ailsr.runtime.errors import ModelError
from ailsr.runtime.files import sha256, size_bytes
from ailsr.runtime.imaging.protocol import PROTOCOL
from ailsr.train import checkpoint, zoo
from ailsr.train.networks import create, is_known


def checkpoint_anatomy(model: str) -> Anatomy:
    """Contents of the checkpoint ``model``, a path or ``zoo:NAME``. Raises AilsrError."""
    path = zoo.resolve(model)
    content = checkpoint.read(path)
    try:
        return Anatomy(
            "ailsr checkpoint",
            size_bytes(path),
            weights=sum(tensor.numel() for tensor in _tensors(content)),
            weight_bytes=sum(tensor.numel() * tensor.itemsize for tensor in _tensors(content)),
            versions={"checkpoint": str(content["format"])},
            facts=_network(content)
            | _training(content)
            | _of_zoo(model)
            | _version(content)
            | {"SHA-256": sha256(path)},
        )
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ModelError(f"{path}: its entries are not those of a checkpoint ({error})") from error


def _tensors(content: Mapping[str, Any]) -> list[Tensor]:
    return list(content["state"].values())


def _network(content: Mapping[str, Any]) -> dict[str, str]:
    name, scale = str(content["network"]), int(content["scale"])
    facts = {"network": f"{name} x{scale}"}
    if is_known(name):
        network = create(name, scale)
        deployed = sum(parameter.numel() for parameter in network.fuse().parameters())
        facts["color"] = f"{'luma' if network.color == 'y' else 'RGB'} inside"
        facts["radius"] = f"{network.radius} pixels"
        facts["parameters when fused"] = f"{deployed:,}"
    else:
        facts["class"] = f"code of your own: {name}"
    facts["form"] = "fused" if content.get("fused") else "as trained"
    progress = content.get("progress") or {}
    facts["to resume from"] = f"yes, at step {progress['step']}" if progress else "no"
    return facts


def _of_zoo(model: str) -> dict[str, str]:
    psnr = zoo.psnr(model) if model.startswith(zoo.PREFIX) else {}
    return {f"PSNR on {name}": f"{psnr[name]:.2f} dB ({PROTOCOL})" for name in psnr}


def _training(content: Mapping[str, Any]) -> dict[str, str]:
    card = content.get("card", {})
    facts = {
        f"training: {name}": ", ".join(map(str, value)) if isinstance(value, list) else str(value)
        for name, value in checkpoint.training_summary(card).items()
    }
    validations = [entry for entry in card.get("validations") or [] if entry.get("psnr")]
    if validations:
        latest = validations[-1]  # that of best.pt is the best
        protocol = latest.get("protocol", "unnamed")
        facts["PSNR on --val"] = f"{latest['psnr']:.3f} dB ({protocol})"
    return facts


def _version(content: Mapping[str, Any]) -> dict[str, str]:
    version = content.get("card", {}).get("ailsr_version")
    return {"ailsr": str(version)} if version else {}
