"""The networks that are exported: checkpoints of ailsr-train, torch.export programs, ONNX models.

Of each the exporter needs a graph for an input size, and the network itself to run, for files to be
compared with.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from torch import nn

from ailsr.export.graph.graph import Graph
from ailsr.export.reading.from_torch import from_onnx, graph_of, to_onnx
from ailsr.export.reading.program import load_program
from ailsr.runtime.card import Card
from ailsr.runtime.engines.encoding import (
    TRIAL_SIDE,
    Comparison,
    Encoding,
    Run,
    encodings,
    psnr,
)
from ailsr.runtime.engines.engine import available_cores
from ailsr.runtime.engines.interface import Interface, find_scale
from ailsr.runtime.engines.onnx import OnnxEngine
from ailsr.runtime.engines.pixels import Pixels
from ailsr.runtime.errors import AilsrError, ModelError, UsageError, one_line
from ailsr.runtime.files import sha256
from ailsr.runtime.upscaling.tiles import Size
from ailsr.train import checkpoint, zoo
from ailsr.train.networks import Color, Network

_LEAVE_OUT = "leave --input-range, --output-range and --channels out"

QUANTIZED = {
    "ConvInteger",
    "DequantizeLinear",
    "DynamicQuantizeLinear",
    "MatMulInteger",
    "QLinearConv",
    "QuantizeLinear",
}
"""Operators of ONNX models that are int8 already."""


@dataclass(frozen=True)
class Source:
    """A network to export, with the entries of its card that tell its origin."""

    name: str
    """In file names and on cards."""
    scale: int
    run: Run
    """The network itself: float32 [h, w, 3] in [0, 1] -> [scale*h, scale*w, 3], not clamped."""
    graph: Callable[[Size], Graph]
    """The graph for an input of (height, width)."""
    color: Color = "rgb"
    encoding: Encoding = Encoding()  # noqa: RUF009  (it is frozen)
    """The network's own; ``run`` and ``graph`` convert."""
    radius: int | None = None
    """Receptive field radius as its author states it; None: the graph tells."""
    input_size: Size | None = None
    """(height, width) of a network that takes nothing else."""
    training: Mapping[str, Any] = field(default_factory=dict)
    """Summary of the training run, for the card."""
    sha256: str | None = None
    """Of the file that it comes from."""


def open_source(
    model: Path,
    network: str | None = None,
    name: str | None = None,
    candidates: Sequence[Encoding] | None = None,
    *,
    must_fit: bool = True,
) -> Source:
    """The network in the file ``model``: .onnx, .pt2, or else a checkpoint of ailsr-train.

    ``network`` is the class that may be imported for a checkpoint, ``name`` replaces the name.
    ``candidates`` are the encodings that a file of others may have, the ones before preferred;
    None: all that are known. Raises ModelError when the file is missing, corrupt, or no super-
    resolution network of pictures; if it ``must_fit``, also when it makes an image by none of them.
    Raises UsageError for options that do not fit it.
    """
    suffix = model.suffix.lower()
    if suffix not in (".onnx", ".pt2"):
        if candidates is not None:
            raise UsageError(f"{model} is a checkpoint, which takes [0, 1]: {_LEAVE_OUT}")
        source = _checkpoint_source(model, network)
    elif network is not None:
        raise UsageError(f"--network {network}: {model} needs no class, leave --network out")
    elif not model.is_file():
        raise ModelError(f"{model}: there is no such file")
    else:
        try:
            if suffix == ".onnx":
                source = _onnx_source(model, candidates, must_fit)
            else:
                source = _program_source(model, candidates, must_fit)
            source = replace(source, sha256=sha256(model))
        except AilsrError as error:
            raise type(error)(f"{model}: {error}") from error
    return replace(source, name=name) if name else source


def network_source(
    network: Network, training: Mapping[str, Any] | None = None, sha256: str | None = None
) -> Source:
    """The source of ``network``, in eval mode; ``training`` and ``sha256`` of its checkpoint."""
    deployed = network.deploy()
    return Source(
        name=network.name,
        scale=network.scale,
        run=module_run(deployed),
        graph=lambda size: graph_of(deployed, size),
        color=network.color,
        radius=network.radius,
        training=training or {},
        sha256=sha256,
    )


def module_run(module: nn.Module) -> Run:
    """``module``, (1, 3, h, w) -> (1, 3, scale*h, scale*w), as a function of pictures [h, w, 3]."""

    def run(image: Pixels) -> Pixels:
        batch = torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1)[None]))
        with torch.inference_mode():
            upscaled: Pixels = module(batch)[0].permute(1, 2, 0).numpy()
        return upscaled

    return run


