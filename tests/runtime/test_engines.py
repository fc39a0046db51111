"""Opening files: what they tell of themselves, and one clear error for all that cannot be used."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import flatbuffers
import numpy as np
import onnx
import pytest
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ailsr.runtime import AilsrError, EngineError, ModelError, UsageError
from ailsr.runtime.anatomy.tflite import tflite_metadata
from ailsr.runtime.card import Card
from ailsr.runtime.engines.engine import available_cores
from ailsr.runtime.engines.levels import Levels
from ailsr.runtime.engines.registry import open_engine
from ailsr.runtime.seal import SEAL_KEY, UNSEALED, sealed

KINDS = ["onnx float32 float32", "onnx int8 uint8", "tflite float32 float32", "tflite int8 int8"]


@pytest.mark.parametrize("kind", KINDS)
def test_an_engine_tells_what_the_card_and_the_tensors_say(write_network, kind):
    engine = open_engine(write_network(kind, (20, 30), 3), threads=1)
    pixels = kind.split()[2]
    assert engine.card == Card("random", 3, "rgb", kind.split()[1], pixels, (20, 30), 4)
    assert (engine.input_size, engine.scale, engine.io_dtype) == ((20, 30), 3, pixels)
    assert engine.measurable
    assert engine.name.split()[0] in ("onnxruntime", "ai-edge-litert")
    upscaled = engine.run(np.zeros((20, 30, 3), pixels))
    assert (upscaled.shape, upscaled.dtype) == ((60, 90, 3), pixels)


def test_both_engines_run_the_same_network_alike(write_network):
    image = np.random.default_rng(0).random((20, 30, 3), np.float32)
    first, second = (
        open_engine(write_network(f"{ending} float32 float32", (20, 30)), threads=1).run(image)
        for ending in ("onnx", "tflite")
    )
    assert np.abs(first - second).max() < 1e-5
    assert np.abs(first - image.repeat(2, 0).repeat(2, 1)).max() > 0.05  # more than the skip


def test_levels_that_are_not_pixels_are_taken_for_what_they_stand_for(write_network, tmp_path):
    path = write_network("tflite int8 uint8", (20, 30))
    image = np.random.default_rng(0).integers(0, 256, (20, 30, 3), np.uint8)
    expected = open_engine(path, threads=1).run(image)
    model = schema.ModelT.InitFromPackedBuf(path.read_bytes(), 0)
    for entry in model.metadata:  # no card and no seal: a file of another tool
        model.buffers[entry.buffer].data = None
    model.metadata = []
    (graph,) = model.subgraphs
    output = graph.tensors[graph.outputs[0]].quantization
    output.scale, output.zeroPoint = [1 / 200], [30]
    builder = flatbuffers.Builder()
    builder.Finish(model.Pack(builder), b"TFL3")
    (tmp_path / "other.tflite").write_bytes(builder.Output())
    found = open_engine(tmp_path / "other.tflite", threads=1).run(image)
    assert np.abs(found.astype(int) - expected).max() <= 1  # 200 levels of 256


@pytest.mark.parametrize("pixels", ["uint8", "int8"])
def test_pixels_and_levels(pixels):
    first = np.iinfo(pixels).min
    white = (np.arange(256) + first).astype(pixels)
    levels = Levels((1 / 100, first + 20), pixels)
    assert levels.of(white).astype(int)[[0, 255]].tolist() == [first + 20, first + 120]
    shown = levels.pixels(white).astype(int) - first
    assert shown[[0, 20, 70, 120, 255]].tolist() == [0, 0, 128, 255, 255]
    for scale in (0.0, float(np.float32(1 / 255)), 1.0):  # unknown, white as 1, white as 255
        assert Levels((scale, first), pixels).of(white) is white


@pytest.mark.parametrize("kind", ["onnx float32 float32", "tflite float32 float32"])
def test_nothing_is_printed(write_network, capfd, kind):
    path = write_network(kind, (20, 30))
    open_engine(path, threads=1).run(np.zeros((20, 30, 3), np.float32))
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(AilsrError):
        open_engine(path, threads=1).run(np.zeros((20, 30, 3), np.float32))
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("missing.onnx", None, "no model file at .*missing.onnx"),
        ("empty.onnx", b"", "empty.onnx is empty"),
        ("empty.tflite", b"", "empty.tflite is empty"),
        ("garbage.onnx", b"\x08\x07garbage" * 50, "garbage.onnx: it is damaged"),
        ("text.onnx", b"hello, world\n", "text.onnx: it is damaged"),
        ("text.tflite", b"hello, world\n", "text.tflite: it is no TFLite file"),
        ("head.tflite", b"\x1c\0\0\0TFL3", "head.tflite: it is damaged"),
        ("net.pt", b"PK", "net.pt is a network, not an exported file: run ailsr-export"),
        ("net.bin", b"?", "net.bin: no engine for files ending in '.bin'; known are .*.onnx"),
        ("net", b"?", "no engine for files ending in ''"),
    ],
)
def test_a_file_that_is_no_model_gets_one_clear_line(tmp_path, name, content, message):
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ModelError, match=message) as caught:
        open_engine(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["folder.onnx", "folder.tflite"])
def test_a_folder_is_no_model(tmp_path, name):
    (tmp_path / name).mkdir()
    with pytest.raises(ModelError, match=f"{name} is a folder"):
        open_engine(tmp_path / name)


def test_threads_below_one_are_refused(write_network):
    with pytest.raises(UsageError, match="0 threads"):
        open_engine(write_network("onnx float32 float32", (12, 12)), threads=0)
    assert available_cores() >= 1


@pytest.mark.parametrize(
    ("module", "kind"), [("onnxruntime", "onnx"), ("ai_edge_litert", "tflite")]
)
def test_a_missing_engine_is_named_with_its_installation(write_network, monkeypatch, module, kind):
    path = write_network(f"{kind} float32 float32", (12, 12))
    for name in [m for m in sys.modules if m.split(".")[0] == module]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, module, None)  # what Python itself does to block an import
    with pytest.raises(EngineError, match=rf'pip install "ailsr\[{kind}\]"'):
        open_engine(path)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("lie", [{"scale": 3}, {"input_size": (12, 14)}, {"pixels": None}])
def test_a_card_that_contradicts_the_tensors_is_refused(write_network, tmp_path, kind, lie):
    path = write_network(kind, (12, 12))
    damaged = tmp_path / path.name
    card = open_engine(path, threads=1).card
    if "pixels" in lie:
        lie = {"pixels": "uint8" if card.pixels == "float32" else "float32"}
    text = replace(card, **lie).to_json()
    if path.suffix == ".onnx":
        model = onnx.load(path)
        onnx.helper.set_model_props(model, {"ailsr": text, SEAL_KEY: UNSEALED})
        damaged.write_bytes(sealed(model.SerializeToString()))
    else:
        _rewrite_tflite(path, damaged, lambda model: _set_card(model, text))
    with pytest.raises(ModelError, match="contradicts its tensors"):
        open_engine(damaged, threads=1)


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ([1, 1, 8, 8], r"it takes \[1, 1, 8, 8\] .* one RGB image each"),
        ([2, 3, 8, 8], r"it takes \[2, 3, 8, 8\]"),
        ([3, 8, 8], r"it takes \[3, 8, 8\]"),
    ],
)
def test_a_network_that_does_not_upscale_one_rgb_picture_is_refused(tmp_path, shape, message):
    helper, floats = onnx.helper, onnx.TensorProto.FLOAT
    graph = helper.make_graph(
        [helper.make_node("Relu", ["in"], ["out"])],
        "relu",
        [helper.make_tensor_value_info("in", floats, shape)],
        [helper.make_tensor_value_info("out", floats, shape)],
    )
    opset = [helper.make_opsetid("", 18)]
    onnx.save(helper.make_model(graph, ir_version=9, opset_imports=opset), tmp_path / "net.onnx")
    with pytest.raises(ModelError, match=message):
        open_engine(tmp_path / "net.onnx")


@pytest.mark.parametrize(
    ("tensor", "field", "values"),
    [
        (0, "zeroPoint", [12648448]),
        (4, "scale", [1e-9]),
        (11, "scale", [2e9] * 12),
        (11, "scale", [np.nan] * 12),
    ],
)
def test_quantization_that_would_crash_the_interpreter_is_refused(
    write_network, tmp_path, tensor, field, values
):
    path = tmp_path / "damaged.tflite"

    def damage(model):
        setattr(model.subgraphs[0].tensors[tensor].quantization, field, values)

    _rewrite_tflite(write_network("tflite int8 uint8", (12, 12)), path, damage)
    with pytest.raises(ModelError, match=f"quantisation of tensor {tensor} is out of range"):
        open_engine(path)


def test_metadata_is_what_the_schema_classes_read(write_network):
    content = write_network("tflite float32 float32", (12, 12)).read_bytes()
    model = schema.ModelT.InitFromPackedBuf(content, 0)
    for entry in model.metadata:
        expected = bytes(model.buffers[entry.buffer].data)
        assert tflite_metadata(content, entry.name.decode()) == expected
    assert tflite_metadata(content, "absent") is None


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    length=st.integers(0, 10**6), flips=st.dictionaries(st.integers(0, 10**6), st.integers(0, 255))
)
def test_metadata_of_damaged_bytes_is_an_error_at_most(write_network, length, flips):
    content = bytearray(_content(write_network))
    for place, value in flips.items():
        # Most references stand at the beginning of the file.
        content[place % (len(content) if place % 2 else 400)] = value
    try:
        tflite_metadata(bytes(content[: max(8, length % (2 * len(content)))]), "ailsr")
    except ModelError as error:
        assert str(error)


_cache: dict[str, bytes] = {}


def _content(write_network) -> bytes:
    if "content" not in _cache:
        path = write_network("tflite int8 uint8", (12, 12))
        assert Interpreter(str(path)) is not None
        _cache["content"] = path.read_bytes()
    return _cache["content"]


def _set_card(model, text: str) -> None:
    entry = next(m for m in model.metadata if m.name == b"ailsr")
    model.buffers[entry.buffer].data = list(text.encode())


def _rewrite_tflite(source: Path, target: Path, change) -> None:
    """``source`` after ``change``, sealed again: no damage, but not what an exporter writes."""
    import flatbuffers

    model = schema.ModelT.InitFromPackedBuf(source.read_bytes(), 0)
    change(model)
    seal = next(m for m in model.metadata if m.name == SEAL_KEY.encode())
    model.buffers[seal.buffer].data = list(UNSEALED.encode())
    builder = flatbuffers.Builder(1 << 16)
    builder.Finish(model.Pack(builder), b"TFL3")
    target.write_bytes(sealed(bytes(builder.Output())))
