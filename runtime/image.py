"""Pictures in and out: any file that Pillow reads becomes 8-bit sRGB, and says what that cost.

What happens on the way in, each with a note: EXIF orientation is applied; a colour profile is
converted to sRGB; 16 bits are scaled to 8; CMYK, palette and grayscale become RGB; of several
frames the first is taken. Alpha is kept apart.
"""

from __future__ import annotations

import contextlib
import io
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageCms, ImageOps, UnidentifiedImageError

from ailsr.runtime.errors import ImageError
from ailsr.runtime.files import atomic_output

Rgb = NDArray[np.uint8]
"""H×W×3, sRGB."""

WRITE_OPTIONS: dict[str, dict[str, Any]] = {
    ".png": {"compress_level": 4},  # 6, the default, takes twice as long to save 2 %
    ".jpg": {"quality": 95, "subsampling": 0},
    ".jpeg": {"quality": 95, "subsampling": 0},
    ".webp": {"quality": 95},
    ".tif": {"compression": "tiff_deflate"},
    ".tiff": {"compression": "tiff_deflate"},
    ".bmp": {},
}
"""The endings that ``write`` knows, with Pillow's options for each."""
READ_ENDINGS = frozenset({*WRITE_OPTIONS, ".gif", ".ppm", ".pgm", ".pbm", ".jp2", ".tga", ".avif"})
"""The endings by which pictures are recognised in a folder; ``read`` opens any file."""
ALPHA_ENDINGS = frozenset({".png", ".webp", ".tif", ".tiff"})
"""The endings of files that can hold alpha."""

_PROFILE_TOLERANCE = 2  # levels: two sRGB profiles by different makers differ by no more


