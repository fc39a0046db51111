"""What ``ailsr-bench`` prints: the figures that decide; all of them are in its JSON and HTML."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from operator import attrgetter

from rich.text import Text

from ailsr.runtime.bench import findings
from ailsr.runtime.bench.results import Results
from ailsr.runtime.bench.table import ABSENT, NOT_MEASURABLE, Row, count, rows
from ailsr.runtime.commands.command import print_table as draw_table
from ailsr.runtime.commands.command import stdout

MOST_BESIDE = 3
"""Metrics that stand beside the latencies; more have a table of their own."""


def print_table(results: Results) -> None:
    """The figures that decide, then what they are made of; tables are at most 100 columns wide."""
    lines = rows(results)
    for warning in findings.infidelities(results):
        stdout.print(f"warning: {warning}", style="red", soft_wrap=True)
    numbers = ["size\nkB", "load\nms", "inference ms\n p50  p90  p99", "whole path\n p50  p90"]
    metrics = list(results.shown.values()) if results.images else []
    titles = [f"{metric.title}\n{metric.unit}" for metric in metrics]
    numbers += ["frames\nper s", "memory\nMB"]
    if beside := len(titles) <= MOST_BESIDE:
        numbers += titles
    draw_table(
        ["file", *numbers],
        [_cells(row)[: 1 + len(numbers)] for row in lines],
        styles=["red" if row.failed else None for row in lines],
    )
    stdout.print()
    if not beside:
        draw_table(["file", *titles], [[row.name, *row.scores] for row in lines])
        stdout.print()
    if any(row.parts_ms for row in lines):
        _print_parts(lines, results.baseline is not None)
        stdout.print()
    for row in lines:
        if row.failed:
            stdout.print(f"{row.name} failed: {row.why_no_latency}", soft_wrap=True)
    for note in _notes(results):
        stdout.print(note, soft_wrap=True)


def _print_parts(lines: Sequence[Row], with_ratio: bool) -> None:
    """What an image's way from file to file is made of, and what computed it."""
    columns: dict[str, Callable[[Row], str]] = {
        "decode\nms": lambda row: row.parts_ms[0],
        "tile\nms": lambda row: row.parts_ms[1],
        "convert\nms": lambda row: row.parts_ms[2],
        "infer\nms": lambda row: row.parts_ms[3],
        "encode\nms": lambda row: row.parts_ms[4],
    }
    if with_ratio:
        columns["whole path,\nratio (95 %)"] = lambda row: row.ratio
    columns["operators\nby backend"] = attrgetter("ran_on")
    columns["fidelity"] = attrgetter("fidelity")
    for header, name in (("energy\nmJ", "energy_mj"), ("slowed\n%", "slowdown")):
        if any(getattr(row, name) != ABSENT for row in lines):
            columns[header] = attrgetter(name)
    draw_table(
        ["file", *columns],
        [[row.name, *(write(row) for write in columns.values())] for row in lines if row.parts_ms],
    )


def _cells(row: Row) -> list[str | Text]:
    inference, whole = row.inference, row.whole_path
    why, rest = "failed" if row.failed else row.why_no_latency, ABSENT
    if row.why_no_latency == NOT_MEASURABLE:  # across both columns
        why, _, rest = NOT_MEASURABLE.rpartition(" ")
    return [
        row.name,
        row.size_kb,
        row.load_ms,
        f"{inference.p50} {inference.p90} {inference.p99}" if inference else why,
        Text(f"{whole.p50} {whole.p90}") if whole else Text(stdout.clean(rest), justify="left"),
        row.frames_per_second,
        row.memory_mb,
        *row.scores,
    ]


def _notes(results: Results) -> list[str]:
    """What the tables' figures mean, one line each."""
    host, files = results.host, results.measured
    cores = f" (--cores {results.cores})" if results.cores else ""
    governor = f", governor {host.governor}" if host.governor else ""
    several = f"{results.processes} processes a file; " if results.processes > 1 else ""
    notes = [
        f"{host.cpu}, {host.cores} cores{governor}; {count(results.threads, 'thread')}{cores}; "
        + several
        + ", ".join(sorted({file.engine for file in files}))
    ]
    if results.baseline:
        notes.append(f"ratios are to {results.short_name(results.baseline)}, run side by side")
    if results.judged:
        notes.append(results.judged)
    notes += [*findings.choices(results), *findings.fallbacks(results)]
    if results.unsteady:
        names = ", ".join(results.unsteady)
        notes.append(f"latency had not settled when measuring began: {names}")
    return [*notes, *findings.noise(results)]
