"""``ailsr-bench compare``: what got faster or worse between two reports."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from ailsr.runtime.bench.comparison import Change, Comparison, compare, load_report
from ailsr.runtime.bench.table import ABSENT, NOT_KNOWN, milliseconds
from ailsr.runtime.commands.command import entry_point, message, print_json, stdout
from ailsr.runtime.commands.command import print_table as draw_table
from ailsr.runtime.errors import EngineError, UndecidedError


@dataclass(frozen=True)
class CompareConfig:
    """Compare two reports of ailsr-bench --json, file by file.

    A latency counts as changed when the 99 % confidence interval of its ratio leaves out 1. The
    interval holds the spread of the processes that each file was measured in, and what the machine
    itself has changed by, as the reference workload tells. Files are matched by name. With the
    --fail-on options the exit code is 1 when a file got that much worse, so that a build can fail
    on it, and 3 when the reports are too noisy to tell. A build does better with ailsr-bench NEW
    --against OLD, which measures both in one run.

    Examples:

    ailsr-bench compare before.json after.json

    ailsr-bench compare main.json branch.json --fail-on-slower 5 --fail-on-drop 0.05
    """

    before: Annotated[
        Path, typer.Argument(help="Report, or a history (.jsonl): its last.", metavar="BEFORE")
    ]
    after: Annotated[Path, typer.Argument(help="The later report.", metavar="AFTER")]
    fail_on_slower: Annotated[
        float | None,
        typer.Option(
            min=0,
            help="Fail when a file's median is more than so many percent slower, beyond the noise, "
            "or a file could not be measured any more; exit code 3 when the noise is larger. 0: "
            "when it is slower beyond the noise, however large that is.",
            metavar="PERCENT",
        ),
    ] = None
    fail_on_drop: Annotated[
        float | None,
        typer.Option(
            "--fail-on-drop",
            "--fail-on-loss",
            min=0,
            help="Fail when a file lost more than so many dB of PSNR.",
            metavar="DB",
        ),
    ] = None
    json: Annotated[bool, typer.Option("--json", help="Print one JSON document, no table.")] = False


def main(config: CompareConfig) -> None:
    """Print the comparison; raise EngineError when it fails the conditions."""
    comparison = compare(load_report(config.before, message), load_report(config.after, message))
    if config.json:
        print_json(as_document(comparison), indent=2)
    else:
        print_table(comparison)
    judge(comparison, config.fail_on_slower, config.fail_on_drop)


def as_document(comparison: Comparison) -> dict[str, Any]:
    """The comparison for JSON."""
    document = asdict(comparison)
    for entry, change in zip(document["changes"], comparison.changes, strict=True):
        entry["verdict"] = change.verdict
    return document


def judge(comparison: Comparison, slower: float | None, loss: float | None) -> None:
    """Raise EngineError when the comparison fails the conditions, UndecidedError when it is too
    noisy to tell."""
    if reasons := failures(comparison, slower, loss):
        raise EngineError("; ".join(reasons))
    if slower is not None and (open_ := undecided(comparison, slower)):
        raise UndecidedError(
            f"cannot be told to {slower:g} %: {'; '.join(open_)}: measure on a quieter machine, "
            "with more --processes, or both in one run, ailsr-bench NEW --against OLD"
        )


def undecided(comparison: Comparison, percent: float) -> list[str]:
    """The files of which it cannot be told whether they became slower by more than ``percent``."""
    return [
        f"{change.file}, {_interval(change)} %"
        for change in comparison.changes
        if not change.error and change.ratio is not None and not change.decides(percent)
    ]


def failures(comparison: Comparison, slower: float | None, loss: float | None) -> list[str]:
    """Why a build should fail, one phrase for each file and condition."""
    reasons = []
    for change in comparison.changes:
        percent = None if change.ratio is None else 100 * (change.ratio - 1)
        if change.error and not change.failed_before and (slower, loss) != (None, None):
            reasons.append(f"{change.file} could not be measured: {change.error}")
        if slower is not None and _is_slower(change, slower):
            reasons.append(f"{change.file} is {percent:.1f} % slower (limit {slower:g} %)")
        if loss is not None and -(change.psnr_change_db or 0) > loss:
            reasons.append(
                f"{change.file} lost {-(change.psnr_change_db or 0):.3f} dB (limit {loss:g} dB)"
            )
        if loss is not None and change.psnr_lost and not change.error:
            reasons.append(f"{change.file} has no PSNR any more: measure it with --images")
    if (slower, loss) != (None, None):
        reasons += [f"{name} is not in the later report" for name in comparison.only_before]
    return reasons


def _is_slower(change: Change, percent: float) -> bool:
    late = change.ratio is not None and 100 * (change.ratio - 1) > percent
    return late and change.verdict == "slower" and change.decides(percent)


def print_table(comparison: Comparison) -> None:
    """One line per file; the interval is that of the ratio of the medians."""
    headers = ["file", "before\nms", "after\nms", "change\n%", "99 % interval\n%", "verdict"]
    colors = {"slower": "red", "faster": "green"}
    draw_table(
        [*headers, "PSNR\ndB", "memory\nMB", "size\nkB"],
        [_cells(change) for change in comparison.changes],
        styles=[colors.get(change.verdict) for change in comparison.changes],
    )
    stdout.print()
    notes = [f"{c.file} could not be measured: {c.error}" for c in comparison.changes if c.error]
    notes += [
        f"{change.file}: fidelity was {change.fidelity_before or NOT_KNOWN}, is "
        f"{change.fidelity_after or NOT_KNOWN}"
        for change in comparison.changes
        if change.fidelity_before != change.fidelity_after and not change.error
    ]
    if comparison.only_before:
        notes.append(f"only before: {', '.join(comparison.only_before)}")
    if comparison.only_after:
        notes.append(f"only after: {', '.join(comparison.only_after)}")
    for note in [*notes, *comparison.caveats]:
        stdout.print(note, soft_wrap=True)


def _cells(change: Change) -> list[str]:
    if change.ratio is None or change.before_ms is None or change.after_ms is None:
        latency = [ABSENT] * 5
    else:
        latency = [milliseconds(change.before_ms), milliseconds(change.after_ms)]
        latency += [_signed(100 * (change.ratio - 1), 1), _interval(change), change.verdict]
    memory, size = change.memory_change_bytes, change.size_change_bytes
    return [
        change.file,
        *latency,
        ABSENT if change.psnr_change_db is None else _signed(change.psnr_change_db, 3),
        ABSENT if memory is None else _signed(memory / 1e6, 0),
        ABSENT if size is None else _signed(size / 1e3, 1),
    ]


def _interval(change: Change) -> str:
    """Of the change in percent: ``-1.2 to +3.4``."""
    if change.ratio_low is None:
        return ABSENT
    low, high = (100 * ((ratio or 0) - 1) for ratio in (change.ratio_low, change.ratio_high))
    return f"{_signed(low, 1)} to {_signed(high, 1)}"


def _signed(value: float, decimals: int) -> str:
    return f"{value:+.{decimals}f}"


cli = entry_point(CompareConfig, main)
