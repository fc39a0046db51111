"""ONNX files, run by onnxruntime on the CPU or by one of its execution providers."""

from __future__ import annotations

import json
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from ailsr.runtime.anatomy.onnx import onnx_metadata
from ailsr.runtime.card import METADATA_KEY, Card
from ailsr.runtime.engines import providers
from ailsr.runtime.engines.encoding import Encoding
from ailsr.runtime.engines.engine import ACCELERATORS, Backend, Engine
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
        engine: str | None = None,
    ) -> None:
        """``trusted``: load the file without a trial (see ``trial.py``). ``encoding``: what the
        file takes and returns; None: as its card says, or found by running it. ``engine``: one of
        ``PROVIDERS``; None: the CPU.

        Raises EngineError where the installed package does not have the provider."""
        try:
            import onnxruntime
        except ImportError as error:
            raise EngineError(f'{path} needs onnxruntime: pip install "ailsr[onnx]"') from error
        onnxruntime.set_default_logger_severity(_SILENT)
        self._path, self._threads = path, threads
        self._provider = engine if engine in providers.PROVIDERS else None
        self.on_cpu = engine not in ACCELERATORS
        if self._provider:
            providers.check_installed(self._provider)
        data = path.read_bytes()
        sealed = check_seal(data)
        self.card = Card.of_file(onnx_metadata(data).get(METADATA_KEY), sealed)
        is_old = self.card is None or self.card.format < 3
        self._may_saturate = is_old and b"QuantizeLinear" in data
        if not trusted:
            survives_trial(path)
            if self._provider:
                survives_trial(path, self._provider)
        try:
            self._session = self._open(self._new_options())
            tensors = [*self._session.get_inputs(), *self._session.get_outputs()]
            shapes = [
                [side if isinstance(side, int) and side > 0 else None for side in tensor.shape]
                for tensor in tensors
            ]
        except EngineError:
            raise
        except Exception as error:  # onnxruntime has a dozen classes and no common base
            if self._provider:
                raise EngineError(
                    f"{path}: onnxruntime cannot load it with {self._title} ({one_line(error)}): "
                    "use another --engine"
                ) from error
            raise ModelError(
                f"onnxruntime cannot load it ({one_line(error)}): export or copy it again"
            ) from error
        self.name = f"onnxruntime {onnxruntime.__version__} {self._title}".rstrip()
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
        """By execution provider: of one that was asked for the operators of the file, as far as
        onnxruntime tells, else those of the optimised graph, in a profiled run."""
        if self._provider:
            options = self._new_options()
            providers.record_assignment(options)
            found = providers.assigned(self._open(options), self._provider)
            if found is not None:
                return found
        types: dict[str, list[str]] = {self._title or "CPU": []}
        with tempfile.TemporaryDirectory() as folder:
            options = self._new_options()
            options.enable_profiling = True
            options.profile_file_prefix = str(Path(folder, "profile"))
            session = self._open(options)
            self._run(session, np.zeros((*self.input_size, CHANNELS[self.layout]), self.io_dtype))
            events = json.loads(Path(session.end_profiling()).read_text())
        for event in events:
            if "provider" in event.get("args", {}):
                name = providers.title(event["args"]["provider"])
                types.setdefault(name, []).append(event["args"]["op_name"])
        return tuple(Backend.of(name, operators) for name, operators in types.items())

    @property
    def _title(self) -> str:
        """The provider's name for people; empty: there is none but the CPU."""
        return providers.PROVIDERS[self._provider].title if self._provider else ""

    def _new_options(self) -> Any:  # noqa: ANN401
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = self._threads
        options.log_severity_level = _SILENT
        # Else its threads go on spinning after a run, at the expense of whatever comes next.
        options.add_session_config_entry("session.force_spinning_stop", "1")
        if self._may_saturate:
            # Its weights may saturate x86 kernels without VNNI; this takes others there, of half
            # the speed.
            options.add_session_config_entry("session.x64quantprecision", "1")
        return options

    def _open(self, options: Any) -> Any:  # noqa: ANN401
        import onnxruntime

        name = str(self._path)
        # onnxruntime takes no name that is not UTF-8.
        is_text = name.encode(errors="replace").decode() == name
        taken: dict[str, Any] = {"providers": ["CPUExecutionProvider"]}
        if self._provider:
            taken = providers.add_provider(options, self._provider, self._threads)
        session = onnxruntime.InferenceSession(
            name if is_text else self._path.read_bytes(), options, enable_fallback=0, **taken
        )
        if self._provider:
            providers.check_taken(session, self._provider)
        return session

    def _run(self, session: Any, image: Pixels) -> Pixels:  # noqa: ANN401
        image = self.encoding.encode(image)
        batch = image[None] if self.channels_last else image.transpose(2, 0, 1)[None]
        try:
            (upscaled,) = session.run(None, {self._input: np.ascontiguousarray(batch)})
        except Exception as error:  # as above
            raise EngineError(f"{self.name} failed: {one_line(error)}") from error
        result: Pixels = upscaled[0] if self.channels_last else upscaled[0].transpose(1, 2, 0)
        return self.encoding.decode(result)
