"""Files that hang, take all memory or end the process: told by a trial, within its limits."""

from __future__ import annotations

import numpy as np
import onnx
import pytest

from ailsr.runtime.card import Card
from ailsr.runtime.commands.upscale import Config, main
from ailsr.runtime.engines.registry import open_engine
from ailsr.runtime.engines.trial import survives_trial
from ailsr.runtime.errors import ModelError
from ailsr.runtime.imaging import image
from ailsr.runtime.seal import SEAL_KEY, UNSEALED, sealed

HELPER, TYPES = onnx.helper, onnx.TensorProto
SIZE = [1, 3, 8, 8]
CARD = Card("made_up", 2, "rgb", "float32", "float32", (8, 8), 1)


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """A cache of the test's own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "ailsr" / "tried"


def resealed(path, nodes, constants):
    """A file with a card and a right seal that computes ``nodes`` and doubles its input."""
    constants = {**constants, "scales": np.float32([1, 1, 2, 2])}
    graph = HELPER.make_graph(
        [*nodes, HELPER.make_node("Resize", ["slow", "", "scales"], ["out"], mode="nearest")],
        "made_up",
        [HELPER.make_tensor_value_info("in", TYPES.FLOAT, SIZE)],
        [HELPER.make_tensor_value_info("out", TYPES.FLOAT, [1, 3, 16, 16])],
        [onnx.numpy_helper.from_array(np.asarray(v), k) for k, v in constants.items()],
    )
    opset = [HELPER.make_opsetid("", 18)]
    model = HELPER.make_model(graph, ir_version=9, opset_imports=opset)
    HELPER.set_model_props(model, {"ailsr": CARD.to_json(), SEAL_KEY: UNSEALED})
    path.write_bytes(sealed(model.SerializeToString()))
    return path


def endless(path):
    """A loop of 2^62 rounds."""
    body = HELPER.make_graph(
        [
            HELPER.make_node("Identity", ["go_on"], ["go_on_after"]),
            HELPER.make_node("Cos", ["before"], ["after"]),
        ],
        "body",
        [
            HELPER.make_tensor_value_info("round", TYPES.INT64, []),
            HELPER.make_tensor_value_info("go_on", TYPES.BOOL, []),
            HELPER.make_tensor_value_info("before", TYPES.FLOAT, SIZE),
        ],
        [
            HELPER.make_tensor_value_info("go_on_after", TYPES.BOOL, []),
            HELPER.make_tensor_value_info("after", TYPES.FLOAT, SIZE),
        ],
    )
    loop = HELPER.make_node("Loop", ["rounds", "", "in"], ["slow"], body=body)
    return resealed(path, [loop], {"rounds": np.int64(2**62)})


def greedy(path):
    """A sum over 6 GB, by a node whose name makes onnxruntime's message a long one."""
    nodes = [
        HELPER.make_node("Expand", ["in", "shape"], ["large"], name="expand" * 100),
        HELPER.make_node("Sin", ["large"], ["larger"]),
        HELPER.make_node("ReduceMax", ["larger", "axes"], ["slow"], keepdims=1),
    ]
    return resealed(path, nodes, {"shape": np.int64([2**23, 3, 8, 8]), "axes": np.int64([0])})


def test_a_resealed_file_that_never_ends_is_given_up(tmp_path):
    path = endless(tmp_path / "endless.onnx")
    with pytest.raises(ModelError, match="still running after 4 s"):
        survives_trial(path, seconds=4)


def test_a_resealed_file_that_takes_all_memory_is_refused(tmp_path):
    path = greedy(tmp_path / "greedy.onnx")
    with pytest.raises(ModelError, match=r"more than 1\.0 GB of memory"):
        survives_trial(path, memory=1 << 30)


def test_a_file_is_tried_before_it_is_loaded(tmp_path, monkeypatch):
    monkeypatch.setattr(survives_trial, "__kwdefaults__", {"seconds": 60, "memory": 1 << 30})
    with pytest.raises(ModelError, match=r"greedy\.onnx: it takes more than"):
        open_engine(greedy(tmp_path / "greedy.onnx"))


@pytest.mark.parametrize("kind", ["onnx float32 float32", "tflite float32 float32"])
def test_what_has_passed_is_not_tried_again(write_network, cache, kind, monkeypatch):
    path = write_network(kind, (12, 14))
    open_engine(path, threads=1)
    assert len(list(cache.iterdir())) == 1
    monkeypatch.setattr("sys.executable", "/nowhere")  # what would be started
    open_engine(path, threads=1)


def test_a_trial_that_cannot_be_run_says_why(write_network, tmp_path, monkeypatch):
    """Not that the file is damaged."""
    (tmp_path / "onnxruntime.py").write_text("raise RuntimeError('half installed')")
    path = write_network("onnx float32 float32", (12, 14))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=":")
    with pytest.raises(ModelError, match=r"exit code 1 \(RuntimeError: half installed") as caught:
        open_engine(path, threads=1)
    assert "damaged" not in str(caught.value)


def test_without_a_home_a_file_is_tried_each_time(write_network, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", "/dev/null")
    open_engine(write_network("onnx float32 float32", (12, 14)), threads=1)


def test_memory_is_measured_of_a_file_that_was_never_tried(write_network, cache, tmp_path):
    """Its trial is at its own input size, also when a smaller one is asked for first."""
    image.write(np.zeros((12, 14, 3), np.uint8), small := tmp_path / "small.png")
    for ending in ("onnx", "tflite"):
        model, output = write_network(f"{ending} int8 uint8", (12, 14)), tmp_path / f"{ending}.png"
        main(Config(model, [small], output, threads=1, max_memory="4G"))
        assert image.read(output).shape == (24, 28, 3)
