"""TFLite files: what they hold, and images through them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import skimage.data
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter, OpResolverType
from graph_reference import simulate, untied
from tflite_graphs import abpn, calibrated, card, conv, execute, graph_of, image_for, model_at

from ailsr.export.graph.graph import Add
from ailsr.export.graph.quantization import Quantization
from ailsr.export.targets.tflite.writer import write
from ailsr.runtime.card import Card
from ailsr.runtime.errors import ModelError, UsageError


@pytest.mark.parametrize("pixels", ["uint8", "int8", "float32"])
def test_a_photograph_in_int8_is_within_one_grey_level_of_the_simulation(pixels, tmp_path):
    photograph = skimage.data.astronaut()[60:124, 180:260]
    graph = abpn(*photograph.shape[:2])
    quantization = calibrated(graph)
    write(graph, card("int8", pixels, scale=3), tmp_path / "abpn.tflite", quantization)
    fed = {
        "uint8": photograph,
        "int8": (photograph.astype(int) - 128).astype(np.int8),
        "float32": np.float32(photograph / 255),
    }[pixels]
    expected = simulate(graph, quantization, photograph / 255)[graph.output] * 255
    # By TFLite's own kernels too, whose arithmetic NPUs follow.
    for resolver in (OpResolverType.AUTO, OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES):
        file = tmp_path / "abpn.tflite"
        upscaled = execute(file, fed, experimental_op_resolver_type=resolver).astype(float)
        levels = {"uint8": upscaled, "int8": upscaled + 128, "float32": upscaled * 255}[pixels]
        assert levels.shape == (192, 240, 3)
        assert np.abs(levels - expected).max() < 1.01
        assert np.mean(np.abs(levels - expected) < 0.01) > 0.99


@pytest.mark.parametrize("precision", ["float32", "float16", "int8"])
def test_a_resized_input_gives_what_a_file_of_that_size_gives(precision, tmp_path):
    small, large = abpn(16, 12), abpn(21, 34)
    quantization = calibrated(large) if precision == "int8" else None
    for graph, name in ((small, "small.tflite"), (large, "large.tflite")):
        write(graph, card(precision, scale=3), tmp_path / name, quantization)
    image = image_for(large)
    resized = Interpreter(str(tmp_path / "small.tflite"))
    resized.resize_tensor_input(resized.get_input_details()[0]["index"], (1, *image.shape))
    resized.allocate_tensors()
    resized.set_tensor(resized.get_input_details()[0]["index"], image[None])
    resized.invoke()
    upscaled = resized.get_tensor(resized.get_output_details()[0]["index"])[0]
    assert np.abs(upscaled - execute(tmp_path / "large.tflite", image)).max() < 1e-6


def test_the_file_carries_its_card_its_signature_and_its_minimum_runtime(tmp_path):
    graph, path = abpn(), tmp_path / "abpn.tflite"
    written = replace(card("int8", "uint8", scale=3), psnr={"Set5": 33.4})
    write(graph, written, path, calibrated(graph))
    model = model_at(path)
    entries = {
        entry.name.decode(): bytes(model.buffers[entry.buffer].data) for entry in model.metadata
    }
    assert Card.from_json(entries["ailsr"].decode()) == written
    assert entries["min_runtime_version"] == b"2.5.0".ljust(16, b"\0")  # int8 DEPTH_TO_SPACE
    assert model.description == b"ailsr abpn x3 int8"
    runner = Interpreter(str(path)).get_signature_runner("serving_default")
    (source,), (result,) = runner.get_input_details().items(), runner.get_output_details().items()
    assert (source[0], result[0]) == ("image", "upscaled")
    assert list(source[1]["shape"]) == [1, 20, 24, 3]
    assert list(result[1]["shape"]) == [1, 60, 72, 3]
    for end in (source[1], result[1]):
        assert end["dtype"] == np.uint8
        assert end["quantization"] == (np.float32(1 / 255), 0)


@pytest.mark.parametrize("precision", ["float32", "float16", "int8"])
def test_constants_are_aligned_and_shared_and_no_tensor_is_above_rank_4(precision, tmp_path):
    nodes = (conv("image", "x", 4, 4), conv("image", "y", 4, 4), Add("x", "y", "z"))
    graph, path = graph_of(*nodes), tmp_path / "file.tflite"
    write(graph, card(precision), path, calibrated(graph) if precision == "int8" else None)
    content = path.read_bytes()
    model = schema.Model.GetRootAs(content)
    seen = []
    for number in range(model.BuffersLength()):
        data = model.Buffers(number).DataAsNumpy()
        if not isinstance(data, int):  # an empty buffer is 0
            address = data.__array_interface__["data"][0]
            start = np.frombuffer(content, np.uint8).__array_interface__["data"][0]
            assert (address - start) % 16 == 0
            seen.append(data.tobytes())
    # One filter, one bias, and what is not a constant: card, seal, runtime, arithmetic.
    assert len(seen) == len(set(seen)) == (6 if precision == "float16" else 5)
    assert all(len(tensor.shape) <= 4 for tensor in model_at(path).subgraphs[0].tensors)


@pytest.mark.parametrize("precision", ["float32", "float16", "int8"])
def test_equal_arguments_give_equal_bytes(precision, tmp_path):
    for name in ("first.tflite", "second.tflite"):
        graph = abpn()
        quantization = calibrated(graph) if precision == "int8" else None
        write(graph, card(precision), tmp_path / name, quantization)
    assert (tmp_path / "first.tflite").read_bytes() == (tmp_path / "second.tflite").read_bytes()


def test_what_does_not_fit_together_is_refused_and_leaves_no_file(tmp_path):
    graph, path = abpn(), tmp_path / "abpn.tflite"
    with pytest.raises(UsageError, match="given no quantisation parameters"):
        write(graph, card("int8", "uint8"), path)
    with pytest.raises(UsageError, match="float32 was given int8 quantisation"):
        write(graph, card("float32"), path, calibrated(graph))
    with pytest.raises(UsageError, match="takes and returns float32, not uint8"):
        write(graph, card("float16", "uint8"), path)
    with pytest.raises(ModelError, match="'features'"):
        write(
            graph, card("int8"), path, Quantization({"image": untied(graph, {}).tensors["image"]})
        )
    assert list(tmp_path.iterdir()) == []
