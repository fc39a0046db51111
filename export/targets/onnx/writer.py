"""The graph as an ONNX file: one input ``image`` and one output ``upscaled``, NCHW, but NHWC in the
layout ``rgba``, as bitmaps are. The size is fixed, or open where the card has several."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx

from ailsr.export.graph.graph import Graph
from ailsr.export.graph.quantization import Quantization
from ailsr.export.targets.onnx.int8 import int8_model
from ailsr.export.targets.onnx.model import float_model
from ailsr.runtime.card import METADATA_KEY, Card
from ailsr.runtime.files import atomic_output
from ailsr.runtime.seal import SEAL_KEY, UNSEALED, sealed


def write(graph: Graph, card: Card, path: Path, quantization: Quantization | None = None) -> None:
    """Write ``graph`` to ``path`` in the precision of ``card``. Equal arguments, equal bytes.

    Float files take and return float32 in [0, 1], the output not clamped. int8 and
    int8x16 need ``quantization``; input and output are of the type ``card.pixels``.
    """
    several, channels_last = bool(card.other_sizes), card.layout == "rgba"
    match card.precision:
        case "float32":
            model = float_model(graph, np.float32, several, channels_last)
        case "float16":
            model = float_model(graph, np.float16, several, channels_last)
        case "int8" | "int8x16":
            assert quantization is not None, "int8 needs the parameters of the activations"
            model = int8_model(graph, quantization, card.pixels, several, channels_last)
    onnx.helper.set_model_props(model, {METADATA_KEY: card.to_json(), SEAL_KEY: UNSEALED})
    onnx.checker.check_model(model, full_check=True)
    with atomic_output(path) as temporary:
        temporary.write_bytes(sealed(model.SerializeToString(deterministic=True)))
