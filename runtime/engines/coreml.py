"""Core ML files, run by Core ML itself through coremltools: on macOS only.

Not yet run on a Mac. ``ailsr-bench`` takes this engine there, and the reference evaluator of
``ailsr.export`` elsewhere.
"""

from __future__ import annotations

import contextlib
import platform
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from ailsr.runtime.anatomy.coreml import blobs, specification_path
from ailsr.runtime.card import METADATA_KEY, Card, PixelType
from ailsr.runtime.engines.engine import Engine
from ailsr.runtime.engines.pixels import Pixels
from ailsr.runtime.errors import AilsrError, EngineError, ModelError, one_line
from ailsr.runtime.seal import check_seal


class CoreMLEngine(Engine):
    """Runs one ``.mlpackage`` that makes one RGB image of another, on whatever Core ML chooses of
    CPU, GPU and Neural Engine; the number of threads is its own affair."""

    io_dtype: PixelType = "uint8"

    def __init__(self, path: Path, threads: int) -> None:
        if platform.system() != "Darwin":
            raise EngineError(
                f"{path}: Core ML exists on Apple's systems only; leave out --engine to have the "
                "file's PSNR taken by the reference evaluator"
            )
        try:
            import coremltools
        except ImportError as error:
            raise EngineError(f'{path} needs coremltools: pip install "ailsr[coreml]"') from error
        with reading(path):
            specification = specification_path(path)
            sealed = check_seal(specification.read_bytes(), *blobs(specification))
            self._model = coremltools.models.MLModel(str(path))
            description = self._model.get_spec().description
            self._input, self.input_size = image_feature(description.input)
            self._output, (height, _) = image_feature(description.output)
            card = description.metadata.userDefined.get(METADATA_KEY)
            self.card = Card.of_file(card, sealed)
        self.scale = height // self.input_size[0]
        self.name = f"Core ML, coremltools {coremltools.__version__}"

    def run(self, image: Pixels) -> Pixels:
        from PIL import Image

        try:
            result = self._model.predict({self._input: Image.fromarray(image)})[self._output]
        except Exception as error:  # coremltools raises what Core ML reports in several classes
            raise EngineError(f"Core ML failed: {one_line(error)}") from error
        return np.asarray(result.convert("RGB"))


def image_feature(features: Any) -> tuple[str, tuple[int, int]]:  # noqa: ANN401
    """Name and (height, width) of a model's only input or output, an RGB image."""
    if len(features) != 1:
        raise ModelError(f"it has {len(features)} inputs or outputs, not one of each")
    (feature,) = features
    image = feature.type.imageType
    if feature.type.WhichOneof("Type") != "imageType" or image.colorSpace != image.RGB:
        raise ModelError(f"{feature.name!r} is not an RGB image")
    if min(image.height, image.width) < 1:
        raise ModelError(f"{feature.name!r} is {image.height}x{image.width} pixels")
    return feature.name, (image.height, image.width)


@contextlib.contextmanager
def reading(path: Path) -> Iterator[None]:
    """Turn whatever goes wrong with a file's content into a ModelError that names the file."""
    try:
        yield
    except AilsrError as error:
        raise type(error)(f"{path} cannot be used: {error}") from error
    except Exception as error:  # coremltools checks by assert, KeyError, TypeError and the like
        reason = one_line(f"{type(error).__name__}: {error}", 200)
        raise ModelError(
            f"{path} is damaged or no Core ML package ({reason}): export it again"
        ) from error
