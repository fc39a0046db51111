"""Interpolation by Pillow and OpenCV: the baselines that a network competes with.

Neither has MATLAB's bicubic, by which networks are scored: OpenCV's kernel has a = -0.75, and
Pillow leaves out of its kernel what lies outside the image. Lanczos is over 6×6 pixels in Pillow
and over 8×8 in OpenCV. Their time is that of the library's own code, on as many threads as it uses.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from functools import partial

import numpy as np
import PIL
from PIL import Image

from ailsr.runtime.card import PixelType
from ailsr.runtime.engines.engine import Engine
from ailsr.runtime.engines.pixels import Pixels
from ailsr.runtime.errors import EngineError


class Library(StrEnum):
    """The library that interpolates."""

    PILLOW = "pillow"
    OPENCV = "opencv"


class Kernel(StrEnum):
    """The kernel of an interpolation."""

    BICUBIC = "bicubic"
    LANCZOS = "Lanczos"


TITLES = {Library.PILLOW: "Pillow", Library.OPENCV: "OpenCV"}
_NAME = re.compile(r"(Pillow|OpenCV) (bicubic|Lanczos) x(\d+) (\d+)x(\d+)")


@dataclass(frozen=True)
class Resizer:
    """An interpolation, and the size of image that it is measured at; named like a file is."""

    library: Library
    scale: int
    input_size: tuple[int, int]
    """(height, width)"""
    kernel: Kernel = Kernel.BICUBIC

    def __str__(self) -> str:
        height, width = self.input_size
        return f"{TITLES[self.library]} {self.kernel} x{self.scale} {width}x{height}"

    @classmethod
    def named(cls, name: str) -> Resizer | None:
        """The resizer that ``str`` made ``name`` of; None: it is the name of a file."""
        found = _NAME.fullmatch(name)
        if found is None:
            return None
        scale, width, height = (int(n) for n in found.groups()[2:])
        return cls(Library(found[1].lower()), scale, (height, width), Kernel(found[2]))


class ResizerEngine(Engine):
    """Interpolation as an engine."""

    resizable = True
    io_dtype: PixelType = "uint8"

    def __init__(self, resizer: Resizer, threads: int) -> None:
        """Raises EngineError when the library is not installed."""
        self.scale, self.input_size = resizer.scale, resizer.input_size
        if resizer.library is Library.PILLOW:
            self.name = f"Pillow {PIL.__version__}"
            resize = _pillow
        else:
            check_installed(resizer.library)
            import cv2

            cv2.setNumThreads(threads)
            self.name = f"OpenCV {cv2.__version__}"
            resize = _opencv
        self._resize = partial(resize, kernel=resizer.kernel)

    def run(self, image: Pixels) -> Pixels:
        height, width = image.shape[:2]
        return self._resize(image, (width * self.scale, height * self.scale))


def check_installed(library: Library) -> None:
    """Raise EngineError when ``library`` is not installed."""
    if library is Library.OPENCV:
        try:
            import cv2  # noqa: F401
        except ImportError as error:
            raise EngineError(
                'OpenCV\'s interpolation needs OpenCV: pip install "ailsr[opencv]"'
            ) from error


def _pillow(image: Pixels, size: tuple[int, int], kernel: Kernel) -> Pixels:
    kernels = {Kernel.BICUBIC: Image.Resampling.BICUBIC, Kernel.LANCZOS: Image.Resampling.LANCZOS}
    return np.asarray(Image.fromarray(image).resize(size, kernels[kernel]))


def _opencv(image: Pixels, size: tuple[int, int], kernel: Kernel) -> Pixels:
    import cv2

    kernels = {Kernel.BICUBIC: cv2.INTER_CUBIC, Kernel.LANCZOS: cv2.INTER_LANCZOS4}
    result: Pixels = cv2.resize(image, size, interpolation=kernels[kernel])
    return result
