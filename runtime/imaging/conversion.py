"""Conversion of a decoded file or frame to an image in 8-bit RGB.

Orientation, colours and opacity are converted band by band; every change is noted.
"""

from __future__ import annotations

import io
from collections.abc import Iterator

import numpy as np
from PIL import Image, ImageCms

from ailsr.runtime.imaging.decoded import Band, Decoded, band_rows
from ailsr.runtime.imaging.exif import kept_exif, loaded
from ailsr.runtime.imaging.orientation import TURNED, orientation, swaps, upright
from ailsr.runtime.imaging.rgb_image import Limit, Rgb, RgbImage
from ailsr.runtime.imaging.rows import store

_PROFILE_TOLERANCE = 2  # levels: two sRGB profiles by different makers differ by no more
_MODES = {1: "L", 3: "RGB", 4: "CMYK"}
"""Pillow's mode of as many channels."""


def to_image(decoded: Decoded, name: str, keep_profile: bool, limit: Limit) -> RgbImage:
    """The image in ``decoded``, upright, in sRGB or, with ``keep_profile``, its own RGB.

    Its pixels go to the disk where the limit has a folder and they would fill a quarter of it.
    Raises ImageError when the limit is too low, and what the decoder raises.
    """
    height, width = decoded.size
    bands, notes = decoded.bands, list(decoded.notes)
    turn = orientation(decoded.exif, decoded.xmp)
    if turn > 1:
        notes.append(TURNED)
        if decoded.crop is None:
            limit.check(name, decoded.size, 4 * height * width, "turn it with another program")
            decoded.crop = _whole(bands, decoded.size).crop
        if swaps(turn):
            height, width = width, height
        rows = band_rows(width, 4 * width, limit) or 1
        bands = upright(decoded.crop, (height, width), turn, rows)
    if limit.folder is None:
        limit.check(name, (height, width), 3 * height * width, "upscale it with --max-memory")
    first = next(bands)
    channels, transparent = first.color.shape[2], first.alpha is not None
    if channels == 1:
        notes.append("grayscale expanded to RGB")
    colors = _Colors(channels, decoded.profile, keep_profile, notes)
    stored = height * width * (3 + transparent)
    folder = limit.folder if stored > limit.memory / 4 else None
    rgb = store((height, width, 3), folder)
    alpha = store((height, width), folder) if transparent else None
    row, least, most = 0, 255, 0
    for band in _chained(first, bands):
        place = slice(row, row + len(band.color))
        rgb[place] = colors.rgb(band)
        if alpha is not None and band.alpha is not None:
            alpha[place] = band.alpha
            least, most = min(least, int(band.alpha.min())), max(most, int(band.alpha.max()))
        row = place.stop
    if transparent and most == 0:
        notes.append("transparent throughout")
    opaque = alpha is None or least == 255
    exif = kept_exif(loaded(decoded.exif))
    return RgbImage(
        rgb,
        None if opaque else alpha,
        tuple(notes),
        channels == 1,
        colors.profile,
        exif,
        decoded.jpeg_quality,
    )


def _chained(first: Band, others: Iterator[Band]) -> Iterator[Band]:
    yield first
    yield from others


def _whole(bands: Iterator[Band], size: tuple[int, int]) -> Band:
    """All ``bands`` as one."""
    first = next(bands)
    color = np.empty((*size, first.color.shape[2]), np.uint8)
    alpha = None if first.alpha is None else np.empty(size, np.uint8)
    row = 0
    for band in _chained(first, bands):
        place = slice(row, row + len(band.color))
        color[place] = band.color
        if alpha is not None and band.alpha is not None:
            alpha[place] = band.alpha
        row = place.stop
    return Band(color, alpha)


class _Colors:
    """The conversion of the colours of one image to RGB."""

    def __init__(self, channels: int, profile: bytes | None, keep: bool, notes: list[str]) -> None:
        self.profile: bytes | None = None
        """The ICC profile that the image keeps; None: sRGB."""
        self._mode = _MODES[channels]
        self._transform: ImageCms.ImageCmsTransform | None = None
        if not profile:
            return
        try:
            opened = ImageCms.ImageCmsProfile(io.BytesIO(profile))
            srgb = ImageCms.createProfile("sRGB")
            transform = ImageCms.buildTransform(opened, srgb, self._mode, "RGB")
        except (ImageCms.PyCMSError, OSError, ValueError):
            notes.append("its colour profile cannot be used; taken as sRGB")
            return
        if self._mode == "RGB" and keep:
            self.profile = profile
            return
        if self._mode != "CMYK":
            sample = _sample(self._mode)
            plain = np.asarray(sample.convert("RGB"))
            converted = np.asarray(ImageCms.applyTransform(sample, transform))
            if np.abs(plain.astype(np.int16) - converted).max() <= _PROFILE_TOLERANCE:
                return  # the profile is sRGB
        self._transform = transform
        notes.append("converted from its colour profile to sRGB")

    def rgb(self, band: Band) -> Rgb:
        """The colours of ``band``, n×W×3."""
        height, width = band.color.shape[:2]
        if self._transform is None and self._mode != "CMYK":
            return np.broadcast_to(band.color, (height, width, 3))
        image = Image.frombytes(self._mode, (width, height), band.color.tobytes())
        if self._transform is None:
            return np.asarray(image.convert("RGB"))
        return np.asarray(ImageCms.applyTransform(image, self._transform))


def _sample(mode: str) -> Image.Image:
    """All levels of gray, or a lattice of colours."""
    if mode == "L":
        return Image.fromarray(np.arange(256, dtype=np.uint8)[None])
    steps = np.linspace(0, 255, 18).astype(np.uint8)
    return Image.fromarray(np.stack(np.meshgrid(steps, steps, steps), -1).reshape(1, -1, 3))
