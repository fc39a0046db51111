"""The graph that every target is written from, made of a PyTorch network or an ONNX model.

network → torch.onnx → onnxsim → ``Graph``: constants folded, activations fused, pixel shuffles in
DCR order, dead nodes gone, tensors named by what makes them (``conv_3``, ``add_1``).
"""

from __future__ import annotations

import io
import logging
import os
import re
import warnings
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr
from pathlib import Path
from tempfile import TemporaryDirectory

import onnx
import onnxsim
import torch
from torch import Tensor, nn
from torch.export import ExportedProgram

from ailsr.export.graph.graph import Graph, Node
from ailsr.export.graph.passes import in_unit_range, optimized
from ailsr.export.graph.rewiring import renamed
from ailsr.export.reading.channels_last import channels_first
from ailsr.export.reading.folding import with_folded_constants
from ailsr.export.reading.translation import translated
from ailsr.runtime.engines.encoding import Encoding
from ailsr.runtime.errors import ModelError, first_line

OPSET = 20
"""The lowest that has Gelu."""


def graph_of(network: nn.Module, input_size: tuple[int, int], channels: int = 3) -> Graph:
    """The graph of ``network`` for inputs (1, ``channels``, height, width) of ``input_size``.

    ``network`` is in deploy form, in eval mode. Raises UnsupportedOperatorError, and ModelError for
    a network that torch cannot export.
    """
    model = to_onnx(network, torch.zeros(1, channels, *input_size))
    return from_onnx(model, channels=channels)


def to_onnx(network: nn.Module | ExportedProgram, *example: Tensor) -> onnx.ModelProto:
    """``network`` as torch's exporter writes it; a program needs no ``example`` of its input.

    Raises ModelError when torch cannot export it.
    """
    with quiet():
        try:
            program = torch.onnx.export(
                network, example, dynamo=True, opset_version=OPSET, verbose=False
            )
        except torch.onnx.OnnxExporterError as error:
            reason = first_line(error.__cause__ or error).rstrip(":")
            raise ModelError(
                f"torch.onnx cannot export {type(network).__name__} ({reason}): its forward has to "
                "be one that torch.export can trace, without branches that depend on pixel values"
            ) from error
    assert program is not None
    return program.model_proto


def calls_to_onnx(network: nn.Module, example: Tensor) -> onnx.ModelProto:
    """``network``, which calls PyTorch's operators alone, as torch's older exporter writes it: it
    records the calls, in a tenth of the time of ``to_onnx``.

    Raises many kinds of errors for what it does not know.
    """
    torch._C._jit_set_onnx_log_output_stream("stderr")  # it shows the graph when it fails
    with TemporaryDirectory() as folder, quiet(), _closed_stderr(), torch.no_grad():
        path = Path(folder, "network.onnx")
        torch.onnx.export(network, (example,), path, dynamo=False, opset_version=OPSET)
        return onnx.load(path)


def encoded_graph(network: nn.Module, input_size: tuple[int, int], encoding: Encoding) -> Graph:
    """The graph of a ``network`` of others for images of ``input_size``, (height, width), with
    ``encoding`` folded in. Raises as ``to_onnx`` and ``from_onnx`` do."""
    return from_onnx(to_onnx(network, torch.zeros(1, 3, *input_size)), input_size, encoding)


