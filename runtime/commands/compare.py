"""``ailsr-bench compare``: what got faster or worse between two reports."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated, Any

import typer

from ailsr.runtime.bench.comparison import Change, Comparison, compare, load_report
from ailsr.runtime.bench.table import ABSENT, NOT_KNOWN, milliseconds
from ailsr.runtime.commands.command import entry_point, message, print_json, stdout
from ailsr.runtime.commands.command import print_table as draw_table
from ailsr.runtime.errors import EngineError, UndecidedError, UsageError
from ailsr.runtime.imaging.metrics import ALWAYS, METRICS, Metric, MetricName, metric_name
from ailsr.runtime.imaging.no_reference import FIGURES, Figure

NO_DROPS: Mapping[MetricName, float] = {}


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
        list[str],
        typer.Option(
            "--fail-on-drop",
            "--fail-on-loss",
            help="Fail when a file lost more than so many dB of PSNR, or, with the name of another "
            "metric, so much of that: ssim=0.002. Repeatable.",
            metavar="[METRIC=]N",
            show_default=False,
        ),
    ] = field(default_factory=list)
    json: Annotated[bool, typer.Option("--json", help="Print one JSON document, no table.")] = False


def main(config: CompareConfig) -> None:
    """Print the comparison; raise EngineError when it fails the conditions."""
    drops = parse_drops(config.fail_on_drop)
    comparison = compare(load_report(config.before, message), load_report(config.after, message))
    if config.json:
        print_json(as_document(comparison), indent=2)
    else:
        print_table(comparison)
    judge(comparison, config.fail_on_slower, drops)


def parse_drops(texts: Sequence[str]) -> dict[MetricName, float]:
    """The largest drop allowed, by metric. Raises UsageError."""
    drops: dict[MetricName, float] = {}
    for text in texts:
        name, _, number = text.rpartition("=")
        try:
            drop = float(number)
        except ValueError:
            drop = -1
        if not drop >= 0:
            raise UsageError(f"--fail-on-drop {text}: give a number, 0 or more, or METRIC=N")
        drops[metric_name(name or "psnr")] = drop
    return drops


def as_document(comparison: Comparison) -> dict[str, Any]:
    """The comparison for JSON."""
    document = asdict(comparison)
    for entry, change in zip(document["changes"], comparison.changes, strict=True):
        del entry["score_changes"], entry["scores_lost"]
        for name, metric in METRICS.items():
            base, _, unit = metric.key.partition("_")
            key = "_".join(filter(None, (base, "change", unit)))
            if name in change.score_changes or name in ALWAYS:
                entry[key] = change.score_changes.get(name)
            if name in change.scores_lost or name in ALWAYS:
                entry[f"{name}_lost"] = name in change.scores_lost
        entry["verdict"] = change.verdict
    return document


def judge(
    comparison: Comparison, slower: float | None, drops: Mapping[MetricName, float] = NO_DROPS
) -> None:
    """Raise EngineError when the comparison fails the conditions, UndecidedError when it is too
    noisy to tell."""
    if reasons := failures(comparison, slower, drops):
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


def failures(
    comparison: Comparison, slower: float | None, drops: Mapping[MetricName, float] = NO_DROPS
) -> list[str]:
    """Why a build should fail, one phrase for each file and condition."""
    reasons = []
    judged = slower is not None or bool(drops)
    for change in comparison.changes:
        percent = None if change.ratio is None else 100 * (change.ratio - 1)
        if change.error and not change.failed_before and judged:
            reasons.append(f"{change.file} could not be measured: {change.error}")
        if slower is not None and _is_slower(change, slower):
            reasons.append(f"{change.file} is {percent:.1f} % slower (limit {slower:g} %)")
        for name, limit in drops.items():
            metric = METRICS[name]
            unit = metric.unit or metric.title
            drop = metric.gain(0, change.score_changes.get(name, 0))
            if drop > limit:
                shown = f"{drop:.{metric.digits + 1}f}"
                reasons.append(f"{change.file} lost {shown} {unit} (limit {limit:g} {unit})")
            if name in change.scores_lost and not change.error:
                how = f"--images --metric {name}" if metric.package else "--images"
                how = "--video CLIP" if metric.of_video else how
                reasons.append(
                    f"{change.file} has no {metric.title} any more: measure it with {how}"
                )
    if judged:
        reasons += [f"{name} is not in the later report" for name in comparison.only_before]
    return reasons


def _is_slower(change: Change, percent: float) -> bool:
    late = change.ratio is not None and 100 * (change.ratio - 1) > percent
    return late and change.verdict == "slower" and change.decides(percent)


def print_table(comparison: Comparison) -> None:
    """One line per file; the interval is that of the ratio of the medians."""
    headers = ["file", "before\nms", "after\nms", "change\n%", "99 % interval\n%", "verdict"]
    colors = {"slower": "red", "faster": "green"}
    changed = {name for change in comparison.changes for name in _all_changes(change)}
    every: list[tuple[str, Metric | Figure]] = [*METRICS.items(), *FIGURES.items()]
    metrics = {name: column for name, column in every if name in (changed or ALWAYS)}
    headers += [f"{column.title}\n{column.unit}" for column in metrics.values()]
    draw_table(
        [*headers, "memory\nMB", "size\nkB"],
        [_cells(change, metrics) for change in comparison.changes],
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


def _all_changes(change: Change) -> dict[str, float]:
    return dict([*change.score_changes.items(), *change.no_reference_changes.items()])


def _cells(change: Change, metrics: Mapping[str, Metric | Figure]) -> list[str]:
    if change.ratio is None or change.before_ms is None or change.after_ms is None:
        latency = [ABSENT] * 5
    else:
        latency = [milliseconds(change.before_ms), milliseconds(change.after_ms)]
        latency += [_signed(100 * (change.ratio - 1), 1), _interval(change), change.verdict]
    changes = _all_changes(change)
    memory, size = change.memory_change_bytes, change.size_change_bytes
    return [
        change.file,
        *latency,
        *(
            _signed(changes[name], column.digits + 1) if name in changes else ABSENT
            for name, column in metrics.items()
        ),
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
