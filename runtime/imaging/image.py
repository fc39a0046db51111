"""Image files: any that Pillow reads becomes 8-bit RGB, with notes on what was changed.

Reading makes these changes, each with a note: EXIF orientation is applied; a colour profile is
converted to sRGB, unless the caller keeps it; 16 bits are scaled to 8; CMYK, palette and grayscale
become RGB; of several frames the first is taken. Alpha and what EXIF tells of the photograph are
kept apart. Images are converted, and may be written, in bands of rows.
"""

from __future__ import annotations

import contextlib
import errno
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ailsr.runtime.errors import ImageError
from ailsr.runtime.files import atomic_output
from ailsr.runtime.imaging import pillow_reader, png
from ailsr.runtime.imaging.conversion import to_image
from ailsr.runtime.imaging.folder import list_folder, list_images
from ailsr.runtime.imaging.png_reader import decode_png
from ailsr.runtime.imaging.pnm_reader import decode_pnm
from ailsr.runtime.imaging.rgb_image import Limit, Rgb, RgbImage, on_white

__all__ = [
    "Limit",
    "Rgb",
    "RgbImage",
    "check_ending",
    "list_folder",
    "list_images",
    "read",
    "read_file",
    "read_image",
    "write",
    "writer",
    "writing_bytes",
]

WRITE_OPTIONS: dict[str, dict[str, Any]] = {
    ".png": {},
    ".jpg": {"quality": 95, "subsampling": 0},
    ".jpeg": {"quality": 95, "subsampling": 0},
    ".webp": {"quality": 95},
    ".tif": {"compression": "tiff_deflate"},
    ".tiff": {"compression": "tiff_deflate"},
    ".bmp": {},
}
"""The endings that can be written, with Pillow's options for those that it writes."""
ALPHA_ENDINGS = frozenset({".png", ".webp", ".tif", ".tiff"})
"""The endings of files that can hold alpha."""
PROFILE_ENDINGS = frozenset(WRITE_OPTIONS) - {".bmp"}
"""The endings of files that can hold a colour profile."""
EXIF_ENDINGS = PROFILE_ENDINGS - {".tif", ".tiff"}
"""The endings of files that can hold EXIF data (libtiff writes none into compressed files)."""
LONGEST_EXIF = {".jpg": 65527, ".jpeg": 65527}
"""Bytes of EXIF data, where a format has a limit: one segment of a JPEG."""
LONGEST_SIDE = {".jpg": 65535, ".jpeg": 65535, ".webp": 16383}
"""Pixels, where a format has such a limit that is not astronomical."""


def read(path: Path) -> Rgb:
    """The image at ``path``, H×W×3, on white where it is transparent. Raises ImageError."""
    return read_image(path).on_white()


def read_image(path: Path, *, keep_profile: bool = False, limit: Limit | None = None) -> RgbImage:
    """The image at ``path`` with its alpha and with notes on what was changed.

    With ``keep_profile`` an RGB image stays in its colour profile, which ``RgbImage.profile``
    then holds. ``limit`` bounds the memory, by 1 GB or so when None. Raises ImageError when there
    is no such file, it holds no whole image, it is not understood, or the limit is too low.
    """
    try:
        with path.open("rb") as file:
            if not file.read(1):
                raise ImageError(f"{path} is empty: copy or download it again")
            return read_file(file, str(path), keep_profile=keep_profile, limit=limit)
    except FileNotFoundError:
        raise ImageError(f"no image at {path}: check the name") from None
    except IsADirectoryError:
        raise ImageError(f"{path} is a folder: name the images in it, as in {path}/*") from None
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise  # of the temporary file
        raise ImageError(f"{path} cannot be read ({error.strerror or error})") from None


def read_file(
    file: IO[bytes], name: str, *, keep_profile: bool = False, limit: Limit | None = None
) -> RgbImage:
    """The image in ``file``, which can be sought in, as ``read_image`` reads it; ``name`` is
    what messages call it."""
    limit = limit or Limit()
    file.seek(0)
    try:
        # Pillow warns of odd metadata and, from 89 megapixels, of large images; we mean both.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            for decoder in (decode_png, decode_pnm):
                decoded = decoder(file, name, limit)
                if decoded:
                    return to_image(decoded, name, keep_profile, limit)
            with pillow_reader.open_image(file, name) as image:
                decoded = pillow_reader.decode(image, name, limit)
                return to_image(decoded, name, keep_profile, limit)
    except (ImageError, MemoryError):
        raise
    except Image.DecompressionBombError:
        raise ImageError(
            f"{name} has more than {2 * (Image.MAX_IMAGE_PIXELS or 0) // 10**6} megapixels: "
            f"cut it into smaller images"
        ) from None
    except Exception as error:  # a decoder raises whatever its parsing meets: struct.error, ...
        if isinstance(error, OSError) and error.errno == errno.ENOSPC:
            raise  # of the temporary file
        reason = getattr(error, "strerror", None) or error
        raise ImageError(f"{name} cannot be read ({reason}): is it complete?") from None


