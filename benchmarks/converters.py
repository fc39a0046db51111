"""Our TFLite files beside those that other converters make of the same networks, and beside files
that others publish, as docs/converters.md.

    python benchmarks/converters.py --calibration T91 --images Set5 --peers ../shared/peers

Each converter runs in an environment of its own (``tool_chains.py``), and all files of a network
are measured in turn. Figures are kept for each network under ``build/converters``, and the page is
written from all that are there, so the work may be split by ``--only``. Latencies are measured
anew by each run, all else only for another checkpoint or with ``--again``.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field, replace
from datetime import date
from pathlib import Path
from typing import Annotated

from ai_edge_litert.interpreter import Interpreter
from converters_page import page
from tool_chains import BUILD, CHAINS, Material, prepared
from typer import Option, echo

from ailsr.export.graph.sizes import default_input_size
from ailsr.runtime.anatomy.registry import anatomy
from ailsr.runtime.bench.host import Host
from ailsr.runtime.bench.latency import measure_latencies
from ailsr.runtime.bench.measurement import Failure
from ailsr.runtime.bench.process import measure
from ailsr.runtime.bench.request import Request
from ailsr.runtime.bench.worker import photograph_like
from ailsr.runtime.commands.command import entry_point, message
from ailsr.runtime.engines.pixels import to_pixels
from ailsr.runtime.engines.registry import open_engine
from ailsr.runtime.errors import AilsrError
from ailsr.runtime.files import atomic_output, sha256
from ailsr.runtime.imaging.protocol import PROTOCOL, set_name
from ailsr.runtime.progress import silent
from ailsr.runtime.upscaling.tiles import Size
from ailsr.train import checkpoint, zoo

NETWORKS = ("sesr_m5_research_x2", "abpn_research_x3", "quicksrnet_small_research_x2")
PRECISIONS = ("float32", "int8")
THREADS = (1, 2)
RESULTS = BUILD / "results"


@dataclass(frozen=True)
class Converters:
    """Measure our files beside others' and write the page as Markdown."""

    calibration: Annotated[
        Path, Option(metavar="DIR", help="High-resolution images to calibrate int8 on.")
    ]
    images: Annotated[
        Path,
        Option(metavar="DIR", help="High-resolution images for PSNR; ours is verified on them."),
    ]
    peers: Annotated[
        Path | None,
        Option(metavar="DIR", help="Published files, measured beside a network of their scale."),
    ] = None
    only: Annotated[
        list[str],
        Option(metavar="NAME", help="A network of the zoo. Repeatable.", show_default="three"),
    ] = field(default_factory=list)
    again: Annotated[bool, Option("--again", help="Convert and measure all anew.")] = False
    runs: Annotated[int, Option(min=3, help="Runs measured of each file.")] = 50
    seconds: Annotated[float, Option(help="Time allowed for them, per file.")] = 4.0
    output: Annotated[Path, Option(help="The page to write.")] = Path("docs/converters.md")
    json: Annotated[bool, Option("--json", help="Print the figures, write no page.")] = False


@dataclass(frozen=True)
class File:
    """One file and its figures, or why it has none."""

    tool: str
    """That made it; or the name of a published file."""
    path: str
    precision: str | None = None
    """None: a published file."""
    export_seconds: float | None = None
    error: str | None = None
    bytes: int = 0
    operators: int = 0
    load_ms: float = 0.0
    peak_memory_bytes: int | None = None
    psnr: float = 0.0
    """dB"""
    latencies: dict[str, tuple[float, float, float]] = field(default_factory=dict)
    """By the number of threads: the median of an inference in ms, and the ends of its interval."""


def main(config: Converters) -> None:
    """Convert, measure, keep and write."""
    RESULTS.mkdir(parents=True, exist_ok=True)
    for name in config.only or NETWORKS:
        message(f"{name} …")
        figures = json.dumps(figures_of(name, config), indent=1)
        with atomic_output(RESULTS / f"{name}.json") as temporary:
            temporary.write_text(figures)
    results = [json.loads(path.read_text()) for path in sorted(RESULTS.glob("*.json"))]
    if config.json:
        echo(json.dumps(results))
        return
    with atomic_output(config.output) as temporary:
        temporary.write_text(page(results), encoding="utf-8")
    message(f"wrote {config.output}")


