"""What a step of AIL costs beside a plain one, and what its maps and its data path cost.

    python benchmarks/training_speed.py --train DIR --network sesr_m5 --teacher vdsr_f64

The steps are run in turn (A B C D, A B C D, ...), so that whatever else the machine does burdens
them alike; medians and their ratios are printed. "The authors' way" runs the teacher and the
student of the previous round on every batch, as their released code does; ours runs them once a
round on whole images.

With ``--degradation photo``, blocks of steps on images that are degraded anew in the background are
set against blocks of plain ones: one renewed image takes longer than the step beside it.
"""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from typing import Annotated, Any

import torch
import typer
from typer import Option

from ailsr.runtime.commands.command import entry_point, print_table, progress, stdout
from ailsr.runtime.imaging.degradation import Degradation
from ailsr.train import renewal
from ailsr.train.ail import initial_importance, raised_importance
from ailsr.train.distributed import Processes
from ailsr.train.events import Events
from ailsr.train.networks import create
from ailsr.train.patches import Batch
from ailsr.train.recipe import Arithmetic, Optimizer, Recipe
from ailsr.train.state import frozen
from ailsr.train.training import Run

RATE, DECAY = 1e-5, 0.999
WARM_UP = 3
"""Untimed steps of each kind: the first ones compile, record CUDA graphs and fill caches."""
BLOCK = 10 * renewal.EVERY
"""Steps in which so many images are degraded anew that those still in work count little."""
BLOCKS = 7


@dataclass(frozen=True)
class Speed:
    """Compare the cost of a plain step, an AIL step, the data path and the importance maps."""

    train: Annotated[list[Path], Option(metavar="DIR", help="Training images. Repeatable.")]
    network: Annotated[str, Option(help="The student.")] = "sesr_m5"
    teacher: Annotated[str, Option(help="Network of the teacher; untrained, for its cost.")] = (
        "vdsr_f64"
    )
    scale: Annotated[int, Option(help="Enlargement: 2, 3 or 4.")] = 2
    batch: Annotated[int, Option(help="Patches per step.")] = Recipe.batch
    patch: Annotated[int, Option(help="Low-resolution side of a patch.")] = Recipe.patch
    times: Annotated[int, Option(min=3, help="How often each kind of step is run.")] = 30
    steps: Annotated[int, Option(help="Steps of the run that the maps are related to.")] = (
        Recipe.steps
    )
    threads: Annotated[int, Option(help="CPU threads; 0: PyTorch's default.")] = 0
    optimizer: Annotated[Optimizer, Option(help="Of all runs.")] = Recipe.optimizer
    arithmetic: Annotated[Arithmetic, Option(help="Number format.")] = "auto"
    compile: Annotated[bool, Option("--compile", help="Time compiled steps, too.")] = False
    degradation: Annotated[
        str | None, Option(help="Time steps under it, too: photo or web.", show_default=False)
    ] = None
    json: Annotated[bool, Option("--json", help="Print the figures as JSON.")] = False


