"""The file with the best image that fits into a budget of milliseconds."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from ailsr.runtime.bench.results import Results
from ailsr.runtime.bench.table import milliseconds
from ailsr.runtime.errors import BudgetError
from ailsr.runtime.imaging.metrics import Metric


@dataclass(frozen=True)
class Choice:
    """What the files of one scale offer within the budget."""

    scale: int
    file: str | None
    """The path of the best file of those that fit; None: none does."""
    score: float | None
    """Of that file, in the first metric."""
    p90_ms: float | None
    """Of the whole path: of that file, or of the fastest when none fits."""
    fastest: str
    """The path of the file with the least p90."""


def choices(results: Results, budget_ms: float) -> list[Choice]:
    """A choice for each scale, the least first; scores of different scales cannot be compared.

    A file fits when nine of ten runs of its whole path take ``budget_ms`` or less. Of files with
    the same score the faster one is taken. Interpolation is no file. Raises BudgetError when no
    file was both timed and evaluated.
    """
    timed = [
        (file.whole_path.p90_ms, score, file)
        for file in results.measured
        if file.whole_path and file.size_bytes and not file.is_wrong
        if (score := results.rank_score(file.quality)) is not None
    ]
    if not timed:
        raise BudgetError("no file was both timed and evaluated: nothing to choose from")
    found, metric = [], results.rank_metric
    for scale in sorted({file.scale for *_, file in timed}):
        files = sorted((f for f in timed if f[2].scale == scale), key=lambda f: f[0])
        fastest = files[0][2].file
        fitting = [f for f in files if f[0] <= budget_ms]
        if fitting:
            ms, score, best = max(fitting, key=lambda f: metric.gain(f[1], 0))
            found.append(Choice(scale, best.file, score, ms, fastest))
        else:
            found.append(Choice(scale, None, None, files[0][0], fastest))
    return found


def sentence(choice: Choice, results: Results, budget_ms: float) -> str:
    """The choice in words."""
    p90 = milliseconds(choice.p90_ms or 0).strip()
    if choice.file is None:
        return (
            f"×{choice.scale}: no file fits into {budget_ms:g} ms; the fastest, "
            f"{results.short_name(choice.fastest)}, has a p90 of {p90} ms"
        )
    return (
        f"×{choice.scale}: {results.short_name(choice.file)} is the best of those that fit into "
        f"{budget_ms:g} ms: {results.rank_metric.with_unit(choice.score or 0)}, p90 {p90} ms"
    )


def document(found: list[Choice], metric: Metric, budget_ms: float) -> dict[str, Any]:
    """The entry ``budget`` of the report; an infinite score is null."""
    key = metric.key
    entries = []
    for choice in found:
        entry = {key if name == "score" else name: v for name, v in asdict(choice).items()}
        entries.append(entry | {key: None if entry[key] == float("inf") else entry[key]})
    return {"milliseconds": budget_ms, "choices": entries}


def check_met(found: list[Choice], results: Results, budget_ms: float) -> None:
    """Raise BudgetError when no file of any scale fits."""
    if all(choice.file is None for choice in found):
        reasons = "; ".join(sentence(choice, results, budget_ms) for choice in found)
        raise BudgetError(
            f"{reasons}: train a smaller network (ailsr-fit propose --budget-ms {budget_ms:g} says "
            "which), or export for smaller images"
        )
