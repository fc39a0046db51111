"""Which share of the whole path from a device's bytes to a device's bytes is no inference: in the
phone app's core on a JVM, in the page of ailsr-web, and in Python.

    python benchmarks/outside_inference.py exported/*_int8.tflite exported/*_int8.onnx

TFLite files are run by the core and by Python, ONNX files by Chromium and by Python. The least time
of many runs counts, of the whole path and of the inference alone, on one thread, as others may use
the machine. The core is timed with an engine that answers at once, and set against the inference
that Python measured.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer
import web_first_upscale
from playwright.sync_api import sync_playwright

from ailsr.runtime.bench.harness import Plan, measure_files
from ailsr.runtime.bench.host import Host
from ailsr.runtime.bench.latency import Latency
from ailsr.runtime.commands.command import entry_point, print_table, stdout
from ailsr.runtime.progress import silent

sys.path.append(str(Path(__file__).parents[1] / "android_demo"))

from core_build import compile_core


@dataclass(frozen=True)
class OutsideInference:
    """Measure the share of the whole path that is no inference."""

    files: Annotated[list[Path], typer.Argument(help="Exported .tflite and .onnx files.")]
    runs: Annotated[int, typer.Option(min=3, help="At most so many runs of each.")] = 200
    seconds: Annotated[float, typer.Option(help="At most so many for each.")] = 5.0
    json: Annotated[bool, typer.Option("--json", help="Print the figures as JSON.")] = False


@dataclass(frozen=True)
class Figure:
    """Milliseconds of one file in one place."""

    file: str
    place: str
    inference_ms: float
    outside_ms: float

    @property
    def share(self) -> float:
        """Of the whole path, 0 to 1."""
        return self.outside_ms / (self.inference_ms + self.outside_ms)


def main(config: OutsideInference) -> None:
    """Print milliseconds and shares."""
    plan = Plan(tuple(map(str, config.files)), 1, config.runs, config.seconds, None)
    figures = []
    for measured in measure_files(plan, silent).measured:
        least = least_of(measured.inference)
        whole = least_of(measured.whole_path)
        figures.append(Figure(Path(measured.file).name, "Python", least, max(0.0, whole - least)))
    inference = {figure.file: figure.inference_ms for figure in figures}
    tflite = [path for path in config.files if path.suffix == ".tflite"]
    for path, outside in zip(tflite, in_core(tflite, config.runs), strict=True):
        figures.append(Figure(path.name, "core, JVM", inference[path.name], outside))
    for path in config.files:
        if path.suffix == ".onnx":
            figures.append(in_page(path))
    if config.json:
        stdout.print_json(json.dumps([{**vars(f), "share": f.share} for f in figures]))
        return
    print_table(
        ["file", "where", "inference, ms", "outside, ms", "outside, %"],
        [
            [
                f.file,
                f.place,
                f"{f.inference_ms:.1f}",
                f"{f.outside_ms:.2f}",
                f"{100 * f.share:.1f}",
            ]
            for f in figures
        ],
        names=2,
    )
    stdout.print(Host.here().cpu)


def least_of(latency: Latency | None) -> float:
    """Milliseconds."""
    assert latency is not None
    return min(latency.samples_ms)


def in_core(files: list[Path], runs: int) -> list[float]:
    """Milliseconds outside the inference in the app's core."""
    if not files:
        return []
    with tempfile.TemporaryDirectory() as classes:
        compile_core(Path(classes))
        command = ["java", "-cp", classes, "org.ailsr.core.OutsideMain", str(runs)]
        done = subprocess.run([*command, *map(str, files)], capture_output=True, check=True)
    return [float(line) for line in done.stdout.split()]


def in_page(file: Path) -> Figure:
    """By the page's own measurement in Chromium."""
    reports: list[dict[str, Any]] = []
    with (
        web_first_upscale.serving(file, reports) as address,
        sync_playwright() as playwright,
        playwright.chromium.launch(
            executable_path=web_first_upscale.chromium(), args=web_first_upscale.FLAGS
        ) as browser,
    ):
        web_first_upscale.measure(browser, address)
        version = browser.version
    (measured,) = reports[0]["files"]
    inference, whole = (min(measured[of]["samples_ms"]) for of in ("inference", "whole_path"))
    outside = max(0.0, whole - inference)
    return Figure(file.name, f"page, Chromium {version.partition('.')[0]}", inference, outside)


cli = entry_point(OutsideInference, main)

if __name__ == "__main__":
    cli()
