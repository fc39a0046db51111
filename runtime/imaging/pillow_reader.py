"""Images that Pillow decodes, as bands of 8-bit rows. Layouts that it gets wrong are refused."""

from __future__ import annotations

from collections.abc import Iterator
from typing import IO

import numpy as np
from PIL import ExifTags, Image, UnidentifiedImageError

from ailsr.runtime.errors import ImageError
from ailsr.runtime.imaging import tiff
from ailsr.runtime.imaging.decoded import Band, Box, Decoded, band_rows, to_8_bits
from ailsr.runtime.imaging.exif import kept_exif
from ailsr.runtime.imaging.jpeg_quality import of_image
from ailsr.runtime.imaging.orientation import TURNED, TURNS
from ailsr.runtime.imaging.rgb_image import Limit

FORMATS = {
    "AVIF": (".avif",),
    "BMP": (".bmp",),
    "DIB": (".dib",),
    "GIF": (".gif",),
    "JPEG": (".jpg", ".jpeg", ".jpe", ".jfif"),
    "JPEG2000": (".jp2", ".j2k", ".jpx"),
    "MPO": (".mpo",),
    "PCX": (".pcx",),
    "PPM": (".ppm", ".pgm", ".pbm", ".pnm"),
    "PSD": (".psd",),
    "QOI": (".qoi",),
    "TGA": (".tga",),
    "TIFF": (".tif", ".tiff"),
    "WEBP": (".webp",),
}
"""The endings of what is read by Pillow's names of formats. Not among them: what Pillow hands to
other programs (EPS), draws itself (WMF), opens in turn (ICO) or only recognises."""
HEIF_ENDINGS = (".heic", ".heif", ".hif")
_XAP = b"http://ns.adobe.com/xap/"  # before XMP in JPEG
_DECODED_TWICE = {"WEBP", "AVIF", "HEIF", "JPEG2000", "GIF"}  # by the codec's library and Pillow
_TURNED_BY_CODEC = {"AVIF", "HEIF"}  # by their own boxes: EXIF says it once more, XMP may be stale


def open_image(file: IO[bytes], name: str) -> Image.Image:
    """The image in ``file``, not yet decoded. Raises ImageError when it is of no kind we read."""
    Image.init()
    try:
        return Image.open(file, formats=[kind for kind in FORMATS if kind in Image.OPEN])
    except UnidentifiedImageError:
        file.seek(4)
        kind, brand = file.read(4), file.read(4)
        if kind == b"ftyp" and brand not in (b"avif", b"avis"):
            return _open_heif(file, name)
        if kind == b"ftyp":
            raise ImageError(
                f"{name} is an AVIF image that is damaged or that this Pillow cannot read: "
                f"convert it to PNG"
            ) from None
        raise ImageError(
            f"{name} is not an image, or of a kind that is not read: convert it to PNG"
        ) from None


def _open_heif(file: IO[bytes], name: str) -> Image.Image:
    try:
        from pillow_heif import HeifImageFile
    except ImportError:
        raise ImageError(f'{name} is a HEIF image: pip install "ailsr[heif]"') from None
    file.seek(0)
    image: Image.Image = HeifImageFile(file)
    return image


