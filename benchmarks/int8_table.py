"""The table of int8: what it costs each network of the zoo on every target, as docs/int8.md.

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
from ailsr.runtime.imaging.protocol import PROTOCOL, Pair, set_name
from ailsr.runtime.upscaling.upscaler import Upscaler
from ailsr.train import zoo

KEPT = Path(__file__).resolve().parent.parent / "build" / "int8-table"
METHODS: tuple[Int8Method, ...] = ("correction", "calibration")

INTRODUCTION = """# int8

What 8 bits cost. `ailsr-export --precision int8` tries these methods, in this order, until the file
loses no more than `--max-drop` ({limit:g} dB unless told otherwise) on the images of `--images`;
its table, JSON and card name the one it took. When none is enough, the target gets no file.

- `correction`: channels are equalised across layers, where their activations allow it exactly;
  weights are rounded so that their errors cancel in what a convolution computes; what is left of a
  channel's mean error goes into its bias. On the middles of 32 of the images of `--calibration`.
- `calibration`: scales from the furthest reach of the float network's activations over the images
  of `--calibration`, no more: of more than 200, 200 evenly spaced by name. The residual has a scale
  of its own, the output is pinned to 1/255.
- `search`: what a gate reads is kept apart from the value that it gates, so that each has its own
  range and the value's channels can be equalised; PReLU becomes two ReLUs, which doubles the
  convolution before it; the range of each tensor is narrowed as long as the network's output gains
  by it. Each of these forms is corrected, with its furthest ranges and with searched ones, and the
  best of them all, the two methods above among them, is kept: judged on parts of the images that
  the search did not look at.
- `mixed precision`: the same with a few nodes in float32, between DEQUANTIZE and QUANTIZE, at most
  10 % of the MACs: those that save the most for their MACs, until half of `--max-drop` is left by
  estimate. Table and card say how many operators and MACs that is.
- `16-bit activations`: an `int8x16` file, which says so in its name and card, for NPUs that have
  such arithmetic; slow on a CPU. Core ML has none. `--no-int8x16` does without; `--precision
  int8x16` asks for it outright.
- `fine-tuning`: with `--qat STEPS`, in place of 16-bit activations: training in int8 arithmetic,
  with the scales that are written, towards the float network's own output.

`--sensitivity FILE.html` prints and draws what each layer loses when it alone is in int8, its
activations and its weights apart.

A correction is better than plain calibration for nearly every network, and decisive for those
whose kernels are near the identity, such as QuickSRNet.

## Right on every CPU

x86 CPUs with AVX2 but without VNNI (Zen 2 and 3, most desktops before 2021) add int8 products in
pairs of saturating 16 bits in onnxruntime: weights of full range come out wrong there, by up to a
hundred levels, without a word. So weights are rounded to levels of which no pair that meets in a
kernel can saturate: of two neighbouring channels, |w₁| + |w₂| ≤ 128 where their signs are equal. A
channel takes a coarser scale only where its own pairs need it, and rounding chooses among nine
scales the one that errs least.

The ways side by side in plain sessions of onnxruntime, one thread of an EPYC of Zen 3 (AVX2), PSNR
on Set5 and time as a ratio to float32 ONNX (`python benchmarks/int8_weights.py NAME --calibration
T91 --test Set5`, 28 November 2026, on a machine that was also at other work):

| weights | `sesr_m5_x2`: dB, largest difference, time | `quicksrnet_small_x2` |
|---|---|---|
| full range | 35.34, **130 levels**, 0.68 | 36.83, **10 levels**, 0.56 |
| full range as uint8 | 37.14, 0, 1.39 | 36.85, 0, 1.09 |
| full range, `session.x64quantprecision` | 37.14, 0, 1.36 | 36.85, 0, 1.18 |
| 7 bits | 37.13, 0, 0.67 | 36.77, 0, 0.57 |
| **pairs**, as we write them | 37.13, 0, 0.74 | 36.85, 0, 0.58 |
| pairs, TFLite | 37.13, 0, 1.10 | 36.85, 0, 0.93 |
| float32 ONNX; TFLite | 37.16, –, 1.00; 0.98 | 36.91, –, 1.00; 1.03 |

