"""A graph written for every target, and what each file makes of an image.

A rounding that falls the other way, at a tie, is carried on by the next operators, and weights and
products make it more: in int8 nearly all samples, not all, are within one level of the simulation,
and behind a chain of operators some are several away.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnxruntime
from ai_edge_litert.interpreter import Interpreter
from graph_reference import error_bound, run, simulate
from numpy.typing import NDArray

from ailsr.export import targets
from ailsr.export.graph.graph import Graph
from ailsr.export.graph.passes import with_separate_pixels
from ailsr.export.graph.quantization import Quantization, quantization_of
from ailsr.export.targets import TARGETS, TargetName
from ailsr.export.targets.coreml.coreml_reference import CoreMLReference
from ailsr.runtime.card import Card, Precision


def picture(height: int, width: int, seed: int = 0) -> NDArray[np.float32]:
    """Random pixels (h, w, 3), white being 1."""
    levels = np.random.default_rng(seed).integers(0, 256, (height, width, 3))
    return levels.astype(np.float32) / np.float32(255)


def assert_the_same_everywhere(
    graph: Graph,
    image: NDArray[np.float32],
    expected: NDArray[np.float32],
    folder: Path,
    tolerance: float = 1e-5,
    *,
    levels: float = 3.01,
    share: float = 0.01,
) -> None:
    """``graph`` and its files make ``expected`` of ``image``; int8 files what is simulated, but for
    a ``share`` of the samples within one level and for none beyond ``levels``."""
    tensors = run(graph, image)
    assert np.abs(tensors[graph.output] - expected).max() < tolerance
    half = 5e-3 * max(1, float(np.abs(expected).max()))
    for precision, largest in (("float32", tolerance), ("float16", half)):
        for target, result in outputs(graph, image, folder, precision).items():
            assert np.abs(result - expected).max() < largest, (target, precision)

    graph = with_separate_pixels(graph)
    ranges = {n: (float(t.min()), float(t.max())) for n, t in run(graph, image).items()}
    quantization = quantization_of(graph, ranges)
    simulated = simulate(graph, quantization, image)[graph.output]
    bound = 1.01 * error_bound(graph, quantization)
    for target, result in outputs(graph, image, folder, "int8", quantization).items():
        difference = np.abs(result - simulated) * 255
        assert difference.max() < min(255 * bound, levels), target
        assert (difference > 1.01).mean() < share, target
        assert (difference > 0.01).mean() < 0.3, target

    wide = quantization_of(graph, ranges, bits=16)
    simulated = np.clip(simulate(graph, wide, image)[graph.output], 0, 1)
    for target, result in outputs(graph, image, folder, "int8x16", wide).items():
        difference = np.abs(np.clip(result, 0, 1) - simulated) * 255  # TFLite rounds to levels
        assert difference.max() < 0.6, target


def outputs(
    graph: Graph,
    image: NDArray[np.float32],
    folder: Path,
    precision: Precision = "float32",
    quantization: Quantization | None = None,
) -> dict[TargetName, NDArray[np.float32]]:
    """By target: the output (h, w, 3), white being 1, of a file with float32 pixels."""
    size = (graph.input_shape[1], graph.input_shape[2])
    card = Card("network", 2, "rgb", precision, "float32", size, 1)
    results = {}
    for name, target in TARGETS.items():
        if precision not in target.precisions:
            continue
        path = folder / f"file{target.ending}"
        targets.write(name, graph, card, path, quantization)
        results[name] = EVALUATE[name](path, image)
    return results


def _onnx(path: Path, image: NDArray[np.float32]) -> NDArray[np.float32]:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(path), options, ["CPUExecutionProvider"])
    batch = np.ascontiguousarray(image.transpose(2, 0, 1)[None])
    result: NDArray[np.float32] = session.run(None, {"image": batch})[0][0].transpose(1, 2, 0)
    return result


def _tflite(path: Path, image: NDArray[np.float32]) -> NDArray[np.float32]:
    interpreter = Interpreter(str(path), num_threads=1)
    interpreter.allocate_tensors()
    (source,), (result,) = interpreter.get_input_details(), interpreter.get_output_details()
    interpreter.set_tensor(source["index"], image[None])
    interpreter.invoke()
    upscaled: NDArray[np.float32] = interpreter.get_tensor(result["index"])[0]
    return upscaled


def _coreml(path: Path, image: NDArray[np.float32]) -> NDArray[np.float32]:
    return CoreMLReference(path).evaluate(image)


EVALUATE: dict[TargetName, Callable[[Path, NDArray[np.float32]], NDArray[np.float32]]] = {
    "onnx": _onnx,
    "tflite": _tflite,
    "coreml": _coreml,
}
"""The output (h, w, 3) of a file with float32 pixels, white being 1."""
