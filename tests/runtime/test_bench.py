"""The harness: what it finds in real files, and files that defeat it."""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
import textwrap

import numpy as np
import pytest
from bench_runs import SIZE, measure, request

from ailsr.runtime.bench import process
from ailsr.runtime.bench.harness import bicubic_quality
from ailsr.runtime.bench.measurement import Failure, Measurement
from ailsr.runtime.bench.upscale import UpscaleRequest
from ailsr.runtime.imaging import image
from ailsr.runtime.imaging.protocol import pairs
from ailsr.runtime.imaging.resize import enlarge


@pytest.mark.parametrize("kind", ["onnx float32", "onnx int8", "tflite float32"])
def test_a_file_that_computes_bicubic_scores_as_bicubic(cubic_files, images, kind):
    steps = []
    found = process.measure(
        request(cubic_files[kind], images), lambda what, done, of: steps.append((done / of, what))
    )
    assert isinstance(found, Measurement), found
    bicubic = bicubic_quality(images, 2, "Y-shave-s")
    # The file pads by reflection, int8 rounds once more.
    assert found.quality.psnr_db == pytest.approx(bicubic.psnr_db, abs=0.1)
    assert found.quality.ssim == pytest.approx(bicubic.ssim, abs=0.002)
    assert found.quality.protocol == "Y-shave-s"
    for name, scores in bicubic.images.items():
        assert found.quality.images[name]["psnr"] == pytest.approx(scores["psnr"], abs=0.3)

    assert (found.network, found.precision) == ("cubic", kind.split()[1])
    assert (found.input_size, found.output_size, found.scale) == (SIZE, (96, 128), 2)
    assert found.size_bytes == cubic_files[kind].stat().st_size
    assert found.threads == 1
    assert found.load_ms > 0 and found.first_run_ms > 0
    assert found.inference.n == found.whole_path.n == 5
    assert found.frames_per_second == pytest.approx(1000 / found.whole_path.mean_ms)
    assert found.megapixels_per_second == pytest.approx(found.frames_per_second * 96 * 128 / 1e6)
    # An interpreter with numpy and an engine, neither less nor ten times as much.
    assert 15e6 < found.engine_memory_bytes <= found.peak_memory_bytes < 400e6
    assert steps == sorted(steps)
    assert [what for what, _ in itertools.groupby(what for _, what in steps)] == [
        *("load", "latency", "parts", "PSNR")
    ]


def test_memory_is_not_that_of_the_harness(cubic_files):
    """A process that was forked from a large one inherits its peak in getrusage."""
    ballast = np.ones(500_000_000, np.uint8)
    found = measure(cubic_files["onnx float32"])
    assert found.peak_memory_bytes < ballast.nbytes


def test_without_images_there_is_latency_only(cubic_files):
    found = measure(cubic_files["onnx float32"])
    assert found.quality is None
    assert found.whole_path.n == 5


def test_pictures_are_upscaled_for_looking_at(cubic_files, images, tmp_path):
    output = tmp_path / "chelsea.png"
    process.upscale(
        UpscaleRequest(str(cubic_files["onnx float32"]), 1, str(images), {"chelsea": str(output)})
    )
    pair = pairs(images, 2)[pairs(images, 2).names.index("chelsea")]
    difference = image.read(output).astype(int) - enlarge(pair.lr, 2)
    assert np.abs(difference[4:-4, 4:-4]).max() <= 1  # MATLAB rounds between the two passes


def test_a_worker_ends_when_the_harness_goes_away(cubic_files):
    worker = subprocess.Popen(
        process.COMMAND, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    asked = {"file": str(cubic_files["onnx int8"]), "threads": 1, "runs": 3, "seconds": 0.1}
    said, why = worker.communicate(json.dumps({"task": "measure", "in_turn": True, **asked}) + "\n")
    assert json.loads(said.splitlines()[-1]) == {"turn": "over"}
    assert (worker.returncode, why.splitlines()[-1]) == (1, "the harness has gone away")


def test_a_damaged_file_is_one_line(tmp_path, cubic_files):
    path = tmp_path / "damaged.onnx"
    path.write_bytes(cubic_files["onnx float32"].read_bytes()[:300])
    found = measure(path)
    assert isinstance(found, Failure)
    assert "damaged" in found.error and "\n" not in found.error
    assert not found.error.startswith(str(path))


def test_the_worker_needs_numpy_pillow_and_an_engine_only(cubic_files):
    """No command-line library, no torch, nothing of training or export is even looked for."""
    code = """
        import json, runpy, sys
        class Refuse:
            def find_spec(self, name, path=None, target=None):
                if name.split(".")[0] in ("typer", "rich", "torch", "matplotlib", "scipy"):
                    raise ImportError(f"asked for {name}")
                if name in ("ailsr.train", "ailsr.export"):
                    raise ImportError(f"asked for {name}")
        sys.meta_path.insert(0, Refuse())
        runpy.run_module("ailsr.runtime.bench.worker", run_name="__main__")
    """
    values = {"file": str(cubic_files["onnx float32"]), "threads": 1, "runs": 3, "seconds": 0.1}
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        input=json.dumps({"task": "measure", **values}),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert "result" in json.loads(done.stdout.splitlines()[-1]), done.stdout


def test_where_no_picture_can_be_used_latencies_are_kept(cubic_files, tmp_path):
    image.write(np.zeros((10, 10, 3), np.uint8), tmp_path / "small.png")
    found = measure(cubic_files["onnx int8"], tmp_path)
    assert isinstance(found, Measurement) and found.whole_path and found.quality is None
    assert list(found.left_out) == ["small"]
    assert bicubic_quality(tmp_path, 2, "Y-shave-s") is None
