"""The table of int8 in docs/int8.md: what it costs each network of the zoo on every target.

    python benchmarks/int8_table.py --calibration T91 --test Set5/HR --test Set14/HR

Every network is exported by each method that makes int8 files; each file is run on every test
folder. The files of the three targets are also compared with each other, sample by sample.

Figures are kept under ``build/int8-table`` as soon as a network has them, and taken from there as
long as its checkpoint is the same, so a run may be stopped and split by ``--only``. Of networks
that have none, the page keeps the lines that it had.
"""

from __future__ import annotations

import json
import math
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import date
from itertools import combinations
from pathlib import Path
from statistics import fmean
from typing import Annotated

import numpy as np
import page
import typer
from numpy.typing import NDArray
from typer import Option

from ailsr.export.exporter import Exporter
from ailsr.export.int8.methods import Int8Method
from ailsr.export.reading.source import open_source
from ailsr.export.targets import TARGETS
from ailsr.export.verification import MAX_PSNR_DROP, SourceEngine
from ailsr.runtime import load
from ailsr.runtime.bench.host import Host
from ailsr.runtime.commands.command import entry_point, message
from ailsr.runtime.files import atomic_output, sha256
from ailsr.runtime.imaging import protocol
from ailsr.runtime.imaging.protocol import Pair, set_name
from ailsr.runtime.upscaling.upscaler import Upscaler
from ailsr.train import zoo

KEPT = Path(__file__).resolve().parent.parent / "build" / "int8-table"
METHODS: tuple[Int8Method, ...] = ("correction", "calibration")

NOTES = """
Written by `make int8-table`, {day}, on {cpu}; calibrated on {calibration}.{kept}
"""
KEPT_LINES = """
Lines but those of {names} are older, by the same command.
"""


@dataclass(frozen=True)
class Int8Table:
    """Measure int8 on every network of the zoo and write the table as Markdown."""

    calibration: Annotated[
        Path, Option(metavar="DIR", help="Folder of high-resolution images to calibrate on.")
    ]
    test: Annotated[
        list[Path], Option(metavar="DIR", help="Folder of high-resolution images. Repeatable.")
    ]
    only: Annotated[
        list[str] | None,
        Option(metavar="NAME", help="Of the zoo's networks, only this. Repeatable."),
    ] = None
    again: Annotated[bool, Option("--again", help="Measure also what has figures.")] = False
    output: Annotated[Path, Option(help="The page that holds the table.")] = Path("docs/int8.md")
    json: Annotated[bool, Option("--json", help="Print the figures, write no page.")] = False


@dataclass(frozen=True)
class Row:
    """One network by one of the methods."""

    network: str
    means: Int8Method
    """The method, under its name in JSON documents"""
    floating: list[float]
    """dB of the network itself, by test set"""
    int8: dict[str, list[float]]
    """dB of the files, by target and test set"""
    within_one: float
    """Share of samples on which two targets differ by one grey level at most, the least of all"""
    largest_difference: int
    """grey levels"""


def main(config: Int8Table) -> None:
    """Export, measure, keep and write."""
    for name in config.only or zoo.names():
        if config.again or _kept(name, config) is None:
            message(f"{name} …")
            figures = [asdict(row) for row in rows_of(name, config)]
            KEPT.mkdir(parents=True, exist_ok=True)
            with atomic_output(KEPT / f"{name}.json") as temporary:
                temporary.write_text(json.dumps({"of": _basis(name, config), "rows": figures}))
    rows = [row for name in zoo.names() for row in _kept(name, config) or ()]
    if config.json:
        typer.echo(json.dumps([asdict(row) for row in rows]))
        return
    heading, lines = _table(rows, [set_name(folder) for folder in config.test])
    measured = {row.network for row in rows}
    before = _lines_before(config.output, heading)
    lines += [line for line in before if _name(line) not in measured]
    order = {name: place for place, name in enumerate(zoo.names())}
    lines = sorted((line for line in lines if _name(line) in order), key=lambda x: order[_name(x)])
    names = ", ".join(f"`{name}`" for name in order if name in measured)
    older = any(_name(line) not in measured for line in lines)
    notes = NOTES.format(
        day=date.today().isoformat(),
        cpu=Host.here().cpu,
        calibration=set_name(config.calibration),
        kept=KEPT_LINES.format(names=names).rstrip() if older else "",
    )
    page.write(config.output, "\n".join(heading + lines) + "\n" + notes)


