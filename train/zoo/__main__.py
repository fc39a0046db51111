"""Add a finished run to the zoo: ``python -m ailsr.train.zoo runs/sesr_m5_x2``."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from typer import Argument, Option

from ailsr.runtime.commands.command import entry_point, message
from ailsr.runtime.errors import UsageError
from ailsr.runtime.files import atomic_output
from ailsr.train import checkpoint, zoo
from ailsr.train.checkpoint import Checkpoint
from ailsr.train.networks import is_reference
from ailsr.train.recipe import Recipe


@dataclass(frozen=True)
class ZooEntry:
    """Copy RUN/best.pt, fused, and its recipe into the zoo of this source tree."""

    run: Annotated[Path, Argument(metavar="RUN", help="Folder of a run of ailsr-train.")]
    name: Annotated[
        str | None,
        Option(help="Name in the zoo.", show_default="<network>_x<scale>"),
    ] = None


def main(entry: ZooEntry) -> None:
    """Write <name>.pt and <name>.toml. Raises UsageError for what the zoo cannot hold."""
    path = entry.run / "best.pt"
    reference = checkpoint.read(path)["network"]
    if is_reference(reference):
        raise UsageError(f"{path}: its network is {reference}; the zoo holds those of ailsr alone")
    best = checkpoint.load(path)
    network = best.network
    if "recipe" not in best.card:
        raise UsageError(f"{path} does not say how it was trained: name a run of ailsr-train")
    name = entry.name or f"{network.name}_x{network.scale}"
    if not re.fullmatch(rf"\w+_x{network.scale}", name):
        raise UsageError(
            f"--name {name}: name it of letters, digits and _ with the scale at its end, like "
            f"{network.name}_research_x{network.scale}"
        )
    with atomic_output(zoo.FOLDER / f"{name}.toml") as temporary:
        recipe = Recipe.from_dict(best.card["recipe"])
        temporary.write_text(recipe.to_toml(), encoding="utf-8")
    checkpoint.save(Checkpoint(network.fuse(), best.card, fused=True), zoo.FOLDER / f"{name}.pt")
    message(f"zoo:{name} is in {zoo.FOLDER}")


if __name__ == "__main__":
    entry_point(ZooEntry, main)()
