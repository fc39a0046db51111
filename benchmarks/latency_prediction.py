"""Predicted and measured latency of networks and sizes that the table has not seen.

    python benchmarks/latency_prediction.py --setting "tflite int8 1" --page docs/fit.md

For each setting (target, precision, threads) the latency table of this machine is measured as
``ailsr-fit measure`` does, and networks of the zoo and ones between their sizes are predicted from
it and measured in the same way, in several passes. Their files have the operators and sizes of
trained ones and weights of no use. Nothing else should run meanwhile.
"""

from __future__ import annotations

import json
import tempfile
from dataclasses import asdict, dataclass, field
from datetime import date
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from typer import Option

from ailsr.export.fit import probes
from ailsr.export.fit.command import MeasureConfig, measure_table
from ailsr.export.graph.graph import Graph
from ailsr.export.reading.source import network_source, open_source
from ailsr.runtime.bench.host import Host
from ailsr.runtime.bench.table import milliseconds
from ailsr.runtime.commands.command import entry_point, message, progress, stdout
from ailsr.runtime.errors import UsageError
from ailsr.runtime.files import atomic_output
from ailsr.runtime.fit.latency_model import LatencyModel, LatencyTable
from ailsr.runtime.fit.measure import PASSES, Timed
from ailsr.runtime.upscaling.tiles import Size
from ailsr.train import zoo
from ailsr.train.networks import create

GOAL = 0.1
NETWORKS: tuple[tuple[str, int, Size], ...] = (
    ("zoo:sesr_m3_research_x2", 2, (360, 640)),
    ("zoo:sesr_m5_research_x2", 2, (360, 640)),
    ("zoo:sesr_m11_research_x2", 2, (240, 416)),
    ("zoo:sesr_xl_research_x2", 2, (270, 480)),
    ("zoo:sesr_m5_research_x3", 3, (240, 426)),
    ("zoo:sesr_m5_research_x4", 4, (180, 320)),
    ("zoo:abpn_research_x3", 3, (240, 426)),
    ("zoo:abpn_research_x3", 3, (360, 640)),
    ("zoo:quicksrnet_small_research_x2", 2, (360, 640)),
    ("zoo:vdsr_f13_research_x2", 2, (160, 240)),
    ("quicksrnet_medium", 2, (200, 300)),
    ("sesr_m6_w20", 2, (270, 480)),
    ("sesr_m4_w28", 2, (270, 480)),
    ("sesr_m7_w12", 2, (450, 800)),
    ("sesr_m3_w36", 2, (135, 240)),
    ("sesr_m8_w10", 2, (360, 640)),
    ("sesr_m2_w14", 4, (270, 480)),
    ("quicksrnet_d3_w24", 3, (240, 426)),
    ("quicksrnet_d6_w48", 2, (160, 288)),
    ("abpn_d3_w20", 2, (300, 400)),
    ("abpn_d5_w32", 4, (180, 320)),
    # Those from here on were not looked at when the model was made.
    ("zoo:sesr_m11_research_x4", 4, (200, 360)),
    ("zoo:abpn_research_x2", 2, (256, 256)),
    ("zoo:quicksrnet_small_research_x4", 4, (270, 480)),
    ("sesr_m9_w18", 2, (320, 480)),
    ("sesr_m5_w26", 3, (216, 384)),
    ("sesr_m4_w14", 2, (540, 720)),
    ("quicksrnet_d4_w20", 2, (360, 480)),
    ("quicksrnet_d3_w36", 4, (150, 250)),
    ("abpn_d2_w14", 3, (300, 400)),
    ("abpn_d6_w24", 2, (240, 320)),
)
"""Network, scale, and height and width of the input: none of them is in the table."""


@dataclass(frozen=True)
class LatencyPrediction:
    """Compare predicted with measured latency on this machine."""

    setting: Annotated[
        list[str],
        Option(metavar="TARGET PRECISION THREADS", help="As in 'tflite int8 1'. Repeatable."),
    ] = field(default_factory=lambda: ["tflite int8 1"])
    tables: Annotated[
        Path | None, Option(metavar="DIR", help="Where tables are kept; one that is there is used.")
    ] = None
    seconds: Annotated[float, Option(min=0, help="Time for each network.")] = 1.0
    most: Annotated[
        int | None, Option(min=1, help="Compare so many networks.", show_default="all")
    ] = None
    page: Annotated[
        Path | None,
        Option(metavar="FILE", help="Write the tables into this page, below its last heading."),
    ] = None
    json: Annotated[bool, Option("--json", help="Print one JSON document, no table.")] = False


@dataclass(frozen=True)
class Compared:
    """One network: milliseconds of the whole path."""

    network: str
    input_size: Size
    measured_p50_ms: float
    measured_p90_ms: float
    predicted_p50_ms: float
    predicted_p90_ms: float
    within_interval: bool

    @property
    def error(self) -> float:
        """Of the predicted p90, relative to the measured one."""
        return self.predicted_p90_ms / self.measured_p90_ms - 1


