"""TFLite files, run by ai-edge-litert (its Interpreter or its CompiledModel) or, where that does
not exist, by tflite-runtime."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from ailsr.runtime.anatomy.tflite import tflite_anatomy, tflite_metadata
from ailsr.runtime.card import METADATA_KEY, Card
from ailsr.runtime.engines.encoding import Encoding
from ailsr.runtime.engines.engine import Backend, Engine
from ailsr.runtime.engines.interface import Interface, find_encoding, find_scale
from ailsr.runtime.engines.layouts import CHANNELS
from ailsr.runtime.engines.levels import Levels
from ailsr.runtime.engines.pixels import Pixels
from ailsr.runtime.engines.trial import survives_trial
from ailsr.runtime.errors import EngineError, ModelError, one_line
from ailsr.runtime.seal import check_seal

_ACCELERATORS = {
    "gpu": "a GPU with its driver (on Linux Vulkan: libvulkan.so.1)",
    "npu": "a neural processor with its vendor's libraries",
}
"""Engines that compute elsewhere than on the CPU, and what they need."""
_DELEGATE = "DELEGATE"  # the operator that stands for those that a delegate computes

# Where ai-edge-litert 2.3.0 aborts: XNNPACK takes no factor of 256 between two tensors, and its
# refusal frees memory twice. Weights of a channel may have any small scale.
_LARGEST_SCALE, _SMALLEST_SCALE = 2.0**8, 2.0**-20


class TFLiteEngine(Engine):
    """Runs one ``.tflite`` file. Raises ModelError, without the path, when it cannot."""

    def __init__(
        self,
        path: Path,
        threads: int,
        size: tuple[int, int] | None = None,
        *,
        trusted: bool = False,
        engine: str | None = None,
    ) -> None:
        """``size`` suits files of a fixed size, too, unless a constant in them depends on it.

        ``trusted``: load the file without a trial (see ``trial.py``). ``engine``: one of
        ``ENGINES``; None: the first that is installed.
        """
        interpreter_class, self.name = _installed(path, engine)
        self._accelerator = engine.upper() if engine in _ACCELERATORS else None
        self.on_cpu = self._accelerator is None
        self._path = path
        data = path.read_bytes()
        card = tflite_metadata(data, METADATA_KEY)
        sealed = check_seal(data)
        self.card = Card.of_file(card, sealed)
        channels = CHANNELS[self.layout]
        if not trusted:
            survives_trial(path, engine)
        try:
            with _quiet():
                self._interpreter = interpreter_class(model_content=data, num_threads=threads)
                _check_quantization(self._interpreter.get_tensor_details())
                inputs = self._interpreter.get_input_details()
                tensors = [*inputs, *self._interpreter.get_output_details()]
                if size is not None and len(inputs) == 1:
                    self._interpreter.resize_tensor_input(inputs[0]["index"], [1, *size, channels])
                self._interpreter.allocate_tensors()
        except (RuntimeError, ValueError) as error:
            if engine in _ACCELERATORS:
                raise EngineError(
                    f"{path}: {self.name} does not run it here: it takes every operator or none, "
                    f"and needs {_ACCELERATORS[engine]}; use another --engine"
                ) from error
            if size is not None:
                raise EngineError(f"{path}: its input has a fixed size ({error})") from error
            raise ModelError(
                f"{self.name} cannot load it ({one_line(error)}): export or copy it again"
            ) from error
        shapes = [
            [int(side) if side > 0 else None for side in tensor["shape_signature"]]
            for tensor in tensors
        ]
        types = [np.dtype(tensor["dtype"]).name for tensor in tensors]
        interface = Interface.of(shapes, types, self.card)
        if not interface.channels_last:
            raise ModelError("its channels come first: TFLite files need them last")
        self._input, self._output = (t["index"] for t in tensors)
        self._size = size or tuple(int(n) for n in tensors[0]["shape"][1:3])
        self._encoding = Encoding()
        self.resizable = interface.resizable
        self.io_dtype = interface.io_dtype
        self._levels: list[Levels] = []
        if self.card is None and self.io_dtype != "float32":
            self._levels = [Levels(tensor["quantization"], self.io_dtype) for tensor in tensors]
        if size is not None:
            height, width = self._interpreter.get_output_details()[0]["shape"][1:3]
            if (height * size[1], height % size[0]) != (width * size[0], 0):
                raise EngineError(f"{path}: its output does not follow the size of its input")
            interface = replace(interface, input_size=size)
        self.input_size = interface.input_size
        self.scale = find_scale(interface, self.run)
        self._encoding = find_encoding(interface, self.scale, self.card, self.run)

    def run(self, image: Pixels) -> Pixels:
        image = self._encoding.encode(image)
        if self._levels:
            image = self._levels[0].of(image)
        try:
            if image.shape[:2] != self._size:
                self._resize(image.shape[0], image.shape[1])
            self._interpreter.set_tensor(self._input, image[None])
            self._interpreter.invoke()
        except (RuntimeError, ValueError) as error:
            raise EngineError(f"{self.name} failed: {one_line(error)}") from error
        result: Pixels = self._interpreter.get_tensor(self._output)[0]
        if self._levels:
            result = self._levels[1].pixels(result)
        return self._encoding.decode(result)

    def backends(self) -> tuple[Backend, ...] | None:
        """XNNPACK, where the interpreter has handed it operators, and its own kernels; of
        CompiledModel the accelerator, None where that is the CPU, of which it does not tell."""
        if self._accelerator:
            operators = tflite_anatomy(str(self._path)).operators
            return (Backend.of(self._accelerator, [operator.name for operator in operators]),)
        details = getattr(self._interpreter, "_get_ops_details", None)
        if details is None:
            return None
        operators = details()
        delegated = _delegated(operators)
        types: dict[bool, list[str]] = {True: [], False: []}
        for op in operators:
            if op["op_name"] != _DELEGATE:
                types[op["index"] in delegated].append(op["op_name"])
        return Backend.of("XNNPACK", types[True]), Backend.of("CPU", types[False])

    def _resize(self, height: int, width: int) -> None:
        if not (self.resizable or (self.card and (height, width) in self.card.sizes)):
            raise ValueError(f"the input is {self.input_size}, the image {(height, width)}")
        shape = [1, height, width, CHANNELS[self.layout]]
        self._interpreter.resize_tensor_input(self._input, shape)
        with _quiet():
            self._interpreter.allocate_tensors()
        self._size = (height, width)


def _installed(path: Path, engine: str | None) -> tuple[Any, str]:
    """The interpreter class of ``engine``, or of one that is installed, and its name with its
    version."""
    if engine in (None, "litert"):
        with contextlib.suppress(ImportError):
            from ai_edge_litert.interpreter import Interpreter

            return Interpreter, f"ai-edge-litert {version('ai-edge-litert')}"
    if engine in (None, "tflite-runtime"):
        with contextlib.suppress(ImportError):
            from tflite_runtime.interpreter import Interpreter

            return Interpreter, f"tflite-runtime {version('tflite-runtime')}"
    if engine in ("compiled", *_ACCELERATORS):
        with contextlib.suppress(ImportError):
            from ailsr.runtime.engines.compiled_model import CompiledInterpreter

            name = f"ai-edge-litert {version('ai-edge-litert')} CompiledModel"
            if engine == "compiled":
                return CompiledInterpreter, name
            accelerator = engine.upper()
            return partial(CompiledInterpreter, accelerator=accelerator), f"{name} {accelerator}"
    if engine == "tflite-runtime":
        raise EngineError(f'{path} needs tflite-runtime: pip install tflite-runtime "numpy<2"')
    raise EngineError(
        f'{path} needs ai-edge-litert: pip install "ailsr[tflite]" '
        f'(or, where it has no wheel, pip install tflite-runtime "numpy<2")'
    )


def _delegated(operators: list[dict[str, Any]]) -> set[int]:
    """The indices of the operators that a delegate computes: from its outputs back to its inputs.

    The interpreter keeps the operators that it has handed over in its list, and adds one for each
    delegate. It is given none but its own: XNNPACK.
    """
    maker = {
        int(tensor): op
        for op in operators
        if op["op_name"] != _DELEGATE
        for tensor in op["outputs"]
    }
    found: set[int] = set()
    for delegate in (op for op in operators if op["op_name"] == _DELEGATE):
        given = {int(tensor) for tensor in delegate["inputs"]}
        wanted = [int(tensor) for tensor in delegate["outputs"]]
        while wanted:
            op = maker.get(wanted.pop())
            if op is not None and op["index"] not in found:
                found.add(op["index"])
                wanted += [int(tensor) for tensor in op["inputs"] if int(tensor) not in given]
    return found


def _check_quantization(tensors: list[dict[str, Any]]) -> None:
    """Raise ValueError for a scale or zero point that no exporter writes: the engine uses them
    unchecked, and a damaged file would end the process."""
    for tensor in tensors:
        if tensor["dtype"] in (np.int8, np.uint8):
            scales, zero_points = (
                tensor["quantization_parameters"][name] for name in ("scales", "zero_points")
            )
            limits = np.iinfo(tensor["dtype"])
            smallest = _SMALLEST_SCALE if len(scales) == 1 else 0
            if not (
                np.all((scales > smallest) & (scales < _LARGEST_SCALE))
                and np.all((zero_points >= limits.min) & (zero_points <= limits.max))
            ):
                raise ValueError(f"the quantisation of tensor {tensor['index']} is out of range")


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Nothing on stderr: the interpreter announces its delegate there and has no switch for it."""
    try:
        saved = os.dup(2)
    except OSError:  # stderr is closed
        yield
        return
    silence = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(silence, 2)
        yield
    finally:
        os.dup2(saved, 2)
        os.close(silence)
        os.close(saved)
