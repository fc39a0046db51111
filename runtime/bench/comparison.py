"""Files before and after a change: faster, slower, better or worse, and by how much.

Before and after are two reports, or two files that took turns in one (``ailsr-bench NEW --against
OLD``). A latency has changed when the 99 % confidence interval of after / before leaves out 1:

- in one run, by the spread of the ratio from one pair of processes to the next;
- between two runs of one machine, by the spread of each file's processes, relative to the reference
  workload that took turns with them. A file does not feel the load of a machine exactly as the
  reference does, so the interval grows with what the reference itself has changed by;
- where nothing can be said of the machine (another machine, a phone, an older report), latencies
  of an unchanged file were seen to differ by up to 30 % from one run to the next: what is less is
  no change.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from ailsr.runtime import documents, json_lines
from ailsr.runtime.bench.intervals import (
    LEVEL,
    decides,
    geometric_mean,
    mean_interval,
    ratio_reach,
)
from ailsr.runtime.bench.report_document import (
    SCHEMA,
    SCHEMA_VERSION,
    check_document,
    read_figures,
    read_scores,
)
from ailsr.runtime.errors import UsageError
from ailsr.runtime.imaging.metrics import MetricName
from ailsr.runtime.imaging.no_reference import Figures
from ailsr.runtime.names import unless_shared
from ailsr.runtime.probe import Fidelity

Verdict = Literal["faster", "slower", "same", "unknown"]
SHARE = 0.1
"""Of the change of the reference workload: what a file's change may deviate from it."""
BETWEEN_RUNS = 1.3
"""Ratio of latencies of an unchanged file, minutes apart, with nothing to compare them by."""
FLOOR = 0.02
"""Of the logarithm of a ratio between two runs: what no number of processes within a run shows."""


@dataclass(frozen=True)
class Change:
    """One file in both reports; None where either lacks the figure."""

    file: str
    before_ms: float | None = None
    """Median of the whole path."""
    after_ms: float | None = None
    ratio: float | None = None
    """after / before, the state of the machine taken out where it is known"""
    ratio_low: float | None = None
    """With ``ratio_high`` the 99 % confidence interval."""
    ratio_high: float | None = None
    score_changes: Mapping[MetricName, float] = field(default_factory=dict)
    """after - before, of the metrics that both reports have"""
    no_reference_changes: Figures = field(default_factory=dict)
    """after - before, of the figures of images without a truth"""
    scores_lost: tuple[MetricName, ...] = ()
    """Metrics of the earlier report that the later one has not."""
    memory_change_bytes: int | None = None
    size_change_bytes: int | None = None
    fidelity_before: str | None = None
    """exact, within N levels or wrong (N levels); None: not known."""
    fidelity_after: str | None = None
    error: str | None = None
    """Why the file could not be measured in the later report."""
    failed_before: bool = False
    """Nor could it in the earlier one."""

    @property
    def verdict(self) -> Verdict:
        """Whether the latency has changed beyond the noise."""
        if self.ratio_low is None or self.ratio_high is None:
            return "unknown"
        return "faster" if self.ratio_high < 1 else "slower" if self.ratio_low > 1 else "same"

    def decides(self, percent: float) -> bool:
        """As ``decides`` of its interval; False without one."""
        if self.ratio_low is None or self.ratio_high is None:
            return False
        return decides((self.ratio_low, self.ratio_high), percent)


@dataclass(frozen=True)
class Comparison:
    """What two reports have in common, and what makes them hard to compare."""

    changes: list[Change]
    only_before: list[str]
    only_after: list[str]
    caveats: list[str]
    """Differences of machine or settings, one line each."""


