"""The interface of a model file: layout, size, element type and range of its input and output.

It follows from the shapes of the tensors and from the card. A float file without a card is
also run on a test image, to find its range.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray

from ailsr.runtime.card import Card, PixelType
from ailsr.runtime.errors import ModelError

DEFAULT_SIDE = 256
"""Height and width at which a file is run that has no card and leaves them open."""
_TRIAL_SIDE = 64
_KEPT = 0.01
"""Mean error of local means, white being 1, below which a network has kept them: those trained for
[0, 1] make at most 0.003, those for [0, 255] at least 0.025 when they are run in [0, 1]."""

Shape = Sequence[int | None]
"""Of a tensor with a batch axis; None: open."""
Run = Callable[[NDArray[Any]], NDArray[Any]]
"""[h, w, 3] -> [scale*h, scale*w, 3]"""


@dataclass(frozen=True)
class Interface:
    """Layout, size, scale and element type of a file's input and output."""

    channels_last: bool
    """NHWC rather than NCHW."""
    input_size: tuple[int, int]
    """(height, width)"""
    resizable: bool
    """The file leaves height or width open: ``input_size`` is then a choice."""
    scale: int | None
    """None: the shapes are open and there is no card; ``find_scale_and_white`` tells."""
    io_dtype: PixelType

    @classmethod
    def of(cls, shapes: Sequence[Shape], types: Sequence[str], card: Card | None) -> Interface:
        """The interface of a file whose inputs, then outputs, have these shapes and types.

        Raises ModelError when it does not take one RGB image and return one, or when its card
        says otherwise than its tensors.
        """
        if len(shapes) != 2:
            raise ModelError(f"it has {len(shapes)} inputs and outputs in all, not one of each")
        source, result = map(list, shapes)
        io_dtype = next((p for p in get_args(PixelType) if types[0] == types[1] == p), None)
        if io_dtype is None:
            raise ModelError(
                f"it takes {types[0]} and returns {types[1]}: one of float32, uint8 and int8 is "
                f"needed, the same for both"
            )
        channels_last = source[-1:] == [3]
        channels = 3 if channels_last else 1
        if not (
            [len(source), len(result)] == [4, 4]
            and source[0] in (1, None)
            and source[channels] == 3
            and result[channels] in (3, None)
        ):
            raise ModelError(
                f"it takes {_named(source)} and returns {_named(result)}: one RGB picture each, "
                f"[1, 3, H, W] or [1, H, W, 3], is needed"
            )
        sides, upscaled = (s[1:3] if channels_last else s[2:4] for s in shapes)
        default = card.input_size if card else (DEFAULT_SIDE, DEFAULT_SIDE)
        size = (sides[0] or default[0], sides[1] or default[1])
        scale = card.scale if card else None
        if None not in (*sides, *upscaled):
            scale = _scale(size, (upscaled[0] or 0, upscaled[1] or 0))
        if card and (card.pixels, card.input_size, card.scale) != (io_dtype, size, scale):
            raise ModelError(
                f"its card ({card.pixels}, {card.input_size}, x{card.scale}) contradicts its "
                f"tensors ({io_dtype}, {size}, x{scale}): export it again"
            )
        return cls(channels_last, size, None in sides, scale, io_dtype)


def find_scale_and_white(interface: Interface, card: Card | None, run: Run) -> tuple[int, float]:
    """(scale, value of white) of a file; what its shapes and card leave open, by running it.

    White is 1.0, but 255.0 in float files without a card that were made for [0, 255]. Super-
    resolution keeps local means, so one image is run in both ranges, and 255.0 it is when [0, 1]
    does not keep them and 255.0 keeps them clearly better. (A network with small biases does well
    in both, and even better where they count less.)
    """
    height, width = (_TRIAL_SIDE,) * 2 if interface.resizable else interface.input_size
    scale = interface.scale
    if scale is None:
        upscaled = run(np.zeros((height, width, 3), interface.io_dtype))
        scale = _scale((height, width), upscaled.shape[:2])
    if card is not None or interface.io_dtype != "float32":
        return scale, 1.0
    rows, columns = np.mgrid[0:height, 0:width].astype(np.float32)
    waves = 0.5 + 0.35 * np.sin(rows / 5) * np.cos(columns / 7)
    image = np.stack([waves, 1 - waves, waves * waves], axis=-1)
    errors = []
    for white in (np.float32(1), np.float32(255)):
        with np.errstate(all="ignore"):  # a damaged file may compute anything
            upscaled = np.clip(run(image * white) / white, 0, 1)
            means = upscaled.reshape(height, scale, width, scale, 3).mean((1, 3))
            errors.append(float(np.abs(means - image).mean()))
    kept = errors[0] < _KEPT or errors[1] > errors[0] / 2
    return scale, 1.0 if kept else 255.0


def _scale(size: tuple[int, ...], upscaled: tuple[int, ...]) -> int:
    scale = upscaled[0] // size[0]
    if scale < 1 or upscaled != (scale * size[0], scale * size[1]):
        raise ModelError(
            f"it turns {size[1]}x{size[0]} pixels into {upscaled[1]}x{upscaled[0]}: it is no "
            f"upscaler by a whole number"
        )
    return scale


def _named(shape: Shape) -> str:
    return str([side or "any" for side in shape]).replace("'", "")
