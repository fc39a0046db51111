"""Core ML files computed on any machine.

Core ML itself exists only on Apple's systems. This engine loads a saved ``.mlpackage`` back, the
program and its blob of weights, and computes it as MIL defines its operators. That proves the
graph, the weights and every attribute of a file. It does not prove Apple's kernels, and its speed
says nothing about a phone.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from ailsr.export.targets.coreml.mil_interpreter import Interpreter
from ailsr.export.targets.coreml.nodes import UNIT
from ailsr.export.targets.coreml.writer import WEIGHTS, coremltools
from ailsr.runtime.anatomy.coreml import blobs, specification_path
from ailsr.runtime.card import METADATA_KEY, Card, PixelType
from ailsr.runtime.engines.coreml import image_feature, reading
from ailsr.runtime.engines.engine import Engine
from ailsr.runtime.errors import EngineError, ImageError, ModelError, one_line
from ailsr.runtime.seal import check_seal
from ailsr.train.device import cpu_threads


class CoreMLReference(Engine):
    """The engine of ``.mlpackage`` files that make one RGB image of another.

    ``threads`` is the number of torch's threads during ``run``; None leaves it as it is. Raises
    ModelError for what is not such a file, UnsupportedOperatorError for operators unknown here.
    """

    name = "Core ML reference"
    measurable = False
    io_dtype: PixelType = "uint8"

    def __init__(self, path: Path, threads: int | None = None) -> None:
        self.threads = threads
        with reading(path):
            specification = specification_path(path)
            sealed = check_seal(specification.read_bytes(), *blobs(specification))
            spec = coremltools().utils.load_spec(str(specification))
            self.program = Interpreter(spec, specification.parent / WEIGHTS)
            self.input, self.input_size = image_feature(spec.description.input)
            self.output, (height, _) = image_feature(spec.description.output)
            if self.output not in self.program.tensors:
                raise ModelError(f"nothing in its program computes {self.output!r}")
            card = spec.description.metadata.userDefined.get(METADATA_KEY)
            self.card = Card.of_file(card, sealed)
        self.sizes = self.card.sizes if self.card else (self.input_size,)
        self.scale = height // self.input_size[0]

    def run(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """The result [scale*h, scale*w, 3] for ``image`` [h, w, 3].

        Raises EngineError when the file computes something that is not a number.
        """
        result = self._compute(image.astype(np.float32), self.output)
        if not np.isfinite(result).all():
            raise EngineError("the file's result is not a number everywhere: export it again")
        return np.clip(np.rint(result), 0, 255).astype(np.uint8)

    def evaluate(self, image: NDArray[np.float32]) -> NDArray[np.float32]:
        """The network's result for ``image``, both [h, w, 3] with 1 as white.

        For comparison with other computations: taken before a float program clips and rounds to
        whole pixels. The result of an int8 program is on its 256 levels.
        """
        pixels = image * np.float32(255)
        unit = f"{self.output}{UNIT}"
        if unit in self.program.tensors:
            return self._compute(pixels, unit)
        return self._compute(pixels, self.output) / np.float32(255)

    def _compute(self, image: NDArray[np.float32], result: str) -> NDArray[np.float32]:
        """The tensor ``result``, channels last, for the input ``image`` in 0 to 255."""
        if image.shape[:2] not in self.sizes or image.shape[2:] != (3,):
            sizes = " or ".join(f"{height}x{width}x3" for height, width in self.sizes)
            raise ImageError(f"the file takes {sizes} pixels, not {image.shape}")
        tensor = torch.from_numpy(image.transpose(2, 0, 1).copy())[None]
        try:
            with cpu_threads(self.threads):
                computed = self.program.compute({self.input: tensor}, result)
            array: NDArray[np.float32] = computed[0].permute(1, 2, 0).contiguous().numpy()
        except Exception as error:  # the operators of a file of others may get anything
            reason = one_line(f"{type(error).__name__}: {error}", 200)
            raise EngineError(f"its program cannot be computed ({reason})") from error
        return array