def decode(image: Image.Image, name: str, limit: Limit) -> Decoded:
    """The image in ``image``, just opened. Raises ImageError for one that is not understood or
    does not fit ``limit``, and what Pillow raises for a damaged one."""
    notes: list[str] = []
    frames = getattr(image, "n_frames", 1)
    if frames > 1:
        notes.append(f"the first of {frames} frames")
    layout = _layout(image, name)
    bits = max(layout.white.bit_length(), int(image.info.get("bit_depth") or 8))
    if bits > 8:
        notes.append(f"{bits} bits per channel reduced to 8")
    notes += layout.notes
    exif, profile = (_bytes(image.info.get(key)) for key in ("exif", "icc_profile"))
    xmp = None if image.format in _TURNED_BY_CODEC else _xmp(image)
    rows = band_rows(max(image.size), 4 * max(image.size), limit)
    if not rows:
        raise ImageError(limit.too_wide(name, max(image.size)))
    _check_decoding(image, name, limit, layout.block)
    if image.format == "TIFF":  # which Pillow turns upright as it decodes
        tags = image.getexif()
        said = tags.get(ExifTags.Base.Orientation)
        if said in TURNS:
            notes.append(TURNED)
        image.load()
        exif, xmp = kept_exif(tags), None if said else xmp
    else:
        image.load()
    named = _name(image.mode)
    if named:
        notes.append(named)
    width, height = image.size

    def crop(box: Box) -> Band:
        return _band(image.crop(box), name, layout)

    def bands() -> Iterator[Band]:
        for start in range(0, height, rows):
            yield crop((0, start, width, min(start + rows, height)))

    return Decoded((height, width), bands(), crop, exif, xmp, profile, notes, of_image(image))


def _layout(image: Image.Image, name: str) -> tiff.Layout:
    if image.format == "TIFF":
        return tiff.layout(image, name)
    deep = image.mode.startswith("I;16") or (image.format == "PPM" and image.mode == "I")
    return tiff.Layout(65535 if deep else 255)


def _check_decoding(image: Image.Image, name: str, limit: Limit, block: int) -> None:
    """Raise ImageError when Pillow, which decodes whole images, needs more memory."""
    pixels = image.width * image.height
    needed = pixels * (1 if image.mode in ("1", "L", "P") else 4) + block
    if image.format in _DECODED_TWICE:
        needed *= 2
    if image.info.get("progressive"):
        needed += 6 * pixels  # all coefficients, 16 bits each
    limit.check(
        name, image.size, needed, "convert it to PNG (not interlaced), which is read in bands"
    )


def _name(mode: str) -> str | None:
    """The note on the change from Pillow's ``mode`` to RGB; None: there is none."""
    if mode.startswith(("1", "L", "I", "F", "RGB")):
        return None  # of gray the conversion tells
    return "palette converted to RGB" if mode.startswith("P") else f"{mode} converted to RGB"


def _band(band: Image.Image, name: str, layout: tiff.Layout) -> Band:
    """``band`` of a decoded image as gray, RGB or CMYK."""
    if band.mode == "F" or (band.mode == "I" and layout.white == 255):
        kind = "floating-point" if band.mode == "F" else "32-bit"
        raise ImageError(
            f"{name} holds {kind} pixels, whose range is not known: convert it to 8 or 16 bits"
        )
    if band.mode.startswith("I"):
        levels = to_8_bits(np.asarray(band), layout.white)
        return Band((255 - levels if layout.inverted else levels)[..., None], None)
    if band.mode == "CMYK":
        return Band(np.asarray(band), None)
    gray = band.mode.startswith(("1", "L"))
    if not band.has_transparency_data:
        pixels = np.asarray(band.convert("L" if gray else "RGB"))
        return Band(pixels[..., None] if gray else pixels, None)
    pixels = np.asarray(band.convert("LA" if gray else "RGBA"))
    return Band(pixels[..., :-1], pixels[..., -1])


def _xmp(image: Image.Image) -> bytes | None:
    """Pillow 10 leaves that of TIFF and JPEG where the file has it."""
    parts = [image.info.get("xmp")]
    if image.format == "TIFF":
        parts.append(image.tag_v2.get(700))  # type: ignore[attr-defined]
    for kind, content in getattr(image, "applist", ()):
        parts.append(content if kind == "APP1" and content.startswith(_XAP) else None)
    return next((part for part in map(_bytes, parts) if part), None)


def _bytes(value: object) -> bytes | None:
    if isinstance(value, str):
        value = value.encode()
    return value if isinstance(value, bytes) and value else None
