"""The options of ``ailsr-bench``."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from ailsr.runtime.bench.harness import Plan
from ailsr.runtime.bench.rounds import PROCESSES
from ailsr.runtime.commands.against import counterparts
from ailsr.runtime.devices.device import LOCAL, Delegate
from ailsr.runtime.devices.registry import forms
from ailsr.runtime.engines.resizer import Library
from ailsr.runtime.errors import UsageError
from ailsr.runtime.imaging.degradation import BICUBIC, DEGRADATION_METAVAR, Degradation
from ailsr.runtime.imaging.metrics import (
    ALWAYS,
    METRIC_NAMES,
    OF_VIDEO,
    MetricName,
    metric_name,
    titles,
)
from ailsr.runtime.imaging.protocol import PROTOCOL, Protocol


@dataclass(frozen=True)
class BenchConfig:
    """Measure exported files (.onnx, .tflite, .mlpackage) on this machine or others, side by side,
    also with OpenCV's dnn_superres networks (.pb) and interpolation.

    Each file runs in fresh processes: it is loaded, warmed up, and timed; then its PSNR and SSIM
    are taken on your images. Two latencies are given: of the inference alone, and of the whole
    path from a uint8 image to a uint8 image, which is what an app sees. Several files take
    turns (A B B A ...), so that their ratios hold on a machine that is busy or grows warm.
    Intervals come from what differs from one process to the next.

    Examples:

    ailsr-bench sesr_m5_x2_int8.tflite

    ailsr-bench exported/* --images photos/ --html report.html

    ailsr-bench --exported export.json --images photos/ --html report.html

    ailsr-bench exported/*.onnx --threads 1 --json > after.json

    ailsr-bench sesr_m5_x2_int8.tflite FSRCNN_x2.pb --baseline pillow --images photos/

    ailsr-bench exported/* --images photos/ --budget-ms 16

    ailsr-bench sesr_m5_x2_int8.tflite --cores big --sustained 10 --html report.html

    ailsr-bench exported/*.tflite --device local --device ssh://pi@raspberrypi.local --device adb

    ailsr-bench new/*.tflite --against old --fail-on-slower 5

    ailsr-bench compare before.json after.json (see ailsr-bench compare --help)
    """

    files: Annotated[
        list[Path],
        typer.Argument(
            help="Exported files; they may differ in scale.", metavar="FILE...", show_default=False
        ),
    ] = field(default_factory=list)
    exported: Annotated[
        Path | None,
        typer.Option(
            help="What ailsr-export --json printed: measure its files, too; those that it did not "
            "write stand in every report as failed, with the reason.",
            metavar="FILE",
        ),
    ] = None
    images: Annotated[
        Path | None,
        typer.Option(
            help="Folder of high-resolution images for the metrics. Their low-resolution "
            "versions come from a sibling folder LR_bicubic/X<scale>, or are made by MATLAB's "
            "bicubic reduction. Without it: latency only.",
            metavar="DIR",
        ),
    ] = None
    video: Annotated[
        Path | None,
        typer.Option(
            help="A video whose frames are the high-resolution images, in place of --images: PSNR, "
            "SSIM, VMAF, XPSNR and flicker. On this machine only. (extra: video)",
            metavar="CLIP",
        ),
    ] = None
    start: Annotated[
        str | None,
        typer.Option(help="Where to begin in the video, as in 90 or 1:30.", metavar="TIME"),
    ] = None
    end: Annotated[str | None, typer.Option(help="Where to end in the video.", metavar="TIME")] = (
        None
    )
    no_reference: Annotated[
        bool,
        typer.Option(
            "--no-reference",
            help="The images have no ground truth (photographs as they are): they are themselves "
            "upscaled. Reports show crops, and a blockiness and a noise figure before and after; "
            "no PSNR.",
        ),
    ] = False
    device: Annotated[
        list[str],
        typer.Option(
            help=f"Where to measure: {escape(forms())}. Repeatable: all measure at the same time, "
            "each yields a report of its own (docs/devices.md).",
            metavar="DEVICE",
        ),
    ] = field(default_factory=lambda: [LOCAL])
    apk: Annotated[
        Path | None,
        typer.Option(help="The app, to be installed first on Android devices.", metavar="FILE"),
    ] = None
    delegate: Annotated[Delegate, typer.Option(help="What Android devices run the files on.")] = (
        "cpu"
    )
    threads: Annotated[
        int | None, typer.Option(min=1, help="CPU threads.", show_default="one per core")
    ] = None
    cores: Annotated[
        str | None,
        typer.Option(
            help="Cores to run on: big, little, or their numbers, as in 0,1 or 4-7.",
            metavar="CORES",
            show_default="any",
        ),
    ] = None
    runs: Annotated[
        int, typer.Option(min=1, help="Runs to time of the inference and of the whole path.")
    ] = 200
    seconds: Annotated[
        float,
        typer.Option(
            min=0, help="Time for each of the two, after warm-up; slow files get fewer runs."
        ),
    ] = 5.0
    sustained: Annotated[
        float,
        typer.Option(
            min=0,
            help="Then repeat each file's inference for so long without a pause: how much does it "
            "slow down?",
            metavar="MINUTES",
        ),
    ] = 0.0
    processes: Annotated[
        int,
        typer.Option(
            min=1,
            max=100,
            help="Fresh processes to measure each file in; they share --runs, three at least each, "
            "and --seconds.",
        ),
    ] = PROCESSES
    against: Annotated[
        list[Path],
        typer.Option(
            help="What to compare the files with, in the same run: the file that FILE is to "
            "replace, or a folder with files of the same names. Repeatable. Prints what got faster "
            "or slower, by the 99 % interval of the ratio.",
            metavar="OLD",
            show_default=False,
        ),
    ] = field(default_factory=list)
    fail_on_slower: Annotated[
        float | None,
        typer.Option(
            min=0,
            help="With --against: fail when a file is more than so many percent slower than its "
            "OLD, beyond the noise. Measures in up to 20 processes until that can be told; exit "
            "code 3 when it cannot.",
            metavar="PERCENT",
        ),
    ] = None
    relative_to: Annotated[
        Path | None,
        typer.Option(
            help="The one of the files that the latencies of the others are related to.",
            metavar="FILE",
            show_default="the first that can be timed",
        ),
    ] = None
    protocol: Annotated[
        Protocol,
        typer.Option(
            help="What the metrics compare: Y of BT.601 or RGB, each without a border of "
            "<scale> pixels."
        ),
    ] = PROTOCOL
    degradation: Annotated[
        Degradation,
        typer.Option(
            parser=Degradation.from_json,
            metavar=DEGRADATION_METAVAR,
            help="What makes the low-resolution images of --images. photo: light blur, noise and "
            "JPEG; web: heavier. It stands in the name of the protocol: Y-shave-s/photo-1.",
        ),
    ] = BICUBIC
    metric: Annotated[
        list[str],
        typer.Option(
            help=f"Metric to show. Repeatable; plots and --budget-ms go by the first. Reports "
            f"always hold {titles(ALWAYS)}.",
            metavar="|".join(METRIC_NAMES),
            show_default=f"{', '.join(ALWAYS)}; of a video {', '.join(OF_VIDEO)}, too",
        ),
    ] = field(default_factory=lambda: list(ALWAYS))
    engine: Annotated[
        list[str],
        typer.Option(
            help="Which engine runs files of an ending: onnx=cuda, tensorrt, directml, coreml, "
            "openvino, qnn, xnnpack, webgpu or cpu; tflite=litert, compiled (LiteRT's "
            "CompiledModel), gpu, npu or tflite-runtime; mlpackage=coreml (macOS). onnx=auto, "
            "tflite=auto, or auto for all: the fastest that computes the file rightly. Repeatable.",
            metavar="ENDING=ENGINE",
            show_default="one that is installed",
        ),
    ] = field(default_factory=list)
    baseline: Annotated[
        list[Library],
        typer.Option(
            help="Measure this library's bicubic resize, too, at the sizes of the files. "
            "Repeatable.",
            show_default=False,
        ),
    ] = field(default_factory=list)
    budget_ms: Annotated[
        float | None,
        typer.Option(
            min=0,
            help="Name the file with the best quality whose whole path takes so many milliseconds "
            "at most in nine of ten runs; exit code 1 when there is none. Needs --images.",
            metavar="MS",
        ),
    ] = None
    fail_on_infidelity: Annotated[
        int | None,
        typer.Option(
            min=0,
            help="Fail when an engine computes a file otherwise than it was exported: wrongly, or "
            "by more than so many grey levels. 0: anything but exactly. Files without a fidelity "
            "probe do not count.",
            metavar="LEVELS",
        ),
    ] = None
    json: Annotated[
        bool,
        typer.Option(
            "--json",
            help="Print one JSON document, no table; of several devices a list of such documents.",
        ),
    ] = False
    html: Annotated[
        Path | None,
        typer.Option(
            help="Write a report with plot and crops, one self-contained page. Of several devices "
            "each gets a page, as it gets a CSV and a Markdown file, its name before the ending.",
            metavar="FILE",
        ),
    ] = None
    csv: Annotated[
        Path | None,
        typer.Option(help="Write all figures, unrounded, one line per file.", metavar="FILE"),
    ] = None
    markdown: Annotated[
        Path | None,
        typer.Option(help="Write the table for a paper or a pull request.", metavar="FILE"),
    ] = None
    history: Annotated[
        Path | None,
        typer.Option(help="Append the JSON document to this file as one line.", metavar="FILE"),
    ] = None

    def check_no_reference(self) -> None:
        """Raise UsageError for what --no-reference cannot go with."""
        if self.images is None:
            raise UsageError("--no-reference is of images: add --images DIR")
        needs_truth = {
            "--budget-ms": self.budget_ms is not None,
            "--degradation": bool(self.degradation.steps),
            "--metric": self.metric != list(ALWAYS),
            "--protocol": self.protocol != PROTOCOL,
        }
        if given := [option for option, value in needs_truth.items() if value]:
            raise UsageError(
                f"{', '.join(given)} compare{'s' * (len(given) == 1)} with a ground truth: leave "
                "it out with --no-reference"
            )

    def check_video(self) -> None:
        """Raise UsageError for what --video, --start and --end cannot go with."""
        if self.video is None:
            if self.start is not None or self.end is not None:
                raise UsageError("--start and --end are of a video: add --video CLIP")
            return
        if self.images is not None or self.no_reference:
            raise UsageError("--video takes the place of --images and --no-reference: give one")
        if self.device != [LOCAL]:
            raise UsageError("--video measures on this machine: leave out --device")

    @property
    def metrics(self) -> tuple[MetricName, ...]:
        """Those to show. Raises UsageError for one that does not exist."""
        names = tuple(dict.fromkeys(map(metric_name, self.metric)))
        return (*names, *OF_VIDEO) if self.video and names == ALWAYS else names

    @property
    def plan(self) -> Plan:
        """What each device is told. Raises UsageError for an --against that fits no file."""
        images = self.video or self.images
        old = counterparts(self.files, self.against) if self.against else []
        count = len(self.files)
        return Plan(
            files=tuple(map(str, [*self.files, *old])),
            threads=self.threads,
            runs=self.runs,
            seconds=self.seconds,
            images=str(images) if images else None,
            video=self.video is not None,
            start=self.start,
            end=self.end,
            no_reference=self.no_reference,
            protocol=self.protocol,
            degradation=self.degradation.to_json(),
            metrics=self.metrics,
            engines=tuple(self.engine),
            cores=self.cores,
            sustained_minutes=self.sustained,
            relative_to=self.files.index(self.relative_to) if self.relative_to else 0,
            baselines=tuple(self.baseline),
            processes=self.processes,
            pairs=tuple((place, count + place) for place in range(len(old))),
            percent=self.fail_on_slower,
        )
