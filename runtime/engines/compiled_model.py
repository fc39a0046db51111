"""LiteRT's CompiledModel behind the calls of the TFLite Interpreter.

CompiledModel is what Google recommends instead of the Interpreter: it compiles the file for an
accelerator and takes buffers. The accelerator is the CPU, or a GPU or NPU that takes every
operator: with the CPU beside it, CompiledModel would not tell what it has left to that. Raises
ImportError where ai-edge-litert is missing or too old to have it.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from ai_edge_litert.compiled_model import CompiledModel, CpuOptions, HardwareAccelerator, Options
from numpy.typing import NDArray


class CompiledInterpreter:
    """A file with one input and one output, tensor 0 and tensor 1."""

    def __init__(self, model_content: bytes, num_threads: int, accelerator: str = "CPU") -> None:
        """``accelerator``: CPU, GPU or NPU. Raises RuntimeError for a file that cannot be compiled
        for it."""
        options = Options(
            hardware_accelerators=HardwareAccelerator[accelerator],
            cpu_options=CpuOptions(num_threads=num_threads),
        )
        self._model = CompiledModel.from_buffer(model_content, options=options)
        if accelerator != "CPU" and not self._model.is_fully_accelerated():
            raise RuntimeError("it does not take every operator")
        self._signature = next(iter(self._model.get_signature_list()))

    def get_tensor_details(self) -> list[dict[str, Any]]:
        """None: CompiledModel does not tell of the tensors between input and output."""
        return []

    def get_input_details(self) -> list[dict[str, Any]]:
        return self._details(self._model.get_input_tensor_details(self._signature), 0)

    def get_output_details(self) -> list[dict[str, Any]]:
        return self._details(self._model.get_output_tensor_details(self._signature), 1)

    def resize_tensor_input(self, index: int, shape: list[int]) -> None:
        self._model.resize_input_tensor(index, shape, strict=False)

    def allocate_tensors(self) -> None:
        self._input = self._model.create_input_buffers(0)
        self._output = self._model.create_output_buffers(0)
        (details,) = self.get_output_details()
        self._shape, self._dtype = details["shape"], details["dtype"]

    def set_tensor(self, index: int, value: NDArray[Any]) -> None:
        self._input[index].write(value)

    def invoke(self) -> None:
        self._model.run_by_index(0, self._input, self._output)

    def get_tensor(self, index: int) -> NDArray[Any]:
        """A copy of the output."""
        values = self._output[index - 1].read(int(np.prod(self._shape)), self._dtype)
        result: NDArray[Any] = values.reshape(self._shape)
        return result

    @staticmethod
    def _details(tensors: dict[str, dict[str, Any]], first: int) -> list[dict[str, Any]]:
        return [
            {
                "index": index,
                "shape": tensor["shape"],
                "shape_signature": tensor["shape"],
                "dtype": np.dtype(tensor["dtype"]).type,
            }
            for index, tensor in enumerate(tensors.values(), first)
        ]
