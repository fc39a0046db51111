"""Trained networks that come with the package, by name: ``zoo:sesr_m5_x2``."""

from __future__ import annotations

import json
from difflib import get_close_matches
from pathlib import Path

from ailsr.runtime.errors import UsageError

PREFIX = "zoo:"
FOLDER = Path(__file__).parent
"""Checkpoints: <network>_x<scale>.pt, or <network>_<training>_x<scale>.pt for other recipes:
``research`` for images that may not be used commercially, ``cc0``, or a degradation."""

PSNR = "psnr.json"
"""PSNR in dB of the networks by test set, beside them: ``make zoo-table`` writes it."""


def names() -> list[str]:
    """The names of all networks in the zoo, without ``zoo:``."""
    return sorted(file.stem for file in FOLDER.glob("*.pt"))


def path(name: str) -> Path:
    """The checkpoint called ``name``, with or without ``zoo:``.

    Raises UsageError, with the names that exist, when there is none.
    """
    name = name.removeprefix(PREFIX)
    known = names()
    if name in known:
        return FOLDER / f"{name}.pt"
    if not known:
        raise UsageError(
            f"{PREFIX}{name}: the zoo of this ailsr is empty; train a network with ailsr-train and "
            "give its RUN/best.pt"
        )
    research = "_research_x".join(name.rsplit("_x", 1))  # not for commercial use
    near = [research] if research in known else get_close_matches(name, known, n=1)
    near = [other for other in known if other.rsplit("_x", 1)[0] == name] or near
    hint = f" (did you mean {PREFIX}{_listed(near)}?)" if near else ""
    raise UsageError(
        f"{PREFIX}{name}: there is no such network in the zoo{hint}; it has {_listed(known)}"
    )


def _listed(known: list[str]) -> str:
    """Names with their scales: sesr_m5_x2, x3, x4; abpn_x3."""
    scales: dict[str, list[str]] = {}
    for name in known:
        network, scale = name.rsplit("_", 1)
        scales.setdefault(network, []).append(scale)
    return "; ".join(f"{network}_{', '.join(of)}" for network, of in scales.items())


def psnr(name: str) -> dict[str, float]:
    """PSNR in dB of the network ``name`` by test set, as docs/zoo.md has it; empty: not judged."""
    found: dict[str, dict[str, float]] = json.loads((FOLDER / PSNR).read_text(encoding="utf-8"))
    return found.get(name.removeprefix(PREFIX), {})


def resolve(model: Path | str) -> Path:
    """The checkpoint of ``model``: ``zoo:<name>``, or a path, returned unchanged."""
    return path(str(model)) if str(model).startswith(PREFIX) else Path(model)