def main(config: LatencyPrediction) -> None:
    """Measure, compare, print."""
    networks = NETWORKS[: config.most]
    graphs = [(name, scale, graph_of(name, scale, size)) for name, scale, size in networks]
    document: dict[str, Any] = {}
    origin = f"on {Host.here().cpu}, {date.today().isoformat()}"
    sections = [f"`python benchmarks/latency_prediction.py`, {origin}:\n"]
    with tempfile.TemporaryDirectory() as temporary:
        for setting in config.setting:
            target, precision, threads = parsed(setting)
            path = (config.tables or Path(temporary)) / f"{setting.replace(' ', '_')}.json"
            measuring = MeasureConfig(path, target, precision, threads, seconds=config.seconds)
            if not path.exists():
                measure_table(measuring)
            found = compared(graphs, measuring, Path(temporary))
            document[setting] = summary(found)
            sections.append(section(setting, found))
            if not config.json:
                stdout.print(sections[-1], markup=False, soft_wrap=True)
            if config.page:  # after each, since all of them take long
                write_page(config.page, "\n".join(sections))
                message(f"wrote {config.page}")
    if config.json:
        typer.echo(json.dumps(document))


def parsed(setting: str) -> tuple[Any, Any, int]:
    """(target, precision, threads) of ``tflite int8 1``. Raises UsageError."""
    try:
        target, precision, threads = setting.split()
        return target, precision, int(threads)
    except ValueError:
        raise UsageError(f"--setting {setting!r}: give it as in 'tflite int8 1'") from None


def graph_of(name: str, scale: int, size: Size) -> Graph:
    """The graph that the export makes of the network called ``name``."""
    if name.startswith(zoo.PREFIX):
        return open_source(zoo.resolve(name)).graph(size)
    return network_source(create(name, scale).eval()).graph(size)


def compared(
    graphs: list[tuple[str, int, Graph]], measuring: MeasureConfig, folder: Path
) -> list[Compared]:
    """Each network predicted and measured."""
    model = LatencyModel(LatencyTable.load(measuring.output))
    timed = [Timed() for _ in graphs]
    threads, seconds = measuring.threads or 1, measuring.seconds / PASSES
    with progress() as bar:
        task = bar.add_task("measuring", total=PASSES * len(graphs), note="")
        for _ in range(PASSES):
            for (name, scale, graph), times in zip(graphs, timed, strict=True):
                bar.update(task, advance=1, note=name)
                kind = measuring.target, measuring.precision
                path = probes.write(graph, scale, *kind, folder)
                times.add_pass(path, threads, measuring.engine, seconds)
    found = []
    for (name, _, graph), times in zip(graphs, timed, strict=True):
        _, whole = times.times
        predicted = model.predict(probes.workload(graph))
        found.append(
            Compared(
                name, graph.input_shape[1:], whole.p50, whole.p90, predicted.p50_ms,
                predicted.p90_ms, predicted.p90_low_ms <= whole.p90 <= predicted.p90_high_ms,
            )
        )  # fmt: skip
    return found


def summary(found: list[Compared]) -> dict[str, Any]:
    """The figures of one setting."""
    errors = np.abs([c.error for c in found])
    return {
        "networks": [{**asdict(c), "error": c.error} for c in found],
        "median error": float(np.median(errors)),
        "largest error": float(errors.max()),
        "within 10 %": int((errors <= GOAL).sum()),
        "medians within 10 %": sum(
            abs(c.predicted_p50_ms / c.measured_p50_ms - 1) <= GOAL for c in found
        ),
        "within the interval": sum(c.within_interval for c in found),
    }


def section(setting: str, found: list[Compared]) -> str:
    """The comparison as Markdown: one line for each network, then how many are near enough."""
    target, precision, threads = setting.split()
    lines = [
        f"### {target}, {precision}, {threads} thread{'s' if threads != '1' else ''}\n",
        "| network | input | measured p50 / p90, ms | predicted p50 / p90, ms | error of p90 |",
        "|---|--:|--:|--:|--:|",
    ]
    for c in found:
        pairs = (
            (c.measured_p50_ms, c.measured_p90_ms), (c.predicted_p50_ms, c.predicted_p90_ms)
        )  # fmt: skip
        times = [" / ".join(milliseconds(ms).strip() for ms in pair) for pair in pairs]
        size = f"{c.input_size[1]}×{c.input_size[0]}"
        error = f"{100 * c.error:+.1f} %".replace("-", "−")
        lines.append(f"| `{c.network}` | {' | '.join([size, *times, error])} |")
    figures = summary(found)
    lines.append(
        f"\np90: {figures['within 10 %']} of {len(found)} within 10 %, median error "
        f"{100 * figures['median error']:.1f} %, largest {100 * figures['largest error']:.1f} %; "
        f"{figures['within the interval']} within their interval. "
        f"p50: {figures['medians within 10 %']} within 10 %.\n"
    )
    return "\n".join(lines)


def write_page(path: Path, text: str) -> None:
    """Replace what stands below the last heading of the second level."""
    start, heading, rest = path.read_text(encoding="utf-8").rpartition("\n## ")
    if not heading:
        raise UsageError(f"--page {path}: it has no heading of the second level (## ...)")
    title = rest.splitlines()[0]
    with atomic_output(path) as temporary:
        temporary.write_text(f"{start}\n## {title}\n\n{text}", encoding="utf-8")


if __name__ == "__main__":
    entry_point(LatencyPrediction, main)()
