"""Layouts of TIFF files: those that Pillow decodes rightly, and those that need more work."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from PIL import Image

from ailsr.runtime.errors import ImageError

_SUBFILE, _WIDTH, _HEIGHT, _BITS, _PHOTOMETRIC, _STRIPS = 254, 256, 257, 258, 262, 273
_SAMPLES, _ROWS, _PLANAR, _TILE_WIDTH, _TILE_HEIGHT, _TILES = 277, 278, 284, 322, 323, 324
_INKS, _EXTRA, _FORMAT, _SUBSAMPLING, _COMPRESSION = 332, 338, 339, 530, 259
_WHITE_IS_ZERO, _CMYK, _YCBCR = 0, 5, 6
_PHOTOMETRICS = {0: "gray", 1: "gray", 2: "RGB", 3: "palette", 5: "CMYK", 6: "YCbCr", 8: "CIELab"}


class Layout(NamedTuple):
    """The facts of a file's samples that Pillow's mode does not tell."""

    white: int = 255
    """The highest level."""
    inverted: bool = False
    """Pillow leaves 0 to be white."""
    block: int = 0
    """Bytes of the largest strip or tile, which is held beside the image."""
    notes: tuple[str, ...] = ()


def layout(image: Image.Image, name: str) -> Layout:
    """Of the TIFF in ``image``, not yet decoded. Raises ImageError where Pillow gets it wrong."""
    tags = image.tag_v2  # type: ignore[attr-defined]
    photometric = tags.get(_PHOTOMETRIC, _WHITE_IS_ZERO)
    bits, kinds = _tuple(tags.get(_BITS, 1)), _tuple(tags.get(_FORMAT, 1))
    samples, extra = tags.get(_SAMPLES, 1), _tuple(tags.get(_EXTRA, ()))
    raw, plain = tags.get(_COMPRESSION, 1) == 1, photometric != _YCBCR and 1 not in extra

    def refused(what: str) -> ImageError:
        return ImageError(f"{name} is a TIFF {what}, which is not understood: convert it to PNG")

    if tags.get(_SUBFILE, 0) & 1:
        raise refused("whose first image is a reduced one, as in a camera's raw file")
    if set(kinds) != {1} and (max(bits) < 32 or image.mode not in "IF"):
        raise refused(f"of signed or floating-point samples of {max(bits)} bits")
    if image.mode == "LAB" or photometric not in _PHOTOMETRICS:
        raise refused(f"of {_PHOTOMETRICS.get(photometric, f'photometric {photometric}')} samples")
    if photometric == _CMYK and tags.get(_INKS, 1) != 1:
        raise refused("of other inks than cyan, magenta, yellow and black")
    if photometric == _YCBCR and (
        samples != 3 or (raw and _tuple(tags.get(_SUBSAMPLING, (2, 2))) != (1, 1))
    ):
        raise refused(f"of {samples} YCbCr samples, subsampled and not compressed")
    if photometric == _YCBCR and raw and image.mode == "RGB":  # Pillow 12 reads 4 bytes a pixel
        raise refused("of YCbCr samples that are not compressed")
    if photometric == 2 and samples == 4 and not extra:
        raise refused("of four samples, of which it does not say what the fourth is")
    apart = tags.get(_PLANAR, 1) == 2 and samples > 1
    if apart and (image.mode in ("LA", "La") or (raw and (max(bits) > 8 or not plain))):
        raise refused(f"of {samples} planes of {max(bits)} bits")
    if image.mode.startswith("I;16"):
        white = (1 << max(bits)) - 1
        inverted = photometric == _WHITE_IS_ZERO
    else:
        white, inverted = (65535 if max(bits) == 16 else 255), False
    notes = ("a channel without a meaning dropped",) if 0 in extra else ()
    return Layout(white, inverted, _block(image, name, tags, bits, samples), notes)


def _block(
    image: Image.Image, name: str, tags: Mapping[int, Any], bits: tuple[int, ...], samples: int
) -> int:
    """Bytes of the largest strip or tile. Raises ImageError when there are too few of them."""
    width, height = tags[_WIDTH], tags[_HEIGHT]
    if _TILES in tags:
        across, down = tags.get(_TILE_WIDTH, 0), tags.get(_TILE_HEIGHT, 0)
        offsets = _tuple(tags[_TILES])
    else:
        across, down = width, min(tags.get(_ROWS, height), height)
        offsets = _tuple(tags.get(_STRIPS, ()))
    if across < 1 or down < 1:
        raise ImageError(f"{name} cannot be read (its tiles have {across}x{down} pixels)")
    needed = -(width // -across) * -(height // -down)
    if len(offsets) < needed:
        raise ImageError(
            f"{name} cannot be read (it holds {len(offsets)} of its {needed} strips or tiles): "
            f"is it complete?"
        )
    return int(across * down * samples * max(bits) // 8)


def _tuple(value: int | tuple[int, ...]) -> tuple[int, ...]:
    return tuple(value) if isinstance(value, tuple) else (value,)
