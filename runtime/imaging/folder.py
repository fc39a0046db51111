"""The images in a folder, and a count of the files that are left out."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from ailsr.runtime.errors import ImageError
from ailsr.runtime.imaging.pillow_reader import FORMATS, HEIF_ENDINGS

READ_ENDINGS = frozenset({".png", ".apng", *HEIF_ENDINGS}.union(*FORMATS.values()))
"""The endings by which images are recognised in a folder; ``read`` opens any file."""
_BEGINNINGS = (
    *(b"\x89PNG", b"\xff\xd8\xff", b"GIF8", b"II*\0", b"MM\0*", b"RIFF", b"P5", b"P6", b"BM"),
    b"\0\0\0\x0cjP  ",
)
"""By which an image whose name has no ending is recognised."""


@dataclass(frozen=True)
class Listing:
    """The content of a folder."""

    folder: Path
    images: list[Path]
    """Sorted by name."""
    left_out: dict[str, int]
    """By reason: how many."""

    @property
    def note(self) -> str | None:
        """One line on the files left out, with reasons; None: no file."""
        if not self.left_out:
            return None
        count = sum(self.left_out.values())
        reasons = ", ".join(f"{n} {reason}" for reason, n in self.left_out.items())
        return f"{self.folder}: {count} of {count + len(self.images)} left out: {reasons}"


def list_folder(folder: Path) -> Listing:
    """The content of ``folder`` without its subfolders. Raises ImageError when it is none."""
    if not folder.is_dir():
        raise ImageError(f"no folder of images at {folder}: check the name")
    reasons = {path: _reason(path) for path in sorted(folder.iterdir())}
    left_out = Counter(reason for reason in reasons.values() if reason)
    images = [path for path, reason in reasons.items() if reason is None]
    return Listing(folder, images, dict(left_out.most_common()))


def list_images(folder: Path) -> list[Path]:
    """The images in ``folder``, sorted by name. Raises ImageError when there are none."""
    listing = list_folder(folder)
    if not listing.images:
        others = f" ({listing.note})" if listing.note else ""
        raise ImageError(
            f"no images in {folder}{others}: looked for {', '.join(sorted(READ_ENDINGS))}"
        )
    return listing.images


def _reason(path: Path) -> str | None:
    """The reason why ``path`` is left out; None: it is an image, "": not worth a word."""
    ending = path.suffix.lower()
    if path.name.startswith("."):
        return "hidden" if ending in READ_ENDINGS else ""
    if path.is_dir():
        return "a folder of its own"
    if ending in HEIF_ENDINGS and find_spec("pillow_heif") is None:
        return f'ending in {ending}, which needs pip install "ailsr[heif]"'
    if ending in READ_ENDINGS or (not ending and _begins_as_a_picture(path)):
        return None
    return f"ending in {ending}" if ending else "without an ending"


def _begins_as_a_picture(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            beginning = file.read(12)
    except OSError:
        return False
    return beginning.startswith(_BEGINNINGS) or beginning[4:8] == b"ftyp"
