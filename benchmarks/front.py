"""Which network for a budget: PSNR against latency, as docs/front.md and docs/front.svg.

    python benchmarks/front.py --calibration T91 --test Set14 --test Kodak24 --peers peers

The zoo's networks for clean images as int8 TFLite files, interpolation by Pillow and OpenCV,
published files in the folders ``--peers`` and those that ``--file`` names take turns on one thread.
Intel's AMX tiles are switched off unless ``--amx``: no phone has them, and narrow networks take
longer with them. Files exported here are kept as long as the network and ``--input-size`` are the
same: after a change of ``--calibration``, ``--test`` or ailsr give ``--again``. Files of one
architecture are timed once.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from itertools import product
from pathlib import Path
from typing import Annotated, Any

import amx
import front_page
import mulut
import page
from front_files import FREE, Entry, Images, check, of_others, of_zoo
from typer import Option, echo

from ailsr.runtime import load
from ailsr.runtime.anatomy.anatomy import Anatomy
from ailsr.runtime.anatomy.registry import anatomy
from ailsr.runtime.bench import findings
from ailsr.runtime.bench.harness import Plan, measure_files
from ailsr.runtime.bench.measurement import Failure, Measurement
from ailsr.runtime.commands.command import entry_point, message
from ailsr.runtime.engines.registry import open_engine
from ailsr.runtime.engines.resizer import TITLES, Kernel, Library, Resizer, ResizerEngine
from ailsr.runtime.errors import UsageError
from ailsr.runtime.files import atomic_output
from ailsr.runtime.imaging.protocol import Pair, Quality, check_set_names, evaluate, pairs, set_name
from ailsr.runtime.progress import silent

BASELINE = "sesr_m5"
"""The network that latencies are related to, where it is measured."""
OUTPUT = (720, 1280)
"""(height, width) that milliseconds are given for."""


@dataclass(frozen=True)
class Front:
    """Measure quality and latency and write the page and the figure."""

    calibration: Annotated[
        Path, Option(metavar="DIR", help="High-resolution images to calibrate int8 on.")
    ]
    test: Annotated[
        list[Path],
        Option(
            metavar="DIR", help="High-resolution images for PSNR. Repeatable; figure: the first."
        ),
    ]
    peers: Annotated[
        list[Path],
        Option(
            metavar="DIR",
            help="Folder of published files, as docs/front.md lists them; those that are not "
            "there are left out. Repeatable.",
        ),
    ] = field(default_factory=list)
    file: Annotated[
        list[Path], Option(metavar="FILE", help="Measure this file of yours, too. Repeatable.")
    ] = field(default_factory=list)
    only: Annotated[
        list[str],
        Option(metavar="NAME", help="Of the zoo's networks, only this. Repeatable."),
    ] = field(default_factory=list)
    scale: Annotated[
        list[int],
        Option(help="Enlargement. Repeatable; figure: the first.", show_default="2, 3 and 4"),
    ] = field(default_factory=lambda: [2, 3, 4])
    input_size: Annotated[
        str | None,
        Option(metavar="HxW", help="Of the zoo's files.", show_default="that of a 720p output"),
    ] = None
    runs: Annotated[int, Option(min=3, help="Runs measured of each file.")] = 60
    seconds: Annotated[float, Option(help="Time allowed for them, per file.")] = 1.5
    processes: Annotated[int, Option(min=1, help="Fresh processes for each file.")] = 2
    kept: Annotated[Path, Option(metavar="DIR", help="Folder of what is exported.")] = Path(
        "build/front"
    )
    again: Annotated[bool, Option("--again", help="Export anew what is kept.")] = False
    amx: Annotated[
        bool, Option("--amx", help="Let engines use Intel's AMX tiles, where there are any.")
    ] = False
    output: Annotated[Path, Option(help="The page that holds the tables.")] = Path("docs/front.md")
    figure: Annotated[Path, Option(help="The figure to draw.")] = Path("docs/front.svg")
    json: Annotated[bool, Option("--json", help="Print the figures, too.")] = False


@dataclass(frozen=True)
class Row:
    """The figures of one file or interpolation."""

    name: str
    images: Images
    p50_ms: float
    """Of the whole path on one thread; for an output of ``OUTPUT``, in proportion to the pixels
    where a file has another."""
    p90_ms: float
    ratio: float
    """Of the whole path to the baseline's, per output pixel."""
    psnr: dict[str, float]
    """dB, by test set"""
    front: list[str]
    """The test sets on whose front it is."""
    free_front: list[str]
    """... among what was trained on images that may be used commercially."""
    parameters: int | None
    """Of the file; None: not known."""
    multiplications: float | None
    """Of the file's convolutions, for each output pixel; None: not known."""
    gmac_per_s: float | None
    """Billions of them a second in the inference."""


@dataclass(frozen=True)
class Table:
    """All that was measured of one scale."""

    scale: int
    baseline: str
    rows: list[Row]
    """The fastest first."""
    left_out: dict[str, str]
    """Why, by name."""
    noise: list[str]
    """What else the machine did meanwhile, in sentences."""


def main(config: Front) -> None:
    """Export, measure and write."""
    if not config.amx:
        amx.switch_off()
    check(config)
    check_set_names(config.test)
    page.measured(config.output)  # raises for a page that has no place for the tables
    mulut.register(config.kept.resolve() / "engines")
    tables = [table_of(scale, config) for scale in config.scale]
    page.write(config.output, front_page.text(tables, config.amx))
    with atomic_output(config.figure) as temporary:
        temporary.write_text(front_page.figure(tables[0]), encoding="utf-8")
    message(f"wrote {config.figure}")
    if config.json:
        echo(json.dumps([asdict(table) for table in tables]))


