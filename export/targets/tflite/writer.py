"""A graph as a TFLite (LiteRT) file: NHWC throughout, nothing above rank 4, no data movement.

Activations are fused into their CONV_2D or ADD, pixel shuffle is one DEPTH_TO_SPACE, and every
operator has the lowest version that computes it, so that old runtimes load the file too. The shapes
are those of the graph, as compilers for NPUs want them; ``resize_tensor_input`` changes them.

int16 activations (int8x16) have reference kernels only on a CPU, some fifty times slower than int8;
they are for NPUs (Ethos-U, Hexagon). There is no int16 DEPTH_TO_SPACE, so pixels take int8 for it,
other tensors float32.
"""

from __future__ import annotations

from pathlib import Path

from ai_edge_litert.schema_py_generated import BuiltinOperator

from ailsr.export.graph.graph import Graph, Node
from ailsr.export.graph.quantization import BITS, QParams, Quantization, pixels_of
from ailsr.export.targets.tflite.model import ModelBuilder
from ailsr.export.targets.tflite.nodes import NodeTranslator
from ailsr.export.targets.tflite.tensors import GraphTensors
from ailsr.runtime.card import METADATA_KEY, Card
from ailsr.runtime.errors import UsageError
from ailsr.runtime.files import atomic_output
from ailsr.runtime.seal import SEAL_KEY, UNSEALED, sealed

# Lets XNNPACK compute in float16 where the processor can (Arm from Cortex-A55 and A75 on), as the
# GPU delegates do anyway: TensorFlow's reduced_precision_metadata.h. On the AIL authors' VDSR-f13,
# emulating a Cortex-A76: errors up to 0.0026, PSNR within 0.001 dB.
_HALF_ARITHMETIC = "reduced_precision_support", b"fp16accfp16"


def write(graph: Graph, card: Card, path: Path, quantization: Quantization | None = None) -> None:
    """``graph`` at ``path``, in the precision and with the pixels that ``card`` names.

    Input and output are [1, height, width, channels]. Equal arguments give equal bytes. Raises
    UsageError when the arguments do not fit together, ModelError when a tensor has no quantisation
    parameters.
    """
    bits = quantization and quantization.bits
    if bits != BITS.get(card.precision):
        given = next((precision for precision in BITS if BITS[precision] == bits), "no")
        raise UsageError(
            f"a TFLite file of precision {card.precision} was given {given} quantisation "
            "parameters: int8 and int8x16 take the result of a calibration, float32 and float16 "
            "take none"
        )
    if bits is None and card.pixels != "float32":
        raise UsageError(
            f"a {card.precision} TFLite file takes and returns float32, not {card.pixels}: choose "
            "float32 pixels, or precision int8"
        )
    content = _Translation(graph, card, quantization).content()
    with atomic_output(path) as temporary:
        temporary.write_bytes(content)


class _Translation:
    """The translation of one graph into a model."""

    def __init__(self, graph: Graph, card: Card, quantization: Quantization | None) -> None:
        self.graph = graph
        self.card = card
        self.model = ModelBuilder()
        self.tensors = GraphTensors(self.model, graph, card.precision, quantization)
        self.quantization = quantization
        self.real = quantization.real if quantization else frozenset[str]()
        self.floats = GraphTensors(self.model, graph, "float32", None)
        """What the nodes of a mixed precision compute in float32 and read."""

    def content(self) -> bytes:
        """The file's bytes."""
        graph, card = self.graph, self.card
        inputs = {graph.input: self._input(graph.input)}
        translator = NodeTranslator(self.model, self.tensors, graph)
        for node in graph.nodes:
            if node.output in self.real:
                self._translate_real(node)
            else:
                translator.translate(node)
        outputs = {graph.output: self._output(graph.output)}
        self.model.metadata(METADATA_KEY, card.to_json().encode())
        self.model.metadata(SEAL_KEY, UNSEALED.encode())
        if card.precision == "float16":
            self.model.metadata(*_HALF_ARITHMETIC)
        description = f"ailsr {card.network} x{card.scale} {card.precision}"
        return sealed(self.model.build(description, inputs, outputs))

    def _translate_real(self, node: Node) -> None:
        """``node`` in float32 between DEQUANTIZE and, where its levels are read, QUANTIZE."""
        assert self.quantization is not None
        for name in node.inputs:
            if not self.floats.has(name):
                levels = self.tensors.read(name)
                self.floats.put(name, self.tensors.requantized(levels, name, None))
        NodeTranslator(self.model, self.floats, self.graph).translate(node)
        if self.quantization.leaves(self.graph, node.output):
            levels = self.tensors.like(f"{node.output}/levels", node.output)
            self.model.operator(BuiltinOperator.QUANTIZE, [self.floats.read(node.output)], levels)
            self.tensors.put(node.output, levels)

    def _input(self, name: str) -> int:
        tensor = self.tensors.result(name)
        if self._is_direct(self.tensors.parameters(name)):
            return tensor
        pixels = self.tensors.pixels(name, self.card.pixels)
        self.model.operator(BuiltinOperator.QUANTIZE, [pixels], tensor)
        return pixels

    def _output(self, name: str) -> int:
        parameters = self.tensors.parameters(name)
        if parameters == pixels_of(self.graph, 16):
            parameters = pixels_of(self.graph)
        tensor = self.tensors.read(name, parameters)
        if self._is_direct(parameters):
            return tensor
        pixels = self.tensors.pixels(name, self.card.pixels)
        if self.card.pixels == "uint8":
            # int8 -> uint8 is not in XNNPACK (1.4 ms for 960x540 pixels), but it makes one table
            # of int8 -> float32 -> uint8 (0.2 ms), which gives the same 256 values.
            tensor = self.tensors.requantized(tensor, name, None)
        to_real = self.card.pixels == "float32"
        code = BuiltinOperator.DEQUANTIZE if to_real else BuiltinOperator.QUANTIZE
        self.model.operator(code, [tensor], pixels)
        return pixels

    def _is_direct(self, parameters: QParams | None) -> bool:
        """True if an app reads or fills a tensor of these parameters as it is."""
        return parameters is None or (
            self.card.pixels == "int8" and parameters == pixels_of(self.graph)
        )
