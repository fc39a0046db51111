"""From what a decoder yields to 8-bit RGB, in bands of rows; every change is noted."""

from __future__ import annotations

import contextlib
import io
import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import numpy as np
from PIL import ExifTags, Image, ImageCms

from ailsr.runtime.errors import ImageError
from ailsr.runtime.imaging import png
from ailsr.runtime.imaging.picture import Limit, Picture, Rgb
from ailsr.runtime.imaging.rows import store
from ailsr.runtime.memory import megabytes

_PROFILE_TOLERANCE = 2  # levels: two sRGB profiles by different makers differ by no more
_BAND = 256  # rows converted at a time when memory is limited
# What EXIF tells of the photograph rather than of the file that held it.
_EXIF_TAGS = (
    ExifTags.Base.ImageDescription,
    ExifTags.Base.Make,
    ExifTags.Base.Model,
    ExifTags.Base.Software,
    ExifTags.Base.DateTime,
    ExifTags.Base.Artist,
    ExifTags.Base.Copyright,
)
_EXIF_BLOCKS = (ExifTags.IFD.Exif, ExifTags.IFD.GPSInfo)
_EXIF_SIZES = (ExifTags.Base.ExifImageWidth, ExifTags.Base.ExifImageHeight)
_DECODED_TWICE = {"WEBP", "AVIF", "JPEG2000", "GIF"}  # held by the codec's library and by Pillow


def read_whole(image: Image.Image, path: Path, keep_profile: bool, limit: Limit | None) -> Picture:
    """The picture in ``image``, just opened."""
    notes: list[str] = []
    frames = getattr(image, "n_frames", 1)
    if frames > 1:
        notes.append(f"the first of {frames} frames")
    if any(";16" in str(tile) for tile in getattr(image, "tile", ())):
        notes.append("16 bits per channel reduced to 8")
    profile = image.info.get("icc_profile")
    if limit:
        _check_decoding(image, path, limit)
    image.load()
    exif, turn = Image.Exif(), None
    with contextlib.suppress(Exception):  # damaged EXIF data: the pixels are what counts
        exif = image.getexif()
        turn = _TURNS.get(exif.get(ExifTags.Base.Orientation, 1))
    if turn is not None:
        notes.append("turned as its EXIF orientation says")
    width, height = image.size
    if turn in _SWAPS:
        height, width = width, height
    conversion = _Conversion(image, path, profile, keep_profile, notes)
    bands = _bands(image, turn, (height, width), _BAND if limit else height)
    return conversion.picture(bands, (height, width), _kept_exif(exif), limit)


