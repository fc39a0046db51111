"""TFLite files in tflite-runtime 2.14 of 2023, still what 32-bit boards have.

It needs numpy 1, so it runs in an environment of its own, made under build/ on first use. Its
kernels round differently: float results are the same, int8 ones within three grey levels.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np
import pytest
from graph_reference import run, untied
from tflite_graphs import GRAPHS, card, execute, image_for

from ailsr.export.exporter import Exporter
from ailsr.export.reading.source import open_source
from ailsr.export.targets.tflite.writer import write
from ailsr.runtime import load
from ailsr.train import zoo

ROOT = Path(__file__).parents[2]
CHILD = """
import sys
from pathlib import Path
import numpy as np
from tflite_runtime.interpreter import Interpreter
for path in sorted(Path(sys.argv[1]).glob("*.tflite")):
    interpreter = Interpreter(str(path), num_threads=1)
    interpreter.allocate_tensors()
    (source,), (result,) = interpreter.get_input_details(), interpreter.get_output_details()
    interpreter.set_tensor(source["index"], np.load(path.with_suffix(".npy"))[None])
    interpreter.invoke()
    np.save(path.with_suffix(".out.npy"), interpreter.get_tensor(result["index"])[0])
"""
UPSCALE = """
import sys
import numpy as np
from ailsr.runtime import load
upscaler = load(sys.argv[1], threads=1)
assert upscaler.engine.name == "tflite-runtime 2.14.0"
np.save(sys.argv[3], upscaler.upscale(np.load(sys.argv[2])))
"""


def run_old(python: Path, code: str, *arguments: object, path: Path | None = None) -> None:
    done = subprocess.run(
        [python, "-c", code, *map(str, arguments)],
        env={"PYTHONPATH": str(path or "")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_every_node_runs_there_in_every_precision(old_python, tmp_path):
    images = {}
    for number, graph in enumerate(GRAPHS.values()):
        image = image_for(graph)
        quantization = untied(graph, run(graph, image))
        for precision in ("float32", "float16", "int8"):
            path = tmp_path / f"{number}_{precision}.tflite"
            write(graph, card(precision), path, quantization if precision == "int8" else None)
            np.save(path.with_suffix(".npy"), image)
            images[path] = image, quantization.tensors["y"].scale
    run_old(old_python, CHILD, tmp_path)
    for path, (image, scale) in images.items():
        difference = np.abs(np.load(path.with_suffix(".out.npy")) - execute(path, image)).max()
        allowed = 3.01 * scale if path.stem.endswith("int8") else 1e-5
        assert difference <= allowed, f"{list(GRAPHS)[int(path.stem.split('_')[0])]}, {path.stem}"


@pytest.mark.parametrize(
    ("name", "precision"), [("sesr_m5_x2", "int8"), ("abpn_research_x3", "int8")]
)
def test_networks_of_the_zoo_upscale_a_photograph_there(
    old_python, photographs, tmp_path, name, precision
):
    """By ailsr.runtime itself, with numpy 1."""
    exporter = Exporter(open_source(zoo.path(name)), (64, 80))
    file = exporter.export("tflite", precision, tmp_path).file
    picture = np.ascontiguousarray(photographs["chelsea"][100:190, 60:180])
    np.save(tmp_path / "picture.npy", picture)
    package = tmp_path / "links" / "ailsr"
    package.mkdir(parents=True)
    (package / "runtime").symlink_to(ROOT / "runtime")
    files = (file, tmp_path / "picture.npy", tmp_path / "out.npy")
    run_old(old_python, UPSCALE, *files, path=package.parent)
    upscaled = load(file).upscale(picture).astype(int)
    assert np.abs(np.load(tmp_path / "out.npy") - upscaled).max() <= 3
