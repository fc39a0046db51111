"""Runs of the harness and of ``ailsr-bench`` for the tests, and what they measure."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np

from ailsr.export.graph.graph import Conv, DepthToSpace, Graph, Pad
from ailsr.export.graph.quantization import PIXELS, Quantization
from ailsr.export.targets.onnx import writer as onnx_writer
from ailsr.export.targets.tflite import writer as tflite_writer
from ailsr.runtime.bench import process
from ailsr.runtime.bench.measurement import Failure, Measurement
from ailsr.runtime.bench.request import Request
from ailsr.runtime.card import Card
from ailsr.runtime.imaging.resize import enlarge
from ailsr.runtime.progress import silent

SIZE = (48, 64)
BENCH = Path(sys.executable).with_name("ailsr-bench")


def bicubic_graph(size: tuple[int, int]) -> Graph:
    """MATLAB's bicubic ×2 as a convolution: channel (i*2 + j)*3 + c is pixel (i, j) of colour c."""
    weight = np.zeros((12, 3, 5, 5), np.float32)
    for y in range(5):
        for x in range(5):
            impulse = np.zeros((9, 9))
            impulse[y + 2, x + 2] = 1
            response = enlarge(impulse, 2)[8:10, 8:10]  # of the pixel in the middle
            for block, value in enumerate(response.flat):
                for c in range(3):
                    weight[block * 3 + c, c, y, x] = value
    return Graph(
        (
            Pad("image", "padded", (2, 2, 2, 2)),
            Conv("padded", "blocks", weight, np.zeros(12, np.float32)),
            DepthToSpace("blocks", "upscaled", 2),
        ),
        (3, *size),
    )


def bicubic_files(folder: Path) -> dict[str, Path]:
    """Files that compute bicubic interpolation ×2: float32 and int8 ONNX, float32 TFLite."""
    graph = bicubic_graph(SIZE)
    pinned = Quantization(dict.fromkeys(graph.shapes, PIXELS))
    paths = {}
    for ending, precision, pixels, writer in (
        ("onnx", "float32", "float32", onnx_writer),
        ("onnx", "int8", "uint8", onnx_writer),
        ("tflite", "float32", "float32", tflite_writer),
    ):
        path = folder / f"cubic_x2_{precision}.{ending}"
        card = Card("cubic", 2, "rgb", precision, pixels, SIZE, radius=3)
        writer.write(graph, card, path, pinned if precision == "int8" else None)
        paths[f"{ending} {precision}"] = path
    return paths


def request(path: Path, images: Path | None = None, threads: int = 1) -> Request:
    return Request(str(path), threads, runs=5, seconds=0.5, images=images and str(images))


def measure(*arguments: object) -> Measurement | Failure:
    return process.measure(request(*arguments), silent)


ENGINES = """
    import os
    import numpy as np
    from ailsr.runtime.engines.engine import Engine

    class Reference(Engine):
        name, measurable = "reference 1.0", False
        input_size, scale, io_dtype = (16, 16), 2, "uint8"
        def __init__(self, path, threads):
            os.write(1, b"an engine that talks\\n")
        def run(self, image):
            return image.repeat(2, 0).repeat(2, 1)

    class Crash(Reference):
        def run(self, image):
            os.write(2, b"double free\\n")
            os.abort()
        measurable = True

    class Raise(Crash):
        def run(self, image):
            raise ZeroDivisionError("two\\nlines")

    class Late(Crash):
        def run(self, image):
            if image.min() == image.max():
                super().run(image)
            return image.repeat(2, 0).repeat(2, 1)

    class Leave(Reference):
        def __init__(self, path, threads):
            os._exit(7)
"""


def install_engines(folder: Path) -> Path:
    """``folder`` with engines of another package, registered as such packages register them."""
    folder.mkdir()
    (folder / "other_engines.py").write_text(textwrap.dedent(ENGINES))
    info = folder / "other_engines-1.0.dist-info"
    info.mkdir()
    info.joinpath("METADATA").write_text("Metadata-Version: 2.1\nName: other-engines\nVersion: 1\n")
    names = {
        "ref": "Reference",
        "crash": "Crash",
        "raise": "Raise",
        "leave": "Leave",
        "late": "Late",
    }
    lines = [f"{ending} = other_engines:{name}" for ending, name in names.items()]
    info.joinpath("entry_points.txt").write_text("\n".join(["[ailsr.engines]", *lines]))
    for ending in names:
        folder.joinpath(f"model.{ending}").write_bytes(b"model")
    return folder


def bench(*arguments: object, columns: int = 100) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [BENCH, *map(str, arguments)],
        capture_output=True,
        text=True,
        env={**os.environ, "COLUMNS": str(columns)},
    )
