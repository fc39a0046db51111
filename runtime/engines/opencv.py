"""Networks of OpenCV's ``dnn_superres``: FSRCNN, ESPCN, EDSR and LapSRN as ``.pb`` files.

OpenCV runs the network on Y and enlarges Cb and Cr by bicubic interpolation, from uint8 to uint8.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np

from ailsr.runtime.card import PixelType
from ailsr.runtime.engines.engine import Engine
from ailsr.runtime.engines.pixels import Pixels
from ailsr.runtime.errors import EngineError, ModelError, one_line

OUTPUT_720P = (720, 1280)
_SILENT = 0  # errors come as exceptions
_NAME = re.compile(r"(edsr|espcn|fsrcnn|lapsrn)(?:[-_]\w+)?_x(\d)", re.IGNORECASE)


class DnnSuperResEngine(Engine):
    """Runs one ``.pb`` file named as OpenCV's are: ``FSRCNN-small_x3.pb``.

    The name tells the algorithm and the scale, since the file does not. Raises ModelError, without
    the path, when it cannot run the file.
    """

    resizable = True
    io_dtype: PixelType = "uint8"

    def __init__(self, path: Path, threads: int, size: tuple[int, int] | None = None) -> None:
        """``size`` (height, width): by default that of a 1280×720 output, as ailsr-export has."""
        try:
            import cv2
            from cv2 import dnn_superres
        except ImportError as error:
            raise EngineError(
                f"{path} needs OpenCV's contributed modules, in place of any other OpenCV: pip "
                'install "ailsr[opencv]"'
            ) from error
        name = _NAME.fullmatch(path.stem)
        if name is None:
            raise ModelError(
                "its name does not tell what it is: name it ALGORITHM_xSCALE.pb, as in "
                "FSRCNN_x2.pb; OpenCV knows EDSR, ESPCN, FSRCNN and LapSRN"
            )
        self.name = f"OpenCV {cv2.__version__} dnn_superres"
        self.scale = int(name[2])
        self.input_size = size or (OUTPUT_720P[0] // self.scale, OUTPUT_720P[1] // self.scale)
        logging: Any = cv2 if hasattr(cv2, "setLogLevel") else cv2.utils.logging  # until 4, from 5
        logging.setLogLevel(_SILENT)
        cv2.setNumThreads(threads)
        self._cv2 = cv2
        self._network: Any = dnn_superres.DnnSuperResImpl_create()  # type: ignore[attr-defined]
        try:
            self._network.readModel(str(path))
            self._network.setModel(name[1].lower(), self.scale)
            self.run(np.zeros((16, 16, 3), np.uint8))
        except (cv2.error, EngineError) as error:
            raise ModelError(
                f"{self.name} cannot load it ({_reason(error)}): copy it again"
            ) from None

    def run(self, image: Pixels) -> Pixels:
        cv2 = self._cv2
        try:
            upscaled = self._network.upsample(cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
            result: Pixels = cv2.cvtColor(upscaled, cv2.COLOR_BGR2RGB)
        except cv2.error as error:
            raise EngineError(f"{self.name} failed: {_reason(error)}") from error
        return result


def _reason(error: Exception) -> str:
    """OpenCV's message without its source file."""
    return one_line(str(error).rpartition("error: ")[2])