@dataclass(frozen=True)
class Picture:
    """A picture as a file holds it, in 8-bit sRGB."""

    rgb: Rgb
    alpha: NDArray[np.uint8] | None = None
    """H×W opacity; None when the picture is opaque throughout."""
    notes: tuple[str, ...] = ()
    """What was changed to make it 8-bit sRGB, one phrase each; empty: nothing."""
    grayscale: bool = False
    """The file holds one channel: R, G and B are equal."""

    def on_white(self) -> Rgb:
        """The picture without alpha, as it looks on white."""
        if self.alpha is None:
            return self.rgb
        alpha = self.alpha[..., None].astype(np.uint16)
        return ((self.rgb * alpha + 255 * (255 - alpha) + 127) // 255).astype(np.uint8)


def read(path: Path) -> Rgb:
    """The picture at ``path``, H×W×3, on white where it is transparent. Raises ImageError."""
    return read_picture(path).on_white()


def read_picture(path: Path) -> Picture:
    """The picture at ``path`` with its alpha and with notes on what was changed.

    Raises ImageError when there is no such file or it holds no whole picture.
    """
    try:
        # Pillow warns of odd metadata and, from 89 megapixels, of large pictures; we mean both.
        with warnings.catch_warnings(), path.open("rb") as file:
            warnings.simplefilter("ignore")
            if not file.read(1):
                raise ImageError(f"{path} is empty: copy or download it again")
            file.seek(0)
            with Image.open(file) as image:
                return _convert(image, path)
    except (ImageError, MemoryError):
        raise
    except FileNotFoundError:
        raise ImageError(f"no picture at {path}: check the name") from None
    except IsADirectoryError:
        raise ImageError(f"{path} is a folder: name the pictures in it, as in {path}/*") from None
    except UnidentifiedImageError:
        raise ImageError(
            f"{path} is not a picture, or of a kind that Pillow cannot read: convert it to PNG"
        ) from None
    except Image.DecompressionBombError:
        raise ImageError(
            f"{path} has more than {2 * (Image.MAX_IMAGE_PIXELS or 0) // 10**6} megapixels: "
            f"cut it into smaller pictures"
        ) from None
    except Exception as error:  # a decoder raises whatever its parsing meets: struct.error, ...
        reason = getattr(error, "strerror", None) or error
        raise ImageError(f"{path} cannot be read ({reason}): is it complete?") from None


def write(rgb: Rgb, path: Path, alpha: NDArray[np.uint8] | None = None) -> None:
    """Write ``rgb`` to ``path`` in the format of its ending, whole or not at all.

    ``alpha`` (H×W) goes into the formats that hold it; in others the picture is put on white.
    Raises ImageError for an unknown ending or when the file cannot be written.
    """
    ending = check_ending(path)
    if alpha is not None and ending in ALPHA_ENDINGS:
        image = Image.fromarray(np.dstack([rgb, alpha]))
    else:
        image = Image.fromarray(Picture(rgb, alpha).on_white())
    try:
        with atomic_output(path) as temporary:
            image.save(temporary, **WRITE_OPTIONS[ending])
    except (OSError, ValueError) as error:  # ValueError: a side too long for the format
        reason = getattr(error, "strerror", None) or error
        raise ImageError(f"{path} cannot be written: {reason}") from error


def check_ending(path: Path) -> str:
    """The ending of ``path`` in lower case. Raises ImageError when ``write`` does not know it."""
    ending = path.suffix.lower()
    if ending not in WRITE_OPTIONS:
        raise ImageError(
            f"{path}: cannot write pictures ending in '{path.suffix}'; "
            f"choose one of {', '.join(WRITE_OPTIONS)}"
        )
    return ending


def list_pictures(folder: Path) -> list[Path]:
    """The pictures in ``folder``, by their endings, sorted by name. Raises ImageError for none."""
    if not folder.is_dir():
        raise ImageError(f"no folder of pictures at {folder}: check the name")
    paths = sorted(
        path
        for path in folder.iterdir()
        if path.suffix.lower() in READ_ENDINGS and not path.name.startswith(".")
    )
    if not paths:
        raise ImageError(f"no pictures in {folder}: looked for {', '.join(sorted(READ_ENDINGS))}")
    return paths


def _convert(image: Image.Image, path: Path) -> Picture:
    """``image``, just opened, as 8-bit sRGB."""
    notes: list[str] = []
    frames = getattr(image, "n_frames", 1)
    if frames > 1:
        notes.append(f"the first of {frames} frames")
    if any(";16" in str(tile) for tile in getattr(image, "tile", ())):
        notes.append("16 bits per channel reduced to 8")
    profile = image.info.get("icc_profile")
    image.load()
    with contextlib.suppress(Exception):  # damaged EXIF data: the pixels are what counts
        if image.getexif().get(ExifTags.Base.Orientation, 1) in range(2, 9):
            image = ImageOps.exif_transpose(image)
            notes.append("turned as its EXIF orientation says")
    grayscale = image.mode.startswith(("1", "L", "I", "F")) and image.mode != "LAB"
    if grayscale:
        notes.append("grayscale expanded to RGB")
    elif not image.mode.startswith("RGB"):
        name = "palette" if image.mode.startswith("P") else image.mode
        notes.append(f"{name} converted to RGB")
    alpha = None
    if image.mode.startswith(("I", "F")):
        image = _to_8_bits(image, path)
    elif image.has_transparency_data:
        image = image.convert("LA" if grayscale else "RGBA")
        alpha = np.asarray(image.getchannel("A"))
        alpha = None if alpha.min() == 255 else alpha
        image = image.convert("L" if grayscale else "RGB")
    elif image.mode in ("1", "P"):
        image = image.convert("L" if grayscale else "RGB")
    return Picture(_to_srgb(image, profile, notes), alpha, tuple(notes), grayscale)


def _to_8_bits(image: Image.Image, path: Path) -> Image.Image:
    """Gray of 16 bits (modes I;16, I;16B and, in PNG and PGM files, I) as 8-bit gray."""
    if image.mode == "F" or (image.mode == "I" and image.format not in ("PNG", "PPM")):
        raise ImageError(
            f"{path} holds {'floating-point' if image.mode == 'F' else '32-bit'} pixels, whose "
            f"range is not known: convert it to 8 or 16 bits"
        )
    levels = np.asarray(image).astype(np.uint32)
    return Image.fromarray(((levels + 128) // 257).astype(np.uint8))


def _to_srgb(image: Image.Image, profile: bytes | None, notes: list[str]) -> Rgb:
    """``image`` (8 bits, no alpha) as sRGB, by its colour profile when it has a usable one."""
    plain = image.convert("RGB")
    if not profile:
        return np.asarray(plain)
    try:
        converted = ImageCms.profileToProfile(
            image,
            ImageCms.ImageCmsProfile(io.BytesIO(profile)),
            ImageCms.createProfile("sRGB"),
            outputMode="RGB",
        )
    except (ImageCms.PyCMSError, OSError, ValueError):
        notes.append("its colour profile cannot be used; taken as sRGB")
        return np.asarray(plain)
    rgb, as_srgb = np.asarray(plain), np.asarray(converted)
    if np.abs(rgb.astype(np.int16) - as_srgb).max() <= _PROFILE_TOLERANCE:
        return rgb  # the profile is sRGB
    notes.append("converted from its colour profile to sRGB")
    return as_srgb
