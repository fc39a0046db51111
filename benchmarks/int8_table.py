"""The table of int8: what it costs each network of the zoo on every target, as docs/int8.md.

    python benchmarks/int8_table.py --calibration T91 --test Set5/HR --test Set14/HR

Every network is exported by each of the means that make int8 files; each file is run on every test
folder. The files of the three targets are also compared with each other, sample by sample.
"""

from __future__ import annotations

import json
import math
import tempfile
from dataclasses import asdict, dataclass
from itertools import combinations
from pathlib import Path
from statistics import fmean
from typing import Annotated

import numpy as np
import typer
from numpy.typing import NDArray
from typer import Option

from ailsr.export.exporter import FORMATS, Exporter
from ailsr.export.ladder import Means
from ailsr.export.picture_sets import PictureSet
from ailsr.export.source import open_source
from ailsr.export.verification import LARGEST_LOSS, Reference
from ailsr.runtime import load, protocol
from ailsr.runtime.command import entry_point, message
from ailsr.runtime.files import atomic_output
from ailsr.runtime.protocol import PROTOCOL, Pair, set_name
from ailsr.train import zoo

SIZE = (192, 192)
"""Of the files' input: pictures of the test sets take a few runs each."""
MEANS: tuple[Means, ...] = ("calibration", "correction")

INTRODUCTION = """# int8

What 8 bits cost. `ailsr-export --precision int8` tries these means, in this order, until the file
loses no more than `--max-drop` ({limit:g} dB unless told otherwise) on the pictures of `--images`;
its table, JSON and card name the one it took. When none is enough, no file is left.

- `calibration`: scales from the furthest reach of the float network's activations over the pictures
  of `--calibration`: of more than 200, 200 evenly spaced by name. The residual has a scale of its
  own, the output is pinned to 1/255.
- `correction`: channels are equalised across layers, where their activations allow it exactly;
  weights are rounded so that their errors cancel in what a convolution computes; what is left of a
  channel's mean error goes into its bias. On the middles of 32 of those pictures.
- `16-bit activations`: an `int8x16` file, which says so in its name and card, for NPUs that have
  such arithmetic; slow on a CPU. Core ML has none. `--no-int8x16` does without; `--precision
  int8x16` asks for it outright.
- `fine-tuning`: with `--qat STEPS`, in place of the third: training in int8 arithmetic, with the
  scales that are written, towards the float network's own output.

A correction is better than plain calibration for nearly every network, and decisive for those
whose kernels are near the identity, such as QuickSRNet. It is tried second because it takes longer.

PSNR in dB by the protocol `{protocol}` and, in brackets, what the file loses against the network.
**Bold**: what `ailsr-export` takes by the first of the test sets. The last column compares the
files of the three targets, in pairs, on all samples of the last test set: the share that is within
one grey level, and the largest difference.

"""
NOTES = """
Written by `make int8-table`; calibrated on {calibration}.
"""


@dataclass(frozen=True)
class Int8Table:
    """Measure int8 on every network of the zoo and write the table as Markdown."""

    calibration: Annotated[
        Path, Option(metavar="DIR", help="Folder of high-resolution pictures to calibrate on.")
    ]
    test: Annotated[
        list[Path], Option(metavar="DIR", help="Folder of high-resolution pictures. Repeatable.")
    ]
    only: Annotated[
        list[str] | None,
        Option(metavar="NAME", help="Of the zoo's networks, only this. Repeatable."),
    ] = None
    output: Annotated[Path, Option(help="The page to write.")] = Path("docs/int8.md")
    json: Annotated[bool, Option("--json", help="Print the figures, write no page.")] = False


@dataclass(frozen=True)
class Row:
    """One network by one of the means."""

    network: str
    means: Means
    floating: list[float]
    """dB of the network itself, by test set"""
    int8: dict[str, list[float]]
    """dB of the files, by target and test set"""
    within_one: float
    """Share of samples on which two targets differ by one grey level at most, the least of all"""
    largest_difference: int
    """grey levels"""


