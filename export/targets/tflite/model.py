"""A TFLite model under construction: tensors, constants, operators, metadata, and its bytes.

This file knows the format and nothing of networks. It stands on the object API of the schema
classes that come with ai-edge-litert (``tensorflow/lite/schema/schema.fbs``, version 3).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.schema_py_generated import BuiltinOperator, TensorType
from numpy.typing import NDArray

SIGNATURE = "serving_default"
_PLACEHOLDER_FOR_GREATER_OP_CODES = 127  # readers before 2.4 know operators by one signed byte
_ALIGNMENT = 16  # of constants, as schema.fbs asks: ``data:[ubyte] (force_align: 16)``

TYPES = {
    np.dtype(np.float32): TensorType.FLOAT32,
    np.dtype(np.float16): TensorType.FLOAT16,
    np.dtype(np.int64): TensorType.INT64,
    np.dtype(np.int32): TensorType.INT32,
    np.dtype(np.int16): TensorType.INT16,
    np.dtype(np.uint8): TensorType.UINT8,
    np.dtype(np.int8): TensorType.INT8,
}


@dataclass(frozen=True)
class Kernel:
    """A version of an operator and the first TensorFlow Lite that has it."""

    version: int
    since: str


_FLOAT32 = {
    BuiltinOperator.ABS: Kernel(1, "1.13.0"),
    BuiltinOperator.ADD: Kernel(1, "1.5.0"),
    BuiltinOperator.CONCATENATION: Kernel(1, "1.5.0"),
    BuiltinOperator.CONV_2D: Kernel(1, "1.5.0"),
    BuiltinOperator.DEPTHWISE_CONV_2D: Kernel(1, "1.5.0"),
    BuiltinOperator.DEPTH_TO_SPACE: Kernel(1, "2.1.0"),
    BuiltinOperator.DIV: Kernel(1, "1.6.0"),
    BuiltinOperator.EXP: Kernel(1, "1.7.0"),
    BuiltinOperator.GELU: Kernel(1, "2.9.0"),
    BuiltinOperator.LEAKY_RELU: Kernel(1, "1.13.1"),
    BuiltinOperator.LOG: Kernel(1, "1.14.0"),
    BuiltinOperator.LOGISTIC: Kernel(1, "1.14.0"),
    BuiltinOperator.MAX_POOL_2D: Kernel(1, "1.5.0"),
    BuiltinOperator.MAXIMUM: Kernel(1, "1.14.0"),
    BuiltinOperator.MEAN: Kernel(1, "1.6.0"),
    BuiltinOperator.MINIMUM: Kernel(1, "1.14.0"),
    BuiltinOperator.MIRROR_PAD: Kernel(1, "1.13.1"),
    BuiltinOperator.MUL: Kernel(1, "1.5.0"),
    BuiltinOperator.PAD: Kernel(1, "1.5.0"),
    BuiltinOperator.PRELU: Kernel(1, "1.8.0"),
    BuiltinOperator.QUANTIZE: Kernel(1, "1.14.0"),
    BuiltinOperator.RELU: Kernel(1, "1.5.0"),
    BuiltinOperator.RELU6: Kernel(1, "1.5.0"),
    BuiltinOperator.RELU_N1_TO_1: Kernel(1, "1.5.0"),
    BuiltinOperator.RESIZE_BILINEAR: Kernel(3, "2.2.0"),
    BuiltinOperator.RSQRT: Kernel(1, "1.10.0"),
    BuiltinOperator.SQRT: Kernel(1, "1.10.0"),
    BuiltinOperator.STRIDED_SLICE: Kernel(1, "1.6.0"),
    BuiltinOperator.SUB: Kernel(1, "1.6.0"),
    BuiltinOperator.TANH: Kernel(1, "1.14.0"),
}
_INT8 = {
    BuiltinOperator.ADD: Kernel(2, "1.14.0"),
    BuiltinOperator.CONCATENATION: Kernel(2, "1.14.0"),
    BuiltinOperator.CONV_2D: Kernel(3, "1.14.0"),
    BuiltinOperator.DEPTHWISE_CONV_2D: Kernel(3, "1.14.0"),
    BuiltinOperator.DEPTH_TO_SPACE: Kernel(2, "2.5.0"),
    BuiltinOperator.DEQUANTIZE: Kernel(2, "1.14.0"),
    BuiltinOperator.GELU: Kernel(2, "2.9.0"),
    BuiltinOperator.LEAKY_RELU: Kernel(1, "1.13.1"),
    BuiltinOperator.LOGISTIC: Kernel(2, "1.14.0"),
    BuiltinOperator.MAX_POOL_2D: Kernel(2, "1.14.0"),
    BuiltinOperator.MAXIMUM: Kernel(2, "1.14.0"),
    BuiltinOperator.MEAN: Kernel(2, "1.14.0"),
    BuiltinOperator.MINIMUM: Kernel(2, "1.14.0"),
    BuiltinOperator.MIRROR_PAD: Kernel(2, "2.3.0"),
    BuiltinOperator.MUL: Kernel(2, "1.14.0"),
    BuiltinOperator.PAD: Kernel(2, "1.14.0"),
    BuiltinOperator.PRELU: Kernel(1, "1.8.0"),
    BuiltinOperator.QUANTIZE: Kernel(1, "1.15.0"),
    BuiltinOperator.RESIZE_BILINEAR: Kernel(3, "2.2.0"),
    BuiltinOperator.STRIDED_SLICE: Kernel(2, "1.14.0"),
    BuiltinOperator.TANH: Kernel(2, "1.14.0"),
}
_INT16 = {
    BuiltinOperator.ADD: Kernel(3, "2.4.0"),
    BuiltinOperator.CONCATENATION: Kernel(3, "2.3.0"),
    BuiltinOperator.CONV_2D: Kernel(4, "2.3.0"),
    BuiltinOperator.DEPTHWISE_CONV_2D: Kernel(5, "2.3.0"),
    BuiltinOperator.DEQUANTIZE: Kernel(3, "1.15.0"),
    BuiltinOperator.LEAKY_RELU: Kernel(2, "2.3.0"),
    BuiltinOperator.MAX_POOL_2D: Kernel(3, "2.3.0"),
    BuiltinOperator.MAXIMUM: Kernel(3, "2.3.0"),
    BuiltinOperator.MEAN: Kernel(3, "2.4.0"),
    BuiltinOperator.MINIMUM: Kernel(3, "2.3.0"),
    BuiltinOperator.MIRROR_PAD: Kernel(3, "2.12.0"),
    BuiltinOperator.MUL: Kernel(4, "2.3.0"),
    BuiltinOperator.PAD: Kernel(3, "2.4.0"),
    BuiltinOperator.QUANTIZE: Kernel(2, "1.15.0"),
    BuiltinOperator.RESIZE_BILINEAR: Kernel(4, "2.5.0"),
    BuiltinOperator.STRIDED_SLICE: Kernel(1, "2.3.0"),
}
KERNELS = {
    TensorType.FLOAT32: _FLOAT32,
    TensorType.FLOAT16: {BuiltinOperator.DEQUANTIZE: Kernel(3, "1.15.0")},
    TensorType.UINT8: {BuiltinOperator.QUANTIZE: Kernel(1, "1.15.0")},
    TensorType.INT8: _INT8,
    TensorType.INT16: _INT16,
}
"""The lowest version of each operator that takes a first input of a type, as TensorFlow's
``lite/tools/versioning/op_version.cc`` and ``runtime_version.cc`` have it."""
GROUPED_CONV_2D = Kernel(6, "2.9.0")
DILATED_DEPTHWISE_CONV_2D = Kernel(2, "1.12.0")


@dataclass(frozen=True)
class Affine:
    """real = scale * (q - zero_point); one number, or one per slice along ``axis``."""

    scale: NDArray[np.float32]
    zero_point: NDArray[np.int64]
    axis: int = 0

    @property
    def key(self) -> tuple[bytes, bytes, int]:
        """Equal for equal parameters."""
        return self.scale.tobytes(), self.zero_point.tobytes(), self.axis


class ModelBuilder:
    """Collects one subgraph; tensors are referred to by the index that their creation returns."""

    def __init__(self) -> None:
        self._tensors: list[Any] = []
        self._operators: list[Any] = []
        self._kernels: dict[tuple[int, int], int] = {}
        self._buffers: list[Any] = [_Buffer(b"")]  # buffer 0 means: no constant
        self._metadata: list[Any] = []
        self._constants: dict[Any, int] = {}
        self._since = "1.5.0"

    def tensor(
        self, name: str, shape: Sequence[int], type: int, quantization: Affine | None = None
    ) -> int:
        """A tensor that an operator computes, or that is fed."""
        return self._tensor(name, shape, type, 0, quantization)

    def constant(self, name: str, values: NDArray[Any], quantization: Affine | None = None) -> int:
        """A constant tensor; equal constants are stored once and share their first name."""
        content = values.tobytes()
        key = (values.dtype, values.shape, content, quantization and quantization.key)
        if key not in self._constants:
            self._constants[key] = self._tensor(
                name, values.shape, TYPES[values.dtype], self._buffer(content), quantization
            )
        return self._constants[key]

    def operator(
        self,
        code: int,
        inputs: Sequence[int],
        output: int,
        options: Any = None,  # noqa: ANN401 - one of the schema's ...OptionsT
        kernel: Kernel | None = None,
    ) -> None:
        """One operator, in the lowest version that takes its first input, or as ``kernel`` says."""
        kernel = kernel or KERNELS[self._tensors[inputs[0]].type][code]
        index = self._kernels.setdefault((code, kernel.version), len(self._kernels))
        self._since = max(self._since, kernel.since, key=_numbers)
        operator = schema.OperatorT(opcodeIndex=index, inputs=list(inputs), outputs=[output])
        if options is not None:
            operator.builtinOptions = options
            name = type(options).__name__.removesuffix("T")
            operator.builtinOptionsType = getattr(schema.BuiltinOptions, name)
        self._operators.append(operator)

    def metadata(self, name: str, content: bytes) -> None:
        """An entry of the model's metadata."""
        self._metadata.append(schema.MetadataT(name=name, buffer=self._buffer(content)))

    def build(
        self, description: str, inputs: Mapping[str, int], outputs: Mapping[str, int]
    ) -> bytes:
        """The file's bytes, with one signature of the named inputs and outputs."""
        # The tools that read this entry expect 16 bytes, padded with zeros.
        self.metadata("min_runtime_version", self._since.encode().ljust(16, b"\0"))
        subgraph = schema.SubGraphT(
            tensors=self._tensors,
            operators=self._operators,
            inputs=list(inputs.values()),
            outputs=list(outputs.values()),
            name="main",
        )
        signature = schema.SignatureDefT(
            signatureKey=SIGNATURE,
            inputs=[schema.TensorMapT(name, index) for name, index in inputs.items()],
            outputs=[schema.TensorMapT(name, index) for name, index in outputs.items()],
        )
        model = schema.ModelT(
            version=3,
            description=description,
            operatorCodes=[
                schema.OperatorCodeT(
                    builtinCode=code,
                    deprecatedBuiltinCode=min(code, _PLACEHOLDER_FOR_GREATER_OP_CODES),
                    version=version,
                )
                for code, version in self._kernels
            ],
            subgraphs=[subgraph],
            buffers=self._buffers,
            metadata=self._metadata,
            signatureDefs=[signature],
        )
        builder = flatbuffers.Builder(1 << 16)
        builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
        return bytes(builder.Output())

    def _tensor(
        self, name: str, shape: Sequence[int], type: int, buffer: int, affine: Affine | None
    ) -> int:
        quantization = None
        if affine is not None:
            quantization = schema.QuantizationParametersT(
                scale=affine.scale, zeroPoint=affine.zero_point, quantizedDimension=affine.axis
            )
        self._tensors.append(
            schema.TensorT(
                name=name,
                shape=np.array(shape, np.int32),
                type=type,
                buffer=buffer,
                quantization=quantization,
            )
        )
        return len(self._tensors) - 1

    def _buffer(self, content: bytes) -> int:
        self._buffers.append(_Buffer(content))
        return len(self._buffers) - 1


@dataclass(frozen=True)
class _Buffer:
    """A constant at a multiple of 16 bytes; the schema's own BufferT leaves it anywhere."""

    content: bytes

    def Pack(self, builder: Any) -> int:  # noqa: ANN401, N802 - the object API's name
        data = None
        if self.content:
            builder.StartVector(1, len(self.content), _ALIGNMENT)
            builder.head -= len(self.content)
            builder.Bytes[builder.head : builder.head + len(self.content)] = self.content
            data = builder.EndVector()
        schema.BufferStart(builder)
        if data is not None:
            schema.BufferAddData(builder, data)
        return int(schema.BufferEnd(builder))


def _numbers(version: str) -> list[int]:
    return [int(part) for part in version.split(".")]