def table_of(scale: int, config: Front) -> Table:
    """The table of one scale."""
    left_out: dict[str, str] = {}
    entries = [*of_zoo(scale, config), *of_others(scale, config, left_out)]
    size = OUTPUT[0] // scale, OUTPUT[1] // scale
    if entries:
        size = open_engine(Path(entries[0].file), 1, trusted=True).input_size
    entries += [
        Entry(f"{TITLES[library]} {kernel}", "", str(Resizer(library, scale, size, kernel)))
        for library, kernel in product(Library, Kernel)
    ]
    anatomies = {e.name: anatomy(e.file) for e in entries if e.file.endswith((".tflite", ".onnx"))}
    alike = {e.file: _first_alike(e, entries, anatomies) for e in entries}
    files = tuple(dict.fromkeys(alike.values()))
    baseline = next((e for e in entries if e.name == BASELINE), entries[0])
    message(f"×{scale}: measuring {len(files)} files in turn …")
    results = measure_files(
        Plan(
            files, 1, config.runs, config.seconds, processes=config.processes,
            relative_to=files.index(alike[baseline.file]),
        ),
        silent,
    )  # fmt: skip
    timed = dict(zip(files, results.files, strict=True))
    tests = {set_name(folder): list(pairs(folder, scale)) for folder in config.test}
    known: dict[str, Measurement] = {}
    quality: dict[str, dict[str, Quality]] = {}
    for entry in entries:
        outcome = timed[alike[entry.file]]
        if isinstance(outcome, Failure):
            left_out[entry.name] = outcome.error.removeprefix(f"{entry.file}: ")
            continue
        message(f"×{scale}: PSNR of {entry.name} …")
        known[entry.name] = replace(outcome, file=entry.name)
        quality[entry.name] = _judged(entry, tests)

    def front(test: str, kinds: Sequence[str]) -> set[str]:
        files = [
            replace(known[e.name], quality=quality[e.name][test])
            for e in entries
            if e.name in known and e.images in kinds
        ]
        return {file.file for file in findings.front(results, files)}

    if baseline.name not in known:
        baseline = next((e for e in entries if e.name in known), baseline)
    if not known:
        raise UsageError(f"×{scale}: nothing could be measured: {left_out[baseline.name]}")
    every = {test: front(test, ("research", "peer", *FREE)) for test in tests}
    free = {test: front(test, FREE) for test in tests}
    unit = _ms_per_pixel(known[baseline.name])
    rows = [
        Row(
            name=entry.name,
            images=entry.images,
            p50_ms=_ms_per_pixel(file) * math.prod(OUTPUT),
            p90_ms=_ms_per_pixel(file, "p90_ms") * math.prod(OUTPUT),
            ratio=file.ratio.ratio if file.ratio else _ms_per_pixel(file) / unit,
            psnr={test: quality[entry.name][test].psnr_db for test in tests},
            front=[test for test in tests if entry.name in every[test]],
            free_front=[test for test in tests if entry.name in free[test]],
            **_cost(file, anatomies.get(entry.name)),
        )
        for entry in entries
        if (file := known.get(entry.name))
    ]
    rows.sort(key=lambda row: row.p50_ms)
    return Table(scale, baseline.name, rows, left_out, findings.noise(results))


def _first_alike(entry: Entry, entries: Sequence[Entry], anatomies: Mapping[str, Anatomy]) -> str:
    """The first file of the zoo that has the operators of ``entry``'s; its own of other entries."""
    if entry.images in ("", "peer"):
        return entry.file

    def shape(name: str) -> list[Any]:
        return [
            (o.title, [(t.type, t.shape) for t in (*o.inputs, *o.outputs)])
            for o in anatomies[name].operators
        ]

    ours = (other for other in entries if other.images not in ("", "peer"))
    return next(other.file for other in ours if shape(other.name) == shape(entry.name))


def _judged(entry: Entry, tests: Mapping[str, Sequence[Pair]]) -> dict[str, Quality]:
    resizer = Resizer.named(entry.file)
    upscale = ResizerEngine(resizer, 1).run if resizer else load(entry.file).upscale
    return {name: evaluate(upscale, test, names=("psnr",)) for name, test in tests.items()}


def _ms_per_pixel(file: Measurement, percentile: str = "p50_ms") -> float:
    assert file.whole_path is not None
    return float(getattr(file.whole_path, percentile)) / math.prod(file.output_size)


def _cost(file: Measurement, found: Anatomy | None) -> dict[str, Any]:
    """Parameters, multiplications and how many of these the engine does a second."""
    if found is None:
        return dict.fromkeys(("parameters", "multiplications", "gmac_per_s"))
    assert file.inference is not None
    count = multiplications(found, file.input_size)
    return {
        "parameters": found.weights,
        "multiplications": count / math.prod(file.output_size),
        "gmac_per_s": count / file.inference.p50_ms / 1e6,
    }


def multiplications(found: Anatomy, input_size: tuple[int, int]) -> int:
    """Multiply-accumulates of the convolutions with constant weights at ``input_size`` (height,
    width). Results whose size the file does not tell are taken to have that of the input."""
    count = 0
    for operator in found.operators:
        if "CONV" in operator.name.upper():
            sides = operator.outputs[0].shape[1:3] if found.kind == "TFLite" else ()
            known = [side for side in sides if isinstance(side, int)]
            pixels = math.prod(known if len(known) == 2 else input_size)
            weights = (t.shape for t in operator.inputs if t.constant and len(t.shape) == 4)
            count += pixels * math.prod(map(int, next(weights, (0,))))
    return count


if __name__ == "__main__":
    entry_point(Front, main)()
