"""``ailsr-fit``: networks that fit into a budget, from a latency table of the device."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Literal

import typer

from ailsr.export.fit import probes
from ailsr.runtime.bench.host import Host
from ailsr.runtime.bench.table import milliseconds
from ailsr.runtime.commands.command import (
    command,
    entry_points,
    message,
    print_json,
    print_table,
    progress,
    stdout,
)
from ailsr.runtime.engines.engine import available_cores
from ailsr.runtime.engines.registry import ENGINES, chosen_engines
from ailsr.runtime.errors import BudgetError, UsageError
from ailsr.runtime.fit.latency_model import (
    Device,
    LatencyModel,
    LatencyTable,
    Prediction,
    Probe,
    Workload,
)
from ailsr.runtime.fit.measure import PASSES, Timed
from ailsr.runtime.sides import parse_sides
from ailsr.runtime.upscaling.tiles import Size
from ailsr.train.openmp import limit_spinning

TableOption = Annotated[
    Path, typer.Option(help="What ailsr-fit measure wrote.", metavar="FILE", show_default=False)
]
SizeOption = Annotated[
    str, typer.Option(help="Height and width of the upscaled image.", metavar="HxW")
]
QUIET_SPREAD, QUIET_ERROR = 1.2, 0.5
"""Limits of p90 / p50 and of a table's error when nothing else runs on the device."""
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON document, no table.")]


@dataclass(frozen=True)
class MeasureConfig:
    """Measure the latency table of this device: a few dozen small networks, about two minutes.

    A table holds for one engine, precision and number of threads. Let nothing else run meanwhile.

    ailsr-fit measure --target tflite --precision int8 --threads 1 -o table.json
    """

    output: Annotated[
        Path,
        typer.Option("--output", "-o", help="The table.", metavar="FILE", show_default=False),
    ]
    target: Annotated[
        probes.TimedTarget, typer.Option(help="What the networks are exported to.")
    ] = probes.PREFERRED
    precision: Annotated[
        Literal["int8", "float16", "float32"], typer.Option(help="Their precision.")
    ] = "int8"
    threads: Annotated[
        int | None, typer.Option(min=1, help="CPU threads.", show_default="all cores")
    ] = None
    engine: Annotated[
        str | None,
        typer.Option(
            help="Which engine runs them, as in ailsr-bench: litert, compiled or tflite-runtime.",
            show_default="one that is installed",
        ),
    ] = None
    seconds: Annotated[
        float, typer.Option(min=0, help="Time for each network, after it was loaded.")
    ] = 1.0


def measure_table(
    config: MeasureConfig, networks: Sequence[probes.ProbeNetwork] = probes.PROBES
) -> None:
    """Time ``networks``, write the table, and say how well it predicts itself."""
    if config.engine:
        chosen_engines([f"{config.target}={config.engine}"])  # raises for one that does not exist
    threads, precision = config.threads or available_cores(), config.precision
    timed = [Timed() for _ in networks]
    with progress() as bar, tempfile.TemporaryDirectory() as folder:
        task = bar.add_task("measuring", total=PASSES * len(timed), note="")
        for _ in range(PASSES):
            for probe, times in zip(networks, timed, strict=True):
                bar.update(task, advance=1, note=str(probe))
                graph = probe.graph
                path = probes.write(graph, probe.scale, config.target, precision, Path(folder))
                times.add_pass(path, threads, config.engine, config.seconds / PASSES)
    measured = [
        Probe(str(probe), probes.workload(probe.graph), *times.times)
        for probe, times in zip(networks, timed, strict=True)
    ]
    device = Device(Host.here().cpu, timed[0].engine, config.target, precision, threads)
    date = datetime.now(UTC).astimezone().isoformat(timespec="seconds")
    table = LatencyTable(device, date, tuple(measured))
    model = LatencyModel(table)
    table.save(config.output)
    message(
        f"wrote {config.output}: {len(measured)} networks; left out in turn, nine of ten are "
        f"predicted within {100 * model.error:.0f} %, p90 / p50 is {model.spread:.2f}"
    )
    if model.spread > QUIET_SPREAD or model.error > QUIET_ERROR:
        message("the device was not quiet: stop what else runs on it and measure again")