def main(config: Int8Table) -> None:
    """Export, measure and write."""
    rows: list[Row] = []
    for name in config.only or zoo.names():
        message(f"{name} …")
        rows += rows_of(name, config)
    if config.json:
        typer.echo(json.dumps([asdict(row) for row in rows]))
        return
    page = INTRODUCTION.format(limit=LARGEST_LOSS["int8"], protocol=PROTOCOL)
    page += "\n".join(_table(rows, [set_name(folder) for folder in config.test])) + "\n"
    with atomic_output(config.output) as temporary:
        notes = NOTES.format(calibration=set_name(config.calibration))
        temporary.write_text(page + notes, encoding="utf-8")
    message(f"wrote {config.output}")


def rows_of(name: str, config: Int8Table) -> list[Row]:
    """The rows of one network."""
    source = open_source(zoo.path(name))
    tests = [list(protocol.pairs(folder, source.scale)) for folder in config.test]
    exporter = Exporter(
        source, SIZE, calibration=config.calibration, images=config.test[0], max_drop=math.inf
    )
    card = exporter.card("float32", "float32")
    floating = [Reference(source.run, card, PictureSet("", t)).scores.psnr for t in tests]
    rows = []
    for means in MEANS:
        with tempfile.TemporaryDirectory() as folder:
            files = {t: exporter.export_by(means, t, Path(folder)).file for t in FORMATS}
            pictures = {target: _upscaled(file, tests) for target, file in files.items()}
        int8 = {target: _psnr(results, tests) for target, results in pictures.items()}
        rows.append(Row(name, means, floating, int8, *_agreement(list(pictures.values()))))
    return rows


def _upscaled(file: str, tests: list[list[Pair]]) -> list[list[NDArray[np.uint8]]]:
    upscaler = load(file)
    return [[upscaler.upscale(pair.lr) for pair in pairs] for pairs in tests]


def _psnr(results: list[list[NDArray[np.uint8]]], tests: list[list[Pair]]) -> list[float]:
    return [
        fmean(protocol.score(picture, pair)[0] for picture, pair in zip(*both, strict=True))
        for both in zip(results, tests, strict=True)
    ]


def _agreement(targets: list[list[list[NDArray[np.uint8]]]]) -> tuple[float, int]:
    """(least share of samples within one level, largest difference) on the last test set."""
    samples = [np.concatenate([p.reshape(-1) for p in t[-1]]).astype(np.int16) for t in targets]
    differences = [np.abs(first - second) for first, second in combinations(samples, 2)]
    return min(float((d <= 1).mean()) for d in differences), max(int(d.max()) for d in differences)


def _table(rows: list[Row], tests: list[str]) -> list[str]:
    titles = [FORMATS[target].title for target in FORMATS]
    header = ["network", "means", "float", *titles, "targets alike"]
    lines = [
        f"PSNR on {' / '.join(tests)}:",
        "",
        f"| {' | '.join(header)} |",
        f"|---|---|{'---|' * (len(header) - 2)}",
    ]
    taken: set[str] = set()
    for row in rows:
        holds = all(row.floating[0] - p[0] <= LARGEST_LOSS["int8"] for p in row.int8.values())
        means = row.means
        if holds and row.network not in taken:
            taken.add(row.network)
            means = f"**{means}**"  # type: ignore[assignment]
        cells = [f"`{row.network}`", means, " / ".join(f"{psnr:.2f}" for psnr in row.floating)]
        cells += [_cell(psnr, row.floating) for psnr in row.int8.values()]
        cells.append(f"{_floor(row.within_one)} %, {row.largest_difference}")
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def _cell(int8: list[float], floating: list[float]) -> str:
    return " / ".join(
        f"{psnr:.2f} ({psnr - own:+.3f})" for psnr, own in zip(int8, floating, strict=True)
    )


def _floor(share: float) -> str:
    """In per cent, rounded down: no 100.00 % that is not."""
    return f"{math.floor(share * 1e5) / 1e3:.3f}"


if __name__ == "__main__":
    entry_point(Int8Table, main)()