def main(config: Speed) -> None:
    """Time everything, print medians in milliseconds and ratios."""
    torch.set_num_threads(config.threads or torch.get_num_threads())
    with tempfile.TemporaryDirectory() as folder:
        recipe = Recipe(
            output=Path(folder), network=config.network, scale=config.scale, train=config.train,
            batch=config.batch, patch=config.patch, steps=config.steps,
            threads=config.threads, optimizer=config.optimizer, arithmetic=config.arithmetic,
        )  # fmt: skip

        def made(**options: Any) -> Run:  # noqa: ANN401
            return Run(replace(recipe, **options), Events(), Processes.from_environment())

        run, unweighed, weighed = made(), made(method="mse"), made(importance="paper")
        compiled = made(method="mse", compile=True) if config.compile else None
        degraded = (
            made(method="mse", degradation=Degradation.from_json(config.degradation))
            if config.degradation
            else None
        )
    teacher = frozen(create(config.teacher, config.scale), run.device)
    previous = frozen(create(config.network, config.scale), run.device)

    run.state.teacher = teacher
    round_0 = timed(lambda: run.set_importance(0))
    run.state.previous = previous
    later = timed(lambda: run.set_importance(1))
    plain = unweighed.next_batch()

    def authors_way(batch: Batch) -> Batch:
        target = weighed.in_color(batch.hr)
        w = initial_importance((weighed.output(teacher, batch.lr) - target).abs(), recipe.constants)
        error = (weighed.output(previous, batch.lr) - target).abs()
        return replace(batch, weight=raised_importance(w, error, 1, recipe.constants))

    kinds: dict[str, Callable[[], object]] = {
        "plain, one batch in memory": lambda: unweighed.train_step(plain, RATE, DECAY),
        "plain": lambda: unweighed.train_step(unweighed.next_batch(), RATE, DECAY),
        "AIL": lambda: run.train_step(run.next_batch(), RATE, DECAY),
        "AIL, the authors' way": lambda: weighed.train_step(
            authors_way(weighed.next_batch()), RATE, DECAY
        ),
    }
    if compiled is not None:
        kinds["plain, compiled"] = lambda: compiled.train_step(compiled.next_batch(), RATE, DECAY)
        kinds["plain, compiled, in memory"] = lambda: compiled.train_step(plain, RATE, DECAY)
    for step in kinds.values():
        for _ in range(WARM_UP):
            step()
    samples: dict[str, list[float]] = {kind: [] for kind in kinds}
    with progress() as bar:
        task = bar.add_task("steps", total=config.times, note="")
        for _ in range(config.times):
            for kind, step in kinds.items():
                samples[kind].append(timed(step))
            bar.advance(task)
    ms = {kind: 1000 * median(values) for kind, values in samples.items()}
    maps = round_0 + later * (recipe.segments - 1)
    figures: dict[str, Any] = {
        "milliseconds": ms,
        "AIL / plain": ms["AIL"] / ms["plain"],
        "data path / step in memory": ms["plain"] / ms["plain, one batch in memory"] - 1,
        "authors' way / AIL": ms["AIL, the authors' way"] / ms["AIL"],
        "maps, seconds a run": maps,
        "maps / run": maps / (maps + config.steps * ms["AIL"] / 1000),
    }
    if degraded is not None:
        figures["degraded anew / plain"] = renewal_ratio(unweighed, degraded)
    if config.json:
        typer.echo(json.dumps(figures))
        return
    stdout.print(f"{config.network} x{config.scale}, teacher {config.teacher}", markup=False)
    print_table(
        ["step", "median, ms", "to plain"],
        [[kind, f"{value:.1f}", f"{value / ms['plain']:.2f}"] for kind, value in ms.items()],
    )
    stdout.print(f"data path: {figures['data path / step in memory']:+.1%} of a step in memory")
    stdout.print(
        f"importance maps: {maps:.0f} s a run of {config.steps} steps and {recipe.segments} "
        f"rounds, {figures['maps / run']:.1%} of it"
    )
    if degraded is not None:
        stdout.print(f"degraded anew: {figures['degraded anew / plain']:.3f} of a plain step")


def renewal_ratio(plain: Run, degraded: Run) -> float:
    """The time of a step whose images are degraded anew, to that of a plain one."""

    def block(run: Run) -> None:
        for _ in range(BLOCK):
            run.train_step(run.next_batch(), RATE, DECAY)
            run.state.step += 1

    with degraded.renewal:
        block(degraded)  # degrades all images once
        pairs = [
            (timed(lambda: block(plain)), timed(lambda: block(degraded))) for _ in range(BLOCKS)
        ]
    return median(d for _, d in pairs) / median(p for p, _ in pairs)


def timed(step: Callable[[], object]) -> float:
    """Seconds that ``step`` takes, to the end of what it hands to a GPU."""
    wait: Callable[[], None] = lambda: None  # noqa: E731
    if torch.cuda.is_available():
        wait = torch.cuda.synchronize
    wait()
    start = time.perf_counter()
    step()
    wait()
    return time.perf_counter() - start


cli = entry_point(Speed, main)

if __name__ == "__main__":
    cli()