def _checkpoint_source(path: Path, network: str | None) -> Source:
    loaded = checkpoint.load(path, network)
    if network not in (None, loaded.network.reference):
        raise UsageError(
            f"--network {network}: the network of {path} is {loaded.network.reference}; leave "
            "--network out"
        )
    source = network_source(loaded.network, loaded.training, sha256(path))
    if path.parent == zoo.FOLDER:  # which may hold one network with several trainings
        source = replace(source, name=_name(path, source.scale))
    return source


def _onnx_source(path: Path, candidates: Sequence[Encoding] | None, must_fit: bool) -> Source:
    """Run by onnxruntime."""
    engine = OnnxEngine(path, available_cores(), encoding=Encoding())
    if engine.io_dtype != "float32":
        raise ModelError(
            f"it takes {engine.io_dtype} pixels: give the float32 model it was made of"
        )
    try:
        model = onnx.load(path)
    except Exception as error:  # onnxruntime has loaded it: this is of onnx's own making
        raise ModelError(f"onnx cannot read it ({one_line(error)})") from error
    quantized = QUANTIZED.intersection(node.op_type for node in model.graph.node)
    if quantized:
        raise ModelError(
            f"it is quantised already (it has {', '.join(sorted(quantized))}): give the float32 "
            "model it was made of"
        )
    size = None if engine.resizable else engine.input_size
    if engine.card:
        if candidates is not None:
            raise UsageError(f"it is a file of ailsr, which takes [0, 1]: {_LEAVE_OUT}")
    else:
        engine.encoding = _encoding(engine.run, engine.scale, size, candidates, must_fit)
    encoding = engine.encoding
    source = Source(
        name=_name(path, engine.scale),
        scale=engine.scale,
        run=engine.run,
        graph=lambda size: from_onnx(model, size, encoding),
        encoding=encoding,
        input_size=size,
    )
    return _as_on_card(source, engine.card) if engine.card else source


def _encoding(
    run: Run,
    scale: int,
    size: Size | None,
    candidates: Sequence[Encoding] | None,
    must_fit: bool,
) -> Encoding:
    """The one of ``candidates`` by which ``run``, of a network as it is, enlarges an image best.

    Raises ModelError as ``open_source`` does.
    """
    if scale < 2:
        raise ModelError("it returns pictures of the size that it takes: no upscaler")
    candidates = encodings() if candidates is None else candidates
    if len(candidates) == 1:
        return candidates[0]
    compared = Comparison.of(run, scale, size or (TRIAL_SIDE, TRIAL_SIDE), candidates)
    if compared.is_image:
        return compared.best
    if not must_fit:
        return candidates[0]
    tried = ", ".join(dict.fromkeys(str(encoding.input) for encoding in candidates))
    best, bicubic = psnr(min(compared.errors.values())), psnr(compared.bicubic)
    raise ModelError(
        f"it makes an image by none of the ranges {tried}: {best:.1f} dB of PSNR at best, where "
        f"bicubic interpolation has {bicubic:.1f}; give --input-range and --output-range, or "
        "--allow-worse-than-bicubic for a network that is not trained"
    )


def _as_on_card(source: Source, card: Card) -> Source:
    """``source``, a file that ailsr exported, as its card describes it."""
    return replace(
        source,
        name=card.network,
        color=card.color,
        radius=card.radius,
        training=card.training,
    )


def _program_source(path: Path, candidates: Sequence[Encoding] | None, must_fit: bool) -> Source:
    """Run by PyTorch."""
    program, size = load_program(path)
    run = module_run(program.module())

    def checked_run(image: Pixels) -> Pixels:
        try:
            return run(image)
        except RuntimeError as error:
            raise ModelError(f"it does not run on {image.shape} ({one_line(error)})") from error

    interface = Interface(False, size or (0, 0), size is None, None, "float32")
    scale = find_scale(interface, checked_run)
    encoding = _encoding(checked_run, scale, size, candidates, must_fit)
    model = to_onnx(program)
    return Source(
        name=_name(path, scale),
        scale=scale,
        run=encoding.around(checked_run),
        graph=lambda size: from_onnx(model, size, encoding),
        encoding=encoding,
        input_size=size,
    )


def _name(path: Path, scale: int) -> str:
    """The name of a network in the file ``path``, which may end in its scale already."""
    stem = re.sub(r"[^\w-]+", "_", path.stem).strip("_")
    return re.sub(rf"[_-]x{scale}$", "", stem) or "network"
