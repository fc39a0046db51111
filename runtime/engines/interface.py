"""The interface of a model file: layout, size, element type and range of its input and output.

It follows from the shapes of the tensors and from the card. A float file without a card is
also run on a test image, to find its encoding.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import get_args

import numpy as np

from ailsr.runtime.card import Card, PixelType
from ailsr.runtime.engines.encoding import TRIAL_SIDE, Comparison, Encoding, Run, encodings
from ailsr.runtime.engines.layouts import CHANNELS
from ailsr.runtime.errors import ModelError

DEFAULT_SIDE = 256
"""Height and width at which a file is run that has no card and leaves them open."""

Shape = Sequence[int | None]
"""Of a tensor with a batch axis; None: open."""


@dataclass(frozen=True)
class Interface:
    """Order, size, scale and element type of a file's input and output."""

    channels_last: bool
    """NHWC rather than NCHW."""
    input_size: tuple[int, int]
    """(height, width)"""
    resizable: bool
    """The file leaves height or width open: ``input_size`` is then a choice."""
    scale: int | None
    """None: the shapes are open and there is no card; ``find_scale`` tells."""
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
        layout = card.layout if card else "rgb"
        count = CHANNELS[layout]
        channels_last = source[-1:] == [count]
        channels = 3 if channels_last else 1
        if not (
            [len(source), len(result)] == [4, 4]
            and source[0] in (1, None)
            and source[channels] == count
            and result[channels] in (count, None)
        ):
            raise ModelError(
                f"it takes {_named(source)} and returns {_named(result)}: one {layout.upper()} "
                f"image each, [1, {count}, H, W] or [1, H, W, {count}], is needed"
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


def find_scale(interface: Interface, run: Run) -> int:
    """The scale of a file; what its shapes and card leave open, by running it."""
    if interface.scale is not None:
        return interface.scale
    size = trial_size(interface)
    return _scale(size, run(np.zeros((*size, 3), interface.io_dtype)).shape[:2])


def find_encoding(interface: Interface, scale: int, card: Card | None, run: Run) -> Encoding:
    """The encoding of a file, [0, 1] wherever there is a card. Of a float file without one the best
    by comparison; [0, 1] when it makes an image by none, as with random weights."""
    if card is not None or interface.io_dtype != "float32":
        return Encoding()
    compared = Comparison.of(run, scale, trial_size(interface), encodings())
    return compared.best if compared.is_image else Encoding()


def trial_size(interface: Interface) -> tuple[int, int]:
    """(height, width) at which a file is run to learn of it."""
    return (TRIAL_SIDE, TRIAL_SIDE) if interface.resizable else interface.input_size


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
