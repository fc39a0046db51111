"""The two sides of an image in text: ``640x360``."""

from __future__ import annotations

import re


def parse_sides(text: str, most: int = 99_999) -> tuple[int, int]:
    """The two numbers of pixels that ``text`` names, in its order, each from 1 to ``most``.

    ``×`` may stand for ``x``. Raises ValueError for any other text.
    """
    found = re.fullmatch(r"([1-9][0-9]*)[xX×]([1-9][0-9]*)", text.strip())
    if found is None or max(map(len, found.groups())) > len(str(most)):
        raise ValueError(f"{text!r} is not two sides in pixels")
    first, second = int(found[1]), int(found[2])
    if max(first, second) > most:
        raise ValueError(f"{text!r} has a side of more than {most} pixels")
    return first, second
