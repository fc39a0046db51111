"""The tables of docs/zoo.md: cost and quality of every network that ships.

    python benchmarks/zoo_table.py --test Set5/HR --test Set14/HR --degraded Set5/HR

Every checkpoint is run on every test folder by the protocol; parameters and multiplications are
counted on the fused network, in its own channels, as papers count them. Networks for degraded
images, and the clean ones of the same family, are also run on degraded images of ``--degraded``.
``--only`` keeps the lines that the page has of other networks, and needs the same folders. PSNR
goes into the zoo, too.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from datetime import date
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import page
import torch
from torch.utils.flop_counter import FlopCounterMode
from typer import Option

from ailsr.runtime.bench.host import Host
from ailsr.runtime.commands.command import entry_point, message, progress
from ailsr.runtime.errors import UsageError
from ailsr.runtime.files import atomic_output
from ailsr.runtime.imaging.degradation import DEGRADATIONS
from ailsr.runtime.imaging.metrics import METRICS, MetricName
from ailsr.runtime.imaging.protocol import Quality, check_set_names, evaluate, pairs, set_name
from ailsr.runtime.imaging.resize import enlarge
from ailsr.train import checkpoint, zoo
from ailsr.train.checkpoint import Checkpoint
from ailsr.train.networks import SCALES, Network
from ailsr.train.scoring import score

OUTPUT_720P = (720, 1280)

ORIGIN = "Written by `make zoo-table`, {day}, on {cpu}.\n\n"

JUDGED: tuple[MetricName, ...] = ("psnr", "ssimulacra2")
ROBUST = [name for name in DEGRADATIONS if name != "bicubic"]
DEGRADED = """PSNR in dB and SSIMULACRA2 on clean images and on ones made by
[`--degradation`](training.md#photographs-as-people-have-them).

"""


@dataclass(frozen=True)
class ZooTable:
    """Measure every network of the zoo and write the table as Markdown."""

    test: Annotated[
        list[Path], Option(metavar="DIR", help="Folder of high-resolution images. Repeatable.")
    ]
    degraded: Annotated[
        list[Path] | None, Option(metavar="DIR", help="Folder to judge robustness on. Repeatable.")
    ] = None
    only: Annotated[
        list[str] | None,
        Option(metavar="NAME", help="Of the zoo's networks, only this. Repeatable."),
    ] = None
    output: Annotated[Path, Option(help="The page that holds the tables.")] = Path("docs/zoo.md")
    psnr: Annotated[Path, Option(help="The file of PSNR by network and test set.")] = (
        zoo.FOLDER / zoo.PSNR
    )


def main(config: ZooTable) -> None:
    """Evaluate and write."""
    for folders in (config.test, config.degraded or []):
        check_set_names(folders)
    only = {zoo.path(name).stem for name in config.only or ()}  # raises for one that is not there
    kept = lines_of(page.measured(config.output)) if only else {}
    check_columns(kept, config)
    kept = {key: line for key, line in kept.items() if key[1] not in only}
    psnr = json.loads(config.psnr.read_text("utf-8")) if config.psnr.exists() else {}
    psnr = {name: psnr[name] for name in zoo.names() if name in psnr}
    names = [set_name(folder) for folder in config.test]
    header = columns(config.test)
    text = ORIGIN.format(day=date.today().isoformat(), cpu=Host.here().cpu)
    every = [(name, checkpoint.load(zoo.path(name))) for name in zoo.names()]
    for scale in SCALES:
        members = [m for m in every if m[1].network.scale == scale]
        if not members:
            continue
        heading = f"## ×{scale}"
        tests = [list(pairs(folder, scale)) for folder in config.test]
        lines = [f"| {' | '.join(header)} |", f"|---{'|--:' * (len(header) - 4)}|---|--:|---|"]
        if (line := kept.get((heading, "bicubic"))) is None:
            bicubic = [evaluate(partial(enlarge, scale=scale), test) for test in tests]
            line = _line(["bicubic", "–", "–", *map(_cell, bicubic), "", "", ""])
        lines.append(line)
        with progress() as bar:
            task = bar.add_task(f"x{scale}", total=len(members), note="")
            for name, member in bar.track(members, task_id=task):
                if (line := kept.get((heading, name))) is None:
                    found = [score(member.network, test) for test in tests]
                    line = _line(row(name, member, found))
                    judged = zip(names, found, strict=True)
                    psnr[name] = {test: round(quality.psnr_db, 3) for test, quality in judged}
                lines.append(line)
        text += f"{heading}\n\n" + "\n".join(lines) + "\n\n"
        text += degraded(members, config.degraded or [], kept)
    page.write(config.output, text)
    with atomic_output(config.psnr) as temporary:
        temporary.write_text(json.dumps(psnr, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    message(f"wrote {config.psnr}")


def columns(tests: list[Path]) -> list[str]:
    """The columns of the tables of one scale."""
    names = map(set_name, tests)
    return ["network", "parameters", "GMAC", *names, "trained on", "steps", "recipe"]


def degraded_columns(folders: list[Path]) -> list[str]:
    """The columns of the tables on degraded images."""
    sets = (f"{set_name(folder)}, {d}" for folder in folders for d in DEGRADATIONS.values())
    return ["network", *sets]


def check_columns(kept: dict[tuple[str, str], str], config: ZooTable) -> None:
    """Raises UsageError unless the lines that are kept have the columns of the new ones."""
    for (heading, name), line in kept.items():
        is_degraded = heading.startswith("###")
        new = degraded_columns(config.degraded or []) if is_degraded else columns(config.test)
        if name == "network" and line != _line(new):
            flag = "--degraded" if is_degraded else "--test"
            raise UsageError(
                f"--only keeps the other lines of {config.output}, whose columns are "
                f"{line.strip('| ')}: give {flag} as for those, or leave out --only"
            )


def lines_of(text: str) -> dict[tuple[str, str], str]:
    """The lines of the tables in ``text``, by heading and network."""
    heading, found = "", {}
    for line in text.splitlines():
        if line.startswith("#"):
            heading = line
        elif named := re.match(r"\| `?(\w+)`? \|", line):
            found[heading, named[1]] = line
    return found


def row(name: str, member: Checkpoint, judged: list[Quality]) -> list[str]:
    """The cells of one network, ``judged`` on each test set."""
    network, recipe = member.network, member.card["recipe"]
    sets = ", ".join(Path(folder).name for folder in recipe["train"])
    return [
        f"`{name}`",
        f"{sum(p.numel() for p in network.fuse().parameters()) / 1e3:.1f} K",
        f"{multiplications(network) / 1e9:.2f}",
        *map(_cell, judged),
        sets,
        f"{'+' if recipe.get('init') else ''}{member.card['steps'] / 1e3:g} K {method(recipe)}",
        f"[toml](../train/zoo/{name}.toml)",
    ]


def degraded(
    members: list[tuple[str, Checkpoint]], folders: list[Path], kept: dict[tuple[str, str], str]
) -> str:
    """What robustness gains and costs: a table of the families that have a network for it."""
    families = {m.network.name for _, m in members if _degradation(m) in ROBUST}
    if not (families and folders):
        return ""
    scale = members[0][1].network.scale
    heading = f"### ×{scale} on degraded images"
    upscalers: dict[str, Network | None] = {"bicubic": None}
    upscalers |= {name: m.network for name, m in members if m.network.name in families}
    cells: dict[str, list[str]] = {n: [] for n in upscalers if (heading, n) not in kept}
    for folder in folders:
        for degradation in DEGRADATIONS.values():
            images = list(pairs(folder, scale, degradation)) if cells else []
            for name, found in cells.items():
                if (network := upscalers[name]) is None:
                    quality = evaluate(partial(enlarge, scale=scale), images, names=JUDGED)
                else:
                    quality = score(network, images, names=JUDGED)
                found.append(_judged(quality))
    header = degraded_columns(folders)
    lines = [_line(header), f"|---{'|--:' * (len(header) - 1)}|"]
    for name in upscalers:
        lines.append(kept.get((heading, name)) or _line([_code(name), *cells[name]]))
    return f"{heading}\n\n{DEGRADED}" + "\n".join(lines) + "\n\n"


def _degradation(member: Checkpoint) -> object:
    return member.card["recipe"].get("degradation", "bicubic")


def _judged(scores: Quality) -> str:
    return " / ".join(METRICS[name].text(scores.scores[name]) for name in JUDGED)


def _code(name: str) -> str:
    return name if name == "bicubic" else f"`{name}`"


def method(recipe: dict[str, Any]) -> str:
    """How a network was trained, in a word."""
    names = {"ail": "AIL", "mse": "MSE", "l1": "L1"}
    return names[recipe["method"]]


def multiplications(network: Network) -> int:
    """Multiply-accumulates of the fused network for a 720p output."""
    side, fused = 32, network.fuse()
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        fused(torch.zeros(1, network.channels, side, side))
    area = OUTPUT_720P[0] * OUTPUT_720P[1] / network.scale**2
    return round(float(counter.get_total_flops()) / 2 * area / side**2)


def _cell(scores: Quality) -> str:
    return f"{scores.psnr_db:.2f} / {scores.ssim:.4f}"


def _line(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    entry_point(ZooTable, main)()
