"""The anatomy of an ONNX file: its messages, read as onnx.proto3 lays them out.

The numbers below are those of fields in that definition.
"""

from __future__ import annotations

from math import prod

from ailsr.runtime.anatomy.anatomy import Anatomy, Operator, Tensor, file_bytes
from ailsr.runtime.anatomy.protobuf import Message, entries
from ailsr.runtime.card import METADATA_KEY, Card
from ailsr.runtime.errors import ModelError
from ailsr.runtime.seal import SEAL_KEY, check_seal

TYPES = (
    *("", "float32", "uint8", "int8", "uint16", "int16", "int32", "int64", "string", "bool"),
    *("float16", "float64", "uint32", "uint64", "complex64", "complex128", "bfloat16"),
    *("float8e4m3fn", "float8e4m3fnuz", "float8e5m2", "float8e5m2fnuz", "uint4", "int4"),
)
"""Names of the element types by their codes."""
_BITS = {"bool": 8, "string": 0}
_IR_VERSION, _PRODUCER, _PRODUCER_VERSION, _GRAPH, _OPSETS, _METADATA = 1, 2, 3, 7, 8, 14
_NODES, _INITIALIZERS, _INPUTS, _OUTPUTS, _VALUES = 1, 5, 11, 12, 13


def onnx_anatomy(model: str) -> Anatomy:
    """The anatomy of the ONNX file ``model``. Raises ModelError when it is none or damaged."""
    data = file_bytes(model)
    sealed = check_seal(data)
    root = _root(data)
    metadata = _metadata(root)
    graph = root.message(_GRAPH)
    weights = [_constant(tensor) for tensor in graph.messages(_INITIALIZERS)]
    ends = [
        [_value(value) for value in graph.messages(number)]
        for number in (_INPUTS, _OUTPUTS, _VALUES)
    ]
    tensors = {tensor.name: tensor for tensor in (*weights, *(t for end in ends for t in end))}
    operators = []
    for node in graph.messages(_NODES):
        name = ".".join(filter(None, [node.text(7), node.text(4)]))
        if name == "Constant":
            weights += [_constant(a.message(5)) for a in node.messages(5) if 5 in a.which()]
            continue
        inputs, outputs = (
            tuple(tensors.get(tensor, Tensor(tensor, "")) for tensor in node.texts(number))
            for number in (1, 2)
        )
        operators.append(Operator(name, None, inputs, outputs))
    constants = {tensor.name for tensor in weights}
    used = {operator.name.rpartition(".")[0] for operator in operators}
    versions = {"IR": str(root.integer(_IR_VERSION))}
    for opset in root.messages(_OPSETS):
        if (domain := opset.text(1)) in used:
            versions[f"opset {domain}".strip()] = str(opset.integer(2))
    producer = f"{root.text(_PRODUCER)} {root.text(_PRODUCER_VERSION)}".strip()
    facts = {"producer": producer} if producer else {}
    others = set(metadata) - {METADATA_KEY, SEAL_KEY}
    if others:
        facts["metadata"] = ", ".join(sorted(others))
    return Anatomy(
        "ONNX",
        len(data),
        Card.of_file(metadata.get(METADATA_KEY), sealed),
        tuple(tensor for tensor in ends[0] if tensor.name not in constants),
        tuple(ends[1]),
        tuple(operators),
        sum(map(_elements, weights)),
        sum(_elements(tensor) * _bits(tensor.type) // 8 for tensor in weights),
        versions,
        facts,
        sealed,
    )


def onnx_metadata(data: bytes) -> dict[str, bytes]:
    """The metadata of the ONNX file ``data`` by name. Raises ModelError when it is none."""
    return _metadata(_root(data))


def _root(data: bytes) -> Message:
    root = Message(data)
    if not {_IR_VERSION, _GRAPH} <= root.which():
        raise ModelError("it is no ONNX file: export it again")
    return root


def _metadata(root: Message) -> dict[str, bytes]:
    return {entry.key: bytes(entry.value) for entry in entries(root, _METADATA)}


def _constant(tensor: Message) -> Tensor:
    return Tensor(tensor.text(8), _type(tensor.integer(2)), tuple(tensor.integers(1)), True)


def _value(value: Message) -> Tensor:
    type = value.message(2).message(1)
    sides = type.message(2).messages(1)
    shape = tuple(side.integer(1) if 1 in side.which() else side.text(2) or "?" for side in sides)
    return Tensor(value.text(1), _type(type.integer(1)), shape)


def _type(code: int) -> str:
    return TYPES[code] if code < len(TYPES) else f"type {code}"


def _elements(tensor: Tensor) -> int:
    return prod(side for side in tensor.shape if isinstance(side, int))


def _bits(type: str) -> int:
    """Bits of one element: what the digits in the name of its type say."""
    digits = type.partition("float8")[1][-1:] or "".join(c for c in type if c.isdigit())
    return _BITS.get(type, int(digits or 0))
