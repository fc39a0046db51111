"""The networks that are exported: checkpoints, torch.export programs, ONNX models.

Of each the exporter needs a graph for an input size, and the network itself to run, for files to be
compared with.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import onnx
import torch
from onnx import ModelProto
from torch import Tensor, nn

from ailsr.export.graph.graph import Graph
from ailsr.export.reading.encoding import FindEncoding, find_encoding
from ailsr.export.reading.from_torch import calls_to_onnx, encoded_graph, from_onnx, graph_of
from ailsr.export.reading.luma import LumaAsRgb
from ailsr.export.reading.onnx_forms import Forms, in_our_form
from ailsr.export.reading.outputs import Picked, named_outputs
from ailsr.export.reading.program import load_program
from ailsr.export.reading.spandrel_module import SpandrelModule, spandrel_module
from ailsr.export.reading.state_dict import find_state_dict, load_state, read_safetensors
from ailsr.export.reading.user_module import user_module
from ailsr.runtime.card import METADATA_KEY, Card
from ailsr.runtime.engines.encoding import TRIAL_SIDE, Encoding, Run
from ailsr.runtime.engines.engine import available_cores
from ailsr.runtime.engines.interface import Interface, find_scale
from ailsr.runtime.engines.onnx import OnnxEngine
from ailsr.runtime.engines.pixels import Pixels
from ailsr.runtime.errors import AilsrError, EngineError, ModelError, UsageError, one_line
from ailsr.runtime.files import sha256
from ailsr.runtime.upscaling.tiles import Size
from ailsr.train import checkpoint, zoo
from ailsr.train.networks import Color, Network
from ailsr.train.networks.user_network import called

_LEAVE_OUT = "leave --input-range, --output-range and --channels out"


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
    multiple: int = 1
    """Heights and widths are multiples of it."""
    training: Mapping[str, Any] = field(default_factory=dict)
    """Summary of the training run, for the card."""
    sha256: str | None = None
    """Of the file that it comes from."""
    notes: tuple[str, ...] = ()
    """What the user has to know of how the file was read, a line each."""
    luma: nn.Module | None = None
    """The network inside, of one of ours of luma: without offset, in [0, 219/255]."""


def open_source(
    model: Path,
    network: str | None = None,
    name: str | None = None,
    candidates: Sequence[Encoding] | None = None,
    *,
    must_fit: bool = True,
    forms: Forms = Forms(),  # noqa: B008  (it is frozen)
) -> Source:
    """The network in the file ``model``: .onnx, .pt2, or else a checkpoint.

    ``network`` is the class that may be imported for a checkpoint, with its arguments where the
    checkpoint is none of ours; ``name`` replaces the name; ``forms`` tells how to take a file of
    others. ``candidates`` are the encodings that such a file may have, the ones before preferred;
    None: all that are known. Raises ModelError when the file is missing, corrupt, or no super-
    resolution network of images; if it ``must_fit``, also when it makes an image by none of them.
    Raises UsageError for options that do not fit it.
    """
    find = partial(find_encoding, candidates=candidates, must_fit=must_fit)
    kinds = {".onnx": _onnx_source, ".pt2": _program_source}
    kind = kinds.get(model.suffix.lower())
    if kind is None:
        source = _checkpoint_source(model, network, forms, find)
        if source.radius is not None and candidates is not None:
            raise UsageError(f"{model} is a checkpoint, which takes [0, 1]: {_LEAVE_OUT}")
    elif network is not None:
        raise UsageError(f"--network {network}: {model} needs no class, leave --network out")
    elif not model.is_file():
        raise ModelError(f"{model}: there is no such file")
    else:
        try:
            source = replace(kind(model, forms, find), sha256=sha256(model))
            if source.radius is not None and candidates is not None:
                raise UsageError(f"it is a file of ailsr, which takes [0, 1]: {_LEAVE_OUT}")
        except AilsrError as error:
            raise type(error)(f"{model}: {error}") from error
    return replace(source, name=name) if name else source


def network_source(
    network: Network, training: Mapping[str, Any] | None = None, sha256: str | None = None
) -> Source:
    """The source of ``network``, in eval mode; ``training`` and ``sha256`` of its checkpoint."""
    deployed = network.deploy()
    luma = network.fuse().eval().requires_grad_(False) if network.color == "y" else None
    return Source(
        name=network.name,
        scale=network.scale,
        run=module_run(deployed),
        graph=lambda size: graph_of(deployed, size),
        color=network.color,
        radius=network.radius,
        training=training or {},
        sha256=sha256,
        luma=luma,
    )


def module_run(module: Callable[[Tensor], Tensor]) -> Run:
    """``module``, (1, C, h, w) -> (1, C, scale*h, scale*w), as a function of images [h, w, C]."""

    def run(image: Pixels) -> Pixels:
        batch = torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1)[None]))
        with torch.inference_mode():
            upscaled: Pixels = module(batch)[0].permute(1, 2, 0).numpy()
        return upscaled

    return run


def _checkpoint_source(path: Path, network: str | None, forms: Forms, find: FindEncoding) -> Source:
    if path.suffix.lower() == ".safetensors":
        return _weights_source(path, read_safetensors(path), network, forms, find)
    try:
        loaded = checkpoint.load(path, network)
    except checkpoint.ForeignCheckpointError as error:
        return _weights_source(path, error.content, network, forms, find)
    if network not in (None, loaded.network.reference):
        raise UsageError(
            f"--network {network}: the network of {path} is {loaded.network.reference}; leave "
            "--network out"
        )
    source = network_source(loaded.network, loaded.training, sha256(path))
    if path.parent == zoo.FOLDER:  # which may hold one network with several trainings
        source = replace(source, name=_name(path, source.scale))
    return source


def _weights_source(
    path: Path,
    content: Any,  # noqa: ANN401
    network: str | None,
    forms: Forms,
    find: FindEncoding,
) -> Source:
    """Of weights alone, for the class ``network`` or one that spandrel recognises."""
    try:
        state = find_state_dict(content)
        module = spandrel_module(state) if network is None else user_module(network)
        if network is not None:
            load_state(module, state)
        if isinstance(module, Network):
            return network_source(module, sha256=sha256(path))

        def call(x: Tensor) -> Any:  # noqa: ANN401 - what networks return
            what = f"forward of {tuple(x.shape)}"
            with torch.inference_mode():
                return called(network, what, lambda: module(x)) if network else module(x)

        return replace(_module_source(path, module, forms, find, call), sha256=sha256(path))
    except (ModelError, EngineError) as error:
        raise type(error)(f"{path}: {error}") from error


def _module_source(
    path: Path,
    module: nn.Module,
    forms: Forms,
    find: FindEncoding,
    call: Callable[[Tensor], Any],
    size: Size | None = None,
    graph: Callable[[nn.Module, Size, Encoding], Graph] = encoded_graph,
) -> Source:
    """Of a ``module`` that is none of ours; ``call`` calls it and raises AilsrErrors. ``size`` is
    the one (height, width) that it takes, None: any; ``graph`` makes the graph of it and what is
    around it."""
    height, width = size or (TRIAL_SIDE, TRIAL_SIDE)
    outputs = _first_outputs(call, (height, width))
    choice = Picked(module, outputs, forms.output)
    name = choice.name

    class Called(nn.Module):
        """``picked`` by way of ``call``."""

        def forward(self, x: Tensor) -> Tensor:
            return named_outputs(call(x))[name]

    whole: nn.Module = Called()
    picked: nn.Module = choice
    _, channels, *sides = outputs[name].shape
    factor, rest = divmod(sides[0], height)
    if rest or sides[1] != factor * width:
        raise ModelError(
            f"it makes {sides[1]}x{sides[0]} pixels of {width}x{height}: it crops a border or "
            "enlarges by a fraction; pad in the network, so that it makes whole blocks of pixels"
        )
    if channels == 1:
        whole, picked = LumaAsRgb(whole, factor), LumaAsRgb(picked, factor)
    run = module_run(whole)
    interface = Interface(False, size or (0, 0), size is None, None, "float32")
    scale = find_scale(interface, run)
    if isinstance(module, SpandrelModule):
        encoding, multiple = Encoding(), module.multiple
    else:
        encoding, multiple = find(run, scale, size), 1
    return Source(
        name=_name(path, scale),
        scale=scale,
        color="rgb" if channels == 3 else "y",
        encoding=encoding,
        run=encoding.around(run),
        graph=lambda size: graph(picked, size, encoding),
        input_size=size,
        multiple=multiple,
    )


def _first_outputs(call: Callable[[Tensor], Any], size: Size) -> dict[str, Tensor]:
    """What ``call`` makes of an RGB image of ``size``, or of one of luma where it takes no RGB."""
    errors = []
    for channels in (3, 1):
        try:
            return named_outputs(call(torch.zeros(1, channels, *size)))
        except AilsrError as error:
            errors.append(error)
    raise errors[0]


def _onnx_source(path: Path, forms: Forms, find: FindEncoding) -> Source:
    """Run by onnxruntime."""
    engine, model, color, notes = _onnx_engine(path, forms)
    if engine.io_dtype != "float32":
        raise ModelError(
            f"it takes {engine.io_dtype} pixels: give the float32 model it was made of"
        )
    size = None if engine.resizable else engine.input_size
    if not engine.card:
        engine.encoding = find(engine.run, engine.scale, size)
    encoding = engine.encoding
    source = Source(
        name=_name(path, engine.scale),
        scale=engine.scale,
        run=engine.run,
        graph=lambda size: from_onnx(model, size, encoding),
        encoding=encoding,
        color=color,
        input_size=size,
        notes=notes,
    )
    return _as_on_card(source, engine.card) if engine.card else source


def _onnx_engine(path: Path, forms: Forms) -> tuple[OnnxEngine, ModelProto, Color, tuple[str, ...]]:
    """(engine, model, colour, notes) of a file, which is rewritten where it is of another form."""
    try:
        model = onnx.load(path)
    except Exception as error:  # onnx and protobuf raise a dozen kinds
        OnnxEngine(
            path, available_cores(), encoding=Encoding()
        )  # which says more, and has fewer of them
        raise ModelError(f"onnx cannot read it ({one_line(error)})") from error
    if content := {entry.key: entry.value for entry in model.metadata_props}.get(METADATA_KEY):
        layout = Card.from_json(content).layout
        if layout != "rgb":
            raise ModelError(
                f"it is a file of ailsr in the layout {layout}: give its checkpoint, or its "
                "float32 file of --layout rgb"
            )
    color = in_our_form(model, forms)
    if color is None:
        return OnnxEngine(path, available_cores(), encoding=Encoding()), model, "rgb", ()
    with TemporaryDirectory() as folder:
        rewritten = Path(folder, "model.onnx")
        onnx.save(model, rewritten)
        engine = OnnxEngine(rewritten, available_cores(), encoding=Encoding())
    note = f"{path} is quantised: its int8 weights are taken for those of the float32 network"
    return engine, model, color, (note,) if forms.dequantize else ()


def _as_on_card(source: Source, card: Card) -> Source:
    """``source``, a file that ailsr exported, as its card describes it."""
    return replace(
        source,
        name=card.network,
        color=card.color,
        radius=card.radius,
        training=card.training,
    )


def _program_source(path: Path, forms: Forms, find: FindEncoding) -> Source:
    program = load_program(path)

    def call(x: Tensor) -> Any:  # noqa: ANN401 - what programs return
        try:
            with torch.inference_mode():
                return program.module(x)
        except ModelError:
            raise
        except Exception as error:  # a damaged program may give an operator anything
            raise ModelError(f"it does not run on {tuple(x.shape)} ({one_line(error)})") from error

    def graph(network: nn.Module, size: Size, encoding: Encoding) -> Graph:
        try:
            with program.module.traced():
                return from_onnx(calls_to_onnx(network, torch.zeros(1, 3, *size)), size, encoding)
        except Exception:  # what it calls has no simple form: the slow way has more, and says why
            return encoded_graph(network, size, encoding)

    source = _module_source(path, program.module, forms, find, call, program.input_size, graph)
    return replace(source, multiple=program.multiple)


def _name(path: Path, scale: int) -> str:
    """The name of a network in the file ``path``, which may end in its scale already."""
    stem = re.sub(r"[^\w-]+", "_", path.stem).strip("_")
    return re.sub(rf"[_-]x{scale}$", "", stem) or "network"
