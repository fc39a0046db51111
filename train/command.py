"""``ailsr-train``: from flags to a run folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ailsr.runtime.commands.command import (
    entry_point,
    given,
    message,
    print_json,
    print_table,
    progress,
    stdout,
    typed,
)
from ailsr.runtime.errors import UsageError
from ailsr.runtime.imaging.protocol import PROTOCOL
from ailsr.train import checkpoint
from ailsr.train.curves import plot
from ailsr.train.distributed import Processes, mute_other_processes
from ailsr.train.events import Events
from ailsr.train.networks import is_reference
from ailsr.train.recipe import BEFORE, IMAGE_FOLDERS, MACHINE_OPTIONS, Recipe
from ailsr.train.training import train


def main(recipe: Recipe) -> None:
    """Train by ``recipe``, plot the curves and print the rounds."""
    if recipe.config and is_reference(recipe.network) and "network" not in typed():
        raise UsageError(
            f"--config {recipe.config}: its network is {recipe.network}, code that is imported "
            f"only when you name it: add --network {recipe.network} if you trust it"
        )
    if recipe.resume:
        recipe = _resumed(recipe)
    elif _holds_a_run(recipe.output):
        raise UsageError(
            f"{recipe.output} holds a run already: go on with --resume, or choose another --output"
        )
    with progress() as bar:
        task = bar.add_task("reading images", total=None, note="")

        def show(activity: str, done: int, total: int, note: str) -> None:
            if bar.tasks[0].description != activity:
                bar.reset(task, description=activity, total=total, completed=done)
            bar.update(task, completed=done, total=total, note=note)

        card = train(recipe, Events(message, show))
    if not Processes.from_environment().first:
        return
    if (log := recipe.output / "log.jsonl").exists():
        plot(log, recipe.output / "curves.png")
    if recipe.json:
        print_json({"run": str(recipe.output), **card})
    else:
        _print_rounds(recipe.output, card)


def _holds_a_run(folder: Path) -> bool:
    """True if ``folder`` has a checkpoint after step 0."""
    if (folder / "best.pt").exists():
        return True
    last = folder / "last.pt"
    return last.exists() and checkpoint.read(last).get("card", {}).get("steps", 1) > 0


def _resumed(recipe: Recipe) -> Recipe:
    """The recipe of the run in ``recipe.output``, with MACHINE_OPTIONS as given now.

    Raises UsageError when another flag contradicts it, or when there is no run.
    """
    path = recipe.output / "last.pt"
    if not path.is_file():
        if (recipe.output / "best.pt").exists():
            raise UsageError(
                f"{recipe.output} has no last.pt to go on with: start a new run with another "
                f"--output and --init {recipe.output / 'best.pt'}"
            )
        raise UsageError(f"{recipe.output} holds no run to go on with: leave out --resume")
    last = checkpoint.load(path, recipe.network)
    if "recipe" not in last.card:
        raise UsageError(f"{path} does not say how it was trained, so it cannot be resumed")
    stored = BEFORE | last.card["recipe"] | {"output": recipe.output.as_posix()}
    stored["network"] = last.network.reference  # the class that the user allowed to import
    asked = recipe.to_dict()
    for name in sorted(given() & asked.keys()):
        value = asked[name]
        if name in MACHINE_OPTIONS and (name not in IMAGE_FOLDERS or stored.get(name)):
            stored[name] = value
        elif stored.get(name) != value:
            flag = "--" + name.rstrip("_").replace("_", "-")
            raise UsageError(
                f"{flag} {value} differs from the run's own {stored.get(name)}: leave it out, or "
                "start a new run with another --output"
            )
    if newer := stored.keys() - asked.keys():
        raise UsageError(
            f"{path} was written by another ailsr, with --{newer.pop()}: resume it with that"
        )
    resumed = Recipe.from_dict(stored)
    for name in IMAGE_FOLDERS:
        folders = getattr(resumed, name) or []
        for folder in folders if isinstance(folders, list) else [folders]:
            if not folder.is_dir():
                raise UsageError(
                    f"{folder}, which the run takes its images from, is not there: say where "
                    f"they are now with --{name.replace('_', '-')}"
                )
    object.__setattr__(resumed, "resume", True)
    object.__setattr__(resumed, "json", recipe.json)
    return resumed


def _print_rounds(run: Path, card: dict[str, Any]) -> None:
    recipe = card["recipe"]
    stdout.print(
        f"{recipe['network']} x{recipe['scale']} by {recipe['method']}, "
        f"{card['steps']} steps: {run / 'best.pt'}",
        soft_wrap=True,
    )
    rows = []
    for entry in card["validations"]:
        importance, score, ssim = (entry.get(k) for k in ("mean_importance", "psnr", "ssim"))
        rows.append(
            [
                str(entry["segment"] + 1),
                str(entry["step"]),
                "–" if importance is None else f"{importance:.3f}",
                "–" if score is None else f"{score:.3f}",
                "–" if ssim is None else f"{ssim:.4f}",
            ]
        )
    protocols = [entry["protocol"] for entry in card["validations"] if "protocol" in entry]
    psnr = f"PSNR dB ({(protocols or [PROTOCOL])[-1]})"
    print_table(["round", "step", "mean importance", psnr, "SSIM"], rows)


_command = entry_point(Recipe, main)


def cli() -> None:
    """``ailsr-train``, in one process or in each that ``torchrun`` starts."""
    with mute_other_processes():
        _command()