def load_report(path: Path, tell: Callable[[str], None] = lambda text: None) -> dict[str, Any]:
    """The report at ``path``; of a history (.jsonl) the last.

    ``tell`` is told of lines of a history that are broken, and left out. Raises UsageError where
    there is no report.
    """
    try:
        if path.suffix == ".jsonl":
            lines = json_lines.read(path)
            if lines.broken:
                tell(f"{path}: {lines.broken} of its lines are broken, and left out")
            document = lines.values[-1] if lines.values else None
        else:
            document = documents.parse(documents.read_text(path))
    except FileNotFoundError:
        raise UsageError(f"no report at {path}: check the name") from None
    except (ValueError, OSError) as error:
        raise UsageError(
            f"{path} is no report ({error}): write one with ailsr-bench FILE... --json"
        ) from None
    if not isinstance(document, dict) or document.get("schema") != SCHEMA:
        raise UsageError(f"{path} is no report: write one with ailsr-bench FILE... --json")
    if document.get("schema_version") != SCHEMA_VERSION:
        raise UsageError(
            f"{path} has schema version {document.get('schema_version')}, this ailsr reads "
            f"{SCHEMA_VERSION}: measure again, or install the version that wrote it"
        )
    try:
        check_document(document)
    except ValueError as error:
        raise UsageError(f"{path} is a damaged report ({error}): measure again") from None
    return document


def compare(before: Mapping[str, Any], after: Mapping[str, Any]) -> Comparison:
    """The files of the two reports, matched by name, in the order of the later one.

    Raises UsageError when a report lacks what its schema asks for, or none has the same name.
    """
    try:
        old, new = _by_name(before["files"]), _by_name(after["files"])
        same = _reference(before) is not None and _reference(before) == _reference(after)
        changes = [_change(name, old[name], new[name], same) for name in new if name in old]
        caveats = _caveats(before, after)
    except (KeyError, TypeError, AttributeError, ZeroDivisionError, ValueError) as error:
        raise UsageError(
            f"a report is damaged ({type(error).__name__}: {error}): measure again"
        ) from None
    if not changes:
        raise UsageError(
            f"the reports have no file in common: {', '.join(old)} and {', '.join(new)}"
        )
    return Comparison(
        changes,
        [name for name in old if name not in new],
        [name for name in new if name not in old],
        caveats,
    )


def compare_pairs(report: Mapping[str, Any], pairs: Sequence[tuple[int, int]]) -> Comparison:
    """Files of one report, by their places (new, old), that took turns with each other."""
    files = report["files"]
    paths = [str(files[new]["file"]) for new, _ in pairs]
    names = unless_shared([Path(path).name for path in paths], paths)
    changes = [
        _change(name, files[old], files[new], together=True)
        for name, (new, old) in zip(names, pairs, strict=True)
    ]
    return Comparison(changes, [], [], [])


def _by_name(files: Sequence[Mapping[str, Any]]) -> dict[str, Mapping[str, Any]]:
    """Files by name, or by path where two share a name."""
    paths = [str(file["file"]) for file in files]
    return dict(zip(unless_shared([Path(p).name for p in paths], paths), files, strict=True))


def _reference(report: Mapping[str, Any]) -> tuple[str, str] | None:
    """What makes latencies of two reports comparable: the machine and its reference workload."""
    reference = report.get("reference")
    return reference and (report["host"]["cpu"], reference["name"])


def _change(
    name: str,
    old: Mapping[str, Any],
    new: Mapping[str, Any],
    same_reference: bool = False,
    together: bool = False,
) -> Change:
    if new["error"] or old["error"]:
        return Change(name, error=new["error"], failed_before=bool(old["error"]))
    figures: dict[str, Any] = {"size_change_bytes": new["size_bytes"] - old["size_bytes"]}
    if old["whole_path"] and new["whole_path"]:
        before, after = (file["whole_path"]["p50_ms"] for file in (old, new))
        figures |= {"before_ms": before, "after_ms": after}
        if together:
            ratio, reach = _side_by_side(new)
        else:
            ratio, reach = _between_runs(old, new, same_reference)
        figures["ratio"] = ratio
        if reach is not None:
            figures |= {"ratio_low": ratio / math.exp(reach), "ratio_high": ratio * math.exp(reach)}
    if old["peak_memory_bytes"] and new["peak_memory_bytes"]:
        figures["memory_change_bytes"] = new["peak_memory_bytes"] - old["peak_memory_bytes"]
    scores, scores_before = (read_scores(file["quality"] or {}) for file in (new, old))
    figures["score_changes"] = {
        name: score - scores_before[name]
        for name, score in scores.items()
        if name in scores_before and math.isfinite(score - scores_before[name])
    }
    figures["scores_lost"] = tuple(name for name in scores_before if name not in scores)
    found, found_before = (read_figures(file.get("no_reference") or {}) for file in (new, old))
    figures["no_reference_changes"] = {
        name: value - found_before[name]
        for name, value in found.items()
        if name in found_before and math.isfinite(value - found_before[name])
    }
    figures["fidelity_before"], figures["fidelity_after"] = map(_fidelity, (old, new))
    return Change(name, **figures)


