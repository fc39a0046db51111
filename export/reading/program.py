"""torch.export programs (.pt2), read so that a file cannot make anything run.

``torch.export.load`` unpickles what a file asks it to, loads compiled libraries, evaluates its
formulas of sizes and executes its guards as Python. Here an archive is a list of calls of PyTorch's
own operators, and tensors in raw bytes; nothing else of it is read.
"""

from __future__ import annotations

import json
import re
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ailsr.export.reading.program_module import Calls, ProgramModule, argument, dtype_of
from ailsr.runtime.errors import ModelError, one_line
from ailsr.runtime.upscaling.tiles import Size

PROGRAM = "models/model.json"
FORMAT = 8
"""Major version of the files' schema, since PyTorch 2.8."""
FOLDERS = {"weights": "data/weights", "constants": "data/constants"}
CONTAINERS = {"builtins.tuple", "builtins.list", "builtins.dict"}
_SYMBOL = re.compile(r"Symbol\('(\w+)'[^()]*\)")


@dataclass(frozen=True)
class Side:
    """What a program says of an open side of a tensor: a multiple of a symbol."""

    symbol: str
    factor: int = 1

    def __str__(self) -> str:
        return self.symbol if self.factor == 1 else f"{self.factor}*{self.symbol}"


Shape = tuple[int | Side | None, ...]
"""None: a formula of another form."""


@dataclass(frozen=True)
class Described:
    """A tensor of a program."""

    name: str
    dtype: str
    shape: Shape


@dataclass(frozen=True)
class Program:
    """The program in a file."""

    module: ProgramModule
    """It takes one image, and returns what the program does."""
    inputs: tuple[Described, ...]
    outputs: tuple[Described, ...]
    tensors: tuple[Tensor, ...]
    """Its weights and constants."""

    @property
    def operators(self) -> list[str]:
        """Such as ``aten.conv2d.default``, in the order of calls."""
        return [call.target.removeprefix("torch.ops.") for call in self.module.calls.calls]

    @property
    def input_size(self) -> Size | None:
        """(height, width) that it takes, None for any."""
        height, width = self.inputs[0].shape[2:]
        return (height, width) if isinstance(height, int) and isinstance(width, int) else None

    @property
    def multiple(self) -> int:
        """Heights and widths are multiples of it."""
        sides = self.inputs[0].shape[2:]
        return max(side.factor if isinstance(side, Side) else 1 for side in sides)


def load_program(path: Path) -> Program:
    """The program in the file at ``path``.

    Raises ModelError when the file is damaged, calls anything but PyTorch's own operators, holds a
    pickled object or takes anything but one image (1, 3 or 1, h, w).
    """
    try:
        with zipfile.ZipFile(path) as archive:
            return _program(_members(archive))
    except ModelError:
        raise
    except Exception as error:  # zipfile, json and torch raise a dozen kinds for a damaged file
        raise ModelError(
            f"a damaged torch.export program, or none ({one_line(error, 200)}): write it again "
            "with torch.export.save of PyTorch 2.8 or newer"
        ) from error


def _members(archive: zipfile.ZipFile) -> dict[str, bytes]:
    """The files of ``archive`` that are read, without the folder that they all lie in."""
    wanted = re.compile(rf"{PROGRAM}|({'|'.join(FOLDERS.values())})/\w+(\.json)?")
    names = {name.partition("/")[2]: name for name in archive.namelist()}
    return {name: archive.read(names[name]) for name in names if wanted.fullmatch(name)}


def _program(members: Mapping[str, bytes]) -> Program:
    model = json.loads(members[PROGRAM])
    if (version := model["schema_version"]["major"]) != FORMAT:
        raise ModelError(
            f"a torch.export program of format {version}, by PyTorch {model['torch_version']}; "
            f"format {FORMAT} is read: export it as an ONNX model"
        )
    stored = {kind: _tensors(members, kind) for kind in FOLDERS}
    whole, graph = model["graph_module"], model["graph_module"]["graph"]
    tensors: dict[str, Any] = {}
    image = []
    for spec in whole["signature"]["input_specs"]:
        ((kind, entry),) = spec.items()
        match kind:
            case "parameter":
                tensors[entry["arg"]["name"]] = stored["weights"][entry["parameter_name"]]
            case "buffer":
                place = "weights" if entry["persistent"] else "constants"
                tensors[entry["arg"]["name"]] = stored[place][entry["buffer_name"]]
            case "tensor_constant":
                constant = stored["constants"][entry["tensor_constant_name"]]
                tensors[entry["arg"]["name"]] = constant
            case "user_input":
                image.append(entry["arg"])
            case "constant_input" if "as_none" in entry["value"]:
                tensors[entry["name"]] = None
            case _:
                raise ModelError(f"the program takes a {kind}: an image alone is needed")
    outputs = [s["user_output"]["arg"] for s in whole["signature"]["output_specs"] if [*s] == _USER]
    described = _described(graph["tensor_values"], image)
    _check_image(described)
    (root,) = (entry for entry in whole["module_call_graph"] if not entry["fqn"])
    out_spec = root["signature"]["out_spec"]
    structure = json.loads(out_spec)[1] if out_spec else {"type": None}
    module = ProgramModule(
        Calls.of(graph),
        tensors,
        described[0].name,
        _structured(structure, map(argument, outputs)),
    )
    ranges = {name: (r["min_val"], r["max_val"]) for name, r in model["range_constraints"].items()}
    module.check = partial(_check_shape, expected=described[0].shape, ranges=ranges)
    return Program(
        module,
        described,
        _described(graph["tensor_values"], [o for o in outputs if "as_tensor" in o]),
        tuple(tensor for tensor in tensors.values() if isinstance(tensor, Tensor)),
    )


