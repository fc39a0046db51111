"""The card of an exported file: network, sizes, types, training and PSNR.

Stored as JSON under the metadata key ``ailsr`` (ONNX ``metadata_props``, TFLite ``Model.metadata``,
Core ML ``userDefined``). The runtime reads all that it needs from there; there are no side-car
files and no flags to repeat.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, get_args

from ailsr.runtime import documents
from ailsr.runtime.errors import ModelError
from ailsr.runtime.probe import Probe
from ailsr.runtime.rules import (
    Rule,
    check,
    integer,
    items,
    mapping,
    number,
    one_of,
    optional,
    plain,
    text,
)

METADATA_KEY = "ailsr"
FORMAT = 3
"""Since 2, a file with a card is sealed (``seal.py``). Since 3, it has a fidelity probe, and int8
weights are such that no CPU's arithmetic saturates."""

Precision = Literal["float32", "float16", "int8", "int8x16"]
"""int8x16: weights of 8 bits, activations of 16."""
PixelType = Literal["float32", "uint8", "int8"]
Layout = Literal["rgb", "rgba", "y", "y-full"]
"""Channels of input and output in their order. ``rgba``: alpha is ignored, and comes out opaque.
``y``: the luma of BT.601 in studio range, of which 8 bits hold 16 to 235; ``y-full``: that of full
range, 0 to 255, as JPEG has it."""


@dataclass(frozen=True)
class Card:
    """Metadata of an exported file. Sizes are in low-resolution pixels."""

    network: str
    """Name that the network's paper uses, for example ``sesr_m5``."""
    scale: int
    """Output pixels per input pixel along each side."""
    color: Literal["rgb", "y"]
    """Colour space of the network inside; ``layout`` is that of the file."""
    precision: Precision
    pixels: PixelType
    """Element type of input and output: float32 holds [0, 1], uint8 [0, 255], int8 [-128, 127]."""
    input_size: tuple[int, int]
    """(height, width) of the input."""
    radius: int
    """Receptive field radius: how many input pixels around a pixel can reach its output."""
    other_sizes: tuple[tuple[int, int], ...] = ()
    """Further input sizes that the file was made for and verified at."""
    protocol: str | None = None
    """Evaluation protocol of ``psnr``, for example ``Y-shave-s``."""
    psnr: dict[str, float] = field(default_factory=dict)
    """PSNR in dB per image set, measured on this very file when it was exported."""
    calibration: str | None = None
    """Images that the ranges of an int8 file were taken on."""
    means: str | None = None
    """Means that kept an int8 file close to the network, for example ``calibration``."""
    training: dict[str, Any] = field(default_factory=dict)
    """Summary of the training run."""
    checkpoint_sha256: str | None = None
    ailsr_version: str | None = None
    probe: Probe | None = None
    """The right answer to the probe image at ``input_size``."""
    layout: Layout = "rgb"
    """Channels of input and output; a reader refuses a layout that it lacks."""
    input_range: str | None = None
    """Range that the network inside was made for, where it is not [0, 1]: the file converts."""
    output_range: str | None = None
    degradation: str | None = None
    """Degradation that made the low-resolution images of its training; None: bicubic."""
    licences: tuple[str, ...] = ()
    """Of the images of its training, as their sources state them."""
    format: int = FORMAT

    @property
    def trained_on(self) -> Literal["clean", "degraded"] | None:
        """Whether the low-resolution images of its training were bicubic reductions alone; None:
        the card does not tell."""
        if self.degradation not in (None, "bicubic"):
            return "degraded"
        return "clean" if self.training and "train_lr" not in self.training else None

    @property
    def sizes(self) -> tuple[tuple[int, int], ...]:
        """Every (height, width) that the file takes, ``input_size`` first."""
        return self.input_size, *self.other_sizes

    def to_json(self) -> str:
        """Compact JSON with sorted keys, so that equal cards are equal bytes."""
        probe = self.probe and self.probe.to_json()
        return documents.dump(asdict(self) | {"probe": probe}, compact=True)

    @classmethod
    def of_file(cls, content: str | bytes | None, sealed: bool) -> Card | None:
        """The card in ``content`` of a file that is ``sealed`` or not; None for one without.

        Raises ModelError as ``from_json``, and for a seal that is missing.
        """
        card = cls.from_json(content) if content else None
        if card is not None and card.format >= 2 and not sealed:
            raise ModelError(
                "it is damaged (its card belongs to a sealed file, and the seal is gone): copy or "
                "export it again"
            )
        return card

    @classmethod
    def from_json(cls, content: str | bytes) -> Card:
        """The card in ``content``, every field in its type and range.

        Raises ModelError when it is not one that this version can read.
        """
        try:
            if len(content) > LONGEST:
                raise ValueError(f"{len(content)} bytes are more than {LONGEST}")
            values = documents.parse(content)
            written = check(values, {"format": _FIELDS["format"]}, 0).get("format", 0)
            if written > FORMAT:
                raise ModelError(
                    f"the file's card has format {written}, this ailsr reads up to {FORMAT}: "
                    "upgrade ailsr (pip install -U ailsr)"
                )
            return cls(**check(values, _FIELDS, REQUIRED))
        except ValueError as error:
            raise ModelError(f"the file's ailsr card cannot be read ({error})") from error


LONGEST = 1 << 20
"""Bytes of a card."""
REQUIRED = 7
"""So many of a card's fields, the first, have no default."""
_SIZE = items(integer(1, 1 << 16), most=2, least=2)
_FIELDS: dict[str, Rule] = {
    "network": text(),
    "scale": integer(1, 64),
    "color": one_of("rgb", "y"),
    "precision": one_of(*get_args(Precision)),
    "pixels": one_of(*get_args(PixelType)),
    "input_size": _SIZE,
    "radius": integer(0, 1 << 16),
    "other_sizes": items(_SIZE, most=1000),
    "protocol": optional(text()),
    "psnr": mapping(optional(number(), absent=math.inf)),
    "calibration": optional(text()),
    "means": optional(text()),
    "training": mapping(plain(levels=4)),
    "checkpoint_sha256": optional(text()),
    "ailsr_version": optional(text()),
    "probe": optional(Probe.of_json),
    "layout": one_of(*get_args(Layout)),
    "input_range": optional(text()),
    "output_range": optional(text()),
    "degradation": optional(text()),
    "licences": items(text(), most=1000),
    "format": integer(0, 1 << 30),
}
"""The rule of each field, in the order of ``Card``'s; the app has the same (``Card.java``)."""
