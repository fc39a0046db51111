"""Ways to keep int8 weights right on x86 CPUs without VNNI: quality and speed side by side.

    python benchmarks/int8_weights.py sesr_m5_research_x2 --calibration T91 --test Set5/HR \\
        --test Set14/HR

The int8 ONNX file of one network, corrected as ``ailsr-export`` does, in plain sessions of
onnxruntime: with weights of full range, of 7 bits, on levels of which no pair saturates (what we
write), of full range as uint8, and of full range with the session option that onnxruntime offers.
Beside them the int8 TFLite file and the float32 files. The runs take turns; the ratio is that of
the medians to float32 ONNX. What a file answers is compared with integer arithmetic on all samples
of the last test set.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import onnx
import onnxruntime
import typer
from numpy.typing import NDArray
from onnx import numpy_helper
from typer import Option

from ailsr.export.exporter import Exporter
from ailsr.export.graph import weights
from ailsr.export.graph.sizes import default_input_size
from ailsr.export.int8 import weight_rounding
from ailsr.export.int8.arithmetic import integer_output
from ailsr.export.reading.source import open_source
from ailsr.runtime import load
from ailsr.runtime.bench.host import Host
from ailsr.runtime.commands.command import entry_point, print_table, stdout
from ailsr.runtime.imaging import protocol
from ailsr.runtime.imaging.image import Rgb
from ailsr.runtime.probe import probe_image
from ailsr.train import zoo

LIMITS = {"full range": (127, 254), "7 bits": (63, 126), "pairs": (127, 128)}
"""(LARGEST, PAIR_REACH) of ``ailsr.export.graph.weights``."""
Run = Callable[[Rgb], NDArray[np.uint8]]


@dataclass(frozen=True)
class Int8Weights:
    """Measure ways to keep int8 weights from saturating."""

    network: Annotated[str, typer.Argument(help="One of the zoo.", metavar="NAME")]
    calibration: Annotated[Path, Option(metavar="DIR", help="Images to calibrate on.")]
    test: Annotated[list[Path], Option(metavar="DIR", help="Images for PSNR. Repeatable.")]
    runs: Annotated[int, Option(min=1, help="Timed runs of each.")] = 30
    threads: Annotated[int, Option(min=1, help="CPU threads.")] = 1


def main(config: Int8Weights) -> None:
    """Export, run and print the table."""
    source = open_source(zoo.path(config.network))
    tests = [list(protocol.pairs(folder, source.scale)) for folder in config.test]
    sizes = {pair.lr.shape[:2] for pairs in tests for pair in pairs}
    size = default_input_size(source.scale)
    headers = ["weights", *(protocol.set_name(folder) for folder in config.test)]
    headers += ["samples off by\nmore than 1", "largest\ndifference", "time /\nfloat32 ONNX"]
    rows = []
    with tempfile.TemporaryDirectory() as name:
        folder, runs, answers = Path(name), dict[str, Run](), dict[str, Any]()
        for title, limits in LIMITS.items():
            with limited(*limits):
                work = Exporter(
                    source, size, other_sizes=sorted(sizes - {size}), calibration=config.calibration
                )
                path = work.write_by("correction", "onnx", folder)
                quantized = work.int8.quantized("correction")
                answers[title] = [integer_output(*quantized, pair.lr) for pair in tests[-1]]
                runs[title] = session(path.read_bytes(), config.threads)
                if title == "full range":
                    content = with_unsigned_weights(path)
                    runs["full range, uint8"] = session(content, config.threads)
                    option = {"session.x64quantprecision": "1"}
                    runs["full range, option"] = session(path.read_bytes(), config.threads, option)
                if title == "pairs":
                    tflite = work.write_by("correction", "tflite", folder)
                    runs["pairs, TFLite"] = load(tflite, threads=config.threads).upscale
        for target in ("onnx", "tflite"):
            file = work.export(target, "float32", folder)
            runs[f"float32 {target}"] = load(file.file, threads=config.threads).upscale
        times = interleaved(runs, probe_image(*size), config.runs)
        base = times["float32 onnx"]
        for title, run in runs.items():
            results = [[run(pair.lr) for pair in pairs] for pairs in tests]
            psnr = [
                statistics.fmean(protocol.score(r, p)["psnr"] for r, p in zip(*both, strict=True))
                for both in zip(results, tests, strict=True)
            ]
            right = answers.get(title.partition(",")[0])
            off = largest = "–"
            if right is not None:
                pairs = zip(results[-1], right, strict=True)
                differences = np.concatenate([np.abs(a.astype(int) - b).ravel() for a, b in pairs])
                off, largest = f"{(differences > 1).mean():.3%}", str(differences.max())
            ratio = f"{times[title] / base:.2f}"
            rows.append([title, *(f"{value:.3f}" for value in psnr), off, largest, ratio])
    host = Host.here()
    stdout.print(f"{config.network}, {host.cpu}, {config.threads} threads", markup=False)
    print_table(headers, rows)


@contextmanager
def limited(largest: int, pair_reach: int) -> Any:  # noqa: ANN401
    """Other limits of a level and of a pair, wherever they were imported."""
    modules = (weights, weight_rounding)
    before = weights.LARGEST, weights.PAIR_REACH
    for module in modules:
        module.LARGEST, module.PAIR_REACH = largest, pair_reach  # type: ignore[attr-defined]
    try:
        yield
    finally:
        for module in modules:
            module.LARGEST, module.PAIR_REACH = before  # type: ignore[attr-defined]


def session(content: bytes, threads: int, entries: dict[str, str] | None = None) -> Run:
    """A plain session of onnxruntime, with these configuration entries."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    for key, value in {"session.force_spinning_stop": "1", **(entries or {})}.items():
        options.add_session_config_entry(key, value)
    opened = onnxruntime.InferenceSession(content, options, ["CPUExecutionProvider"])
    (image,) = opened.get_inputs()

    def run(rgb: Rgb) -> NDArray[np.uint8]:
        batch = np.ascontiguousarray(rgb.transpose(2, 0, 1)[None])
        (upscaled,) = opened.run(None, {image.name: batch})
        return np.asarray(upscaled[0].transpose(1, 2, 0))

    return run


def with_unsigned_weights(path: Path) -> bytes:
    """The model at ``path``, its int8 weights as uint8 with zero point 128."""
    model = onnx.load(path)
    for tensor in model.graph.initializer:
        if tensor.data_type == onnx.TensorProto.INT8:  # levels, or their zero points
            levels = numpy_helper.to_array(tensor).astype(np.int16) + 128
            tensor.CopyFrom(numpy_helper.from_array(levels.astype(np.uint8), tensor.name))
    return bytes(model.SerializeToString())


def interleaved(runs: dict[str, Run], image: Rgb, count: int) -> dict[str, float]:
    """Median time of each, in seconds; they take turns."""
    samples: dict[str, list[float]] = {title: [] for title in runs}
    for number in range(count + 2):
        for title, run in runs.items():
            start = time.perf_counter()
            run(image)
            if number >= 2:  # warm by then
                samples[title].append(time.perf_counter() - start)
    return {title: statistics.median(values) for title, values in samples.items()}


if __name__ == "__main__":
    entry_point(Int8Weights, main)()