@dataclass(frozen=True)
class PredictConfig:
    """Predict the latency of networks that were never run on the device.

    ailsr-fit predict zoo:sesr_m5_x2 runs/m7/best.pt --table table.json --output-size 720x1280

    ailsr-fit predict sesr_m4_w24 --scale 3 --table table.json
    """

    models: Annotated[
        list[str],
        typer.Argument(
            help="zoo:NAME, a checkpoint, .onnx or .pt2; with --scale also the name of a network.",
            metavar="MODEL...",
        ),
    ]
    table: TableOption
    output_size: SizeOption = "720x1280"
    scale: Annotated[int | None, typer.Option(help="Of networks given by name.")] = None
    json: JsonOption = False


def predict(config: PredictConfig) -> None:
    """Print the predicted latency of each model."""
    size = parse_size(config.output_size)
    table = LatencyTable.load(config.table)
    model = LatencyModel(table)
    workloads = [workload_of(name, config.scale, size) for name in config.models]
    rows = [
        (name, workload, model.predict(workload))
        for name, workload in zip(config.models, workloads, strict=True)
    ]
    if config.json:
        document = {
            "device": asdict(table.device),
            "output_size": size,
            "networks": [_entry(*row) for row in rows],
        }
        print_json(document)
        return
    _print(("network",), [((name,), w, p) for name, w, p in rows], table)


@dataclass(frozen=True)
class ProposeConfig:
    """Propose what to train: for each family and width the deepest network that fits.

    First the one with the highest PSNR that is safe to expect, the lower end of a 95 % interval
    learnt from the zoo's networks; how good it is, training tells.

    ailsr-fit propose --budget-ms 16 --scale 2 --table table.json
    """

    budget_ms: Annotated[
        float,
        typer.Option(
            min=0,
            help="What nine of ten runs of the whole path may take.",
            metavar="MS",
            show_default=False,
        ),
    ]
    table: TableOption
    scale: Annotated[int, typer.Option(help="Enlargement: 2, 3 or 4.")] = 2
    output_size: SizeOption = "720x1280"
    family: Annotated[
        list[str],
        typer.Option(help="sesr, sesr3, abpn or quicksrnet. Repeatable.", show_default="all"),
    ] = field(default_factory=list)
    most: Annotated[int, typer.Option(min=1, help="Print so many networks.")] = 10
    json: JsonOption = False


def propose(config: ProposeConfig) -> None:
    """Print the networks that fit. Raises BudgetError when none does."""
    from ailsr.export.fit.candidates import candidates  # torch, not needed to measure
    from ailsr.export.fit.expected_psnr import JUDGED_ON

    size = parse_size(config.output_size)
    _check_size(size, config.scale)
    table = LatencyTable.load(config.table)
    found = candidates(LatencyModel(table), config.budget_ms, config.scale, size, config.family)
    if not found:
        raise BudgetError(
            f"no network fits into {config.budget_ms:g} ms at {config.output_size} on "
            f"{table.device.cpu}: choose a smaller --output-size or a larger --scale"
        )
    found = found[: config.most]
    commands = [
        f"ailsr-train --network {c.network} --scale {config.scale} --train DIR --val DIR "
        f"--output runs/{c.network}_x{config.scale}"
        for c in found
    ]
    if config.json:
        entries = [
            {
                **_entry(c.network, c.workload, c.prediction),
                "expected_psnr_db": c.psnr.psnr_db,
                "expected_psnr_margin_db": c.psnr.margin_db,
                "arguments": {"family": c.family, "depth": c.depth, "width": c.width},
                "command": command,
            }
            for c, command in zip(found, commands, strict=True)
        ]
        document = {"device": asdict(table.device), "output_size": size, "networks": entries}
        print_json(document)
        return
    rows = [
        ((c.network, f"{c.psnr.psnr_db:.2f} ± {c.psnr.margin_db:.2f}"), c.workload, c.prediction)
        for c in found
    ]
    _print(("network", "PSNR to\nexpect, dB"), rows, table)
    stdout.print(
        f"PSNR on {JUDGED_ON} with its 95 % interval, from the zoo's networks: to compare by",
        soft_wrap=True,
    )
    stdout.print()
    stdout.print(commands[0], soft_wrap=True)


