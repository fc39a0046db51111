"""The anatomy of a TFLite file: its tables, read as TFLite's schema.fbs (version 3) lays them out.

The numbers below are the slots of fields in that schema.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from ailsr.runtime.anatomy.anatomy import Anatomy, Operator, Tensor, file_bytes
from ailsr.runtime.anatomy.flatbuffer import Table
from ailsr.runtime.card import METADATA_KEY, Card
from ailsr.runtime.errors import ModelError
from ailsr.runtime.seal import SEAL_KEY, check_seal

IDENTIFIER = b"TFL3"

OPERATORS = """
    ADD AVERAGE_POOL_2D CONCATENATION CONV_2D DEPTHWISE_CONV_2D DEPTH_TO_SPACE DEQUANTIZE
    EMBEDDING_LOOKUP FLOOR FULLY_CONNECTED HASHTABLE_LOOKUP L2_NORMALIZATION L2_POOL_2D
    LOCAL_RESPONSE_NORMALIZATION LOGISTIC LSH_PROJECTION LSTM MAX_POOL_2D MUL RELU RELU_N1_TO_1
    RELU6 RESHAPE RESIZE_BILINEAR RNN SOFTMAX SPACE_TO_DEPTH SVDF TANH CONCAT_EMBEDDINGS SKIP_GRAM
    CALL CUSTOM EMBEDDING_LOOKUP_SPARSE PAD UNIDIRECTIONAL_SEQUENCE_RNN GATHER BATCH_TO_SPACE_ND
    SPACE_TO_BATCH_ND TRANSPOSE MEAN SUB DIV SQUEEZE UNIDIRECTIONAL_SEQUENCE_LSTM STRIDED_SLICE
    BIDIRECTIONAL_SEQUENCE_RNN EXP TOPK_V2 SPLIT LOG_SOFTMAX DELEGATE BIDIRECTIONAL_SEQUENCE_LSTM
    CAST PRELU MAXIMUM ARG_MAX MINIMUM LESS NEG PADV2 GREATER GREATER_EQUAL LESS_EQUAL SELECT
    SLICE SIN TRANSPOSE_CONV SPARSE_TO_DENSE TILE EXPAND_DIMS EQUAL NOT_EQUAL LOG SUM SQRT RSQRT
    SHAPE POW ARG_MIN FAKE_QUANT REDUCE_PROD REDUCE_MAX PACK LOGICAL_OR ONE_HOT LOGICAL_AND
    LOGICAL_NOT UNPACK REDUCE_MIN FLOOR_DIV REDUCE_ANY SQUARE ZEROS_LIKE FILL FLOOR_MOD RANGE
    RESIZE_NEAREST_NEIGHBOR LEAKY_RELU SQUARED_DIFFERENCE MIRROR_PAD ABS SPLIT_V UNIQUE CEIL
    REVERSE_V2 ADD_N GATHER_ND COS WHERE RANK ELU REVERSE_SEQUENCE MATRIX_DIAG QUANTIZE
    MATRIX_SET_DIAG ROUND HARD_SWISH IF WHILE NON_MAX_SUPPRESSION_V4 NON_MAX_SUPPRESSION_V5
    SCATTER_ND SELECT_V2 DENSIFY SEGMENT_SUM BATCH_MATMUL PLACEHOLDER_FOR_GREATER_OP_CODES CUMSUM
    CALL_ONCE BROADCAST_TO RFFT2D CONV_3D IMAG REAL COMPLEX_ABS HASHTABLE HASHTABLE_FIND
    HASHTABLE_IMPORT HASHTABLE_SIZE REDUCE_ALL CONV_3D_TRANSPOSE VAR_HANDLE READ_VARIABLE
    ASSIGN_VARIABLE BROADCAST_ARGS RANDOM_STANDARD_NORMAL BUCKETIZE RANDOM_UNIFORM MULTINOMIAL
    GELU DYNAMIC_UPDATE_SLICE RELU_0_TO_1 UNSORTED_SEGMENT_PROD UNSORTED_SEGMENT_MAX
    UNSORTED_SEGMENT_SUM ATAN2 UNSORTED_SEGMENT_MIN
""".split()  # noqa: SIM905 - a table of words
"""Names of the builtin operators by their codes, without StableHLO's."""
TYPES = (
    *("float32", "float16", "int32", "uint8", "int64", "string", "bool", "int16", "complex64"),
    *("int8", "float64", "complex128", "uint64", "resource", "variant", "uint32", "uint16"),
    *("int4", "bfloat16", "int2", "uint4"),
)
"""Names of the element types by their codes."""

_CODES, _SUBGRAPHS, _DESCRIPTION, _BUFFERS, _METADATA = 1, 2, 3, 4, 6
_CUSTOM_CODE = 32

Item = TypeVar("Item")


