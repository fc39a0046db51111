"""``ailsr-bench``: latency, memory and PSNR of exported files, side by side, here or on devices."""

from __future__ import annotations

import re
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from rich.progress import Progress as ProgressBar

from ailsr.runtime.bench import budget, cores, findings, process
from ailsr.runtime.bench.comparison import compare_pairs
from ailsr.runtime.bench.exchange import WRITERS
from ailsr.runtime.bench.exported import read_exported
from ailsr.runtime.bench.measurement import Failure
from ailsr.runtime.bench.report_document import as_text, to_document
from ailsr.runtime.bench.results import Results
from ailsr.runtime.bench.system import System
from ailsr.runtime.bench.upscale import UpscaleRequest
from ailsr.runtime.commands.bench_options import BenchConfig
from ailsr.runtime.commands.bench_table import print_table
from ailsr.runtime.commands.command import (
    entry_point,
    message,
    print_raw,
    progress,
    stdout,
)
from ailsr.runtime.commands.compare import as_document, judge
from ailsr.runtime.commands.compare import print_table as print_comparison
from ailsr.runtime.devices.device import LOCAL, measure_on
from ailsr.runtime.devices.registry import device_kind, open_device
from ailsr.runtime.engines.named_files import missing
from ailsr.runtime.engines.registry import chosen_engines
from ailsr.runtime.errors import AilsrError, DeviceError, EngineError, UsageError
from ailsr.runtime.files import check_output
from ailsr.runtime.imaging import image, no_reference, protocol
from ailsr.runtime.imaging.crops import Crop, crop, crop_without_reference
from ailsr.runtime.imaging.image import Rgb
from ailsr.runtime.imaging.metrics import taken, titles
from ailsr.runtime.progress import Progress
from ailsr.runtime.upscaling.auto_engine import resolved

MOST_CROPS = 6
"""Images that the HTML report shows."""


def main(config: BenchConfig) -> None:
    """Measure, print, write the reports; then raise if a device or a file could not be measured."""
    refused: list[Failure] = []
    if config.exported:
        exported = read_exported(config.exported)
        config = replace(config, files=list(dict.fromkeys([*config.files, *exported.files])))
        refused = exported.refused
    if not config.files and not refused:
        raise UsageError("no file to measure: name some, or what ailsr-export --json printed")
    for path in config.files:
        if not path.exists():
            raise missing(path)
    if config.relative_to and config.relative_to not in config.files:
        raise UsageError(f"--relative-to {config.relative_to}: name one of the files to measure")
    if config.fail_on_slower is not None and not config.against:
        raise UsageError("--fail-on-slower compares: add --against OLD")
    for name in config.device:
        if config.against and not device_kind(name).takes_turns:
            raise UsageError(f"--against: {name} measures files one by one; compare reports")
    if config.no_reference:
        config.check_no_reference()
    config.check_video()
    plan = config.plan
    if config.budget_ms is not None and plan.images is None:
        raise UsageError("--budget-ms chooses by quality: add --images DIR")
    chosen_engines(config.engine)  # raises for one that does not exist
    if plan.clip:
        from ailsr.runtime.video.quality import open_clip  # images need none of FFmpeg

        open_clip(plan.clip)  # raises for one that cannot be decoded
    taken(plan.metrics, plan.video)  # raises for one that is not installed
    if config.images:
        if config.no_reference:  # both raise when there are no images
            no_reference.sources(config.images)
        else:
            protocol.pairs(config.images, 1)
        if note := protocol.left_out(config.images):
            message(note)
    if len(set(config.device)) < len(config.device):
        raise UsageError(f"--device {' --device '.join(config.device)}: give each device once")
    for option in (*WRITERS, "html"):
        if path := getattr(config, option):
            check_output(path)
    devices = [open_device(name, config.apk, config.delegate) for name in config.device]
    several = len(devices) > 1
    with progress() as bar:
        reports = [_reporter(bar, device) for device in config.device]
        outcomes = measure_on(devices, plan, reports)
    found = [
        replace(outcome, files=[*outcome.files, *refused])
        for outcome in outcomes
        if isinstance(outcome, Results)
    ]
    errors = [outcome for outcome in outcomes if not isinstance(outcome, Results)]
    if errors and not several:
        raise errors[0]
    comparisons = [
        compare_pairs(to_document(results), plan.pairs) for results in found if plan.pairs
    ]
    limit = config.budget_ms
    chosen = [budget.choices(results, limit) if limit is not None else [] for results in found]
    if config.json:
        documents = [to_document(results) for results in found]
        if limit is not None:
            for document, choices, results in zip(documents, chosen, found, strict=True):
                document["budget"] = budget.document(choices, results.rank_metric, limit)
        for document, comparison in zip(documents, comparisons, strict=False):
            document["comparison"] = as_document(comparison)
        print_raw(as_text(documents if several else documents[0]))
    else:
        for number, (results, choices) in enumerate(zip(found, chosen, strict=True)):
            if several:
                stdout.print(results.device, soft_wrap=True)
            print_table(results)
            for choice in choices:
                sentence = budget.sentence(choice, results, limit or 0)
                stdout.print(sentence, soft_wrap=True)
            if comparisons:
                stdout.print()
                print_comparison(comparisons[number])
    unwritten = [reason for results in found for reason in write_reports(config, results, several)]
    reasons = [*map(str, errors), *filter(None, map(_failures, found)), *unwritten]
    reasons += filter(None, map(_left_out, found))
    if reasons:
        raise (DeviceError if errors else EngineError)("; ".join(reasons))
    if limit is not None:
        for results, choices in zip(found, chosen, strict=True):
            budget.check_met(choices, results, limit)
    if config.fail_on_infidelity is not None:
        for results in found:
            check_fidelity(results, config.fail_on_infidelity)
    for comparison in comparisons:
        judge(comparison, config.fail_on_slower)


