"""``ailsr-bench``: latency, memory and PSNR of exported files on this machine, side by side."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import Progress

from ailsr.runtime import bench_process, budget, cores, findings, image, protocol
from ailsr.runtime.bench import Failure, Measurement, Quality, Request, Upscale
from ailsr.runtime.bench_table import print_table
from ailsr.runtime.command import entry_point, message, progress, stdout
from ailsr.runtime.crops import Crop, crop
from ailsr.runtime.engines import available_cores, chosen_engines, timed_engine
from ailsr.runtime.errors import EngineError, ModelError, UsageError
from ailsr.runtime.exchange import WRITERS
from ailsr.runtime.host import Host
from ailsr.runtime.protocol import PROTOCOL, Protocol
from ailsr.runtime.resize import enlarge
from ailsr.runtime.resizer import Library, Resizer, check_installed
from ailsr.runtime.results import Results, as_text
from ailsr.runtime.system import System

MOST_CROPS = 6
"""Pictures that the HTML report shows."""


@dataclass(frozen=True)
class BenchConfig:
    """Measure exported files (.onnx, .tflite, .mlpackage) on this machine, side by side, also with
    OpenCV's dnn_superres networks (.pb) and interpolation.

    Each file runs in a fresh process: it is loaded, warmed up, and timed; then its PSNR and SSIM
    are taken on your pictures. Two latencies are given: of the inference alone, and of the whole
    path from a uint8 picture to a uint8 picture, which is what an app sees. Several files take
    turns (A B A B ...), so that their ratios hold on a machine that is busy or grows warm.

    Examples:

    ailsr-bench sesr_m5_x2_int8.tflite

    ailsr-bench exported/* --images photos/ --html report.html

    ailsr-bench exported/*.onnx --threads 1 --json > after.json

    ailsr-bench sesr_m5_x2_int8.tflite FSRCNN_x2.pb --baseline pillow --images photos/

    ailsr-bench exported/* --images photos/ --budget-ms 16
    ailsr-bench sesr_m5_x2_int8.tflite --cores big --sustained 10 --html report.html

    ailsr-bench compare before.json after.json (see ailsr-bench compare --help)
    """

    files: Annotated[
        list[Path],
        typer.Argument(help="Exported files; they may differ in scale.", metavar="FILE..."),
    ]
    images: Annotated[
        Path | None,
        typer.Option(
            help="Folder of high-resolution pictures for PSNR and SSIM. Their low-resolution "
            "versions come from a sibling folder LR_bicubic/X<scale>, or are made by MATLAB's "
            "bicubic reduction. Without it: latency only.",
            metavar="DIR",
        ),
    ] = None
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
            help="What PSNR and SSIM compare: Y of BT.601 or RGB, each without a border of "
            "<scale> pixels."
        ),
    ] = PROTOCOL
    engine: Annotated[
        list[str],
        typer.Option(
            help="Which engine runs files of an ending: tflite=litert, tflite=compiled (LiteRT's "
            "CompiledModel), tflite=tflite-runtime, mlpackage=coreml (macOS). Repeatable.",
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
            help="Name the file with the best PSNR whose whole path takes so many milliseconds at "
            "most in nine of ten runs; exit code 1 when there is none. Needs --images.",
            metavar="MS",
        ),
    ] = None
    json: Annotated[bool, typer.Option("--json", help="Print one JSON document, no table.")] = False
    html: Annotated[
        Path | None,
        typer.Option(
            help="Write a report with plot and crops, one self-contained page.", metavar="FILE"
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


def main(config: BenchConfig) -> None:
    """Measure, print, write the report; then raise EngineError if a file could not be measured."""
    for path in config.files:
        if not path.exists():
            raise ModelError(f"no model file at {path}: check the name")
    if config.relative_to and config.relative_to not in config.files:
        raise UsageError(f"--relative-to {config.relative_to}: name one of the files to measure")
    if config.budget_ms is not None and config.images is None:
        raise UsageError("--budget-ms chooses by PSNR: add --images DIR")
    chosen_engines(config.engine)  # raises for one that does not exist
    for library in config.baseline:
        check_installed(library)
    if config.images:
        protocol.pairs(config.images, 1)  # raises when there are no pictures
    with progress() as bar:
        results = measure_files(config, bar)
    document, sentences = results.to_document(), []
    if config.budget_ms is not None:
        chosen = budget.choices(results, config.budget_ms)
        document["budget"] = budget.document(chosen, config.budget_ms)
        sentences = [budget.sentence(choice, results, config.budget_ms) for choice in chosen]
    if config.json:
        stdout.print(as_text(document), markup=False, soft_wrap=True)
    else:
        print_table(results)
        for sentence in sentences:
            stdout.print(sentence, markup=False, soft_wrap=True)
    if config.html:
        from ailsr.runtime.report import write_html

        crops = make_crops(results)
        write_html(results, crops, config.html)
        message(f"wrote {config.html}")
    for option, write in WRITERS.items():
        if path := getattr(config, option):
            write(results, path)
            message(f"wrote {path}")
    if results.failed:
        reasons = "; ".join(f"{results.short_name(f.file)}: {f.error}" for f in results.failed)
        raise EngineError(f"{len(results.failed)} of {len(results.files)} files failed: {reasons}")
    if config.budget_ms is not None:
        budget.check_met(chosen, results, config.budget_ms)


def measure_files(config: BenchConfig, bar: Progress) -> Results:
    """Every file in a process of its own, taking turns; then baselines, beside the first file."""
    threads = config.threads or available_cores()
    if config.cores:
        threads = config.threads or len(cores.choose(config.cores, System()))
    host, date = Host.here(), datetime.now(UTC).astimezone()
    images = str(config.images) if config.images else None
    first = config.relative_to or config.files[0]
    paths = sorted(config.files, key=lambda path: path != first)  # the others stay in order
    engines = chosen_engines(config.engine)

    def request(file: Path | Resizer) -> Request:
        engine = None
        if isinstance(file, Path):
            engine = engines.get(file.suffix.lower()) or timed_engine(file)
        return Request(
            file=str(file),
            threads=threads,
            runs=config.runs,
            seconds=config.seconds,
            images=images,
            protocol=config.protocol,
            engine=engine,
            cores=config.cores,
            sustained_minutes=config.sustained,
        )

    task = bar.add_task("measuring", total=len(paths), note="")
    shares = [0.0] * len(paths)

    def report(place: int, what: str, share: float) -> None:
        shares[place] = max(shares[place], share)
        bar.update(task, completed=sum(shares), note=f"{paths[place].name}: {what}")

    requests = [request(path) for path in paths]
    found = dict(zip(paths, bench_process.measure_side_by_side(requests, report), strict=True))
    files = [found[path] for path in config.files]
    bar.update(task, completed=len(paths), note="bicubic")
    if resizers := _resizers(config.baseline, files):
        beside = [replace(requests[0], images=None, sustained_minutes=0.0)]
        beside += [request(resizer) for resizer in resizers]
        files += bench_process.measure_side_by_side(beside, lambda *_: None)[1:]
    scales = {file.scale for file in files if isinstance(file, Measurement)}
    bicubic = {}
    if config.images:
        bicubic = {
            scale: bicubic_quality(config.images, scale, config.protocol) for scale in scales
        }
    return Results(
        host=host,
        date=date,
        threads=threads,
        runs=config.runs,
        seconds=config.seconds,
        protocol=config.protocol,
        images=images,
        files=files,
        bicubic=bicubic,
        cores=config.cores,
        sustained_minutes=config.sustained,
    )


def _resizers(
    libraries: Sequence[Library], files: Sequence[Measurement | Failure]
) -> list[Resizer]:
    """The interpolations to measure: for each scale and size that ``files`` have."""
    jobs = {(f.scale, f.input_size): None for f in files if isinstance(f, Measurement)}
    return [Resizer(library, *job) for job in jobs for library in dict.fromkeys(libraries)]


def bicubic_quality(images: Path, scale: int, protocol_name: Protocol) -> Quality:
    """The baseline: MATLAB's bicubic interpolation of the same pictures."""
    pairs = protocol.pairs(images, scale)
    return Quality.of_scores(
        protocol.evaluate(lambda rgb: enlarge(rgb, scale), pairs, protocol_name)
    )


def make_crops(results: Results) -> list[Crop]:
    """What each picture looks like from the files worth showing; of many, the largest gains."""
    files = findings.shown(results)
    bicubic = results.bicubic.get(next((file.scale for file in files.values()), 0))
    if not files or bicubic is None or results.images is None:
        return []
    pairs = protocol.pairs(Path(results.images), next(iter(files.values())).scale)
    first = next(iter(files.values())).quality
    gain = {
        name: (first.images[name][0] if first else 0) - bicubic.images[name][0]
        for name in pairs.names
    }
    chosen = sorted(sorted(gain, key=lambda name: -gain[name])[:MOST_CROPS])
    with tempfile.TemporaryDirectory() as folder:
        for label, file in files.items():
            outputs = {name: str(Path(folder, f"{label}-{i}.png")) for i, name in enumerate(chosen)}
            bench_process.upscale(Upscale(file.file, file.threads, results.images, outputs))
        return [
            crop(
                pairs[pairs.names.index(name)],
                {label: image.read(Path(folder, f"{label}-{i}.png")) for label in files},
                results.protocol,
            )
            for i, name in enumerate(chosen)
        ]


_measure = entry_point(BenchConfig, main)


def cli() -> None:
    """``ailsr-bench FILE...`` or ``ailsr-bench compare A B`` (no exported file has that name)."""
    if sys.argv[1:2] != ["compare"]:
        _measure()
        return
    from ailsr.runtime import compare_command

    sys.argv = [f"{sys.argv[0]} compare", *sys.argv[2:]]
    compare_command.cli()
