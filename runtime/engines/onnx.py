"""ONNX files, run by onnxruntime on the CPU."""

from __future__ import annotations

import json
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from ailsr.runtime.anatomy.onnx import onnx_metadata
from ailsr.runtime.card import METADATA_KEY, Card
from ailsr.runtime.engines.encoding import Encoding
from ailsr.runtime.engines.engine import Backend, Engine
from ailsr.runtime.engines.interface import Interface, find_encoding, find_scale
from ailsr.runtime.engines.layouts import CHANNELS
from ailsr.runtime.engines.pixels import Pixels
from ailsr.runtime.engines.trial import survives_trial
from ailsr.runtime.errors import EngineError, ModelError, one_line
from ailsr.runtime.seal import check_seal

_TYPES = {"tensor(float)": "float32", "tensor(uint8)": "uint8", "tensor(int8)": "int8"}
_SILENT = 4  # log only what is fatal: errors come as exceptions


class OnnxEngine(Engine):
    """Runs one ``.onnx`` file. Raises ModelError, without the path, when it cannot."""

    def __init__(
        self,
        path: Path,
        threads: int,
        size: tuple[int, int] | None = None,
        *,
        trusted: bool = False,
        encoding: Encoding | None = None,
    ) -> None:
        """``trusted``: load the file without a trial (see ``trial.py``). ``encoding``: what the
        file takes and returns; None: as its card says, or found by running it."""
        try:
            import onnxruntime
        except ImportError as error:
            raise EngineError(f'{path} needs onnxruntime: pip install "ailsr[onnx]"') from error
        onnxruntime.set_default_logger_severity(_SILENT)
        self._path = path
        self._options = onnxruntime.SessionOptions()
        self._options.intra_op_num_threads = threads
        self._options.log_severity_level = _SILENT
        # Else its threads go on spinning after a run, at the expense of whatever comes next.
        self._options.add_session_config_entry("session.force_spinning_stop", "1")
        data = path.read_bytes()
        sealed = check_seal(data)
        self.card = Card.of_file(onnx_metadata(data).get(METADATA_KEY), sealed)
        if b"QuantizeLinear" in data and (self.card is None or self.card.format < 3):
            # Its weights may saturate x86 kernels without VNNI; this takes others there, of half
            # the speed.
            self._options.add_session_config_entry("session.x64quantprecision", "1")
        if not trusted:
            survives_trial(path)
        try:
            self._session = self._open()
            tensors = [*self._session.get_inputs(), *self._session.get_outputs()]
            shapes = [
                [side if isinstance(side, int) and side > 0 else None for side in tensor.shape]
                for tensor in tensors
            ]
        except Exception as error:  # onnxruntime has a dozen classes and no common base
            raise ModelError(
                f"onnxruntime cannot load it ({one_line(error)}): export or copy it again"
            ) from error
        self.name = f"onnxruntime {onnxruntime.__version__}"
        types = [_TYPES.get(tensor.type, tensor.type) for tensor in tensors]
        interface = Interface.of(shapes, types, self.card)
        if size is not None:
            if not interface.resizable:
                raise EngineError(f"{path}: its input has a fixed size, {interface.input_size}")
            interface = replace(interface, input_size=size)
        self._input = tensors[0].name
        self.channels_last = interface.channels_last
        self.encoding = Encoding()
        self.input_size = interface.input_size
        self.resizable = interface.resizable
        self.io_dtype = interface.io_dtype
        self.scale = find_scale(interface, self.run)
        self.encoding = encoding or find_encoding(interface, self.scale, self.card, self.run)

    def run(self, image: Pixels) -> Pixels:
        return self._run(self._session, image)

    def backends(self) -> tuple[Backend, ...]:
        """By execution provider, the operators of the optimised graph: those of a profiled run."""
        with tempfile.TemporaryDirectory() as folder:
            self._options.enable_profiling = True
            self._options.profile_file_prefix = str(Path(folder, "profile"))
            try:
                session = self._open()
            finally:
                self._options.enable_profiling = False
            self._run(session, np.zeros((*self.input_size, CHANNELS[self.layout]), self.io_dtype))
            events = json.loads(Path(session.end_profiling()).read_text())
        types: dict[str, list[str]] = {"CPU": []}
        for event in events:
            if "provider" in event.get("args", {}):
                name = event["args"]["provider"].removesuffix("ExecutionProvider")
                types.setdefault(name, []).append(event["args"]["op_name"])
        return tuple(Backend.of(name, operators) for name, operators in types.items())

    def _open(self) -> Any:  # noqa: ANN401
        import onnxruntime

        name = str(self._path)
        # onnxruntime takes no name that is not UTF-8.
        is_text = name.encode(errors="replace").decode() == name
        return onnxruntime.InferenceSession(
            name if is_text else self._path.read_bytes(),
            self._options,
            providers=["CPUExecutionProvider"],
            enable_fallback=0,
        )

    def _run(self, session: Any, image: Pixels) -> Pixels:  # noqa: ANN401
        image = self.encoding.encode(image)
        batch = image[None] if self.channels_last else image.transpose(2, 0, 1)[None]
        try:
            (upscaled,) = session.run(None, {self._input: np.ascontiguousarray(batch)})
        except Exception as error:  # as above
            raise EngineError(f"{self.name} failed: {one_line(error)}") from error
        result: Pixels = upscaled[0] if self.channels_last else upscaled[0].transpose(1, 2, 0)
        return self.encoding.decode(result)
