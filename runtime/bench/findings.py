"""What a run of the harness found, in a sentence, and which files show it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

from ailsr.runtime.bench.measurement import Measurement
from ailsr.runtime.bench.results import Results
from ailsr.runtime.bench.table import milliseconds, size
from ailsr.runtime.formats import format_of
from ailsr.runtime.imaging.protocol import Quality, baseline_name

PRECISIONS = ("float32", "float16", "int8x16", "int8")
"""From the most exact to the fastest."""
MOST_SHOWN = 6
"""Files beside each other of images without a truth."""
QUIET_PERCENT = 2.0
"""Of the processor, which others may take without being mentioned."""
WIDE_SPREAD = 0.1
"""Of p90 over p50, from which on it is mentioned."""


def fastest(results: Results) -> Measurement | None:
    """The file with the least median time per output pixel through the whole path; interpolation,
    which is no file and has no bytes, does not count, nor what is computed wrongly."""
    timed = [
        file
        for file in results.measured
        if file.whole_path and file.size_bytes and not file.is_wrong
    ]
    return min(timed, key=_ms_per_pixel, default=None)


def siblings(results: Results, file: Measurement) -> dict[str, Measurement]:
    """The files of the same network and scale as ``file`` by precision, the fastest of each.

    From float32 to int8. Files that cannot be timed here count as slowest.
    """
    if file.network is None:
        return {}
    family = [
        other
        for other in results.measured
        if (other.network, other.scale) == (file.network, file.scale)
    ]
    chosen = {}
    for precision in PRECISIONS:
        files = [other for other in family if other.precision == precision]
        if files:
            chosen[precision] = min(files, key=_ms_per_pixel)
    return chosen


def shown(results: Results) -> dict[str, Measurement]:
    """The files whose images show the result best, by label; the first is the float one.

    Of the fastest file's network: float32 (or float16) and int8 (or int8x16). Of a file without a
    card: itself. Of images without a truth, which eyes alone can judge: the first of one scale.
    """
    chosen = fastest(results) or next(iter(results.measured), None)
    if chosen is None:
        return {}
    if results.is_no_reference:
        alike = [file for file in results.measured if file.scale == chosen.scale]
        return {results.short_name(file.file): file for file in alike[:MOST_SHOWN]}
    versions = siblings(results, chosen)
    if not versions:
        return {results.short_name(chosen.file): chosen}
    floats = [precision for precision in versions if not precision.startswith("int8")]
    integers = [precision for precision in versions if precision.startswith("int8")]
    return {precision: versions[precision] for precision in [*floats[:1], *integers[-1:]]}


def headline(results: Results) -> str:
    """The finding in one sentence: the fastest file, its latency, and what it costs in quality."""
    file = fastest(results)
    if file is None or file.whole_path is None:
        count = len(results.measured)
        return f"{count} {'file' if count == 1 else 'files'} evaluated, none timed on this machine"
    several = sum(1 for other in results.measured if other.whole_path) > 1
    sentence = (
        f"{title(results, file)} {'is the fastest:' if several else 'upscales'} "
        f"{size(file.input_size)} to {size(file.output_size)} in "
        f"{milliseconds(file.whole_path.p50_ms).strip()} ms"
    )
    comparisons = []
    floats = siblings(results, file)
    if file.precision != "float32" and "float32" in floats:
        comparisons.append(_difference(results, file, floats["float32"].quality, "float32"))
    baseline = results.bicubic.get(file.scale), baseline_name(file.scale)
    comparisons.append(_difference(results, file, *baseline))
    comparisons = [text for text in comparisons if text]
    return f"{sentence}, {' and '.join(comparisons)}" if comparisons else sentence


def front(results: Results, files: Sequence[Measurement]) -> list[Measurement]:
    """The files than which none is both faster and better, from the fastest to the best.

    By the median time per output pixel of the whole path and the first metric, to the digits that
    are shown; files that lack either are not among them, nor what is computed wrongly.
    """
    metric = results.rank_metric
    timed = [
        (_ms_per_pixel(file), -metric.gain(round(score, metric.digits), 0), n)
        for n, file in enumerate(files)
        if file.whole_path and not file.is_wrong
        if (score := results.rank_score(file.quality)) is not None
    ]
    chosen: list[Measurement] = []
    least = math.inf
    for _, loss, n in sorted(timed):
        if loss < least:
            chosen.append(files[n])
            least = loss
    return chosen


def fallbacks(results: Results) -> list[str]:
    """What was left to slower backends, one phrase for each kind, with its files."""
    files: dict[str, list[str]] = {}
    for file in results.measured:
        if file.fallback:
            files.setdefault(file.fallback, []).append(results.short_name(file.file))
    return [f"{fallback} ({', '.join(names)})" for fallback, names in files.items()]


def choices(results: Results) -> list[str]:
    """Why files have the engine that ``auto`` chose for them, one phrase each."""
    return [
        f"{results.short_name(file.file)}: {file.engine_choice}"
        for file in results.measured
        if file.engine_choice
    ]


def infidelities(results: Results) -> list[str]:
    """The files that an engine computes wrongly, one sentence each."""
    return [
        f"{results.short_name(file.file)}: {file.engine} does not compute what was exported, it is "
        f"{file.fidelity}: its images are wrong on this machine; use another engine or precision"
        for file in results.measured
        if file.is_wrong
    ]


def noise(results: Results) -> list[str]:
    """How quiet the machine was while it measured, one sentence each; empty when it was."""
    found = [file.noise for file in results.measured if file.noise]
    sentences = []
    others = [n.others_percent for n in found if n.others_percent is not None]
    if max(others, default=0) >= QUIET_PERCENT:
        sentences.append(
            f"other processes took {_range(others)} of the processor meanwhile: "
            "expect latencies to vary"
        )
    stolen = [n.steal_percent for n in found if n.steal_percent is not None]
    if max(stolen, default=0) >= QUIET_PERCENT:
        sentences.append(f"other machines on this host took {_range(stolen)} of the processor")
    if not others and (results.host.load_average or 0) > 0.5 * results.host.cores:
        sentences.append("the machine was busy: expect latencies to vary")
    spread = {
        file.file: file.whole_path.p90_ms / file.whole_path.p50_ms - 1
        for file in results.measured
        if file.whole_path
    }
    wide = [name for name, share in spread.items() if share > WIDE_SPREAD]
    if wide:
        worst = max(wide, key=lambda name: spread[name])
        percent = f"{100 * spread[worst]:+.0f}"
        sentences.append(
            f"p90 lies more than {100 * WIDE_SPREAD:.0f} % above p50 for {len(wide)} of "
            f"{len(spread)} files, most for {results.short_name(worst)} ({percent} %)"
        )
    return sentences


def title(results: Results, file: Measurement) -> str:
    """What to call a file in running text, for example ``sesr_m5 ×2 int8 (TFLite)``."""
    if file.network is None:
        return results.short_name(file.file)
    return f"{file.network} ×{file.scale} {file.precision} ({format_name(file)})"


def format_name(file: Measurement) -> str:
    """ONNX, TFLite, Core ML, or the file's ending."""
    return format_of(Path(file.file).suffix.lower()).title


def _range(percents: Sequence[float]) -> str:
    low, high = f"{min(percents):.0f}", f"{max(percents):.0f}"
    return f"{low} %" if low == high else f"{low} to {high} %"


def _ms_per_pixel(file: Measurement) -> float:
    if file.whole_path is None:
        return math.inf
    return file.whole_path.p50_ms / math.prod(file.output_size)


def _difference(results: Results, file: Measurement, other: Quality | None, name: str) -> str:
    """``0.05 dB below its float32 network``; empty when either has no finite score."""
    metric = results.rank_metric
    score, others = results.rank_score(file.quality), results.rank_score(other)
    if score is None or others is None or not math.isfinite(score - others):
        return ""
    difference = score - others
    if abs(difference) < 0.5 * 10**-metric.digits:
        return f"with the {metric.title} of {name}"
    return f"{metric.with_unit(abs(difference))} {'above' if difference > 0 else 'below'} {name}"