def _basis(name: str, config: Int8Table) -> list[str]:
    """What the figures of one network depend on."""
    sets = [set_name(folder) for folder in (config.calibration, *config.test)]
    return [sha256(zoo.path(name)), *sets]


def _kept(name: str, config: Int8Table) -> list[Row] | None:
    """The rows of one network from before; None when there are none, or of something else."""
    try:
        kept = json.loads((KEPT / f"{name}.json").read_text())
    except FileNotFoundError:
        return None
    return [Row(**row) for row in kept["rows"]] if kept["of"] == _basis(name, config) else None


def rows_of(name: str, config: Int8Table) -> Iterator[Row]:
    """The rows of one network."""
    source = open_source(zoo.path(name))
    tests = [list(protocol.pairs(folder, source.scale)) for folder in config.test]
    # Files that take every image whole: nothing is computed twice, as between tiles.
    sizes = sorted({pair.lr.shape[:2] for pairs in tests for pair in pairs})
    exporter = Exporter(source, sizes[-1], other_sizes=sizes[:-1], calibration=config.calibration)
    network = SourceEngine(source.run, exporter.card("float32", "float32"))
    floating = _psnr(_upscaled(Upscaler(network, Path(name)), tests), tests)
    for method in METHODS:
        images = {}
        with tempfile.TemporaryDirectory() as folder:
            for target in TARGETS:
                start = time.perf_counter()
                file = exporter.write_by(method, target, Path(folder))
                images[target] = _upscaled(load(file), tests)
                message(f"  {method}, {target}: {time.perf_counter() - start:.0f} s")
        int8 = {str(target): _psnr(results, tests) for target, results in images.items()}
        yield Row(name, method, floating, int8, *_agreement(list(images.values())))


def _upscaled(upscaler: Upscaler, tests: list[list[Pair]]) -> list[list[NDArray[np.uint8]]]:
    return [[upscaler.upscale(pair.lr) for pair in pairs] for pairs in tests]


def _psnr(results: list[list[NDArray[np.uint8]]], tests: list[list[Pair]]) -> list[float]:
    return [
        fmean(protocol.score(image, pair)["psnr"] for image, pair in zip(*both, strict=True))
        for both in zip(results, tests, strict=True)
    ]


def _agreement(targets: list[list[list[NDArray[np.uint8]]]]) -> tuple[float, int]:
    """(least share of samples within one level, largest difference) on the last test set."""
    samples = [np.concatenate([p.reshape(-1) for p in t[-1]]).astype(np.int16) for t in targets]
    differences = [np.abs(first - second) for first, second in combinations(samples, 2)]
    return min(float((d <= 1).mean()) for d in differences), max(int(d.max()) for d in differences)


def _lines_before(output: Path, heading: list[str]) -> list[str]:
    """The lines that were measured before, where they stand under the same heading."""
    _, _, table = page.measured(output).partition("\n".join(heading) + "\n")
    return [line for line in table.splitlines() if line.startswith("| `")]


def _name(line: str) -> str:
    return line.split("`")[1]


def _table(rows: list[Row], tests: list[str]) -> tuple[list[str], list[str]]:
    """The heading, and a line for each of the rows."""
    titles = [TARGETS[target].title for target in TARGETS]
    header = ["network", "method", "float", *titles, "targets alike"]
    heading = [
        f"PSNR on {' / '.join(tests)}:",
        "",
        f"| {' | '.join(header)} |",
        f"|---|---|{'---|' * (len(header) - 2)}",
    ]
    lines: list[str] = []
    taken: set[str] = set()
    for row in rows:
        holds = all(row.floating[0] - p[0] <= MAX_PSNR_DROP["int8"] for p in row.int8.values())
        method: str = row.means
        if holds and row.network not in taken:
            taken.add(row.network)
            method = f"**{method}**"
        cells = [f"`{row.network}`", method, " / ".join(f"{psnr:.2f}" for psnr in row.floating)]
        cells += [_cell(psnr, row.floating) for psnr in row.int8.values()]
        cells.append(f"{_floor(row.within_one)} %, {row.largest_difference}")
        lines.append(f"| {' | '.join(cells)} |")
    return heading, lines


def _cell(int8: list[float], floating: list[float]) -> str:
    return " / ".join(
        f"{psnr:.2f} ({psnr - own:+.3f})" for psnr, own in zip(int8, floating, strict=True)
    )


def _floor(share: float) -> str:
    """In per cent, rounded down: no 100.00 % that is not."""
    return f"{math.floor(share * 1e5) / 1e3:.3f}"


if __name__ == "__main__":
    entry_point(Int8Table, main)()