def workload_of(name: str, scale: int | None, output_size: Size) -> Workload:
    """The workload of the network ``name``, or of the file of that name, for an output of
    ``output_size`` (height, width)."""
    from ailsr.export.reading.source import (  # torch, not needed to measure
        network_source,
        open_source,
    )
    from ailsr.train import zoo
    from ailsr.train.networks import create, is_known

    if is_known(name):
        if scale is None:
            raise UsageError(f"{name} is the name of a network: add --scale 2, 3 or 4")
        source = network_source(create(name, scale).eval())
    elif Path(name).suffix.lower() in ENGINES.keys() - {".onnx"}:
        raise UsageError(
            f"{name} is an exported file: measure it with ailsr-bench, or give the network that "
            "it was made of"
        )
    else:
        source = open_source(zoo.resolve(name), must_fit=False)
        if scale not in (None, source.scale):
            raise UsageError(f"{name} has a scale of {source.scale}: leave --scale {scale} out")
    _check_size(output_size, source.scale)
    height, width = output_size[0] // source.scale, output_size[1] // source.scale
    if source.input_size is None:
        return probes.workload(source.graph((height, width)))
    return probes.workload(source.graph(source.input_size), (height, width))


def parse_size(text: str) -> Size:
    """(height, width) of ``720x1280``. Raises UsageError."""
    try:
        return parse_sides(text)
    except ValueError:
        raise UsageError(f"--output-size {text}: give height and width, as in 720x1280") from None


def _check_size(output_size: Size, scale: int) -> None:
    """Raises UsageError unless the input for ``output_size`` has 8 × 8 pixels."""
    if min(output_size) // max(1, scale) < 8:
        raise UsageError(f"--output-size is too small for a scale of {scale}")


def _entry(name: str, workload: Workload, prediction: Prediction) -> dict[str, object]:
    gmac = workload.multiplications / 1e9
    return {"network": name, "gmac": gmac, **asdict(prediction)}


def _print(
    headers: Sequence[str],
    rows: Sequence[tuple[Sequence[str], Workload, Prediction]],
    table: LatencyTable,
) -> None:
    cells = []
    for words, workload, p in rows:
        low, high = (milliseconds(ms).strip() for ms in (p.p90_low_ms, p.p90_high_ms))
        times = [milliseconds(ms) for ms in (p.inference_p50_ms, p.p50_ms, p.p90_ms)]
        gmac = f"{workload.multiplications / 1e9:.2f}"
        cells.append([*words, gmac, *times, f"{low} to {high}"])
    figures = ["GMAC", "inference\np50, ms", "whole path\np50, ms", "p90\nms", "interval\nms"]
    print_table([*headers, *figures], cells)
    stdout.print()
    device = table.device
    stdout.print(
        f"predicted for {device.cpu}, {device.engine}, {device.precision}, {device.threads} "
        f"threads, from the table of {table.date}; the interval holds nine of ten networks",
        soft_wrap=True,
    )


_fit = entry_points(
    "Latency of networks before they are trained, from a table of this device.",
    {
        "measure": command(MeasureConfig, measure_table),
        "predict": command(PredictConfig, predict),
        "propose": command(ProposeConfig, propose),
    },
)


def cli() -> None:
    """``ailsr-fit measure``, ``predict`` or ``propose``."""
    limit_spinning()
    _fit()


if __name__ == "__main__":
    cli()