_USER = ["user_output"]


def _tensors(members: Mapping[str, bytes], kind: str) -> dict[str, Tensor]:
    """The tensors of the archive by their names."""
    listing = members.get(f"{FOLDERS[kind]}/model_{kind}_config.json")
    if listing is None:
        raise ModelError(
            f"its {kind} are pickled, as torch.export.save before PyTorch 2.8 did: write it again "
            "with a newer one"
        )
    found = {}
    for name, entry in json.loads(listing)["config"].items():
        path, meta = entry["path_name"], entry["tensor_meta"]
        if entry["use_pickle"] or not path.startswith(("weight_", "tensor_")):
            raise ModelError(f"{name!r} is a pickled object: only plain tensors are read")
        content, dtype = bytearray(members[f"{FOLDERS[kind]}/{path}"]), dtype_of(meta["dtype"])
        whole = torch.frombuffer(content, dtype=dtype) if content else torch.zeros(0, dtype=dtype)
        sizes, strides = ([side["as_int"] for side in meta[key]] for key in ("sizes", "strides"))
        found[name] = whole.as_strided(sizes, strides, meta["storage_offset"]["as_int"])
    return found


def _described(values: Mapping[str, Any], arguments: list[Any]) -> tuple[Described, ...]:
    found = []
    for entry in arguments:
        if "as_tensor" not in entry:
            raise ModelError("the program takes more than tensors; an image alone is needed")
        name = entry["as_tensor"]["name"]
        shape = tuple(map(_side, values[name]["sizes"]))
        dtype = str(dtype_of(values[name]["dtype"])).removeprefix("torch.")
        found.append(Described(name, dtype, shape))
    return tuple(found)


def _side(size: Mapping[str, Any]) -> int | Side | None:
    """A side of a tensor: a number, a symbol or a multiple of one, as sympy writes it."""
    if "as_int" in size:
        return int(size["as_int"])
    text = _SYMBOL.sub(r"\1", size["as_expr"]["expr_str"])
    if match := re.fullmatch(r"(?:Mul\(Integer\((\d+)\), )?(\w+)\)?", text):
        return Side(match[2], int(match[1] or 1))
    return None


def _structured(structure: Mapping[str, Any], leaves: Iterator[Any]) -> Any:  # noqa: ANN401
    """``leaves`` in the containers that a program returns them in."""
    kind, children = structure["type"], structure.get("children_spec", [])
    if kind is None:
        return next(leaves)
    if kind not in CONTAINERS:
        raise ModelError(f"it returns a {str(kind)[:80]!r}: tensors, lists and dicts are read")
    parts = [_structured(child, leaves) for child in children]
    if kind != "builtins.dict":
        return parts
    return dict(zip(json.loads(structure["context"]), parts, strict=True))


def _check_image(inputs: tuple[Described, ...]) -> None:
    if len(inputs) != 1:
        raise ModelError(f"the program has {len(inputs)} inputs; a network of images has one")
    shape = [side if isinstance(side, int) else None for side in inputs[0].shape]
    if len(shape) != 4 or shape[0] not in (1, None) or shape[1] not in (1, 3, None):
        named = str([side or "any" for side in shape]).replace("'", "")
        raise ModelError(f"the program takes {named}; an image is (1, 3, height, width)")


def _check_shape(
    shape: tuple[int, ...], expected: Shape, ranges: Mapping[str, tuple[int, int | None]]
) -> None:
    """Raise ModelError for an image that the program was not made for."""
    symbols: dict[str, int] = {}
    for side, known in zip(shape, expected, strict=True):
        if isinstance(known, Side):
            least, most = ranges.get(known.symbol, (None, None))
            value = symbols.setdefault(known.symbol, side // known.factor)
            fits = value * known.factor == side and (least or 0) <= value <= (most or value)
        else:
            fits = known in (None, side)
        if not fits:
            takes = ", ".join(str(side or "any") for side in expected)
            limits = "".join(
                f", {name} from {low} to {'any' if high is None else high}"
                for name, (low, high) in ranges.items()
            )
            raise ModelError(f"it was made for ({takes}){limits}, and not for {tuple(shape)}")