def write(rgb: Rgb, path: Path, alpha: NDArray[np.uint8] | None = None) -> None:
    """Write ``rgb`` to ``path`` in the format of its ending, whole or not at all.

    ``alpha`` (H×W) goes into the formats that hold it; in others the image is put on white.
    Raises ImageError for an unknown ending or when the file cannot be written.
    """
    with writer(path, (rgb.shape[0], rgb.shape[1]), alpha=alpha is not None) as output:
        output.write(rgb, alpha)


class Writer(Protocol):
    """An image that is being written."""

    def write(self, rgb: Rgb, alpha: NDArray[np.uint8] | None = None) -> None:
        """Append rows, n×W×3, with their opacity, n×W, if the image has any."""


@contextlib.contextmanager
def writer(
    path: Path,
    size: tuple[int, int],
    *,
    alpha: bool = False,
    profile: bytes | None = None,
    exif: bytes | None = None,
) -> Iterator[Writer]:
    """Writes an image of ``size`` (height, width) to ``path`` band by band, whole or not at all.

    PNG goes to the disk as it comes; other formats are held in memory (``writing_bytes``) and
    encoded at the end. Raises ImageError as ``write`` does.
    """
    ending = check_ending(path)
    longest = LONGEST_SIDE.get(ending, max(size))
    if max(size) > longest:
        raise ImageError(
            f"{path} cannot be written: {ending} holds {longest} pixels a side, this is "
            f"{size[1]}x{size[0]}; write .png"
        )
    profile = profile if ending in PROFILE_ENDINGS else None
    exif = exif if ending in EXIF_ENDINGS else None
    alpha = alpha and ending in ALPHA_ENDINGS
    try:
        with atomic_output(path) as temporary:
            if ending == ".png":
                with temporary.open("wb") as file:
                    stream = png.PngWriter(file, size, alpha=alpha, profile=profile, exif=exif)
                    yield _PngOutput(stream, alpha)
                    stream.close()
            else:
                whole = _WholeOutput(Image.new("RGBA" if alpha else "RGB", size[::-1]))
                yield whole
                facts = {"icc_profile": profile, "exif": exif and b"Exif\0\0" + exif}
                kept: dict[str, Any] = {name: value for name, value in facts.items() if value}
                whole.image.save(temporary, **WRITE_OPTIONS[ending], **kept)
    except OSError as error:
        raise ImageError(f"{path} cannot be written: {error.strerror or error}") from error


def writing_bytes(path: Path, size: tuple[int, int]) -> int:
    """Memory that ``writer`` takes for an image of ``size`` (height, width), beside its bands."""
    ending = path.suffix.lower()
    if ending == ".png":
        return png.row_bytes(size[1])
    return 4 * size[0] * size[1] * (2 if ending == ".webp" else 1)


class _PngOutput:
    def __init__(self, stream: png.PngWriter, alpha: bool) -> None:
        self._stream, self._alpha = stream, alpha

    def write(self, rgb: Rgb, alpha: NDArray[np.uint8] | None = None) -> None:
        self._stream.write(_stacked(rgb, alpha, self._alpha))


class _WholeOutput:
    def __init__(self, image: Image.Image) -> None:
        self.image, self._row = image, 0

    def write(self, rgb: Rgb, alpha: NDArray[np.uint8] | None = None) -> None:
        band = Image.fromarray(_stacked(rgb, alpha, self.image.mode == "RGBA"))
        self.image.paste(band, (0, self._row))
        self._row += len(rgb)


def _stacked(rgb: Rgb, alpha: NDArray[np.uint8] | None, with_alpha: bool) -> NDArray[np.uint8]:
    return np.dstack([rgb, alpha]) if with_alpha and alpha is not None else on_white(rgb, alpha)


def check_ending(path: Path) -> str:
    """The ending of ``path`` in lower case. Raises ImageError when ``write`` does not know it."""
    ending = path.suffix.lower()
    if ending not in WRITE_OPTIONS:
        raise ImageError(
            f"{path}: cannot write images ending in '{path.suffix}'; "
            f"choose one of {', '.join(WRITE_OPTIONS)}"
        )
    return ending
