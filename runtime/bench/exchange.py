"""Results for other programs and papers: CSV, Markdown, and a history of JSON lines."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Sequence
from dataclasses import astuple, fields
from pathlib import Path

from ailsr.runtime import json_lines
from ailsr.runtime.bench.latency import Latency
from ailsr.runtime.bench.measurement import Measurement
from ailsr.runtime.bench.path_parts import Parts
from ailsr.runtime.bench.report_document import to_document
from ailsr.runtime.bench.results import Results
from ailsr.runtime.bench.table import ABSENT, rows
from ailsr.runtime.files import atomic_output

_MARKUP = re.compile(r"[|\\`\[\]]")
_LATENCY = ("n", "p50_ms", "p50_low_ms", "p50_high_ms", "p90_ms", "p99_ms", "mean_ms", "sd_ms")
_PARTS = [part.name for part in fields(Parts)]


def write_csv(results: Results, path: Path) -> None:
    """One line per file, unrounded, empty where there is no figure; whole or not at all.

    Images without a truth have lines of their own, for what they are before.
    """
    plain = ["file", "engine", "network", "precision", "scale", "threads", "size_bytes", "load_ms"]
    plain += ["first_run_ms", "peak_memory_bytes", "delegate"]
    header = [*plain, "input_height", "input_width"]
    header += [f"{part}_{name}" for part in ("inference", "whole_path") for name in _LATENCY]
    header += [*_PARTS, "ratio", "ratio_low", "ratio_high", "fidelity", "joules_per_inference"]
    text = io.StringIO(newline="")
    table = csv.writer(text, lineterminator="\n")
    metrics = {name: column.key for name, column in results.shown.items()}
    table.writerow([*header, *metrics.values(), "error"])

    def add(cells: Sequence[object]) -> None:
        table.writerow([_harmless(cell) for cell in cells])

    for file in results.files:
        if isinstance(file, Measurement):
            ratio, energy = file.ratio, file.energy
            add(
                [
                    *(getattr(file, name) for name in plain),
                    *file.input_size,
                    *_latency(file.inference),
                    *_latency(file.whole_path),
                    *(astuple(file.parts) if file.parts else [None] * len(_PARTS)),
                    *((ratio.ratio, ratio.low, ratio.high) if ratio else [None] * 3),
                    file.fidelity and str(file.fidelity),
                    energy and energy.joules_per_inference,
                    *map(file.scores.get, metrics),
                    None,
                ]
            )
        else:
            add([file.file, *[None] * (len(header) - 1 + len(metrics)), file.error])
    for (name, scale), found in results.before.items():
        cells = {"file": name, "scale": scale}
        add([*map(cells.get, header), *map(found.figures.get, metrics), None])
    _write(path, text.getvalue())


def write_markdown(results: Results, path: Path) -> None:
    """The table that the terminal shows, for a pull request; whole or not at all."""
    header = ["file", "size, kB", "inference p50 / p90, ms", "whole path p50 / p90, ms"]
    metrics = list(results.shown.values()) if results.images else []
    header += ["memory, MB", *(", ".join(filter(None, (m.title, m.unit))) for m in metrics)]
    lines = [header, ["---", *["--:"] * (len(header) - 1)]]
    for row in rows(results):
        latencies = [
            f"{cells.p50.strip()} / {cells.p90.strip()}" if cells else ABSENT
            for cells in (row.inference, row.whole_path)
        ]
        if row.failed:
            latencies = [f"failed: {row.why_no_latency}", ABSENT]
        cells = [row.name, row.size_kb, *latencies, row.memory_mb]
        lines.append([*cells, *row.scores[: len(metrics)]])
    host = results.host
    how = f"{host.cpu}, {host.cores} cores, {results.threads} threads"
    if results.judged:
        how += f"; {results.judged}"
    table = ["| " + " | ".join(map(_in_markdown, line)) + " |" for line in lines]
    _write(path, "\n".join([*table, "", _in_markdown(how), ""]))


WRITERS: dict[str, Callable[[Results, Path], None]] = {
    "csv": write_csv,
    "markdown": write_markdown,
    "history": lambda results, path: json_lines.append(path, to_document(results), durable=True),
}
"""By the option of ``ailsr-bench`` that names the file."""


def _in_markdown(text: str) -> str:
    """``text`` in one line, in which nothing is markup."""
    return _MARKUP.sub(r"\\\g<0>", " ".join(text.split())).replace("<", "&lt;")


def _harmless(cell: object) -> object:
    """``cell``, a text so that a spreadsheet does not take it for a formula."""
    if isinstance(cell, str) and cell.lstrip().startswith(("=", "+", "-", "@")):
        return f"'{cell}"
    return cell


def _latency(latency: Latency | None) -> list[float | None]:
    return [getattr(latency, name) if latency else None for name in _LATENCY]


def _write(path: Path, text: str) -> None:
    with atomic_output(path) as temporary:
        # Names of files need not be UTF-8.
        temporary.write_text(text, encoding="utf-8", errors="backslashreplace", newline="")