def _fidelity(file: Mapping[str, Any]) -> str | None:
    found = file.get("fidelity")
    return found and str(Fidelity(found["verdict"], found["levels"]))


def _side_by_side(new: Mapping[str, Any]) -> tuple[float, float | None]:
    """The ratio to the file that took turns with ``new``, and half the interval of its logarithm;
    None: a single process does not tell."""
    each = new["ratio"]["processes"]
    if len(each) < 2:
        return new["ratio"]["ratio"], None
    low, high = mean_interval(each, LEVEL)
    return geometric_mean(each), math.log(high / low) / 2


def _between_runs(
    old: Mapping[str, Any], new: Mapping[str, Any], same_reference: bool
) -> tuple[float, float]:
    """The ratio of two runs, and half the interval of its logarithm."""
    raw = new["whole_path"]["p50_ms"] / old["whole_path"]["p50_ms"]
    before, after = (file.get("to_reference") or () for file in (old, new))
    if same_reference and min(len(before), len(after)) > 1 and min(*before, *after) > 0:
        ratio = geometric_mean(after) / geometric_mean(before)
        machine = abs(math.log(raw / ratio))
        return ratio, ratio_reach(before, after, LEVEL) + SHARE * machine + FLOOR
    halves = [_relative_half(file["whole_path"]) for file in (old, new)]
    return raw, math.log(BETWEEN_RUNS) + math.hypot(*halves)


def _relative_half(latency: Mapping[str, Any]) -> float:
    """Half the 95 % interval of a median, relative to it; of reports without the interval, that of
    a normal distribution."""
    p50: float = latency["p50_ms"]
    if "p50_low_ms" in latency:
        return float(latency["p50_high_ms"] - latency["p50_low_ms"]) / (2 * p50)
    sd: float = latency["sd_ms"]
    return 1.96 * math.sqrt(math.pi / 2) * sd / (math.sqrt(latency["n"]) * p50)


def _caveats(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    pairs = [
        (name, before[part].get(key), after[part].get(key))
        for name, part, key in (
            ("machine", "host", "cpu"),
            ("system", "host", "os"),
            ("frequency governor", "host", "governor"),
            ("threads", "settings", "threads"),
            ("choice of cores", "settings", "cores"),
            ("protocol", "settings", "protocol"),
            ("pictures", "settings", "images"),
            ("part of the video", "settings", "video_part"),
        )
    ]
    caveats = [f"another {name}: {old} and {new}" for name, old, new in pairs if old != new]
    for which, report in (("first", before), ("second", after)):
        load, cores = report["host"].get("load_average"), report["host"]["cores"]
        if load is not None and load > 0.5 * cores:
            caveats.append(f"the machine was busy in the {which} report: load {load:g}")
    medians = [(r.get("reference") or {}).get("latency", {}).get("p50_ms") for r in (before, after)]
    if _reference(before) is None or _reference(before) != _reference(after):
        caveats.append(
            "the reports share no reference workload: what is less than "
            f"{100 * (BETWEEN_RUNS - 1):.0f} % is no change; measure both files in one run, "
            "ailsr-bench NEW --against OLD"
        )
    elif all(medians):
        caveats.append(
            f"the reference workload took {medians[1] / medians[0]:.2f} times as long in the "
            "second report: changes are relative to it"
        )
    return caveats
