"""A benchmark as a process, and a file for it."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np

from ailsr.export.graph.graph import Conv, DepthToSpace, Graph
from ailsr.export.targets.onnx import writer as onnx_writer
from ailsr.export.targets.tflite import writer as tflite_writer
from ailsr.runtime.card import Card

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


def run(name, *arguments, cwd):
    done = subprocess.run(
        [sys.executable, BENCHMARKS / name, *map(str, arguments), "--json"],
        cwd=cwd, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout)


def repeating(gain, path, size=(16, 16)):
    """A file that repeats each pixel, ``gain`` times as bright."""
    weight = np.zeros((12, 3, 1, 1), np.float32)
    weight[np.arange(12), np.arange(12) % 3] = gain  # channel 3*k + c is colour c of pixel k
    conv = Conv("image", "blocks", weight, np.zeros(12, np.float32))
    graph = Graph((conv, DepthToSpace("blocks", "upscaled", 2)), (3, *size))
    card = Card("nearest", 2, "rgb", "float32", "float32", size, radius=0)
    writer = {".onnx": onnx_writer, ".tflite": tflite_writer}[path.suffix]
    writer.write(graph, card, path, None)