On a Xeon with VNNI and AMX, where no kernel saturates, the same command gives (29 November 2026,
one thread of a quiet machine): weights on these levels cost no time, and what else is right on AVX2
costs twice as much here, too.

| weights | `sesr_m5_x2`: dB, time | `quicksrnet_small_x2` | `abpn_x3` |
|---|---|---|---|
| full range | 37.14, 0.71 | 36.85, 0.42 | 33.39, 0.35 |
| full range as uint8 | 37.14, 1.79 | 36.85, 1.59 | 33.39, 1.23 |
| full range, `session.x64quantprecision` | 37.14, 1.79 | 36.85, 1.55 | 33.39, 1.18 |
| 7 bits | 37.13, 0.70 | 36.77, 0.42 | 33.39, 0.33 |
| **pairs**, as we write them | 37.13, 0.70 | 36.85, 0.40 | 33.39, 0.33 |
| pairs, TFLite | 37.13, 1.25 | 36.85, 0.56 | 33.39, 0.40 |
| float32 ONNX; TFLite | 37.16, 1.00; 1.43 | 36.91, 1.00; 1.20 | 33.41, 1.00; 1.38 |

Difference of int8 files from integer arithmetic, in grey levels, on two photographs and the
networks `sesr_m5` ×2, `abpn` ×3 and `quicksrnet_small` ×2 (`make cpus`; x86 and Arm under qemu 7.2
but for Zen 3, which is real; ai-edge-litert 2.3.0, onnxruntime 1.32.0). The rows of VNNI and AMX
(real machines), of Cortex-A72 and of i8mm were taken with weights of full range, of which ours are
a part; that of Cortex-A76 with `sesr_m5` alone; those of WebAssembly with onnxruntime-web 1.30.0
and all samples of Set5 and Set14:

| CPU | kernels by | LiteRT (XNNPACK) | onnxruntime | the same, weights of full range |
|---|---|---|---|---|
| x86-64, SSE4.2 (Nehalem) | PMADDWD | 0 | 0 | 0 |
| x86-64, AVX2 (Zen 3, Haswell) | VPMADDWD; VPMADDUBSW | 0 | 0 | **69** (34 % differ) |
| x86-64, AVX-512 without VNNI | as AVX2 | not measured | not measured | not measured |
| x86-64, VNNI; AMX | VPDPBUSD; TDPBUSD | 0 | 0 | 0 |
| Armv8.0 (Cortex-A53, A72) | SMLAL | 0 | 0 | 0 |
| Armv8.2 dot product (Cortex-A76) | SDOT, UDOT | 0 | 0 | 0 |
| Armv8.6 i8mm | SMMLA, UMMLA | 0 | 0 | 0 |
| WebAssembly SIMD (Node, Chromium) | | – | 0 | 0 |
| WebAssembly relaxed SIMD | onnxruntime-web has no such build | – | not measured | not measured |

OpenVINO 2026.4 adds and rounds otherwise: on crops of Set5 and Set14, on the Xeon above, the files
of the same three networks stay within 2 levels of onnxruntime (at most 6 samples in 100 000 differ
by more than one), read from ONNX or from TFLite; onnxruntime with its OpenVINO provider (1.24) does
the same.

int8x16 files are exact in LiteRT; onnxruntime computes them in float32 between roundings, and about
1 sample in 100 is off by one level.

Each file holds a probe: what it answers to a test image, so that any engine can be asked whether
it computes what was exported (`ailsr-show FILE --probe`; `ailsr-bench` asks before it measures).

## What it costs

The three targets come to the same levels, but for what is said in the last column. Each sums up
the products of levels in whole numbers and multiplies the sum by one float32 factor,
`input scale · weight scale / output scale`, before it is rounded. (A sum that comes within 1e-5 of
the middle between two levels falls to one side or the other by how exactly that is done: when the
reference evaluator of Core ML multiplied in float64 it differed on one sample in ten thousand, by
up to three grey levels where several met.) What is added, or computed in float between two
roundings, is rounded differently by kernels: now and then such a sum is nearly a tie, falls to one
side in one target and to the other in the next, and the convolutions after it carry that on to the
pixels around. How Apple's kernels round is not documented.