def from_onnx(
    model: onnx.ModelProto,
    input_size: tuple[int, int] | None = None,
    encoding: Encoding = Encoding(),  # noqa: B008  (it is frozen)
    channels: int = 3,
) -> Graph:
    """The graph of an ONNX model with one input and one output, of RGB or of ``channels``.

    ``input_size`` is needed where the model leaves height and width open. ``encoding`` is
    the model's; the graph takes and returns RGB in [0, 1]. Raises ModelError, and
    UnsupportedOperatorError for an operator that not all targets have.
    """
    places = {output: _place(node) for node in model.graph.node for output in node.output}
    constants = {initializer.name for initializer in model.graph.initializer}
    inputs = [value for value in model.graph.input if value.name not in constants]
    if len(inputs) != 1 or len(model.graph.output) != 1:
        raise ModelError(
            f"the model has {len(inputs)} inputs and {len(model.graph.output)} outputs; a "
            "super-resolution network has one of each"
        )
    size = input_size or _fixed_size(inputs[0], channels)
    shape = (channels, *size)
    try:
        simplified, _ = onnxsim.simplify(
            model, overwrite_input_shapes={inputs[0].name: [1, *shape]}
        )
        simplified = with_folded_constants(simplified)
        _mark_old_softmax(simplified)
        channels_first(simplified.graph)
        simplified = onnx.shape_inference.infer_shapes(simplified)
    except Exception as error:  # onnx and onnxsim raise a dozen kinds for a damaged model
        raise ModelError(f"the ONNX model cannot be read ({first_line(error)})") from error
    reader, output = translated(simplified.graph, places)
    nodes, input = reader.nodes, reader.input
    if encoding != Encoding():
        nodes, input, output = in_unit_range(encoding, nodes, input, output)
    nodes, output = optimized(nodes, output)
    return _named(nodes, shape, input, output)


def _fixed_size(value: onnx.ValueInfoProto, channels: int) -> tuple[int, int]:
    dims = [dim.dim_value for dim in value.type.tensor_type.shape.dim]
    if len(dims) != 4 or dims[1] not in (0, channels):
        raise ModelError(
            f"the model's input {value.name!r} has the shape {dims}; an image is (1, "
            f"{channels}, height, width)"
        )
    if not (dims[2] and dims[3]):
        raise ModelError("the model leaves its input size open: give one with --input-size HxW")
    return dims[2], dims[3]


def _mark_old_softmax(model: onnx.ModelProto) -> None:
    """Before opset 13 it was over all axes from one on, by default from the first."""
    if max(o.version for o in model.opset_import if o.domain in ("", "ai.onnx")) >= 13:
        return
    for node in model.graph.node:
        if node.op_type == "Softmax":
            given = {attribute.name: attribute for attribute in node.attribute}
            if "axis" not in given:
                node.attribute.append(onnx.helper.make_attribute("axis", 1))
            node.attribute.append(onnx.helper.make_attribute("flattened", 1))


def _place(node: onnx.NodeProto) -> str:
    """The module of the network that ``node`` comes from, as far as torch's exporter noted it."""
    for entry in node.metadata_props:
        if entry.key == "pkg.torch.onnx.name_scopes":
            scopes = [scope.strip(" '\"") for scope in entry.value.strip("[]").split(",")]
            return scopes[-2] if len(scopes) > 1 else ""
    return ""


def _named(nodes: list[Node], shape: tuple[int, int, int], input: str, output: str) -> Graph:
    """The graph of ``nodes`` with names that say what a tensor comes from."""
    names = {input: "image"}
    counts: Counter[str] = Counter()
    for node in nodes:
        kind = _kind(node)
        counts[kind] += 1
        names[node.output] = "upscaled" if node.output == output else f"{kind}_{counts[kind]}"
    if output not in names or output == input:
        raise ModelError("the model's output is its input: there is nothing to export")
    graph = Graph(tuple(renamed(nodes, names)), shape)
    channels, height, width = graph.shapes[graph.output]
    if channels != shape[0] or height % shape[1] or height * shape[2] != width * shape[1]:
        raise ModelError(
            f"the model makes {graph.shapes[graph.output]} of {shape}; a super-resolution network "
            f"makes ({shape[0]}, scale * height, scale * width)"
        )
    return graph


def _kind(node: Node) -> str:
    """The class of ``node`` as the name of a tensor: ``depth_to_space``."""
    return re.sub("(?<=[a-z])(?=[A-Z])", "_", type(node).__name__).lower()


@contextmanager
def quiet() -> Iterator[None]:
    """torch's exporter without its remarks: on its packages, its own deprecations, its graphs."""
    level = logging.root.manager.disable
    logging.disable(logging.ERROR)
    try:
        with warnings.catch_warnings(), redirect_stderr(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(level)


@contextmanager
def _closed_stderr() -> Iterator[None]:
    """Nothing that native code writes there is seen."""
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)
