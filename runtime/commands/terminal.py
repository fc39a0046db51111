"""Output to the terminal: all text, no instructions to it. Nothing else in the package prints.

Names of files, cards, replies of devices and reports of phones come from elsewhere. So nothing in a
text is markup or an escape sequence: characters that cannot be printed are shown as escapes
(``\\x1b``), and those that the terminal's encoding lacks are spelled in ASCII.
"""

from __future__ import annotations

import contextlib
import io
import os
import sys
import unicodedata
from collections.abc import Sequence
from typing import Any

from rich import box
from rich.cells import cell_len
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Column, Table
from rich.text import Text

from ailsr.runtime import documents

_SPELLED = str.maketrans(
    {"–": "-", "−": "-", "×": "x", "±": "+-", "∞": "inf", "…": "...", "µ": "u"}
)
"""For encodings that lack them."""
_NARROWEST_NAME = 12
"""Columns of a table's names below which it is printed as lists."""
_SPACE = 2  # beside a column
_EMPTY = ("", "–")


def printable(text: str) -> str:
    """``text`` in one line, without what a terminal would obey or cannot show."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or _is_blank(c) else _escaped(c) for c in text)


class Terminal(Console):
    """A console for which every text is data."""

    def __init__(self, *, stderr: bool = False) -> None:
        super().__init__(stderr=stderr, highlight=False, markup=False, emoji=False)

    def render_str(self, text: str, *, style: Any = "", **options: Any) -> Text:  # noqa: ANN401
        """``text`` as it is printed; in it, nothing has a meaning. Rich calls this for each."""
        layout: dict[str, Any] = {name: options.get(name) for name in ("justify", "overflow")}
        return Text(self.clean(text), style=style, **layout)

    def on_broken_pipe(self) -> None:
        """Rich calls this where a pipe is closed: the command decides its exit code."""
        raise BrokenPipeError

    def clean(self, text: str) -> str:
        """``text`` as ``printable`` has it, in characters that the terminal's encoding has."""
        text = printable(text)
        try:
            text.encode(self.encoding)
        except (UnicodeEncodeError, LookupError):
            spelled = text.translate(_SPELLED)
            return spelled.encode("ascii", "backslashreplace").decode()
        return text


stdout = Terminal()
stderr = Terminal(stderr=True)


def message(text: str) -> None:
    """Print ``text`` on stderr: what happens, as opposed to what came out."""
    stderr.print(text, soft_wrap=True)


def print_json(value: Any, *, indent: int | None = None) -> None:  # noqa: ANN401
    """Print ``value`` as one strict JSON document, whatever the terminal: programs read it."""
    print_raw(documents.dump(value, indent=indent))


def print_raw(text: str) -> None:
    """Print ``text`` of our own as it is, without colours or folding."""
    stdout.file.write(f"{text}\n")


def print_table(
    headers: Sequence[str],
    rows: Sequence[Sequence[str | Text]],
    *,
    names: int = 1,
    styles: Sequence[str | None] = (),
) -> None:
    """Print a table of ``names`` columns of words, which may fold, and further ones of figures.

    A terminal that is too narrow for it gets a list for each row; a pipe gets all in full width.
    """
    cells = [[cell.plain if isinstance(cell, Text) else cell for cell in row] for row in rows]
    widths = [
        max(map(cell_len, (line for cell in column for line in cell.split("\n"))))
        for column in zip(headers, *cells, strict=True)
    ]
    least = [min(width, _NARROWEST_NAME) if n < names else width for n, width in enumerate(widths)]
    if not stdout.is_terminal:
        stdout.width = max(sum(widths) + _SPACE * len(widths), 80)
    elif sum(least) + _SPACE * len(least) > stdout.width:
        _print_lists(headers, cells)
        return
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False, show_edge=False)
    for n, header in enumerate(headers):
        if n < names:
            table.add_column(Text(header), overflow="fold", min_width=least[n])
        else:
            table.add_column(Text(header, justify="right"), justify="right", no_wrap=True)
    for n, row in enumerate(rows):
        table.add_row(*row, style=styles[n] if styles else None)
    stdout.print(table)


def _print_lists(headers: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    for row in rows:
        stdout.print(row[0], overflow="fold")
        for header, cell in zip(headers[1:], row[1:], strict=True):
            if cell.strip() not in _EMPTY:
                name = " ".join(header.split())
                stdout.print(f"  {name}: {' '.join(cell.split())}", overflow="fold")


class _Words(ProgressColumn):
    """A task's description or note, as text."""

    def __init__(self, field: str) -> None:
        super().__init__(Column(no_wrap=True, overflow="ellipsis"))
        self._field = field

    def render(self, task: Task) -> Text:
        words = task.description if self._field == "description" else task.fields["note"]
        return Text(stderr.clean(words))


def progress() -> Progress:
    """A progress bar with an ETA on stderr; silent when stderr is not a terminal."""
    return Progress(
        _Words("description"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("ETA"),
        TimeRemainingColumn(),
        _Words("note"),
        console=stderr,
        disable=not stderr.is_terminal,
        transient=True,
    )


def open_streams() -> None:
    """Make stdin, stdout and stderr usable: closed ones lead nowhere, none fails over a character.

    A closed one would leave its number to the next file that is opened, and what a library prints
    would be written into it.
    """
    while (number := os.open(os.devnull, os.O_RDWR)) < 3:
        pass  # the lowest that are free
    os.close(number)
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, open(os.devnull, mode))  # noqa: SIM115, PTH123
        elif mode == "w" and isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def let_go_of_stdout() -> None:
    """Drop what stdout has not taken, so that Python's end does not fail over it again."""
    try:
        sys.stdout.flush()
    except OSError:
        with contextlib.suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _is_blank(character: str) -> bool:
    return unicodedata.category(character) == "Zs"


def _escaped(character: str) -> str:
    return character.encode("unicode_escape").decode()
