"""torch.export programs (.pt2), read so that a file cannot make anything run.

``torch.export.load`` unpickles what a file asks it to, loads compiled libraries, evaluates its
formulas of sizes and executes its guards as Python. So it is given a copy that holds tensors and
the program's text alone, and in that text every word is checked to be a mere name.
"""

from __future__ import annotations

import io
import json
import re
import zipfile
from pathlib import Path
from typing import Any

import torch
from torch.export import ExportedProgram

from ailsr.export.reading.from_torch import quiet
from ailsr.runtime.errors import ModelError, one_line
from ailsr.runtime.upscaling.tiles import Size

MEMBERS = re.compile(
    r"archive_format|archive_version|byteorder|\.data/(version|serialization_id)"
    r"|data/(weights|constants)/(weight_\d+|tensor_\d+|model_(weights|constants)_config\.json)"
)
"""Files of an archive that are copied as they are: tensors in raw bytes and the lists of them."""
PROGRAM = "models/model.json"
INPUTS = "data/sample_inputs/model.pt"
"""Pickled in the file, and left empty in the copy."""

TARGETS = re.compile(
    r"torch\.ops\.aten\.\w+\.[a-zA-Z]\w*"
    r"|torch\.ops\.higher_order\.wrap_with_(autocast|set_grad_enabled)"
    r"|_operator\.(getitem|add|sub|mul|neg|floordiv|truediv|mod|pow|eq|ne|le|ge|lt|gt|and_|or_)"
    r"|torch\.sym_(int|float|max|min|not|ite|sqrt)|math\.(ceil|floor|trunc)"
)
"""The functions that a node may call."""
NAME = re.compile(r"[\w.+-]*")
"""Any other text: it cannot leave the line of Python that torch makes of it."""
SYMBOL = re.compile(r"Symbol\('[su]\d+'(, (positive|nonnegative|integer)=(True|False))*\)")
FORMULA = re.compile(r"[\w\-+*/%(), <>=]*")
"""Of a size; its words are symbols, such as s0, and FUNCTIONS."""
FUNCTIONS = {"Add", "Mul", "Pow", "Integer", "Rational", "Max", "Min", "Mod", "PythonMod"}
FUNCTIONS |= {"FloorDiv", "CleanDiv", "CeilDiv", "ModularIndexing", "IntTrueDiv", "FloatTrueDiv"}
FUNCTIONS |= {"TruncToInt", "CeilToInt", "FloorToInt", "ToFloat"}
CONTAINERS = {None, "builtins.tuple", "builtins.list", "builtins.dict"}
KEYS = re.compile(r'[\w", \[\]]*')
"""Of a dict, as JSON."""


def load_program(path: Path) -> tuple[ExportedProgram, Size | None]:
    """The program in the file at ``path`` and the (height, width) that it takes, None for any.

    Raises ModelError when the file is damaged, holds anything but tensors and calls of PyTorch's
    own operators, or a network that does not make one image (1, 3, h, w) of another.
    """
    try:
        copy = _checked_copy(path)
        with quiet():
            program = torch.export.load(copy)
        return program, _input_size(program)
    except ModelError:
        raise
    except Exception as error:  # zipfile, json and torch raise a dozen kinds for a damaged file
        raise ModelError(
            f"a damaged torch.export program, or none ({one_line(error, 200)}): write it again "
            "with torch.export.save of PyTorch 2.8 or newer"
        ) from error


def _checked_copy(path: Path) -> io.BytesIO:
    """The archive at ``path`` without what could run."""
    copy = io.BytesIO()
    with zipfile.ZipFile(path) as source, zipfile.ZipFile(copy, "w") as target:
        for member in source.namelist():
            _, _, name = member.partition("/")
            if name == PROGRAM:
                content: bytes = json.dumps(
                    _checked_program(json.loads(source.read(member)))
                ).encode()
            elif name == INPUTS:
                content = b""
            elif MEMBERS.fullmatch(name):
                content = source.read(member)
                if name.endswith(".json"):
                    _check_tensors(json.loads(content))
            else:
                continue
            target.writestr(f"model/{name}", content)
    copy.seek(0)
    return copy


def _checked_program(program: dict[str, Any]) -> dict[str, Any]:
    """``program`` without its guards, which are Python, and its notes. Raises ModelError."""
    program["guards_code"] = []
    _check(program)
    return program


def _check(value: Any, key: str = "") -> None:  # noqa: ANN401
    """Raise ModelError unless every text in ``value``, found under ``key``, is harmless."""
    match value:
        case dict():
            if key == "metadata":  # notes of nodes: torch only splits and reads this one
                kept = {k: v for k, v in value.items() if k == "nn_module_stack"}
                value.clear()
                value.update(kept)
                return
            for name, item in value.items():
                _check_text(name, "")
                _check(item, name)
        case list():
            for item in value:
                _check(item, key)
        case str():
            _check_text(value, key)


def _check_text(text: str, key: str) -> None:
    match key:
        case "target":
            harmless = TARGETS.fullmatch(text) is not None
        case "expr_str":
            text = SYMBOL.sub("s0", text)
            words = re.findall(r"[^\W\d]\w*", text)
            known = all(word in FUNCTIONS or re.fullmatch(r"[su]\d+", word) for word in words)
            harmless = known and FORMULA.fullmatch(text) is not None
        case "in_spec" | "out_spec":
            harmless = not text or _is_plain(json.loads(text)[1])
        case _:
            harmless = NAME.fullmatch(text) is not None
    if not harmless:
        what = "calls" if key == "target" else "holds"
        raise ModelError(
            f"the program {what} {text[:80]!r}, which is not read because it could run code: "
            "only PyTorch's own operators are"
        )


def _is_plain(structure: dict[str, Any]) -> bool:
    """True if a description of nested containers has none but Python's own."""
    return (
        structure["type"] in CONTAINERS
        and KEYS.fullmatch(structure["context"] or "") is not None
        and all(map(_is_plain, structure["children_spec"]))
    )


def _check_tensors(listing: dict[str, Any]) -> None:
    for name, entry in listing["config"].items():
        if entry["use_pickle"] or not entry["path_name"].startswith(("weight_", "tensor_")):
            raise ModelError(f"{name!r} is a pickled object: only plain tensors are read")


def _input_size(program: ExportedProgram) -> Size | None:
    (*names,) = program.graph_signature.user_inputs
    if len(names) != 1:
        raise ModelError(f"the program has {len(names)} inputs; a network of images has one")
    values = {node.name: node.meta.get("val") for node in program.graph.nodes}
    shape = [side if isinstance(side, int) else None for side in values[str(names[0])].shape]
    if len(shape) != 4 or shape[0] not in (1, None) or shape[1] not in (1, 3, None):
        named = str([side or "any" for side in shape]).replace("'", "")
        raise ModelError(f"the program takes {named}; an image is (1, 3, height, width)")
    height, width = shape[2:]
    return None if height is None or width is None else (height, width)
