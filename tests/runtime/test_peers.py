"""What users run today beside our files: other engines, OpenCV's networks, and interpolation."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from tensorboard.compat.proto.graph_pb2 import GraphDef

from ailsr.runtime import EngineError, ModelError, UsageError, load
from ailsr.runtime.engines.registry import chosen_engines, engine_names, open_engine
from ailsr.runtime.engines.resizer import Kernel, Library, Resizer, ResizerEngine
from ailsr.runtime.imaging import image
from ailsr.runtime.imaging.protocol import evaluate, pairs
from ailsr.runtime.imaging.resize import enlarge, shrink

BENCH = Path(sys.executable).with_name("ailsr-bench")


@pytest.mark.parametrize("kind", ["tflite float32 float32", "tflite int8 uint8"])
def test_compiled_model_computes_what_the_interpreter_computes(write_network, photographs, kind):
    path = write_network(kind, (20, 30), 3)
    first, second = (load(path, threads=1, engine=name) for name in ("litert", "compiled"))
    assert second.engine.name == f"{first.engine.name} CompiledModel"
    picture = photographs["chelsea"][50:95, 100:155]  # several tiles
    assert np.array_equal(first.upscale(picture), second.upscale(picture))
    assert np.ptp(second.upscale(picture)) > 100


def test_compiled_model_is_resized_where_the_card_says_so(write_network, photographs):
    path = write_network("tflite int8 uint8", (20, 30), other_sizes=((30, 20),))
    first, second = (load(path, threads=1, engine=name) for name in ("litert", "compiled"))
    tall = photographs["chelsea"][:30, :20]
    assert np.array_equal(first.upscale(tall), second.upscale(tall))


def test_compiled_model_refuses_what_is_damaged(write_network, tmp_path):
    path = tmp_path / "cut.tflite"
    path.write_bytes(write_network("tflite float32 float32", (12, 12)).read_bytes()[:-100])
    with pytest.raises(ModelError, match=r"cut\.tflite"):
        open_engine(path, threads=1, engine="compiled")


def test_engines_are_chosen_by_the_ending():
    assert chosen_engines(["tflite=compiled", ".ONNX=onnxruntime", "tflite=litert"]) == {
        ".tflite": "litert",
        ".onnx": "onnxruntime",
    }
    assert engine_names(Path("a.mlpackage")) == ["coreml", "coreml_reference"]
    for choice, known in (
        ("tflite=coreml", "tflite=litert, tflite=tflite-runtime, tflite=compiled"),
        ("compiled", "onnx=onnxruntime, onnx=cpu, onnx=cuda"),
        ("bin=compiled", "onnx=onnxruntime"),
    ):
        with pytest.raises(UsageError, match=f"--engine {choice}: choose one of {known}"):
            chosen_engines([choice])


def test_an_engine_that_a_file_cannot_have_is_one_line(write_network):
    path = write_network("tflite float32 float32", (12, 12))
    with pytest.raises(UsageError, match=r"no engine 'onnxruntime' for files ending in '\.tflite'"):
        open_engine(path, engine="onnxruntime")
    with pytest.raises(EngineError, match=r"needs tflite-runtime: pip install"):
        open_engine(path, engine="tflite-runtime")


@pytest.mark.skipif(sys.platform == "darwin", reason="Core ML is there")
def test_core_ml_itself_is_for_apple(tmp_path):
    (tmp_path / "net.mlpackage").mkdir()
    with pytest.raises(EngineError, match="Core ML exists on Apple's systems only; leave out"):
        open_engine(tmp_path / "net.mlpackage", engine="coreml")


@pytest.fixture
def nearest(tmp_path) -> Path:
    """A network for OpenCV's dnn_superres that repeats each pixel: ESPCN without anything in it."""
    graph = GraphDef()
    graph.node.add(name="image", op="Placeholder").attr["dtype"].type = 1
    ones = graph.node.add(name="ones", op="Const").attr
    ones["dtype"].type = ones["value"].tensor.dtype = 1
    for size in (1, 1, 1, 4):
        ones["value"].tensor.tensor_shape.dim.add(size=size)
    ones["value"].tensor.tensor_content = np.ones(4, np.float32).tobytes()
    repeat = graph.node.add(name="repeat", op="Conv2D", input=["image", "ones"]).attr
    repeat["strides"].list.i.extend([1, 1, 1, 1])
    repeat["padding"].s, repeat["data_format"].s = b"SAME", b"NHWC"
    shuffle = graph.node.add(name="upscaled", op="DepthToSpace", input=["repeat"]).attr
    shuffle["block_size"].i, shuffle["data_format"].s = 2, b"NHWC"
    path = tmp_path / "ESPCN_x2.pb"
    path.write_bytes(graph.SerializeToString())
    return path


