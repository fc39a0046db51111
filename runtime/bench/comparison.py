"""Two reports of the harness side by side: what got faster, slower, better or worse.

A latency has changed when the 95 % confidence intervals of the two medians do not overlap; what
lies within them is noise.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from ailsr.runtime import documents, json_lines
from ailsr.runtime.bench.results import SCHEMA, SCHEMA_VERSION, check_document
from ailsr.runtime.errors import UsageError
from ailsr.runtime.names import unless_shared
from ailsr.runtime.probe import Fidelity

Verdict = Literal["faster", "slower", "same", "unknown"]
_Z = 1.96  # standard deviations that hold 95 % of a normal distribution


@dataclass(frozen=True)
class Change:
    """One file in both reports; None where either lacks the figure."""

    file: str
    before_ms: float | None = None
    """Median of the whole path."""
    after_ms: float | None = None
    ratio: float | None = None
    """after / before"""
    ratio_low: float | None = None
    """The ratio lies between this and ``ratio_high`` if both medians lie in their intervals."""
    ratio_high: float | None = None
    psnr_change_db: float | None = None
    psnr_lost: bool = False
    """The earlier report has a PSNR and the later one has none."""
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
        changes = [_change(name, old[name], new[name]) for name in new if name in old]
        caveats = _caveats(before, after)
    except (KeyError, TypeError, AttributeError, ZeroDivisionError) as error:
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


def _by_name(files: Sequence[Mapping[str, Any]]) -> dict[str, Mapping[str, Any]]:
    """Files by name, or by path where two share a name."""
    paths = [str(file["file"]) for file in files]
    return dict(zip(unless_shared([Path(p).name for p in paths], paths), files, strict=True))


def _change(name: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> Change:
    if new["error"] or old["error"]:
        return Change(name, error=new["error"], failed_before=bool(old["error"]))
    figures: dict[str, Any] = {"size_change_bytes": new["size_bytes"] - old["size_bytes"]}
    if old["whole_path"] and new["whole_path"]:
        (a_low, a, a_high), (b_low, b, b_high) = (_median(f["whole_path"]) for f in (old, new))
        figures |= {"before_ms": a, "after_ms": b, "ratio": b / a}
        figures |= {"ratio_low": b_low / a_high, "ratio_high": b_high / a_low}
    if old["peak_memory_bytes"] and new["peak_memory_bytes"]:
        figures["memory_change_bytes"] = new["peak_memory_bytes"] - old["peak_memory_bytes"]
    psnr, psnr_before = ((file["quality"] or {}).get("psnr_db") for file in (new, old))
    if psnr is not None and psnr_before is not None:
        figures["psnr_change_db"] = psnr - psnr_before
    figures["psnr_lost"] = bool(old["quality"]) and not new["quality"]
    figures["fidelity_before"], figures["fidelity_after"] = map(_fidelity, (old, new))
    return Change(name, **figures)


def _fidelity(file: Mapping[str, Any]) -> str | None:
    found = file.get("fidelity")
    return found and str(Fidelity(found["verdict"], found["levels"]))


def _median(latency: Mapping[str, Any]) -> tuple[float, float, float]:
    """(low, median, high); for reports without the interval, that of a normal distribution."""
    p50 = latency["p50_ms"]
    half = math.sqrt(math.pi / 2) * _Z * latency["sd_ms"] / math.sqrt(latency["n"])
    low = latency.get("p50_low_ms", max(p50 - half, 1e-6))
    return low, p50, latency.get("p50_high_ms", p50 + half)


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
        )
    ]
    caveats = [f"another {name}: {old} and {new}" for name, old, new in pairs if old != new]
    for which, report in (("first", before), ("second", after)):
        load, cores = report["host"].get("load_average"), report["host"]["cores"]
        if load is not None and load > 0.5 * cores:
            caveats.append(f"the machine was busy in the {which} report: load {load:g}")
    return caveats
