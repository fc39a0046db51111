"""Core ML: a graph as an ML Program in an ``.mlpackage``.

The package is written by hand, file by file, because coremltools stamps random identifiers and
the date into its own: a folder with the specification (the program and its description, a
protobuf), the blob of weights, and a manifest that points to both.
"""

from __future__ import annotations

import functools
import json
import logging
import shutil
import tempfile
import uuid
import warnings
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from ailsr.export.graph.graph import Graph
from ailsr.export.graph.quantization import Quantization
from ailsr.export.targets.coreml.nodes import Number
from ailsr.export.targets.coreml.program import build
from ailsr.runtime.anatomy.coreml import blobs
from ailsr.runtime.card import METADATA_KEY, Card, Precision
from ailsr.runtime.errors import EngineError, UsageError
from ailsr.runtime.files import atomic_output, sha256
from ailsr.runtime.seal import SEAL_KEY, UNSEALED, sealed
from ailsr.runtime.version import VERSION

CONTENT = "com.apple.CoreML"
"""Folder of a package's files, in its folder ``Data``."""
SPECIFICATION = "model.mlmodel"
WEIGHTS = "weights"
NUMBERS: dict[Precision, Number] = {
    "float32": np.float32,
    "float16": np.float16,
    "int8": np.float32,
}
"""The type that a program computes with. For int8 it holds the scales and biases of the other
targets exactly; in float16 they are other numbers, and outputs differ from those files' by one or
two levels on a fifth of the samples. Core ML keeps float32 off the Neural Engine, though."""


def write(graph: Graph, card: Card, path: Path, quantization: Quantization | None = None) -> None:
    """Write ``graph`` to the package ``path``, with ``card`` in its metadata.

    It takes and returns 8-bit RGB images whatever the precision inside, and the card in the file
    says so (``pixels`` is ``uint8``). float32 and float16 need iOS 15 or macOS 12, int8 needs
    iOS 17 or macOS 14. The same graph and card give the same bytes.

    Raises UsageError when ``card.precision`` and ``quantization`` do not fit together, EngineError
    without coremltools.
    """
    if card.precision == "int8x16":
        raise UsageError(
            "Core ML has no activations of 16-bit integers (its quantize operator makes int8 or "
            "uint8): choose --precision float16 or int8 for it"
        )
    if (card.precision == "int8") != (quantization is not None):
        raise UsageError(
            f"a Core ML package of precision {card.precision} was given "
            f"{'no' if quantization is None else 'int8'} quantisation parameters: int8 takes the "
            "result of a calibration, float32 and float16 take none"
        )
    ct = coremltools()
    target = ct.target.iOS17 if quantization else ct.target.iOS15
    image = _image_type(graph, card)
    shape, number = image.shape.symbolic_shape, NUMBERS[card.precision]
    program = build(graph, number, quantization, target, shape)
    with tempfile.TemporaryDirectory() as weights, atomic_output(path) as package:
        spec = _specification(program, image, weights, target)
        _describe(spec.description, replace(card, pixels="uint8"))
        _save(spec, Path(weights), package)


@functools.cache
def coremltools() -> ModuleType:
    """The package coremltools, kept from remarking on versions and on what needs macOS.

    Imported on first use, because that takes seconds. Raises EngineError when it is missing.
    """
    logging.getLogger("coremltools").setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import coremltools as package
    except ImportError as error:
        raise EngineError("Core ML needs coremltools: pip install 'ailsr[coreml]'") from error
    module: ModuleType = package
    return module


def _image_type(graph: Graph, card: Card) -> Any:  # noqa: ANN401
    """The input: an RGB image of one size, or of those that the card lists."""
    from coremltools import EnumeratedShapes, ImageType, colorlayout

    shape: Any = (1, *graph.input_shape)
    if card.other_sizes:
        shape = EnumeratedShapes([(1, 3, *size) for size in card.sizes], default=shape)
    return ImageType(graph.input, shape, color_layout=colorlayout.RGB, channel_first=True)


def _specification(program: Any, image: Any, weights: str, target: Any) -> Any:  # noqa: ANN401
    """The model's protobuf; the large constants go to a file in the folder ``weights``."""
    from coremltools import ImageType, colorlayout
    from coremltools.converters.mil.backend.mil.load import load

    function = program.functions["main"]
    function.set_input_types((image,))
    function.set_output_types([ImageType(color_layout=colorlayout.RGB)])
    return load(program, weights, specification_version=target.value)


def _describe(description: Any, card: Card) -> None:  # noqa: ANN401
    """Fill in what Xcode and an app read about the model."""
    height, width = card.input_size
    size = f"{width}x{height}"
    metadata = description.metadata
    metadata.shortDescription = (
        f"Super-resolution by {card.network}: RGB {size} to x{card.scale}, {card.precision}"
    )
    metadata.author = "ailsr"
    metadata.license = "; ".join(card.licences)
    metadata.versionString = card.ailsr_version or VERSION
    metadata.userDefined[METADATA_KEY] = card.to_json()
    metadata.userDefined[SEAL_KEY] = UNSEALED
    description.input[0].shortDescription = f"The low-resolution image, RGB, {size} pixels"
    upscaled = description.output[0].type.imageType
    if card.other_sizes:  # coremltools leaves the sizes of such an output open
        upscaled.height, upscaled.width = card.scale * height, card.scale * width
        for rows, columns in card.sizes:
            upscaled.enumeratedSizes.sizes.add(height=card.scale * rows, width=card.scale * columns)
    description.output[0].shortDescription = f"The same image, {card.scale} times larger"


def _save(spec: Any, weights: Path, package: Path) -> None:  # noqa: ANN401
    """Write the package: specification, weights, and the manifest that lists them."""
    content = package / "Data" / CONTENT
    content.mkdir(parents=True)
    (content / WEIGHTS).mkdir()
    for file in weights.iterdir():
        shutil.copyfile(file, content / WEIGHTS / file.name)
    whole = sealed(spec.SerializeToString(deterministic=True), *blobs(content / SPECIFICATION))
    (content / SPECIFICATION).write_bytes(whole)
    root = _identifier(content / SPECIFICATION)
    entries = {
        root: _entry(SPECIFICATION, "CoreML Model Specification"),
        _identifier(content / WEIGHTS): _entry(WEIGHTS, "CoreML Model Weights"),
    }
    manifest = {
        "fileFormatVersion": "1.0.0",
        "itemInfoEntries": entries,
        "rootModelIdentifier": root,
    }
    (package / "Manifest.json").write_text(json.dumps(manifest, indent=4, sort_keys=True) + "\n")


def _entry(name: str, description: str) -> dict[str, str]:
    return {
        "author": CONTENT,
        "description": description,
        "name": name,
        "path": f"{CONTENT}/{name}",
    }


def _identifier(path: Path) -> str:
    """A UUID that follows from the name and content of a file or folder, not from chance."""
    files = sorted(path.iterdir()) if path.is_dir() else [path]
    content = " ".join([path.name, *(sha256(file) for file in files)])
    return str(uuid.uuid5(uuid.NAMESPACE_URL, content))
