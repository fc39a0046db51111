"""What the harness itself costs: around an inference, at its start, and in memory.

    python benchmarks/harness_overhead.py exported/*

- Around an inference of 5 ms: a call that is busy for so long and notes its own time is measured as
  files are. What the latency has more than that is the harness's, and so is the time between runs.
- Start and memory are taken in a minimal environment (numpy, Pillow and an engine for each kind of
  file), which is made under build/, or in that of ``--python``. Memory is the peak of a worker that
  has measured a file, beside that of a process that only runs it with the engine's own interface.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
import venv
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from ailsr.runtime.bench import process as bench_process
from ailsr.runtime.bench.latency import measure_latencies
from ailsr.runtime.bench.measurement import Failure
from ailsr.runtime.bench.request import Request
from ailsr.runtime.bench.system import System, Watch
from ailsr.runtime.commands.command import entry_point, print_table
from ailsr.runtime.engines.engine import available_cores
from ailsr.runtime.errors import EngineError
from ailsr.runtime.progress import silent

ROOT = Path(__file__).parent.parent
INFERENCE_MS = 5.0
ALONE = """
import re, sys
import numpy as np
path, threads = sys.argv[1], int(sys.argv[2])
if path.endswith(".onnx"):
    import onnxruntime
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    (image,) = session.get_inputs()
    pixels = np.zeros(image.shape, np.uint8 if "uint8" in image.type else np.float32)
    run = lambda: session.run(None, {image.name: pixels})
else:
    from ai_edge_litert.interpreter import Interpreter
    interpreter = Interpreter(path, num_threads=threads)
    interpreter.allocate_tensors()
    (image,), (upscaled,) = interpreter.get_input_details(), interpreter.get_output_details()
    pixels = np.zeros(image["shape"], image["dtype"])
    def run():
        interpreter.set_tensor(image["index"], pixels)
        interpreter.invoke()
        return interpreter.get_tensor(upscaled["index"])
for _ in range(5):
    run()
print(re.search(r"VmHWM:\\s*(\\d+)", open("/proc/self/status").read())[1])
"""
"""Prints the peak memory in kB of a process that only runs a file."""
COMMAND_MEMORY = (
    "import ailsr.runtime.commands.bench, ailsr.runtime.memory as m; print(m.peak_memory_bytes())"
)


@dataclass(frozen=True)
class Overhead:
    """Measure what the harness costs around an inference, at its start, and in memory."""

    files: Annotated[
        list[Path],
        typer.Argument(
            help="Exported .onnx and .tflite files of a 720p output.", metavar="FILE..."
        ),
    ]
    python: Annotated[
        Path | None,
        typer.Option(
            help="Interpreter of the minimal environment.", show_default="that of build/minimal"
        ),
    ] = None
    times: Annotated[int, typer.Option(min=1, help="How often the command is started.")] = 9
    json: Annotated[bool, typer.Option("--json", help="Print the figures as JSON.")] = False


def main(config: Overhead) -> None:
    """Take the three costs and print them beside their limits."""
    python = config.python or minimal_environment()
    megabytes_of = {
        file.name: (worker_memory(python, file) - memory_alone(python, file)) / 1e6
        for file in config.files
    }
    figures = {
        **around_an_inference(),
        "start, s of CPU": start_seconds(python, config.times),
        "command, MB": command_memory(python) / 1e6,
    }
    if config.json:
        typer.echo(json.dumps({**figures, "memory, MB": megabytes_of}))
        return
    rows = [
        ["added to the latency of 5 ms", f"{figures['added, %']:.4f} %", "1 %"],
        ["between the runs of 5 ms", f"{figures['between, %']:.2f} %", "1 %"],
        ["ailsr-bench --help, CPU", f"{figures['start, s of CPU']:.2f} s", "0.5 s"],
        *(
            [f"{name}: worker beyond the engine alone", f"{megabytes:.0f} MB", "60 MB"]
            for name, megabytes in megabytes_of.items()
        ),
        ["the process that starts the workers", f"{figures['command, MB']:.0f} MB", ""],
    ]
    print_table(["cost", "measured", "limit"], rows)


def around_an_inference() -> dict[str, float]:
    """In percent of the inference: what is added to its latency, and what passes between runs."""
    own_ms: list[float] = []

    def infer() -> None:
        start = time.perf_counter_ns()
        while (spent := time.perf_counter_ns() - start) < INFERENCE_MS * 1e6:
            pass
        own_ms.append(spent / 1e6)

    watch, blocks_ms = Watch(System(cores=range(available_cores()))), []

    @contextmanager
    def block() -> Iterator[None]:
        start = time.perf_counter()
        watch.start()
        yield
        watch.stop()
        blocks_ms.append(1e3 * (time.perf_counter() - start))

    (latency,) = measure_latencies([infer], runs=1000, seconds=60, block=block)
    own_ms = own_ms[-latency.n :]
    added = [seen - own for seen, own in zip(latency.samples_ms, own_ms, strict=True)]
    return {
        "added, %": 100 * statistics.median(added) / INFERENCE_MS,
        "between, %": 100 * (sum(blocks_ms) / sum(latency.samples_ms) - 1),
    }


def start_seconds(python: Path, times: int) -> float:
    """User and system time of ``ailsr-bench --help``, the median of ``times``."""
    seconds = []
    for _ in range(times + 1):  # the first fills the caches
        command = [
            str(python),
            "-c",
            "from ailsr.runtime.commands.bench import cli; cli()",
            "--help",
        ]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            raise EngineError(f"ailsr-bench --help failed in {python}")
        seconds.append(usage.ru_utime + usage.ru_stime)
    return statistics.median(seconds[1:])


def command_memory(python: Path) -> int:
    """Peak memory in bytes of the process of ``ailsr-bench``, which starts the workers."""
    return int(_output([python, "-c", COMMAND_MEMORY]))


def worker_memory(python: Path, file: Path) -> int:
    """Peak memory in bytes of the worker that measures ``file``."""
    request = Request(str(file), available_cores(), runs=20, seconds=1.0)
    command = [str(python), *bench_process.COMMAND[1:]]
    found = bench_process.measure(request, silent, command)
    if isinstance(found, Failure):
        raise EngineError(f"{file}: {found.error}")
    if found.peak_memory_bytes is None:
        raise EngineError(f"{file} is not measurable here: leave it out")
    return found.peak_memory_bytes


def memory_alone(python: Path, file: Path) -> int:
    """Peak memory in bytes of a process that only runs ``file``."""
    return 1024 * int(_output([python, "-c", ALONE, file, str(available_cores())]))


def _output(command: list[str | Path]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise EngineError(f"{command[0]} failed: {done.stderr.strip().splitlines()[-1:]}")
    return done.stdout


def minimal_environment() -> Path:
    """The interpreter of an environment with the runtime and its engines, brought up to date."""
    folder = ROOT / "build" / "minimal"
    python = folder / "bin" / "python"
    if not python.exists():
        venv.create(folder, with_pip=True)
    install = [str(python), "-m", "pip", "install", "--quiet", "--constraint", "constraints.txt"]
    subprocess.run([*install, ".[onnx,tflite]"], cwd=ROOT, check=True, stdout=sys.stderr)
    return python


cli = entry_point(Overhead, main)

if __name__ == "__main__":
    cli()
