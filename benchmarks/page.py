"""A page of docs/ whose text is written by hand, and a part of it by a benchmark."""

from __future__ import annotations

from pathlib import Path

from ailsr.runtime.commands.command import message
from ailsr.runtime.errors import UsageError
from ailsr.runtime.files import atomic_output

START, END = "<!-- measured -->\n", "<!-- end -->\n"


def measured(page: Path) -> str:
    """What a benchmark wrote into ``page``: what stands between START and END; "" without a page.

    Raises UsageError for a page without them.
    """
    return _parts(page)[1]


def write(page: Path, text: str) -> None:
    """Replace what is measured in ``page``; without a page, one of START, ``text`` and END.

    Raises UsageError for a page without START and END.
    """
    before, _, after = _parts(page)
    with atomic_output(page) as temporary:
        temporary.write_text(
            f"{before}{START}{text.rstrip()}\n{END}{after}".lstrip("\n"), encoding="utf-8"
        )
    message(f"wrote {page}")


def _parts(page: Path) -> tuple[str, str, str]:
    if not page.exists():
        return "", "", ""
    text = page.read_text(encoding="utf-8")
    before, start, rest = text.partition(START)
    found, end, after = rest.partition(END)
    if not (start and end):
        raise UsageError(
            f"{page} has no lines {START.strip()!r} and {END.strip()!r}, between which the "
            "figures go: add them, or choose another --output"
        )
    return before, found, after