Choosing the images on which the float network's own activations reach furthest was tried for
both methods and not kept. The scales of `sesr_m5` ×2 from 8, 16 or 32 images of T91 lose between
0.058 and 0.063 dB on Set5 however they are chosen, those from all 91 lose 0.058 dB. Corrected on
8, 16 or 32 evenly spaced images it loses 0.018, 0.016 and 0.019 dB, on the furthest-reaching
ones 0.023, 0.017 and 0.030; `quicksrnet_small` ×2 0.084, 0.084 and 0.057 against 0.098, 0.054 and
0.071.

Networks that were not made for int8, with their authors' weights, lose far more: PSNR in dB lost on
Set5 in integer arithmetic, calibrated on T91, by plain calibration, by correction, and by a search
of ranges before the correction (in one form of the network each):

| network | calibration | correction | ranges searched |
|---|---|---|---|
| Bicubic++ ×3 | 1.61 | 1.26 | 0.83; `search` 0.20; `mixed precision` 0.09 |
| ESPCN D22 S32 ×2 (eSR) | 3.58 | 3.16 | 0.40 |
| FSRCNN D56 S12 ×2 (eSR) | 2.45 | 1.12 | 0.88; PReLU split: 0.65 |
| FSRCNN D32 S6 ×2 (eSR) | 2.42 | 1.62 | 1.48 |
| SPANF ×4 (NTIRE 2025) | 3.16 | 5.81 | 0.94 |
| TSR ×4 (NTIRE 2025) | 8.04 | 11.23 | 1.82 |
| DSCF ×4 (NTIRE 2025) | 5.63 | 5.53 | – |
| IMDN-RTC ×2 | 2.43 | 1.93 | – |

`search` of Bicubic++ takes the form with PReLU split, 1.5 times the MACs; `mixed precision` leaves
four operators and 7.7 % of the MACs in float32. The other networks were not taken through both.

A tensor before a sigmoid or tanh reaches far beyond where these change, and gated networks have a
few channels of ten times the reach of the others: that is where most of it is lost. A searched
range can lose more on other images than it gained on those of the search (Bicubic++ with PReLU
split: 0.33 with the furthest ranges, 0.60 with ones searched on eight images), so each candidate
is judged on parts of the images that the search did not look at.

PSNR in dB by the protocol `{protocol}` and, in brackets, what the file loses against the network.
**Bold**: what `ailsr-export` takes by the first of the test sets. The last column compares the
files of the three targets, in pairs, on all samples of the last test set: the share that is within
one grey level, and the largest difference.

"""
NOTES = """
Written by `make int8-table`, {day}, on {cpu}; calibrated on {calibration}.{kept}
"""
KEPT_LINES = """
The lines of {names} are of an earlier version, with int8 weights of full range.
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
    output: Annotated[Path, Option(help="The page to write.")] = Path("docs/int8.md")
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
    page = INTRODUCTION.format(limit=MAX_PSNR_DROP["int8"], protocol=PROTOCOL)
    heading, lines = _table(rows, [set_name(folder) for folder in config.test])
    measured = {row.network for row in rows}
    lines += [line for line in _lines_before(config.output, heading) if _name(line) not in measured]
    order = {name: place for place, name in enumerate(zoo.names())}
    lines = sorted((line for line in lines if _name(line) in order), key=lambda x: order[_name(x)])
    page += "\n".join(heading + lines) + "\n"
    kept = ", ".join(f"`{name}`" for name in order if name not in measured)
    kept = KEPT_LINES.format(names=kept).rstrip() if kept else ""
    with atomic_output(config.output) as temporary:
        notes = NOTES.format(
            day=date.today().isoformat(),
            cpu=Host.here().cpu,
            calibration=set_name(config.calibration),
            kept=kept,
        )
        temporary.write_text(page + notes, encoding="utf-8")
    message(f"wrote {config.output}")


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


def _lines_before(page: Path, heading: list[str]) -> list[str]:
    """The lines of the page that is there, where they stand under the same heading."""
    text = page.read_text(encoding="utf-8") if page.exists() else ""
    _, _, table = text.partition("\n".join(heading) + "\n")
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
