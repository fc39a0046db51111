"""A graph as a MIL program, built operator by operator with coremltools' builder.

No converter and no graph pass runs: the program holds the operators that are emitted here and
nothing else. Its numbers are of one type, float32 or float16; a float16 program is cast at its two
ends and float16 in between, so that the Neural Engine can take it whole.

    float    image -> [cast] -> x 1/255 -> network -> x 255 -> clip -> round -> [cast] -> upscaled
    int8     image -> [cast] -> quantize -> network in QDQ form -> dequantize -> [cast] -> upscaled

Core ML hands an RGB image to the program as a float32 tensor (1, 3, h, w) of 0 to 255 and makes an
8-bit image of an output tensor of the same kind. An input may have a scale of its own, an output
may not (coremltools refuses it), and what becomes of values between or beyond the 256 levels is
not documented. So both scales are operators and the last ones clip and round: what is left for
Core ML to convert are whole numbers from 0 to 255. An int8 program needs none of that, because its
first and last tensor hold pixels already.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ailsr.export.graph.graph import Graph
from ailsr.export.graph.quantization import Quantization
from ailsr.export.targets.coreml.int8 import QuantizedTranslator
from ailsr.export.targets.coreml.nodes import Number, Translator


def build(
    graph: Graph,
    number: Number,
    quantization: Quantization | None,
    target: Any,  # noqa: ANN401
    shape: Sequence[Any],
) -> Any:  # noqa: ANN401
    """The MIL program of ``graph`` in ``number`` arithmetic: one function, from image to image.

    ``shape`` is (1, 3, height, width), with symbols of coremltools for what is left open.
    """
    from coremltools.converters.mil.mil import Builder, Function, Placeholder, Program, types

    Builder.name_count.clear()  # names must not depend on what this process built before
    image = Placeholder(sym_shape=shape, dtype=types.fp32, name=graph.input)
    with Function({graph.input: image}, opset_version=target) as function:
        if quantization is None:
            translator = Translator(Builder, graph, number)
        else:
            translator = QuantizedTranslator(Builder, graph, number, quantization)
        function.set_outputs([translator.translate(function.inputs[graph.input])])
    program = Program()
    program.add_function("main", function)
    return program