def _reporter(bar: ProgressBar, device: str) -> Progress:
    """A line of the progress bar for ``device``."""
    title = "measuring" if device == LOCAL else device
    task = bar.add_task(title, total=None, note="")
    return lambda what, done, of: bar.update(task, completed=done, total=of, note=what)


def _failures(results: Results) -> str:
    """Which files failed, and why; empty when none did."""
    if not results.failed:
        return ""
    reasons = "; ".join(f"{results.short_name(f.file)}: {f.error}" for f in results.failed)
    where = "" if results.device == LOCAL else f" on {results.device}"
    return f"{len(results.failed)} of {len(results.files)} files failed{where}: {reasons}"


def check_fidelity(results: Results, levels: int) -> None:
    """Raise EngineError when an engine computes a file wrongly, or off by more than ``levels``."""
    bad = [
        f"{results.short_name(file.file)} is {file.fidelity} in {file.engine}"
        for file in results.measured
        if file.fidelity and (file.is_wrong or file.fidelity.levels > levels)
    ]
    if bad:
        raise EngineError(f"{'; '.join(bad)} (--fail-on-infidelity {levels})")


def _left_out(results: Results) -> str:
    """Which images or files the metrics are not of, and why; empty when none is missing."""
    where = "" if results.device == LOCAL else f" on {results.device}"
    what = "the figures" if results.is_no_reference else titles(results.metrics)
    reasons = []
    if results.untaken:
        of = "" if results.no_quality else " of some files"
        reasons.append(f"{what} are missing{of}{where}: {results.untaken}")
    if names := results.left_out_names:
        left_out = "; ".join(results.left_out[name] for name in names)
        reasons.append(f"{what} leave out{where}: {left_out}")
    return "; ".join(reasons)


