"""The files that upscaled images go to, decided for all of them before the first is touched."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from ailsr.runtime.errors import AilsrError, UsageError
from ailsr.runtime.names import unless_shared

Identity = tuple[int, int]
"""Device and number of a file: the same for all of its names."""


@dataclass(frozen=True)
class Job:
    """An image and the file that it becomes, or why it becomes none."""

    source: Path
    output: Path | None = None
    error: AilsrError | None = None


class Outputs:
    """Keeps what a run writes apart from what was there, and from what it has yet to read."""

    def __init__(self, sources: Iterable[Path], overwrite: bool = False) -> None:
        """``overwrite``: files that are none of the ``sources`` may be replaced."""
        self._sources = {identity(path) for path in sources} - {None}
        self._overwrite = overwrite
        self._written: set[Identity | None] = set()

    def check(self, source: Path, output: Path) -> None:
        """Raise UsageError where ``source`` must not be written to ``output``."""
        if (there := identity(output)) is None:
            return
        if there == identity(source):
            raise UsageError(f"{output} is the image itself: give another --output")
        if there in self._sources:
            raise UsageError(
                f"{output}, which {source} would become, is one of the images to upscale: give "
                "another --output"
            )
        if there in self._written:  # where upper and lower case are the same
            raise UsageError(f"{output} was written for another image: rename {source}")
        if not self._overwrite:
            raise UsageError(
                f"{output} exists: give another --output, or --overwrite to replace it"
            )

    def wrote(self, output: Path) -> None:
        """``output`` is of this run from now on."""
        self._written.add(identity(output))


def plan_folder(jobs: Sequence[Job], folder: Path, scale: int, outputs: Outputs) -> list[Job]:
    """``jobs`` with ``<stem>_x<scale>.png`` in ``folder`` as outputs, where that can be.

    Those that share a stem (a.jpg, a.png) keep their endings: a.jpg_x2.png, a.png_x2.png.
    """
    taken: dict[str, Path] = {}
    stems = unless_shared([job.source.stem for job in jobs], [job.source.name for job in jobs])

    def planned(job: Job, stem: str) -> Job:
        output = folder / f"{stem}_x{scale}.png"
        try:
            if (other := taken.setdefault(output.name, job.source)) is not job.source:
                raise UsageError(
                    f"{job.source} would become {output}, like {other}: upscale it on its own"
                )
            outputs.check(job.source, output)
        except UsageError as error:
            return Job(job.source, error=error)
        return Job(job.source, output)

    return [job if job.error else planned(job, stem) for job, stem in zip(jobs, stems, strict=True)]


def identity(path: Path) -> Identity | None:
    """The identity of the file at ``path``, whatever its name; None: there is no file."""
    try:
        found = path.stat()
    except OSError:
        try:
            found = path.lstat()  # a link that leads nowhere is not to be replaced either
        except OSError:
            return None
    return found.st_dev, found.st_ino