def tflite_anatomy(model: str) -> Anatomy:
    """The anatomy of the TFLite file ``model``. Raises ModelError when it is none or damaged."""
    data = file_bytes(model)
    root = _root(data)
    buffers = root.tables(_BUFFERS)
    metadata = _metadata(root, buffers)
    codes = [_operator(code) for code in root.tables(_CODES)]
    sealed = check_seal(data)
    graphs = root.tables(_SUBGRAPHS)
    if not graphs:
        raise ModelError("it holds no graph: export it again")
    sizes = [len(buffer.content(0) or b"") for buffer in buffers]
    operators: list[Operator] = []
    constants: dict[int, int] = {}  # buffer -> numbers in it
    for graph in graphs:
        places = graph.tables(0)
        tensors = [_tensor(place, sizes) for place in places]
        for place, tensor in zip(places, tensors, strict=True):
            if tensor.constant:
                constants[place.integer(2, "<I")] = _elements(tensor)
        for operator in graph.tables(3):
            name, version = _at(codes, operator.integer(0, "<I"))
            read, written = (_listed(operator, slot, tensors) for slot in (1, 2))
            mode = _mirror(operator) if name == "MIRROR_PAD" else ""
            operators.append(Operator(name, version, read, written, mode))
        if graph is graphs[0]:
            inputs, outputs = (_listed(graph, slot, tensors) for slot in (1, 2))
    card, since = (metadata.get(name, b"") for name in (METADATA_KEY, "min_runtime_version"))
    versions = {"schema": str(root.integer(0, "<I"))}
    if since:
        versions["runtime"] = since.rstrip(b"\0").decode(errors="replace")
    facts = {"description": root.text(_DESCRIPTION)} if root.text(_DESCRIPTION) else {}
    others = set(metadata) - {METADATA_KEY, SEAL_KEY, "min_runtime_version"}
    if others:
        facts["metadata"] = ", ".join(sorted(others))
    return Anatomy(
        "TFLite",
        len(data),
        Card.of_file(card, sealed),
        inputs,
        outputs,
        tuple(operators),
        sum(constants.values()),
        sum(sizes[buffer] for buffer in constants),
        versions,
        facts,
        sealed,
    )


def tflite_metadata(data: bytes, name: str) -> bytes | None:
    """The metadata called ``name`` in the TFLite file ``data``; None when it has none.

    Raises ModelError when ``data`` is no TFLite file or an offset leads outside it.
    """
    root = _root(data)
    return _metadata(root, root.tables(_BUFFERS), name).get(name)


def _root(data: bytes) -> Table:
    if data[4:8] != IDENTIFIER:
        raise ModelError("it is no TFLite file (no TFL3 at its start): export it again")
    return Table.root(data)


def _metadata(root: Table, buffers: list[Table], wanted: str | None = None) -> dict[str, bytes]:
    """The metadata by name, or only what is ``wanted``."""
    result = {}
    for entry in root.tables(_METADATA):
        name = entry.text(0)
        if wanted in (None, name):
            buffer = _at(buffers, entry.integer(1, "<I"))
            result[name] = buffer.content(0) or b""
    return result


def _operator(code: Table) -> tuple[str, int]:
    """(name, version) of an operator code."""
    # Files from before 2.4 have their code in a signed byte, newer ones in both places.
    number = max(code.integer(0, "<b"), code.integer(3))
    if number == _CUSTOM_CODE:
        name = code.text(1) or "CUSTOM"
    else:
        name = OPERATORS[number] if 0 <= number < len(OPERATORS) else f"BUILTIN_{number}"
    return name, code.integer(2, default=1)


def _mirror(operator: Table) -> str:
    """The mode of a MIRROR_PAD: SYMMETRIC repeats the edge pixel, REFLECT does not."""
    options = operator.table(4)
    return "SYMMETRIC" if options is not None and options.integer(0, "<b") else "REFLECT"


def _tensor(table: Table, sizes: list[int]) -> Tensor:
    code = table.integer(1, "<b")
    type = TYPES[code] if 0 <= code < len(TYPES) else f"type {code}"
    shape = table.integers(7)  # with -1 for what is open
    if shape is None or not len(shape):
        shape = table.integers(0)
    sides = () if shape is None else tuple("?" if side < 0 else int(side) for side in shape)
    return Tensor(table.text(3), type, sides, _at(sizes, table.integer(2, "<I")) > 0)


def _listed(table: Table, slot: int, tensors: list[Tensor]) -> tuple[Tensor, ...]:
    """The tensors whose numbers are listed in a field; -1 stands for one that is left out."""
    numbers = table.integers(slot)
    if numbers is None:
        return ()
    return tuple(_at(tensors, int(number)) for number in numbers if number != -1)


def _elements(tensor: Tensor) -> int:
    count = 1
    for side in tensor.shape:
        count *= int(side) if isinstance(side, int) else 1
    return count


def _at(items: Sequence[Item], index: int) -> Item:
    if not 0 <= index < len(items):
        raise ModelError(f"it is damaged (number {index} of {len(items)}): copy it again")
    return items[index]
