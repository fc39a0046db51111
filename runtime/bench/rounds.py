"""Every file in several fresh processes, one after the other: what differs between processes.

Two processes that run the same file differ: in the layout of their memory, the moment they were
started at, the cores they got. One process knows nothing of it, so its own interval is too narrow.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial

from ailsr.runtime.bench import process, reference
from ailsr.runtime.bench.latency import BLOCKS, Latency, Ratio
from ailsr.runtime.bench.measurement import Failure, Measurement
from ailsr.runtime.bench.process import Round
from ailsr.runtime.bench.reference import Reference, ReferenceRequest
from ailsr.runtime.bench.request import Request
from ailsr.runtime.bench.system import Conditions, Noise
from ailsr.runtime.progress import Progress

PROCESSES = 5
"""Fresh processes for each file, unless told otherwise."""
MOST_PROCESSES = 20
"""When a comparison goes on until it is precise enough."""


@dataclass(frozen=True)
class Measured:
    """Files after all their rounds, in the order of the requests."""

    files: list[Measurement | Failure]
    reference: Reference | None
    """None: no file could be timed."""
    processes: int
    """Rounds that it took."""


def measure_in_rounds(
    groups: Sequence[Sequence[Request]],
    progress: Sequence[Progress],
    processes: int = PROCESSES,
    enough: Callable[[Sequence[Measurement | Failure]], bool] = lambda files: True,
) -> Measured:
    """The figures of the files of ``groups``, each in ``processes`` processes.

    A round measures every file once; the files of a group take turns, with the ratio to the
    group's first. After ``processes`` rounds there are more, up to ``MOST_PROCESSES``, until
    ``enough`` says so of all that is known. ``progress`` has one receiver for each file.
    """
    requests = [request for group in groups for request in group]
    rounds: list[list[Measurement | Failure]] = []
    references: list[Latency] = []
    while len(rounds) < processes or (len(rounds) < MOST_PROCESSES and not enough(_all(rounds))):
        number, of = len(rounds), max(processes, len(rounds) + 1)
        told = [partial(_in_round, receiver, number, of) for receiver in progress]
        found: list[Measurement | Failure] = []
        for group in filter(None, groups):
            measured = _round(group, processes, rounds, len(found), told[len(found) :])
            found += measured.files
            references += measured.references
        rounds.append(found)
    if not references:
        return Measured(_all(rounds), None, len(rounds))
    name = reference.name(requests[0].threads or 1)
    known = Reference(name, Latency.of_processes(references))
    return Measured(_all(rounds), known, len(rounds))


def _round(
    group: Sequence[Request],
    processes: int,
    rounds: Sequence[Sequence[Measurement | Failure]],
    start: int,
    progress: Sequence[Progress],
) -> Round:
    """One round of a group whose first file is the ``start``-th of all; what has failed in the
    first is not tried again."""
    share = [
        replace(
            request,
            runs=-(-request.runs // processes),
            seconds=request.seconds / processes,
            blocks=-(-BLOCKS // processes),
        )
        for request in group
    ]
    asked = ReferenceRequest(group[0].threads or 1, group[0].cores)
    if not rounds:
        return process.measure_side_by_side(share, progress, background=asked)
    before = rounds[0][start : start + len(group)]
    again = [
        n for n, file in enumerate(before) if isinstance(file, Measurement) and file.whole_path
    ]
    if not again:
        return Round(list(before), [])
    repeated = process.measure_side_by_side(
        [replace(share[n], images=None, sustained_minutes=0.0, only_latency=True) for n in again],
        [progress[n] for n in again],
        background=asked,
    )
    files = list(before)
    for n, file in zip(again, repeated.files, strict=True):
        files[n] = file
    return Round(files, repeated.references)


def _in_round(
    progress: Progress, number: int, rounds: int, what: str, done: float, of: float
) -> None:
    """Tell ``progress`` how far a file is in round ``number`` of ``rounds``."""
    note = f"{what} ({number + 1} of {rounds})" if rounds > 1 else what
    progress(note, number + done / of, rounds)


def _all(rounds: Sequence[Sequence[Measurement | Failure]]) -> list[Measurement | Failure]:
    return [merged(files) for files in zip(*rounds, strict=True)]


def merged(rounds: Sequence[Measurement | Failure]) -> Measurement | Failure:
    """One file's figures from each of its processes as one; of two that disagree, the worse."""
    for number, file in enumerate(rounds, 1):
        if isinstance(file, Failure):
            where = "" if number == 1 else f"in process {number} of {len(rounds)}: "
            return Failure(file.file, f"{where}{file.error}")
    files = [file for file in rounds if isinstance(file, Measurement)]
    first = files[0]
    if len(files) == 1 or not (first.whole_path and first.inference):
        return first
    ratios = [file.ratio for file in files if file.ratio]
    return replace(
        first,
        load_ms=_median(file.load_ms for file in files),
        first_run_ms=_median(file.first_run_ms for file in files),
        inference=Latency.of_processes([f.inference for f in files if f.inference]),
        whole_path=Latency.of_processes([f.whole_path for f in files if f.whole_path]),
        engine_memory_bytes=_most(file.engine_memory_bytes for file in files),
        peak_memory_bytes=_most(file.peak_memory_bytes for file in files),
        fidelity=max(
            (file.fidelity for file in files if file.fidelity),
            key=lambda found: found.levels,
            default=None,
        ),
        to_reference=tuple(x for file in files for x in file.to_reference or ()) or None,
        ratio=Ratio.of_processes(ratios) if ratios else None,
        conditions=_conditions([file.conditions for file in files if file.conditions]),
        noise=_noise([file.noise for file in files if file.noise]),
    )


def _median(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return statistics.median(known) if known else None


def _most(values: Iterable[int | None]) -> int | None:
    return max((value for value in values if value is not None), default=None)


def _conditions(found: Sequence[Conditions]) -> Conditions | None:
    """From before the first process to after the last."""
    if not found:
        return None
    during = [each.during for each in found if each.during]
    return Conditions.of(found[0].before, during, found[-1].after)


def _noise(found: Sequence[Noise]) -> Noise | None:
    """Shares of the processor as means, since the processes take about as long."""
    if not found:
        return None
    preemptions = [noise.preemptions for noise in found if noise.preemptions is not None]
    return Noise(
        _mean(noise.steal_percent for noise in found),
        _mean(noise.others_percent for noise in found),
        sum(preemptions) if preemptions else None,
    )


def _mean(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return round(statistics.fmean(known), 2) if known else None
