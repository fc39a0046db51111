"""Results back from their JSON document, as another machine sent it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import fields
from datetime import datetime
from typing import Any

from ailsr.runtime.bench import process
from ailsr.runtime.bench.host import Host
from ailsr.runtime.bench.request import Failure, Measurement, Quality
from ailsr.runtime.bench.results import SCHEMA, SCHEMA_VERSION, Results, check_document
from ailsr.runtime.errors import DeviceError


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
        settings = document["settings"]
        return Results(
            host=Host(**{f.name: document["host"].get(f.name) for f in fields(Host)}),
            date=datetime.fromisoformat(document["date"]),
            threads=settings["threads"],
            runs=settings["runs"],
            seconds=settings["seconds"],
            protocol=settings["protocol"],
            images=settings["images"],
            files=[_file(entry) for entry in document["files"]],
            bicubic={
                entry["scale"]: Quality(**_quality(entry["quality"]))
                for entry in document["baselines"]
                if entry["name"] == "bicubic"
            },
            device=device,
            cores=settings.get("cores"),
            sustained_minutes=settings.get("sustained_minutes") or 0.0,
            processes=settings.get("processes") or 1,
            reference=process.reference(document.get("reference")),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        reason = str(error) if isinstance(error, ValueError) else f"{type(error).__name__}: {error}"
        raise DeviceError(f"the report from {device} cannot be read ({reason})") from error


def _file(entry: Mapping[str, Any]) -> Measurement | Failure:
    if entry["error"] is not None:
        return Failure(entry["file"], entry["error"])
    known = {f.name: entry.get(f.name) for f in fields(Measurement)}
    known["quality"] = entry["quality"] and _quality(entry["quality"])
    known |= {f"named_{name}": entry.get(name) for name in ("delegate", "fallback")}
    return process.measurement(known)


def _quality(entry: Mapping[str, Any]) -> dict[str, Any]:
    """As the worker writes it: infinite PSNR as such, pictures as (PSNR, SSIM)."""
    return {
        "protocol": entry["protocol"],
        "psnr_db": _infinite(entry["psnr_db"]),
        "ssim": entry["ssim"],
        "images": {
            name: (_infinite(score["psnr_db"]), score["ssim"])
            for name, score in entry["images"].items()
        },
    }


def _infinite(psnr_db: float | None) -> float:
    return math.inf if psnr_db is None else psnr_db
