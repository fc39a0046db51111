"""The HTML report: one self-contained page with the finding, crops, plot and table."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape
from pathlib import Path

from ailsr.runtime.bench import findings
from ailsr.runtime.bench.latency import WARM_UP_RULE
from ailsr.runtime.bench.results import Results
from ailsr.runtime.bench.table import (
    ABSENT,
    LatencyCells,
    Row,
    count,
    milliseconds,
    rows,
    throughput,
)
from ailsr.runtime.files import atomic_output
from ailsr.runtime.imaging.crops import Crop
from ailsr.runtime.imaging.metrics import METRICS
from ailsr.runtime.imaging.no_reference import FIGURES
from ailsr.runtime.imaging.protocol import baseline_name
from ailsr.runtime.report.crops import crop_section
from ailsr.runtime.report.latency import breakable, latency_section
from ailsr.runtime.report.plot import plot_section
from ailsr.runtime.report.style import STYLE
from ailsr.runtime.version import VERSION

_METERS = {"battery": "by the battery of the device", "rapl": "by the processor's RAPL counters"}
PROTOCOLS = {
    "Y-shave-s": "Y-shave-s: on Y of BT.601 (studio range), without a border of <scale> pixels.",
    "RGB-DIV2K": "RGB-DIV2K: on the three channels of RGB, without a border of <scale> pixels.",
}


def write_html(results: Results, crops: Sequence[Crop], path: Path) -> None:
    """Write the report of ``results`` to ``path``, whole or not at all."""
    with atomic_output(path) as temporary:
        # Names of files need not be UTF-8.
        text = page(results, crops)
        temporary.write_text(text, encoding="utf-8", errors="backslashreplace")


def page(results: Results, crops: Sequence[Crop]) -> str:
    """The report as one HTML document that needs nothing else."""
    sentence = findings.headline(results)
    host = results.host
    eyebrow = (
        f"{results.date.day} {results.date:%B %Y} · {host.cpu}, {count(results.threads, 'thread')}"
    )
    return "\n".join(
        [
            '<!doctype html><html lang="en"><head><meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<title>{escape(sentence)}</title><style>{STYLE}</style></head><body><main>",
            f'<p class="eyebrow">{escape(eyebrow)}</p><h1>{escape(sentence)}.</h1>',
            *(f'<p class="warning">{escape(text)}.</p>' for text in findings.infidelities(results)),
            _tiles(results),
            *crop_section(results, crops),
            *plot_section(results),
            *latency_section(results),
            *_table_section(results),
            *_method_section(results),
            "</main></body></html>",
        ]
    )


def _tiles(results: Results) -> str:
    """The fastest file's figures at a glance."""
    file = findings.fastest(results)
    if file is None or file.whole_path is None:
        return ""
    tiles = [
        (milliseconds(file.whole_path.p50_ms), "ms", "whole path, median"),
        (throughput(file.megapixels_per_second or 0), "Mpx/s", "of output"),
    ]
    metric, score = results.rank_metric, results.rank_score(file.quality)
    if score is not None:
        tiles.append((metric.text(score), metric.unit, f"{metric.title} ({results.protocol})"))
        bicubic = results.rank_score(results.bicubic.get(file.scale))
        if bicubic is not None:
            gain = round(score - bicubic, metric.digits) + 0.0  # never "-0.00"
            text = f"{gain:+.{metric.digits}f}".replace("-", "−")
            tiles.append((text, metric.unit, f"against {baseline_name(file.scale)}"))
    tiles.append((f"{file.size_bytes / 1e3:.0f}", "kB", "file size"))
    if file.peak_memory_bytes:
        tiles.append((f"{file.peak_memory_bytes / 1e6:.0f}", "MB", "peak memory"))
    items = (
        f"<li><b>{value} <small>{unit}</small></b><span>{escape(what)}</span></li>"
        for value, unit, what in tiles
    )
    return f'<ul class="tiles">{"".join(items)}</ul>'


def _table_section(results: Results) -> Iterator[str]:
    yield "<h2>All figures</h2>"
    metrics = results.shown.values()
    yield (
        '<div class="scroll" tabindex="0" role="region" aria-label="All figures"><table><thead><tr>'
        f'<th colspan="{3 + len(metrics)}"></th>'
        '<th class="group" colspan="4">Whole path, ms</th>'
        '<th class="group" colspan="4">Inference, ms</th><th colspan="7"></th></tr><tr>'
    )
    latency = ["p50", "p90", "p99", "mean ± sd"]
    names = ["File", *("<br>".join(filter(None, (m.title, m.unit))) for m in metrics)]
    names += ["Size<br>kB", "Memory<br>MB", *latency, *latency]
    names += ["Frames<br>per s", "Mpx<br>per s", "Load<br>ms", "First<br>run, ms"]
    names += ["Ratio<br>(95 %)", "Operators<br>by backend", "Fidelity"]
    yield "".join(f'<th scope="col">{name}</th>' for name in names)
    yield "</tr></thead><tbody>"
    yield from (_table_row(row) for row in rows(results))
    yield "</tbody></table></div>"


def _table_row(row: Row) -> str:
    words = (f'<span class="word">{escape(word)}</span>' for word in row.detail.split(" · "))
    head = f'<th scope="row">{breakable(row.name)}<small>{" ".join(words)}</small></th>'
    if row.failed:
        reason = escape(row.why_no_latency)
        span = 17 + len(row.scores)
        why = f'<td class="why" colspan="{span}">failed: {reason}</td>'
        return f'<tr class="failed">{head}{why}</tr>'
    head += _cells([*row.scores, row.size_kb, row.memory_mb])
    if row.inference is None or row.whole_path is None:
        reason = escape(row.why_no_latency)
        fidelity = escape(row.fidelity)
        return f'<tr>{head}<td class="why" colspan="14">{reason}</td><td>{fidelity}</td></tr>'
    latencies = [*_latency_cells(row.whole_path), *_latency_cells(row.inference)]
    rest = [row.frames_per_second, row.megapixels_per_second, row.load_ms, row.first_run_ms]
    rest += [row.ratio, row.ran_on, row.fidelity]
    return f"<tr>{head}{_cells([*latencies, *rest])}</tr>"


