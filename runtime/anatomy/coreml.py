"""The anatomy of a Core ML package: its specification, read as coremltools' Model.proto and
MIL.proto lay it out.

The numbers below are those of fields in those definitions.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import prod
from pathlib import Path

from ailsr.runtime import documents
from ailsr.runtime.anatomy.anatomy import Anatomy, Operator, Tensor
from ailsr.runtime.anatomy.protobuf import Message, entries
from ailsr.runtime.card import METADATA_KEY, Card
from ailsr.runtime.errors import ModelError
from ailsr.runtime.files import size_bytes
from ailsr.runtime.seal import check_seal

SYSTEMS = {4: "13", 5: "14", 6: "15", 7: "16", 8: "17", 9: "18", 10: "26"}
"""The first iOS that reads a version of the specification."""
TYPES = {
    **{1: "bool", 2: "string", 10: "float16", 11: "float32", 12: "float64"},
    **{21: "int8", 22: "int16", 23: "int32", 24: "int64", 25: "int4"},
    **{31: "uint8", 32: "uint16", 33: "uint32", 34: "uint64", 35: "uint4"},
}
"""Names of MIL's element types by their codes."""
_WEIGHT_BYTES = {"float16": 2, "float32": 4, "int8": 1, "uint8": 1}
"""Types of weights; other constants are settings of operators."""
_SPECIFICATION_VERSION, _DESCRIPTION, _PROGRAM = 1, 2, 502


def coreml_anatomy(model: str) -> Anatomy:
    """The anatomy of the package ``model``. Raises ModelError when it is none or damaged."""
    package = Path(model)
    specification = specification_path(package)
    data = specification.read_bytes()
    sealed = check_seal(data, *blobs(specification))
    root = Message(data)
    if _DESCRIPTION not in root.which():
        raise ModelError(f"its {specification.name} describes no model: export it again")
    description = root.message(_DESCRIPTION)
    user_defined = entries(description.message(100), 100)
    metadata = {entry.key: bytes(entry.value).decode(errors="replace") for entry in user_defined}
    operators, weights = [], 0
    weight_bytes = 0
    tensors: dict[str, Tensor] = {}
    facts = {} if _PROGRAM in root.which() else {"program": "none: an older kind of model"}
    for operation in _operations(root):
        name = operation.text(1)
        if name.startswith("const"):
            for attribute in entries(operation, 5):
                constant = _typed("", Message(attribute.value).message(2))
                if constant.type in _WEIGHT_BYTES and constant.shape:
                    numbers = prod(side for side in constant.shape if isinstance(side, int))
                    weights += numbers
                    weight_bytes += numbers * _WEIGHT_BYTES[constant.type]
        outputs = tuple(_typed(value.text(1), value.message(2)) for value in operation.messages(3))
        tensors |= {tensor.name: tensor for tensor in outputs}
        if name != "const":
            inputs = tuple(
                tensors.get(binding.text(1), Tensor(binding.text(1), ""))
                for argument in entries(operation, 2)
                for binding in Message(argument.value).messages(1)
                if 1 in binding.which()
            )
            operators.append(Operator(name, None, inputs, outputs))
    version = root.integer(_SPECIFICATION_VERSION)
    versions = {"specification": str(version)}
    if version in SYSTEMS:
        versions["iOS"] = SYSTEMS[version]
    return Anatomy(
        "Core ML",
        size_bytes(package),
        Card.of_file(metadata.get(METADATA_KEY), sealed),
        tuple(map(_feature, description.messages(1))),
        tuple(map(_feature, description.messages(10))),
        tuple(operators),
        weights,
        weight_bytes,
        versions,
        facts,
        sealed,
    )


def specification_path(package: Path) -> Path:
    """The file of a package that holds its specification, as the manifest gives it.

    Raises ModelError when there is none, or when it lies outside the package.
    """
    if not package.is_dir():
        what = "it is not a package, which is a folder" if package.exists() else "it does not exist"
        raise ModelError(f"{what}: give the .mlpackage that ailsr-export wrote")
    try:
        manifest = documents.parse((package / "Manifest.json").read_bytes())
        entry = manifest["itemInfoEntries"][manifest["rootModelIdentifier"]]
        data = (package / "Data").resolve()
        file = Path(data, entry["path"]).resolve()
    except OSError as error:
        raise ModelError(
            f"it has no {Path(error.filename or 'Data').name}: copy it again"
        ) from error
    except (ValueError, LookupError, TypeError, RuntimeError) as error:  # also a loop of links
        raise ModelError(f"its Manifest.json is damaged ({error}): copy it again") from error
    if not file.is_relative_to(data):
        raise ModelError(f"its manifest points out of the package, to {entry['path']}")
    if not file.is_file():
        raise ModelError(f"it has no {file.name}: copy it again")
    return file


def blobs(specification: Path) -> list[bytes]:
    """The files of weights beside a specification, in the order of their names."""
    folder = specification.parent / "weights"
    return [path.read_bytes() for path in sorted(folder.glob("*")) if path.is_file()]


def _operations(root: Message) -> Iterator[Message]:
    """The operations of all functions of the program."""
    for function in entries(root.message(_PROGRAM), 2):
        for block in entries(Message(function.value), 3):
            yield from Message(block.value).messages(3)


def _typed(name: str, value_type: Message) -> Tensor:
    """A tensor of a MIL type; one without type or shape where it is no tensor."""
    tensor = value_type.message(1)
    sides = [dimension.message(1) for dimension in tensor.messages(3)]
    shape = tuple(side.integer(1) or "?" for side in sides)
    return Tensor(name, TYPES.get(tensor.integer(1), ""), shape)


def _feature(feature: Message) -> Tensor:
    """An input or output as an app sees it."""
    type = feature.message(3)
    image, array = type.message(4), type.message(5)
    if 4 not in type.which():
        return Tensor(feature.text(1), "multi-array", tuple(array.integers(1)))
    sizes = [f"{size.integer(2)}x{size.integer(1)}" for size in image.message(21).messages(1)] or [
        f"{image.integer(2)}x{image.integer(1)}"
    ]
    return Tensor(feature.text(1), "image", tuple(sizes))
