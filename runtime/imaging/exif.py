"""EXIF data: those on the photograph are kept, those on the file that held it are not."""

from __future__ import annotations

import contextlib

from PIL import ExifTags, Image

_TAGS = (
    ExifTags.Base.ImageDescription,
    ExifTags.Base.Make,
    ExifTags.Base.Model,
    ExifTags.Base.Software,
    ExifTags.Base.DateTime,
    ExifTags.Base.Artist,
    ExifTags.Base.Copyright,
)
_BLOCKS = (ExifTags.IFD.Exif, ExifTags.IFD.GPSInfo)
_SIZES = (ExifTags.Base.ExifImageWidth, ExifTags.Base.ExifImageHeight)


def loaded(exif: bytes | None) -> Image.Exif:
    """``exif``, with or without "Exif" in front; of damaged data what can be read."""
    found = Image.Exif()
    with contextlib.suppress(Exception):  # the pixels are what counts
        found.load(exif or b"")
    return found


def kept_exif(exif: Image.Exif) -> bytes | None:
    """The part of ``exif`` on the photograph, without orientation and sizes; None: no such part."""
    kept, any_block = Image.Exif(), False
    with contextlib.suppress(Exception):  # damaged EXIF data
        for tag in _TAGS:
            if tag in exif:
                kept[tag] = exif[tag]
        for name in _BLOCKS:
            block = {tag: v for tag, v in exif.get_ifd(name).items() if tag not in _SIZES}
            kept.get_ifd(name).update(block)
            any_block = any_block or bool(block)
        if len(kept) or any_block:
            return kept.tobytes().removeprefix(b"Exif\0\0")
    return None