def test_networks_of_opencv_run_on_luma(nearest, photographs):
    upscaler = load(nearest, threads=1)
    assert upscaler.engine.name.startswith("OpenCV ")
    assert (upscaler.scale, upscaler.engine.input_size) == (2, (360, 640))
    gray = photographs["chelsea"][:40, :50, :1].repeat(3, axis=2)
    assert np.abs(upscaler.upscale(gray).astype(int) - gray.repeat(2, 0).repeat(2, 1)).max() <= 2
    red = np.full((8, 8, 3), (200, 30, 10), np.uint8)  # R is not taken for B
    assert np.abs(upscaler.upscale(red).astype(int) - red[0, 0]).max() <= 2


def test_opencv_says_in_one_line_what_it_cannot_run(nearest, tmp_path, capfd):
    nameless = nearest.rename(tmp_path / "network.pb")
    with pytest.raises(ModelError, match=r"name it ALGORITHM_xSCALE\.pb, as in FSRCNN_x2\.pb"):
        open_engine(nameless)
    damaged = tmp_path / "FSRCNN-small_x3.pb"
    damaged.write_bytes(nameless.read_bytes()[:-10])
    with pytest.raises(ModelError, match="dnn_superres cannot load it") as caught:
        open_engine(damaged)
    assert "\n" not in str(caught.value)
    assert capfd.readouterr() == ("", "")


def test_fsrcnn_scores_as_published_for_these_files(data):
    path = data.parent / "peers" / "opencv_dnn_superres" / "FSRCNN_x2.pb"
    if not path.exists():
        pytest.skip(f"no OpenCV network at {path}")
    upscaler = load(path, threads=1)
    assert upscaler.upscale(np.zeros((9, 7, 3), np.uint8)).shape == (18, 14, 3)
    found = evaluate(upscaler.upscale, pairs(data / "benchmark" / "Set5", 2))
    assert found.psnr_db == pytest.approx(34.85, abs=0.1)  # 34.85 before it rounds to RGB


@pytest.mark.parametrize("library", Library)
def test_interpolation_is_that_of_the_library(library, photographs):
    resizer = Resizer(library, 3, (40, 60))
    assert Resizer.named(str(resizer)) == resizer
    engine = ResizerEngine(resizer, threads=1)
    picture = photographs["chelsea"][:120, 200:380]
    upscaled = engine.run(shrink(picture, 3))
    exact = enlarge(shrink(picture, 3), 3)
    difference = np.abs(upscaled.astype(int) - exact)[8:-8, 8:-8]
    # Pillow has MATLAB's kernel and rounds its weights; OpenCV's is a sharper one.
    assert difference.max() <= 2 if library is Library.PILLOW else 2 < difference.max() < 60
    assert Resizer.named("exported/Pillow bicubic x2.onnx") is None


@pytest.mark.parametrize("library", Library)
def test_lanczos_is_sharper_than_bicubic_and_keeps_the_mean(library, photographs):
    picture = shrink(photographs["chelsea"][:120, 200:380], 3)
    resizers = [Resizer(library, 3, (40, 60), kernel) for kernel in Kernel]
    assert [Resizer.named(str(resizer)) for resizer in resizers] == resizers
    bicubic, lanczos = (ResizerEngine(r, threads=1).run(picture).astype(float) for r in resizers)
    assert np.abs(np.diff(lanczos, axis=1)).mean() > 1.01 * np.abs(np.diff(bicubic, axis=1)).mean()
    assert lanczos.mean() == pytest.approx(bicubic.mean(), abs=0.1)


def test_baselines_stand_in_the_table_with_their_latency(write_network, photographs, tmp_path):
    for name, rgb in photographs.items():
        image.write(rgb[100:200, 150:290], tmp_path / f"{name}.png")
    path = write_network("tflite int8 uint8", (20, 30))
    command = [BENCH, path, "--engine", "tflite=compiled", "--images", tmp_path, "--runs", "3"]
    command += ["--baseline", "pillow", "--baseline", "opencv", "--seconds", "0.1", "--threads=1"]
    done = subprocess.run([*command, "--json"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    names = [Path(entry["file"]).name for entry in document["files"]]
    assert names == [path.name, "Pillow bicubic x2 30x20", "OpenCV bicubic x2 30x20"]
    assert document["files"][0]["engine"].endswith("CompiledModel")
    for entry in document["files"]:
        assert entry["error"] is None and entry["whole_path"]["p90_ms"] > 0
        assert entry["output_size"] == [40, 60]
    pillow, opencv = (entry["quality"]["psnr_db"] for entry in document["files"][1:])
    (matlab,) = document["baselines"]
    assert pillow == pytest.approx(matlab["quality"]["psnr_db"], abs=0.1)
    assert opencv == pytest.approx(pillow, abs=1) and opencv != pillow
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ)
    row = next(line for line in done.stdout.splitlines() if line.startswith("Pillow bicubic x2"))
    assert row.split()[4] == "–" and float(row.split()[6]) > 0  # no size, but a latency
