"""Rules of the accelerators of phones, operator by operator, as their own sources state them.

An operator that is not in a delegate's table is not known to be accepted: it may run on the CPU,
and the graph is cut there. Left out are operators that networks of images do not have, and
conditions that cannot be seen in a file's operators, types and shapes. docs/lint.md tells where
each table was read.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum

from ailsr.runtime.anatomy.anatomy import Operator

_EIGHT_BIT = ("int8", "uint8")
_FLOAT_OR_8_BIT = ("float32", *_EIGHT_BIT)


class DelegateName(StrEnum):
    """The short names of delegates."""

    GPU = "gpu"
    NNAPI = "nnapi"
    HEXAGON = "hexagon"
    QNN = "qnn"
    ANE = "ane"


Condition = Callable[[Operator], str]
"""The reason why an operator is not accepted; empty when it is."""


@dataclass(frozen=True)
class Rule:
    """The forms of one operator that are accepted."""

    types: tuple[str, ...] = ()
    """Of its first input; none: any."""
    version: int | None = None
    """The highest, in TFLite; None: any."""
    condition: Condition = lambda operator: ""


@dataclass(frozen=True)
class Delegate:
    """Software that runs part of a file on something else than the CPU."""

    title: str
    kind: str
    """Of the files that it reads, as ``Anatomy.kind`` has it."""
    source: str
    """The source of the rules."""
    rules: dict[str, Rule] = field(default_factory=dict)
    others: Rule | None = None
    """For operators without a rule; None: they are not accepted."""
    remedies: dict[str, str] = field(default_factory=dict)
    """By operator: what to do when it is not accepted."""
    remedy: str = ""
    """The same for all others."""
    eight_bit_note: str = ""
    """Advice to an app when there are 8-bit tensors."""
    float_note: str = ""
    """Advice when there are none."""


def _multiplier(operator: Operator) -> int:
    """Channels that a depthwise convolution makes of each."""
    return int(operator.outputs[0].shape[-1]) // int(operator.inputs[0].shape[-1])


def _depthwise_on_gpu(operator: Operator) -> str:
    multiplier, channels = _multiplier(operator), operator.inputs[0].shape[-1]
    if multiplier == 1 or channels == 1:
        return ""
    return f"takes a depth multiplier only of a single channel, not {multiplier} of {channels}"


def _depthwise_on_hexagon(operator: Operator) -> str:
    if (width := operator.inputs[1].shape[2]) != 3:
        return f"takes depthwise filters of width 3, not {width}"
    return "takes a depth multiplier of 1 only" if _multiplier(operator) != 1 else ""


def _reflecting(operator: Operator) -> str:
    return "" if operator.mode == "REFLECT" else "mirrors without the edge pixel only (REFLECT)"


def _strides_up_to_3(operator: Operator) -> str:
    for side in (1, 2):
        before, after = operator.inputs[0].shape[side], operator.outputs[0].shape[side]
        if isinstance(before, int) and isinstance(after, int) and before > 3 * after + 3:
            return "takes strides up to 3"
    return ""


def _has_bias(operator: Operator) -> str:
    return "" if len(operator.inputs) == 3 else "takes convolutions with a bias only"


def _rank_4(operator: Operator) -> str:
    rank = max(len(tensor.shape) for tensor in (*operator.inputs, *operator.outputs))
    return "" if rank <= 4 else f"takes tensors of 4 dimensions at most, not {rank}"


def _eight_bit_results(operator: Operator) -> str:
    (result,) = operator.outputs
    return "" if result.type in _EIGHT_BIT else f"makes 8-bit tensors only, not {result.type}"


def _not_int16(operator: Operator) -> str:
    return "" if operator.inputs[0].type != "int16" else "takes no int16"


def _half_precision(operator: Operator) -> str:
    floats = {tensor.type for tensor in operator.outputs} & {"float32"}
    return "computes in float16, not in float32" if floats else ""


def _named(names: str, rule: Rule) -> dict[str, Rule]:
    return dict.fromkeys(names.split(), rule)


GPU = Delegate(
    "TFLite's GPU delegate",
    "TFLite",
    "tensorflow/lite/tools/versioning/gpu_compatibility.cc",
    {
        **_named(
            "ABS ADD AVERAGE_POOL_2D CONCATENATION CONV_2D DEPTH_TO_SPACE DIV ELU EXP GELU "
            "HARD_SWISH LEAKY_RELU LOGISTIC MAX_POOL_2D MAXIMUM MEAN MINIMUM MUL NEG "
            "PAD PADV2 POW PRELU QUANTIZE REDUCE_MAX RELU RELU6 RELU_N1_TO_1 RESHAPE "
            "RESIZE_BILINEAR RESIZE_NEAREST_NEIGHBOR RSQRT SLICE SOFTMAX SPACE_TO_DEPTH SPLIT "
            "SPLIT_V SQRT SQUARE SQUARED_DIFFERENCE STRIDED_SLICE SUB SUM TANH TILE TRANSPOSE "
            "TRANSPOSE_CONV",
            Rule(),
        ),
        "DEPTHWISE_CONV_2D": Rule(condition=_depthwise_on_gpu),
        "DEQUANTIZE": Rule(condition=_not_int16),
        "MIRROR_PAD": Rule(condition=_reflecting),
    },
    remedies={"DEPTHWISE_CONV_2D": "--rewrite groups", "MIRROR_PAD": "--rewrite padding"},
    eight_bit_note="8-bit tensors need quantised inference enabled in the delegate's options",
)
NNAPI = Delegate(
    "NNAPI, from Android 11 on",
    "TFLite",
    "tensorflow/lite/delegates/nnapi/nnapi_delegate.cc, NNAPIDelegateKernel::Validate",
    {
        **_named("ADD AVERAGE_POOL_2D MAX_POOL_2D RELU RELU6 RELU_N1_TO_1", Rule((), 2)),
        **_named("LOGISTIC PAD PADV2", Rule(_FLOAT_OR_8_BIT, 2)),
        **_named("LEAKY_RELU PRELU RESHAPE", Rule(_FLOAT_OR_8_BIT, 1)),
        **_named(
            "MAXIMUM MINIMUM RESIZE_BILINEAR RESIZE_NEAREST_NEIGHBOR TRANSPOSE_CONV", Rule((), 3)
        ),
        **_named("DEPTH_TO_SPACE", Rule(_FLOAT_OR_8_BIT)),
        **_named(
            "MUL SPACE_TO_DEPTH TRANSPOSE STRIDED_SLICE SLICE MEAN QUANTIZE TANH", Rule((), 2)
        ),
        **_named("ABS DIV ELU EXP LOG POW RSQRT SQRT SUM", Rule(("float32",), 1)),
        "CONCATENATION": Rule(("float16", *_FLOAT_OR_8_BIT), 2, _rank_4),
        "CONV_2D": Rule((), 3, _has_bias),
        "DEPTHWISE_CONV_2D": Rule((), 3),
        "DEQUANTIZE": Rule(_EIGHT_BIT, 2),
        "HARD_SWISH": Rule(_FLOAT_OR_8_BIT),
        "SPLIT": Rule((), 3),
        "SUB": Rule((), 3, _rank_4),
    },
    remedies={
        "CONV_2D": "--rewrite groups, where the convolution is grouped",
        "DEQUANTIZE": "--precision float32 or int8 in place of float16",
        "MIRROR_PAD": "--rewrite padding",
    },
)
HEXAGON = Delegate(
    "TFLite's Hexagon delegate",
    "TFLite",
    "tensorflow/lite/delegates/hexagon/README.md",
    {
        **_named(
            "ADD AVERAGE_POOL_2D CONCATENATION DEPTH_TO_SPACE HARD_SWISH LOGISTIC MAXIMUM "
            "MAX_POOL_2D MEAN MINIMUM MIRROR_PAD MUL NEG PAD RELU RELU6 RESHAPE "
            "RESIZE_NEAREST_NEIGHBOR SLICE SOFTMAX SPACE_TO_DEPTH SPLIT STRIDED_SLICE SUB TANH "
            "TRANSPOSE",
            Rule(_EIGHT_BIT, None, _rank_4),
        ),
        "CONV_2D": Rule(_EIGHT_BIT, None, _strides_up_to_3),
        "DEPTHWISE_CONV_2D": Rule(_EIGHT_BIT, None, _depthwise_on_hexagon),
        "QUANTIZE": Rule(_EIGHT_BIT, None, _eight_bit_results),
        "TRANSPOSE_CONV": Rule(_EIGHT_BIT),
    },
    remedy="--precision int8",
    remedies={
        "DEQUANTIZE": "--precision int8 --io int8, which ends in the network's own tensor",
        "DEPTHWISE_CONV_2D": "--rewrite groups, or --rewrite prelu where it is part of a PReLU",
        "LEAKY_RELU": "--rewrite prelu",
        "PRELU": "--rewrite prelu",
        "QUANTIZE": "--precision int8 --io int8, which ends in the network's own tensor",
    },
)
QNN = Delegate(
    "Qualcomm's HTP (by QNN)",
    "TFLite",
    "LiteRT: litert/vendors/qualcomm/compiler/Qualcomm_QNN_Compiler.md",
    _named(
        "ABS ADD AVERAGE_POOL_2D CAST CEIL CONCATENATION CONV_2D DEPTH_TO_SPACE DEPTHWISE_CONV_2D "
        "DEQUANTIZE DIV ELU EXP FLOOR FULLY_CONNECTED GELU HARD_SWISH LEAKY_RELU LOG LOGISTIC "
        "MAX_POOL_2D MAXIMUM MEAN MINIMUM MIRROR_PAD MUL NEG PACK PAD PADV2 POW PRELU QUANTIZE "
        "REDUCE_MAX REDUCE_MIN RELU RELU6 RELU_0_TO_1 RELU_N1_TO_1 RESHAPE RESIZE_BILINEAR "
        "RESIZE_NEAREST_NEIGHBOR ROUND RSQRT SLICE SOFTMAX SPACE_TO_DEPTH SPLIT SQRT SQUARE "
        "SQUARED_DIFFERENCE STRIDED_SLICE SUB SUM TANH TILE TRANSPOSE TRANSPOSE_CONV UNPACK",
        Rule(("float32", "float16", "int8", "uint8", "int16")),
    ),
    float_note="float tensors are computed in float16, which the HTP of some chips does not have",
)
ANE = Delegate(
    "Apple's Neural Engine",
    "Core ML",
    "coremltools guide, Typed Execution Workflow Example: float 16 models are eligible for it, "
    "float 32 models run on GPU and CPU",
    {"cast": Rule(), "constexpr_affine_dequantize": Rule()},
    others=Rule(condition=_half_precision),
    remedy="--precision float16",
)
DELEGATES: dict[DelegateName, Delegate] = {
    DelegateName.GPU: GPU,
    DelegateName.NNAPI: NNAPI,
    DelegateName.HEXAGON: HEXAGON,
    DelegateName.QNN: QNN,
    DelegateName.ANE: ANE,
}
