"""Training schemes at an equal budget: the same network, seeds, number of steps and of patches.

    python benchmarks/training_schemes.py --train DIR --test Set5 --test Set14 --steps 16000 \
        --output runs/schemes
    python benchmarks/training_schemes.py --train DIR --test Set14 --degradation photo \
        --teacher zoo:sesr_m11_photo_x2 --only L1 --only "AIL, teacher sees degraded"

Trains every scheme with every seed (a run that exists is resumed or taken as it is), then prints
the mean ± standard deviation of PSNR over the seeds, and the difference to the best plain scheme
with its 95 % interval (paired by seed, Student's t); without a plain scheme, to the last one named
by --only. The last averaged weights are judged, not the best of a run, so that no scheme may
choose. Writes schemes.json and schemes.png beside the runs.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, stdev
from typing import Annotated, Any

import typer
from typer import Option

from ailsr.runtime.bench.intervals import mean_reach
from ailsr.runtime.commands.command import (
    entry_point,
    message,
    print_table,
    progress,
    stdout,
)
from ailsr.runtime.errors import UsageError
from ailsr.runtime.files import atomic_output
from ailsr.runtime.imaging.degradation import BICUBIC, DEGRADATION_METAVAR, Degradation
from ailsr.runtime.imaging.protocol import (
    PROTOCOL,
    check_set_names,
    pairs,
    protocol_name,
    set_name,
)
from ailsr.train import checkpoint
from ailsr.train.events import Events
from ailsr.train.recipe import IMAGE_FOLDERS, MACHINE_OPTIONS, Arithmetic, Optimizer, Recipe
from ailsr.train.scoring import score
from ailsr.train.training import train

PLAIN: dict[str, dict[str, Any]] = {
    "L1": {"method": "l1", "rounds": 1},
    "L1, restarts": {"method": "l1", "rounds": 10},
    "MSE": {"method": "mse", "rounds": 1},
    "MSE, restarts": {"method": "mse", "rounds": 10},
}
AIL: dict[str, dict[str, Any]] = {
    "AIL": {"method": "ail"},
    "AIL, teacher sees degraded": {"method": "ail", "teacher_sees": "degraded"},
    **{
        f"AIL, Adam {rate:g}": {"method": "ail", "optimizer": "adam", "learning_rate": rate}
        for rate in (1e-3, 2e-3, 3e-3)
    },
    "AIL, self-taught": {"method": "ail", "teacher": "self"},
    "distillation": {"method": "ail", "importance": "none"},
    "distillation, teacher sees degraded": {
        "method": "ail", "importance": "none", "teacher_sees": "degraded",
    },
    "AIL, paper": {"method": "ail", "importance": "paper"},
    "AIL, paper, self-taught": {
        "method": "ail", "importance": "paper", "teacher": "self", "rounds": 9,
    },  # and a plain round before them
}  # fmt: skip
SEES_DEGRADED = [name for name, how in AIL.items() if "teacher_sees" in how]
"""Schemes for ``--degradation`` alone."""


@dataclass(frozen=True)
class Comparison:
    """Compare training schemes at an equal budget: same network, seeds, steps, patches a step."""

    train: Annotated[list[Path], Option(metavar="DIR", help="Training images. Repeatable.")]
    test: Annotated[list[Path], Option(metavar="DIR", help="Folder to judge on. Repeatable.")]
    output: Annotated[Path, Option(help="Folder of the runs.")] = Path("runs/schemes")
    network: Annotated[str, Option(help="The network, by name.")] = "sesr_m5"
    scale: Annotated[int, Option(help="Enlargement: 2, 3 or 4.")] = 2
    steps: Annotated[int, Option(help="Optimiser steps of each run.")] = 16_000
    seeds: Annotated[int, Option(min=2, max=10, help="Number of seeds, from 0.")] = 3
    teacher: Annotated[
        str, Option(metavar="FILE|zoo:NAME", help="Teacher of AIL, where it is not self-taught.")
    ] = "zoo"
    degradation: Annotated[
        Degradation,
        Option(
            parser=Degradation.from_json, metavar=DEGRADATION_METAVAR,
            help="How low-resolution images are made, to train and to judge on.",
        ),
    ] = BICUBIC  # fmt: skip
    only: Annotated[
        list[str] | None, Option(metavar="SCHEME", help="Schemes to run. Repeatable. Default: all.")
    ] = None
    batch: Annotated[int, Option(help="Patches per step.")] = Recipe.batch
    patch: Annotated[int, Option(help="Low-resolution side of a patch.")] = Recipe.patch
    optimizer: Annotated[Optimizer, Option(help="Of schemes that name none.")] = Recipe.optimizer
    learning_rate: Annotated[
        float | None, Option(help="Its learning rate at the start of the cosine.")
    ] = None
    warmup: Annotated[int, Option(help="Steps of linear warm-up.")] = Recipe.warmup
    rounds: Annotated[
        int | None, Option(min=1, help="Rounds of AIL, where the scheme itself names none.")
    ] = None
    max_megapixels: Annotated[float, Option(help="Larger training images are shrunk.")] = (
        Recipe.max_megapixels
    )
    arithmetic: Annotated[Arithmetic, Option(help="Number format.")] = "auto"
    compile: Annotated[bool, Option("--compile", help="Compile the network.")] = False
    threads: Annotated[int, Option(help="CPU threads; 0: PyTorch's default.")] = 0
    json: Annotated[bool, Option("--json", help="Print the figures as JSON.")] = False


def main(config: Comparison) -> None:
    """Train what is missing, judge everything, print and draw."""
    schemes = PLAIN | AIL
    if not config.degradation.steps:
        schemes = {name: how for name, how in schemes.items() if name not in SEES_DEGRADED}
    if unknown := set(config.only or ()) - set(schemes):
        needs = " (it needs --degradation)" if unknown & set(SEES_DEGRADED) else ""
        raise UsageError(f"no scheme {min(unknown)!r}{needs}: choose from {'; '.join(schemes)}")
    check_set_names(config.test)
    tests = {
        set_name(test): list(pairs(test, config.scale, config.degradation)) for test in config.test
    }
    figures: dict[str, dict[str, list[float]]] = {}
    for name in config.only or schemes:
        runs = [run(config, name, schemes[name], seed) for seed in range(config.seeds)]
        figures[name] = {
            test: [score(checkpoint.load(r / "last.pt").network, judged).psnr_db for r in runs]
            for test, judged in tests.items()
        }
        means = ", ".join(f"{test} {fmean(psnr):.3f}" for test, psnr in figures[name].items())
        message(f"{name}: {means}")
    document = {
        "protocol": protocol_of(config), "network": config.network, "scale": config.scale,
        "steps": config.steps, "seeds": config.seeds, "psnr": figures,
    }  # fmt: skip
    with atomic_output(config.output / "schemes.json") as temporary:
        temporary.write_text(json.dumps(document, indent=1), encoding="utf-8")
    plot(config, list(figures))
    if config.json:
        typer.echo(json.dumps(document))
    else:
        print_figures(config, figures)


def run(config: Comparison, name: str, how: dict[str, Any], seed: int) -> Path:
    """The folder of one finished run, trained now unless it was before."""
    folder = folder_of(config, name, seed)
    ail = {"teacher": config.teacher, "rounds": config.rounds} if name in AIL else {}
    optimizer: dict[str, Any] = {
        "optimizer": config.optimizer,
        "learning_rate": config.learning_rate,
    }
    started = (folder / "last.pt").exists()
    recipe = Recipe(
        output=folder, network=config.network, scale=config.scale, train=config.train,
        val=config.test[0], steps=config.steps, seed=seed, threads=config.threads,
        batch=config.batch, patch=config.patch, warmup=config.warmup,
        arithmetic=config.arithmetic, degradation=config.degradation,
        max_megapixels=config.max_megapixels, compile=config.compile, resume=started,
        **(optimizer | ail | how),
    )  # fmt: skip
    if started:
        card = checkpoint.load(folder / "last.pt").card
        asked = recipe.to_dict()
        kept = Recipe.from_dict(card["recipe"]).to_dict()
        options = asked.keys() - (MACHINE_OPTIONS - set(IMAGE_FOLDERS)) - {"output"}
        if others := sorted(o for o in options if kept[o] != asked[o]):
            raise UsageError(
                f"{folder} holds a run of another {others[0]}: choose another --output"
            )
        if card["steps"] >= config.steps:
            return folder
    with progress() as bar:
        task = bar.add_task(f"{name}, seed {seed}", total=config.steps, note="")

        def show(activity: str, done: int, total: int, note: str) -> None:
            if activity == "training":
                bar.update(task, completed=done, note=note)

        train(recipe, Events(progress=show))
    return folder


def folder_of(config: Comparison, name: str, seed: int) -> Path:
    """Where the run of a scheme and a seed lies."""
    slug = re.sub(r"[^a-z0-9.]+", "_", name.lower())
    return config.output / f"{config.network}_x{config.scale}_{config.steps}" / f"{slug}_{seed}"


def protocol_of(config: Comparison) -> str:
    """By which everything is judged."""
    return protocol_name(PROTOCOL, config.degradation)


def print_figures(config: Comparison, figures: dict[str, dict[str, list[float]]]) -> None:
    """Mean ± sd per set, and the difference to the reference of that set: the best plain scheme, or
    the last scheme where none is plain."""
    references = [name for name in figures if name in PLAIN] or [list(figures)[-1]]
    reference_name = "the best plain scheme" if references[0] in PLAIN else references[0]
    sets = [set_name(test) for test in config.test]
    best = {name: max(references, key=lambda n: fmean(figures[n][name])) for name in sets}
    stdout.print(
        f"{config.network} x{config.scale}, {config.steps} steps, {config.seeds} seeds: PSNR dB "
        f"({protocol_of(config)}), mean ± sd; Δ to {reference_name} with its 95 % interval"
    )
    rows = []
    for scheme, psnr in figures.items():
        row = [scheme]
        for name in sets:
            row.append(f"{fmean(psnr[name]):.3f} ± {stdev(psnr[name]):.3f}")
            is_reference = best[name] == scheme
            row.append("" if is_reference else _difference(psnr[name], figures[best[name]][name]))
        rows.append(row)
    print_table(["scheme", *(title for name in sets for title in (name, "Δ"))], rows)


def _difference(psnr: list[float], reference: list[float]) -> str:
    """The mean difference, paired by seed, with its 95 % interval."""
    differences = [a - b for a, b in zip(psnr, reference, strict=True)]
    return f"{fmean(differences):+.3f} ± {mean_reach(differences):.3f}"


def plot(config: Comparison, names: list[str]) -> None:
    """PSNR on the first test folder over the steps, one line a scheme, the mean of the seeds."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 5), layout="constrained")
    axis = figure.subplots()
    for name in names:
        runs = []
        for seed in range(config.seeds):
            card = checkpoint.load(folder_of(config, name, seed) / "last.pt").card
            runs.append([(v["step"], v["psnr"]) for v in card["validations"]])
        steps = [step for step, _ in runs[0]]
        means = [fmean(r[i][1] for r in runs) for i in range(len(steps))]
        axis.plot(steps, means, marker="o", label=name)
    axis.set_xlabel("step")
    axis.set_ylabel(f"{set_name(config.test[0])} ×{config.scale}, PSNR dB ({protocol_of(config)})")
    axis.legend(frameon=False)
    axis.spines[["top", "right"]].set_visible(False)
    with atomic_output(config.output / "schemes.png") as temporary:
        figure.savefig(temporary, dpi=120)


cli = entry_point(Comparison, main)

if __name__ == "__main__":
    cli()
