"""The report as a versioned JSON document, and back: for files, workers, devices and histories.

``report.schema.json`` (JSON Schema) describes the document; every front end shares it. Sizes are
[height, width]; an infinite PSNR is null.
"""

from __future__ import annotations

import functools
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import asdict, fields
from datetime import datetime
from pathlib import Path
from typing import Any

from ailsr.runtime import documents, schema
from ailsr.runtime.bench.energy import Energy
from ailsr.runtime.bench.host import Host
from ailsr.runtime.bench.latency import WARM_UP_RULE, Latency, Ratio, Sustained
from ailsr.runtime.bench.measurement import Failure, Measurement
from ailsr.runtime.bench.path_parts import Parts
from ailsr.runtime.bench.reference import Reference
from ailsr.runtime.bench.results import Results
from ailsr.runtime.bench.system import Condition, Conditions, Noise
from ailsr.runtime.engines.engine import Backend
from ailsr.runtime.errors import DeviceError
from ailsr.runtime.imaging.metrics import ALWAYS, METRICS, Scores
from ailsr.runtime.imaging.no_reference import FIGURES, Figures, NoReference
from ailsr.runtime.imaging.protocol import Quality, baseline_name
from ailsr.runtime.probe import Fidelity
from ailsr.runtime.version import VERSION

SCHEMA = "ailsr-bench"
SCHEMA_VERSION = 1
"""Raised when a key changes its meaning or goes; new keys may come at any time."""

_REPORT_SCHEMA = Path(__file__).parents[1] / "report.schema.json"
_NUMBERS = re.compile(r"\[[\s\d.,e+-]+\]")
_Read = Callable[[Any], Any]


def to_document(results: Results) -> dict[str, Any]:
    """The report of ``results``."""
    return {
        "schema": SCHEMA,
        "schema_version": SCHEMA_VERSION,
        "ailsr_version": VERSION,
        "date": results.date.isoformat(timespec="seconds"),
        "host": asdict(results.host),
        "settings": {
            "threads": results.threads,
            "runs": results.runs,
            "seconds": results.seconds,
            "warm_up_rule": WARM_UP_RULE,
            "protocol": results.protocol,
            "images": results.images,
            "video_part": results.video_part,
            "device": results.device,
            "cores": results.cores,
            "sustained_minutes": results.sustained_minutes,
            "processes": results.processes,
            "baseline": results.baseline,
            **({} if results.is_no_reference else {"metrics": list(results.metrics)}),
        },
        "reference": results.reference and asdict(results.reference),
        "files": [write_file(file) for file in results.files],
        "baselines": [
            {"name": baseline_name(scale), "scale": scale, "quality": _write_quality(quality)}
            for scale, quality in sorted(results.bicubic.items())
        ],
        "no_reference": [
            {"name": name, "scale": scale, **_write_no_reference(found)}
            for (name, scale), found in results.before.items()
        ],
    }