def figures_of(name: str, config: Converters) -> dict[str, object]:
    """Everything about one network, for JSON."""
    digest = sha256(zoo.path(name))
    size = default_input_size(checkpoint.load(zoo.path(name)).network.scale)
    kept = RESULTS / f"{name}.json"
    before = json.loads(kept.read_text()) if kept.exists() and not config.again else {}
    if before.get("checkpoint") == digest:
        files = [File(**file) for file in before["files"]]
        day = before["date"]
    else:
        material = prepared(name, config.calibration, config.images)
        files = [*converted(material), *published(config.peers, material.scale)]
        files = [measured(file, size, config) for file in files]
        day = date.today().isoformat()
    usable = [file for file in files if file.error is None]
    for threads in THREADS:
        calls = [inference(Path(file.path), threads, size) for file in usable]
        latencies = measure_latencies(calls, config.runs, config.seconds)
        for file, latency in zip(usable, latencies, strict=True):
            interval = (latency.p50_ms, latency.p50_low_ms, latency.p50_high_ms)
            file.latencies[str(threads)] = interval
    host = Host.here()
    return {
        "network": name,
        "checkpoint": digest,
        "input_size": size,
        "calibration": set_name(config.calibration),
        "images": set_name(config.images),
        "protocol": PROTOCOL,
        "date": day,
        "cpu": host.cpu,
        "cores": host.cores,
        "installed_bytes": {chain.name: chain.installed_bytes() for chain in CHAINS},
        "files": [asdict(file) for file in files],
    }


def converted(material: Material) -> Iterator[File]:
    """What each tool chain makes of a network."""
    for precision in PRECISIONS:
        for chain in CHAINS:
            path, seconds, error = chain.convert(material, precision)
            yield File(chain.name, str(path), precision, seconds, error)


def published(folder: Path | None, scale: int) -> Iterator[File]:
    """The files in ``folder`` that enlarge by ``scale``, those of any input size."""
    for path in sorted(folder.rglob("*.*")) if folder else ():
        known = path.suffix in (".onnx", ".tflite") and not path.stem.endswith("_time")
        if known and open_engine(path, 1).scale == scale:
            yield File(path.name, str(path))


def measured(file: File, size: Size, config: Converters) -> File:
    """``file`` with its figures from a process of its own."""
    if file.error is not None:
        return file
    path = Path(file.path)
    try:
        open_engine(path, 1, size)
    except AilsrError as error:
        return replace(file, error=str(error).removeprefix(f"{path}: "))
    figures = measure(
        Request(file.path, max(THREADS), 3, config.seconds, images=str(config.images.resolve())),
        silent,
    )
    if isinstance(figures, Failure):
        return replace(file, error=figures.error)
    assert figures.load_ms is not None and figures.quality is not None
    return replace(
        file,
        bytes=figures.size_bytes,
        operators=len(anatomy(file.path).operators),
        load_ms=figures.load_ms,
        peak_memory_bytes=figures.peak_memory_bytes,
        psnr=figures.quality.psnr_db,
    )


def inference(path: Path, threads: int, size: Size) -> Callable[[], object]:
    """One inference of the file at ``path``, its input in place."""
    if path.suffix == ".tflite":
        interpreter = Interpreter(str(path), num_threads=threads)
        (image,) = interpreter.get_input_details()
        interpreter.resize_tensor_input(image["index"], [1, *size, 3])
        interpreter.allocate_tensors()
        (image,) = interpreter.get_input_details()
        pixels = to_pixels(photograph_like(*size), image["dtype"].__name__)
        interpreter.set_tensor(image["index"], pixels[None])
        run: Callable[[], object] = interpreter.invoke
        return run
    engine = open_engine(path, threads, size)
    pixels = to_pixels(photograph_like(*size), engine.io_dtype)
    return lambda: engine.run(pixels)


cli = entry_point(Converters, main)

if __name__ == "__main__":
    cli()