def write_reports(config: BenchConfig, results: Results, several: bool) -> list[str]:
    """Write the files that the options ask for; why some could not be written, one phrase each.

    Of ``several`` devices each has its own files, but the history. Crops are made on this machine.
    """

    def own(path: Path) -> Path:
        device = re.sub(r"[^A-Za-z0-9.-]+", "_", results.device)
        return path.with_name(f"{path.stem}.{device}{path.suffix}") if several else path

    def html(results: Results, path: Path) -> None:
        from ailsr.runtime.report.page import write_html

        try:
            crops = make_crops(results, config)
        except EngineError as error:
            if results.device == LOCAL:
                raise
            crops = []
            message(f"no crops in {path}, they are made on this machine: {error}")
        write_html(results, crops, path)

    failures = []
    for option, write in {**WRITERS, "html": html}.items():
        if path := getattr(config, option):
            path = path if option == "history" else own(path)
            try:
                write(results, path)
            except (OSError, AilsrError) as error:  # the others are still to be written
                reason = getattr(error, "strerror", None) or error
                failures.append(f"{path} cannot be written: {reason}")
            else:
                message(f"wrote {path}")
    return failures


def make_crops(results: Results, config: BenchConfig) -> list[Crop]:
    """What each image looks like from the files worth showing; of many, the largest gains."""
    files = findings.shown(results)
    if not files or results.images is None or results.video_part:
        return []
    first = next(iter(files.values()))
    if results.is_no_reference:
        sources = no_reference.sources(Path(results.images))
        found = results.before[("input", 1)].images if results.before else {}
        usable = [name for name in found if name not in results.left_out]
        usable.sort(key=lambda name: -found[name]["blockiness"])
        chosen = sorted(usable[:MOST_CROPS])
        return [
            crop_without_reference(name, image.read(sources[name]), first.scale, upscaled)
            for name, upscaled in _upscaled(results, config, chosen)
        ]
    bicubic = results.bicubic.get(first.scale)
    if bicubic is None:
        return []
    pairs = protocol.pairs(Path(results.images), first.scale, config.degradation)
    gain = {
        name: results.rank_metric.gain(score or 0, before)
        for name in pairs.names
        if (before := results.rank_score(bicubic, name)) is not None
        if (score := results.rank_score(first.quality, name)) is not None or first.quality is None
    }
    chosen = sorted(sorted(gain, key=lambda name: -gain[name])[:MOST_CROPS])
    return [
        crop(pairs[pairs.names.index(name)], upscaled, config.protocol)
        for name, upscaled in _upscaled(results, config, chosen)
    ]


def _upscaled(
    results: Results, config: BenchConfig, names: Sequence[str]
) -> Iterator[tuple[str, dict[str, Rgb]]]:
    """The images ``names``, each with what the files shown make of it, by label."""
    files, engines = findings.shown(results), chosen_engines(config.engine)
    used = None if config.cores is None else cores.choose(config.cores, System())
    with tempfile.TemporaryDirectory() as folder:
        outputs = {
            label: {name: str(Path(folder, f"{n}-{i}.png")) for i, name in enumerate(names)}
            for n, label in enumerate(files)
        }
        for label, file in files.items():
            process.upscale(
                UpscaleRequest(
                    file.file,
                    file.threads,
                    results.images or "",
                    outputs[label],
                    config.degradation.to_json(),
                    config.no_reference,
                    _named(Path(file.file), file.threads, engines, used),
                )
            )
        for name in names:
            yield name, {label: image.read(Path(outputs[label][name])) for label in files}


def _named(
    path: Path, threads: int, engines: Mapping[str, str], used: Sequence[int] | None
) -> str | None:
    """The engine of ``engines`` for ``path``, as it was measured on the cores ``used`` where that
    was the choice."""
    engine = engines.get(path.suffix.lower())
    return resolved(path, engine, threads, say=lambda text: None, cores=used)


_measure = entry_point(BenchConfig, main)


def cli() -> None:
    """``ailsr-bench FILE...`` or ``ailsr-bench compare A B`` (no exported file has that name)."""
    if sys.argv[1:2] != ["compare"]:
        _measure()
        return
    from ailsr.runtime.commands import compare

    compare.cli(sys.argv[2:], "ailsr-bench compare")
