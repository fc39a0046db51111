"""What a network's shape does to the kernels: milliseconds and GMAC/s of untrained networks.

    python benchmarks/kernel_shapes.py sesr_m5_w16 sesr3_m5_w16 sesr3_m5_w32 sesr3_m5_w64

Networks are named by family, depth and width (``ailsr-train --help``); of each an int8 TFLite file
is written with weights of no use, and all take turns on one thread. A block is what one more 3×3
convolution takes: the difference to a network that is two blocks shallower. Intel's AMX tiles are
switched off unless ``--amx``.
"""

from __future__ import annotations

import json
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

import amx
import typer
from typer import Argument, Option

from ailsr.export.fit import probes
from ailsr.export.fit.architectures import ARCHITECTURES
from ailsr.runtime.bench.table import milliseconds
from ailsr.runtime.commands.command import entry_point, message, print_table
from ailsr.runtime.errors import UsageError
from ailsr.runtime.fit.measure import PASSES, Timed
from ailsr.runtime.sides import parse_sides
from ailsr.train.networks import FAMILIES

SHALLOWER = 2


@dataclass(frozen=True)
class KernelShapes:
    """Time networks that differ in shape."""

    networks: Annotated[list[str], Argument(metavar="NAME...", help="By depth and width.")]
    scale: Annotated[int, Option(help="Enlargement.")] = 2
    size: Annotated[str, Option(metavar="HxW", help="Input size.")] = "360x640"
    seconds: Annotated[float, Option(min=0, help="Time for each network.")] = 1.5
    amx: Annotated[bool, Option("--amx", help="Let the engine use AMX, where there is any.")] = (
        False
    )
    json: Annotated[bool, Option("--json", help="Print one JSON document, no table.")] = False


@dataclass(frozen=True)
class Shape:
    """One network: p50 of the inference."""

    network: str
    ms: float
    gmac: float
    """Billions of multiply-accumulates of its convolutions."""
    block_ms: float
    """Of one 3×3 convolution of its width, a difference: not above 0 where noise hides it."""
    block_gmac: float


def main(config: KernelShapes) -> None:
    """Write, time and print."""
    if not config.amx:
        amx.switch_off()
    shapes = measured(config)
    if config.json:
        typer.echo(json.dumps([asdict(shape) for shape in shapes]))
        return
    print_table(
        ["network", "ms", "GMAC/s", "one convolution, ms", "its GMAC/s"],
        [
            [
                s.network,
                milliseconds(s.ms), f"{1e3 * s.gmac / s.ms:.0f}",
                *_of_block(s),
            ]
            for s in shapes
        ],
    )  # fmt: skip


def _of_block(shape: Shape) -> tuple[str, str]:
    if shape.block_ms <= 0:
        return "–", "–"
    return milliseconds(shape.block_ms), f"{1e3 * shape.block_gmac / shape.block_ms:.0f}"


def measured(config: KernelShapes) -> list[Shape]:
    """Each network beside the shallower one."""
    size = parse_sides(config.size)
    named = {name: parsed(name) for name in config.networks}
    graphs = {
        (family, depth, width): ARCHITECTURES[family](depth, width, config.scale, size)
        for family, deepest, width in named.values()
        for depth in (deepest, deepest - SHALLOWER)
    }
    timed = {shape: Timed() for shape in graphs}
    with tempfile.TemporaryDirectory() as temporary:
        paths = {}
        for number, (shape, graph) in enumerate(graphs.items()):
            folder = Path(temporary) / str(number)
            folder.mkdir()
            paths[shape] = probes.write(graph, config.scale, "tflite", "int8", folder)
        for turn in range(PASSES):
            message(f"pass {turn + 1} of {PASSES} …")
            for shape, path in paths.items():
                timed[shape].add_pass(path, 1, None, config.seconds / PASSES)
    ms = {shape: times.times[0].p50 for shape, times in timed.items()}
    gmac = {shape: probes.workload(graph).multiplications / 1e9 for shape, graph in graphs.items()}
    found = []
    for name, deep in named.items():
        family, depth, width = deep
        shallow = (family, depth - SHALLOWER, width)
        block = [(of[deep] - of[shallow]) / SHALLOWER for of in (ms, gmac)]
        found.append(Shape(name, ms[deep], gmac[deep], *block))
    return found


def parsed(name: str) -> tuple[str, int, int]:
    """Family, depth and width of the network ``name``. Raises UsageError."""
    for family, of in FAMILIES.items():
        shape = of.shape(name)
        if shape is not None and shape[0] - SHALLOWER in of.depths:
            return family, *shape
    raise UsageError(
        f"{name}: name a network by depth and width, like sesr3_m4_w32, of three blocks or more"
    )


if __name__ == "__main__":
    entry_point(KernelShapes, main)()