def read_png(
    file: IO[bytes], header: png.Header, path: Path, keep_profile: bool, limit: Limit
) -> Picture:
    """The picture in a PNG file, which is decoded in bands."""
    bands = png.read_bands(file, header, max(1, min(_BAND, (16 << 20) // header.width)))
    first = next(bands)
    conversion = _Conversion(first, path, header.profile, keep_profile, [])
    exif = Image.Exif()
    with contextlib.suppress(Exception):
        exif.load(header.exif or b"")
    size = (header.height, header.width)
    return conversion.picture(itertools.chain([first], bands), size, _kept_exif(exif), limit)


def _check_decoding(image: Image.Image, path: Path, limit: Limit) -> None:
    """Raise ImageError when Pillow, which decodes whole pictures, needs more memory."""
    pixels = image.width * image.height
    needed = pixels * (1 if image.mode in ("1", "L", "P") else 4)
    if image.format in _DECODED_TWICE:
        needed *= 2
    if image.info.get("progressive"):
        needed += 6 * pixels  # all coefficients, 16 bits each
    if needed > limit.memory:
        raise ImageError(
            f"{path} has {pixels / 1e6:.0f} megapixels, and decoding them takes "
            f"{megabytes(needed)} where the limit leaves {megabytes(max(0, limit.memory))}: raise "
            f"--max-memory, or convert it to PNG (8 bits, not interlaced), which is read in bands"
        )


_TURNS = dict(
    zip(
        range(2, 9),
        (
            Image.Transpose.FLIP_LEFT_RIGHT,
            Image.Transpose.ROTATE_180,
            Image.Transpose.FLIP_TOP_BOTTOM,
            Image.Transpose.TRANSPOSE,
            Image.Transpose.ROTATE_270,
            Image.Transpose.TRANSVERSE,
            Image.Transpose.ROTATE_90,
        ),
        strict=True,
    )
)
"""What makes a picture of each EXIF orientation upright."""
_SWAPS = {_TURNS[orientation] for orientation in range(5, 9)}  # width and height change places
_FROM_BELOW = {_TURNS[3], _TURNS[4], _TURNS[7], _TURNS[8]}  # the first rows are read last


def is_upright(exif: bytes | None) -> bool:
    found = Image.Exif()
    with contextlib.suppress(Exception):
        found.load(exif or b"")
        return found.get(ExifTags.Base.Orientation, 1) not in _TURNS
    return True


def _bands(
    image: Image.Image, turn: Image.Transpose | None, size: tuple[int, int], rows: int
) -> Iterator[Image.Image]:
    """``image``, loaded, made upright in bands of ``rows`` rows; ``size`` is that of the result."""
    height, width = size
    for start in range(0, height, rows):
        stop = min(start + rows, height)
        if turn in _FROM_BELOW:
            first, last = height - stop, height - start
        else:
            first, last = start, stop
        box = (first, 0, last, width) if turn in _SWAPS else (0, first, width, last)
        band = image if stop - start == height else image.crop(box)
        yield band if turn is None else band.transpose(turn)


class _Conversion:
    """What makes every band of one picture 8-bit RGB."""

    def __init__(
        self,
        image: Image.Image,
        path: Path,
        profile: bytes | None,
        keep_profile: bool,
        notes: list[str],
    ) -> None:
        self._path, self._notes = path, notes
        self._grayscale = image.mode.startswith(("1", "L", "I", "F")) and image.mode != "LAB"
        if self._grayscale:
            notes.append("grayscale expanded to RGB")
        elif not image.mode.startswith("RGB"):
            name = "palette" if image.mode.startswith("P") else image.mode
            notes.append(f"{name} converted to RGB")
        self._transparent = image.has_transparency_data
        self._deep = image.mode.startswith(("I", "F"))
        self._format = image.format
        self._profile: bytes | None = None
        self._transform: ImageCms.ImageCmsTransform | None = None
        if profile:
            self._set_profile(profile, image.mode, keep_profile)

    def picture(
        self,
        bands: Iterator[Image.Image],
        size: tuple[int, int],
        exif: bytes | None,
        limit: Limit | None,
    ) -> Picture:
        """The picture that ``bands`` make up, in memory or, beyond a quarter of it, on the disk."""
        channels = 4 if self._transparent else 3
        large = limit is not None and size[0] * size[1] * channels > limit.memory / 4
        folder = limit.folder if limit and large else None
        rgb = store((*size, 3), folder)
        alpha = store(size, folder) if self._transparent else None
        row, opaque = 0, True
        for band in bands:
            rows = slice(row, row + band.height)
            if alpha is not None:
                band = band.convert("LA" if self._grayscale else "RGBA")
                opacity = np.asarray(band.getchannel("A"))
                opaque = opaque and bool(opacity.min() == 255)
                alpha[rows] = opacity
            rgb[rows] = self._rgb(band)
            row = rows.stop
        return Picture(
            rgb,
            None if opaque else alpha,
            tuple(self._notes),
            self._grayscale,
            self._profile,
            exif,
        )

    def _rgb(self, band: Image.Image) -> Rgb:
        if self._deep:
            band = self._to_8_bits(band)
        elif self._transparent or band.mode in ("1", "P"):
            band = band.convert("L" if self._grayscale else "RGB")
        if self._transform is not None:
            return np.asarray(ImageCms.applyTransform(band, self._transform))
        return np.asarray(band.convert("RGB"))

    def _to_8_bits(self, band: Image.Image) -> Image.Image:
        """Gray of 16 bits (modes I;16, I;16B and, in PNG and PGM files, I) as 8-bit gray."""
        if band.mode == "F" or (band.mode == "I" and self._format not in ("PNG", "PPM")):
            raise ImageError(
                f"{self._path} holds {'floating-point' if band.mode == 'F' else '32-bit'} pixels, "
                f"whose range is not known: convert it to 8 or 16 bits"
            )
        levels = np.asarray(band).astype(np.uint32)
        return Image.fromarray(((levels + 128) // 257).astype(np.uint8))

    def _set_profile(self, profile: bytes, mode: str, keep: bool) -> None:
        """Keep the picture's profile, or convert by it when it is usable and not sRGB."""
        if self._grayscale:
            mode = "L"
        elif self._transparent or mode.startswith(("P", "RGB")):
            mode = "RGB"
        try:
            opened = ImageCms.ImageCmsProfile(io.BytesIO(profile))
            transform = ImageCms.buildTransform(opened, ImageCms.createProfile("sRGB"), mode, "RGB")
        except (ImageCms.PyCMSError, OSError, ValueError):
            self._notes.append("its colour profile cannot be used; taken as sRGB")
            return
        if mode == "RGB" and keep:
            self._profile = profile
            return
        if mode in ("RGB", "L"):
            sample = _sample(mode)
            plain = np.asarray(sample.convert("RGB"))
            converted = np.asarray(ImageCms.applyTransform(sample, transform))
            if np.abs(plain.astype(np.int16) - converted).max() <= _PROFILE_TOLERANCE:
                return  # the profile is sRGB
        self._transform = transform
        self._notes.append("converted from its colour profile to sRGB")


def _sample(mode: str) -> Image.Image:
    """All levels of gray, or a lattice of colours."""
    if mode == "L":
        return Image.fromarray(np.arange(256, dtype=np.uint8)[None])
    steps = np.linspace(0, 255, 18).astype(np.uint8)
    return Image.fromarray(np.stack(np.meshgrid(steps, steps, steps), -1).reshape(1, -1, 3))


def _kept_exif(exif: Image.Exif) -> bytes | None:
    """What ``exif`` tells of the photograph; None: nothing."""
    kept, any_block = Image.Exif(), False
    with contextlib.suppress(Exception):  # damaged EXIF data
        for tag in _EXIF_TAGS:
            if tag in exif:
                kept[tag] = exif[tag]
        for name in _EXIF_BLOCKS:
            block = {tag: v for tag, v in exif.get_ifd(name).items() if tag not in _EXIF_SIZES}
            kept.get_ifd(name).update(block)
            any_block = any_block or bool(block)
        if len(kept) or any_block:
            return kept.tobytes().removeprefix(b"Exif\0\0")
    return None
