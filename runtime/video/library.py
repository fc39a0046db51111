"""PyAV, which brings FFmpeg's libraries: the one place where it is imported."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from ailsr.runtime.errors import ImageError, UsageError, one_line

if TYPE_CHECKING:
    import av

try:
    os.environ.setdefault("SVT_LOG", "0")  # the AV1 encoder's greeting on stderr
    import av
except ImportError:
    av = None

__all__ = ["av", "check_installed", "told", "versions"]


def check_installed() -> None:
    """Raise UsageError when there is no PyAV."""
    if av is None:
        raise UsageError('video files need PyAV: pip install "ailsr[video]"')


def versions() -> str:
    """The versions of the libraries that decide an encoded file's bytes."""
    found = av.library_versions
    return " ".join(
        f"{name} {'.'.join(map(str, found[name]))}" for name in ("libavcodec", "libswscale")
    )


@contextlib.contextmanager
def told(path: Path, what: str = "cannot be read") -> Iterator[None]:
    """Turn what FFmpeg says of the video at ``path`` into an ImageError of one line."""
    try:
        yield
    except FileNotFoundError:
        raise ImageError(f"no video at {path}: check the path") from None
    except av.error.FFmpegError as error:
        raise ImageError(f"{path} {what}: {one_line(error.strerror)}") from error