def read_results(document: Mapping[str, Any], device: str) -> Results:
    """The results in ``document``, measured on ``device``. Keys that are not known are left out.

    Raises DeviceError for what is no report, or one of another schema version.
    """
    if not isinstance(document, Mapping):
        raise DeviceError(f"{device} sent no report: install the same version on both")
    version = document.get("schema_version")
    if document.get("schema") != SCHEMA or version != SCHEMA_VERSION:
        raise DeviceError(
            f"{device} sent a report of schema {str(document.get('schema'))[:60]!r} "
            f"{str(version)[:20]}, this ailsr "
            f"reads {SCHEMA!r} {SCHEMA_VERSION}: install the same version on both"
        )
    try:
        check_document(document)
        settings, reference = document["settings"], document.get("reference")
        return Results(
            host=Host(**{f.name: document["host"].get(f.name) for f in fields(Host)}),
            date=datetime.fromisoformat(document["date"]),
            threads=settings["threads"],
            runs=settings["runs"],
            seconds=settings["seconds"],
            protocol=settings["protocol"],
            images=settings["images"],
            video_part=settings.get("video_part"),
            files=[read_file(entry) for entry in document["files"]],
            bicubic={
                entry["scale"]: _read_quality(entry["quality"])
                for entry in document["baselines"]
                if entry["name"] == baseline_name(entry["scale"])
            },
            before={
                (entry["name"], entry["scale"]): _read_no_reference(entry)
                for entry in document.get("no_reference") or ()
            },
            device=device,
            cores=settings.get("cores"),
            sustained_minutes=settings.get("sustained_minutes") or 0.0,
            processes=settings.get("processes") or 1,
            reference=_read_reference(reference) if reference else None,
            metrics=tuple(settings.get("metrics") or ALWAYS),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        reason = str(error) if isinstance(error, ValueError) else f"{type(error).__name__}: {error}"
        raise DeviceError(f"the report from {device} cannot be read ({reason})") from error


def check_document(document: object) -> None:
    """Raise ValueError unless ``document``, which came from elsewhere, is a report."""
    schema.check(document, _report_schema())


def as_text(document: dict[str, Any] | list[dict[str, Any]]) -> str:
    """A document, or a list of them, as JSON, with lists of numbers in one line each."""
    text = documents.dump(document, indent=2)
    return _NUMBERS.sub(lambda found: " ".join(found[0].split()), text)


def write_file(file: Measurement | Failure) -> dict[str, Any]:
    """The entry of ``file`` in a report; what a worker sends, too."""
    entry = asdict(file)
    if isinstance(file, Failure):
        return entry
    del entry["named_delegate"], entry["named_fallback"]  # they are what they name, or None
    return {
        **entry,
        "error": None,
        "output_size": file.output_size,
        "delegate": file.delegate,
        "fallback": file.fallback,
        "frames_per_second": file.frames_per_second,
        "megapixels_per_second": file.megapixels_per_second,
        "quality": file.quality and _write_quality(file.quality),
        "no_reference": file.no_reference and _write_no_reference(file.no_reference),
    }


def read_file(entry: Mapping[str, Any]) -> Measurement | Failure:
    """The file of an entry. Keys that are not known, or follow from others, are left out."""
    if entry["error"] is not None:
        return Failure(entry["file"], entry["error"])
    values: dict[str, Any] = {f.name: entry[f.name] for f in fields(Measurement) if f.name in entry}
    for name, read in _READERS.items():
        if values.get(name) is not None:
            values[name] = read(values[name])
    values |= {f"named_{name}": entry.get(name) for name in ("delegate", "fallback")}
    return Measurement(**values)


@functools.cache
def _report_schema() -> dict[str, Any]:
    loaded: dict[str, Any] = documents.parse(_REPORT_SCHEMA.read_bytes())
    return loaded


def _write_quality(quality: Quality) -> dict[str, Any]:
    return {
        "protocol": quality.protocol,
        **_write_scores(quality.scores),
        "images": {name: _write_scores(scores) for name, scores in quality.images.items()},
    }


def _read_quality(values: Mapping[str, Any]) -> Quality:
    images = {name: read_scores(scores) for name, scores in values["images"].items()}
    return Quality(values["protocol"], read_scores(values), images)


def _write_scores(scores: Scores) -> dict[str, float | None]:
    return {METRICS[n].key: s if math.isfinite(s) else None for n, s in scores.items()}


def read_scores(values: Mapping[str, Any]) -> Scores:
    """The metrics that an entry of a report holds."""
    return {
        name: math.inf if values[metric.key] is None else values[metric.key]
        for name, metric in METRICS.items()
        if metric.key in values
    }


def _write_no_reference(found: NoReference) -> dict[str, Any]:
    images = {name: _write_figures(figures) for name, figures in found.images.items()}
    return {**_write_figures(found.figures), "images": images}


def _write_figures(figures: Figures) -> dict[str, float | None]:
    return {name: value if math.isfinite(value) else None for name, value in figures.items()}


def _read_no_reference(values: Mapping[str, Any]) -> NoReference:
    images = {name: read_figures(figures) for name, figures in values["images"].items()}
    return NoReference(read_figures(values), images)


def read_figures(values: Mapping[str, Any]) -> Figures:
    """The figures of images without a truth that an entry of a report holds."""
    return {
        name: math.inf if values[name] is None else values[name]
        for name in FIGURES
        if name in values
    }


def _of(kind: Callable[..., Any]) -> _Read:
    """Reads a dataclass; keys that it does not know are left out, lists become tuples."""

    def read(values: Mapping[str, Any]) -> Any:  # noqa: ANN401
        known = {f.name: values[f.name] for f in fields(kind) if f.name in values}  # type: ignore[arg-type]
        return kind(**{k: tuple(v) if isinstance(v, list) else v for k, v in known.items()})

    return read


def _all_of(kind: Callable[..., Any]) -> _Read:
    return lambda values: tuple(map(_of(kind), values))


def _read_conditions(values: Mapping[str, Any]) -> Conditions:
    read = _of(Condition)
    return Conditions(**{when: state and read(state) for when, state in values.items()})


def _read_reference(values: Mapping[str, Any]) -> Reference:
    return Reference(values["name"], _of(Latency)(values["latency"]))


_READERS: dict[str, _Read] = {
    "input_size": tuple,
    "inference": _of(Latency),
    "whole_path": _of(Latency),
    "quality": _read_quality,
    "no_reference": _read_no_reference,
    "cores": tuple,
    "to_reference": tuple,
    "backends": _all_of(Backend),
    "parts": _of(Parts),
    "ratio": _of(Ratio),
    "sustained": _all_of(Sustained),
    "fidelity": _of(Fidelity),
    "energy": _of(Energy),
    "conditions": _read_conditions,
    "noise": _of(Noise),
}
"""How the value of a field is read, where it is more than a number or a word."""