def _latency_cells(latency: LatencyCells) -> list[str]:
    return [latency.p50, latency.p90, latency.p99, latency.mean]


def _cells(texts: Sequence[str]) -> str:
    return "".join(f"<td>{escape(text.strip())}</td>" for text in texts)


def _surroundings(results: Results) -> dict[str, str]:
    """What the machine was like meanwhile, and what ran elsewhere than it was meant to."""
    states = [file.conditions for file in results.measured if file.conditions]
    facts = {}
    for name, unit, key in (
        ("Clock", "MHz", "clock_mhz"),
        ("Temperature", "°C", "temperature_c"),
        ("Battery", "%", "battery_percent"),
    ):
        told = []
        for when in ("before", "during", "after"):
            values = [getattr(getattr(state, when), key, None) for state in states]
            if values := [value for value in values if value is not None]:
                told.append(f"{_span(values)} {unit} {when}")
        if told:
            facts[name] = f"{', '.join(told)} the runs of a file."
    energies = [
        f"{row.name} {row.energy_mj} mJ" for row in rows(results) if row.energy_mj != ABSENT
    ]
    if energies:
        sources = {file.energy.source for file in results.measured if file.energy}
        whole = " and ".join(_METERS[source] for source in sorted(sources))
        facts["Energy"] = f"Of one inference, {whole}, idle power included: {', '.join(energies)}."
    if noise := findings.noise(results):
        facts["Noise"] = ". ".join(sentence[0].upper() + sentence[1:] for sentence in noise) + "."
    if choices := findings.choices(results):
        facts["Choice of engines"] = "; ".join(choices) + "."
    if fallbacks := findings.fallbacks(results):
        facts["Fall-back"] = "; ".join(fallbacks) + "."
    return facts


def _span(values: Sequence[float]) -> str:
    low, high = f"{min(values):.0f}", f"{max(values):.0f}"
    return low if low == high else f"{low}–{high}"


def _method_section(results: Results) -> Iterator[str]:
    host = results.host
    memory = f", {host.memory_bytes / 1e9:.0f} GB memory" if host.memory_bytes else ""
    governor = f", frequency governor {host.governor}" if host.governor else ""
    load = "" if host.load_average is None else f", load {host.load_average:g} before measuring"
    counts = [
        latency.n
        for file in results.measured
        for latency in (file.inference, file.whole_path)
        if latency
    ]
    runs = (
        f"{min(counts)} to {max(counts)}" if len(set(counts)) > 1 else f"{max(counts, default=0)}"
    )
    unsteady = f"Not settled by then: {', '.join(results.unsteady)}." if results.unsteady else ""
    engines = ", ".join(sorted({file.engine for file in results.measured})) or "none"
    cores = count(host.cores, "core")
    facts = {
        "Machine": f"{host.cpu} ({host.machine}), {cores}{memory}{governor}{load}",
        "System": f"{host.os}, Python {host.python}, ailsr {VERSION}",
        "Engines": f"{engines}; {count(results.threads, 'thread')}",
        "Inference": "The engine alone, on a prepared input of the file's own size.",
        "Whole path": "uint8 image of that size in, uint8 image out: what an app sees. "
        "Frames and megapixels per second are those of the whole path's mean.",
        "Runs": f"{runs} of each, in turn. Warm-up: {WARM_UP_RULE}. {unsteady}",
        "Load, memory": "Each file in a fresh process. Load time leaves out importing the engine; "
        "memory is the peak resident memory of the process after all runs.",
    }
    facts["Fidelity"] = (
        "Whether the engine computes what was exported: its answer to a test image against the "
        "one in the file's card. Within: differences as of rounding; wrong: more than that."
    )
    if results.baseline:
        facts["Ratio"] = (
            f"Whole path relative to {results.short_name(results.baseline)}: median over pairs of "
            "neighbouring blocks of runs, as the files take turns, with its 95 % interval."
        )
    if results.cores:
        facts["Cores"] = f"Each file confined to: {results.cores}."
    facts |= _surroundings(results)
    if results.no_quality:
        facts["Quality"] = f"Not taken: {results.untaken}."
    elif results.is_no_reference:
        facts["No reference"] = " ".join(
            [
                "The images have no ground truth: how good a result is, these figures do not say.",
                *(figure.note for figure in FIGURES.values()),
                "Mean over the images.",
            ]
        )
    elif results.images:
        names = results.left_out_names
        without = f", without {', '.join(names)}" if names else ""
        comparison, _, degradation = results.protocol.partition("/")
        metrics = [METRICS[name] for name in results.metrics]
        notes = [metric.note for metric in metrics if metric.note]
        facts[", ".join(metric.title for metric in metrics)] = " ".join(
            [
                PROTOCOLS[comparison],
                *notes,
                f"The low-resolution images are made by the degradation {degradation}."
                if degradation
                else "The images to restore are those that were given."
                if all(file.scale == 1 for file in results.measured)
                else "The low-resolution images are MATLAB's bicubic reduction.",
                "Over the frames of the video, of PSNR by the mean squared error."
                if results.video_part
                else f"Mean over the images{without}.",
            ]
        )
    yield '<h2>How this was measured</h2><dl class="facts">'
    yield from (f"<dt>{escape(name)}</dt><dd>{escape(text)}</dd>" for name, text in facts.items())
    yield "</dl>"
