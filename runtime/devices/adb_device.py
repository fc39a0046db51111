"""An Android device that measures with the demo app, reached by ``adb``.

Everything lies in the app's own folder ``BENCH``: ``files/<sha256>`` (models and PNG images, kept
for the next run), ``requests/<id>.json``, ``progress/<id>.json`` and ``reports/<id>.json``. The app
is started with a request's id, says how far it is, and ends with a report.
"""

from __future__ import annotations

import json
import secrets
import tempfile
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from PIL import Image

from ailsr.runtime import documents
from ailsr.runtime.bench.harness import Plan, bicubic_quality
from ailsr.runtime.bench.measurement import Failure, Measurement
from ailsr.runtime.bench.report_document import read_results
from ailsr.runtime.bench.results import Results
from ailsr.runtime.devices.adb import Adb
from ailsr.runtime.devices.device import Delegate, patience, scales
from ailsr.runtime.errors import DeviceError, one_line
from ailsr.runtime.files import sha256
from ailsr.runtime.imaging import protocol
from ailsr.runtime.imaging.degradation import Degradation
from ailsr.runtime.imaging.metrics import ALWAYS
from ailsr.runtime.imaging.protocol import Pair
from ailsr.runtime.progress import Progress
from ailsr.runtime.rules import check, number, text

PACKAGE = "org.ailsr.demo"
BENCH = f"/sdcard/Android/data/{PACKAGE}/files/bench"
FILES = f"{BENCH}/files"
PER_RUN = ("requests", "progress", "reports")
POLL_SECONDS = 2.0
_PROGRESS = {"what": text(500), "done": number(0, 1e9), "of": number(0, 1e9)}


class AdbDevice:
    """``adb``, or ``adb:serial``; a serial host:port is connected to."""

    def __init__(self, name: str, apk: Path | None = None, delegate: Delegate = "cpu") -> None:
        self.name = name
        self._adb = Adb(name.partition(":")[2])
        self._apk = apk
        self._delegate = delegate

    def measure(self, plan: Plan, progress: Progress) -> Results:
        """As ``Device.measure``."""
        progress("connecting", 0, len(plan.files))
        beyond = set(plan.metrics) - set(ALWAYS)
        for option, given in (
            (f"--metric {' '.join(sorted(beyond))}", beyond),
            ("--cores", plan.cores), ("--engine", plan.engines), ("--baseline", plan.baselines),
            ("--no-reference", plan.no_reference),
        ):  # fmt: skip
            if given:
                raise DeviceError(f"{option} cannot be had on {self.name}: leave it out there")
        models = {file: Path(file) for file in plan.files}
        for path in models.values():
            if path.is_dir():
                raise DeviceError(
                    f"{path} is a Core ML file, which {self.name} cannot run: omit it"
                )
        with tempfile.TemporaryDirectory(prefix="ailsr-") as folder:
            pictures, files = _pictures(plan, Path(folder))
            digests = {file: sha256(path) for file, path in models.items()}
            files |= {digests[file]: path for file, path in models.items()}
            self._adb.connect()
            self._prepare(progress)
            stored = set(self._adb.shell(f"ls {FILES}").split())
            for digest, path in files.items():
                if digest not in stored:
                    progress(f"sending {path.name}", 0, len(plan.files))
                    self._adb.push(path, f"{FILES}/{digest}")
            request = {
                "schema": "ailsr-request",
                "schema_version": 1,
                "id": time.strftime("%Y%m%dT%H%M%S-") + secrets.token_hex(4),
                "files": [{"name": file, "sha256": digests[file]} for file in plan.files],
                "threads": plan.threads,
                "runs": plan.runs,
                "seconds": plan.seconds,
                "sustained_minutes": plan.sustained_minutes,
                "delegate": self._delegate,
                "protocol": plan.protocol,
                "pictures": pictures,
            }
            document = self._run(request, Path(folder), progress, patience(plan))
        if "error" in document:
            raise DeviceError(
                f"the app on {self._adb.serial} refused: {one_line(document['error'], 500)}"
            )
        results = replace(
            read_results(document, self.name),
            images=plan.images,
            metrics=tuple(plan.metrics),
            protocol=plan.protocol_name,
        )
        results = replace(
            results, files=[_named(file, plan.protocol_name) for file in results.files]
        )
        if plan.images and not results.bicubic:
            found = {file.scale for file in results.measured}
            judged = {
                s: bicubic_quality(
                    Path(plan.images),
                    s,
                    plan.protocol,
                    degradation=Degradation.from_json(plan.degradation),
                )
                for s in found
            }
            baseline = {scale: quality for scale, quality in judged.items() if quality}
            results = replace(results, bicubic=baseline)
        return results

    def close(self) -> None:
        """As ``Device.close``."""
        self._adb.stop()

    def _prepare(self, progress: Progress) -> None:
        """The app is there and idle, its folder clean. Raises DeviceError when it is not there."""
        if self._apk is not None:
            progress(f"installing {self._apk.name}", 0, 1)
            self._adb.install(self._apk)
        if "package:" not in self._adb.shell(f"pm path {PACKAGE}", check=False):
            raise DeviceError(
                f"the app {PACKAGE} is not installed on {self._adb.serial}: add --apk FILE with "
                f"the app that android_demo builds"
            )
        folders = " ".join(f"{BENCH}/{name}" for name in ("files", *PER_RUN))
        old = " ".join(f"{BENCH}/{name}/*" for name in PER_RUN)
        self._adb.shell(
            f"am force-stop {PACKAGE}; mkdir -p {folders} && rm -f {old} {FILES}/*.part"
        )

    def _run(
        self, request: Mapping[str, Any], folder: Path, progress: Progress, silence: float
    ) -> dict[str, Any]:
        """The report of the app on ``request``, which is removed with all that it led to."""
        paths = {name: f"{BENCH}/{name}/{request['id']}.json" for name in PER_RUN}
        try:
            (folder / "request").write_text(json.dumps(request))
            self._adb.push(folder / "request", paths["requests"])
            said = self._adb.shell(
                f"am start -W -n {PACKAGE}/.BenchmarkActivity --es request {request['id']}"
            )
            if "Error" in said:
                reason = one_line(said[said.index("Error") :], None)
                raise DeviceError(f"the app on {self._adb.serial} cannot be started: {reason}")
            self._wait(paths, request, progress, silence)
            document = documents.parse(self._adb.read(paths["reports"]))
            if not isinstance(document, dict):
                raise ValueError("no object")
            return document
        except ValueError as error:
            raise DeviceError(
                f"the report of the app on {self._adb.serial} cannot be read ({error}): install "
                f"the app of this version"
            ) from error
        finally:
            self._adb.tidy(f"am force-stop {PACKAGE}; rm -f {' '.join(paths.values())}")

    def _wait(
        self,
        paths: Mapping[str, str],
        request: Mapping[str, Any],
        progress: Progress,
        silence: float,
    ) -> None:
        """Until the report is there. Raises DeviceError when the app ends or hangs before."""
        look = (
            f"pidof {PACKAGE} >/dev/null; gone=$?; if [ -f {paths['reports']} ]; then echo report; "
            f"elif [ $gone = 0 ]; then cat {paths['progress']} 2>/dev/null; else echo gone; fi"
        )
        seen, since, missing = "", time.monotonic(), 0
        while (said := self._adb.shell(look, check=False).strip()) != "report":
            missing = missing + 1 if said == "gone" else 0
            if missing > 1:
                raise DeviceError(
                    f"the app on {self._adb.serial} ended without a report; its engine may have "
                    f"crashed: adb -s {self._adb.serial} logcat -d -b crash tells"
                )
            if said != seen:
                seen, since = said, time.monotonic()
                with suppress(ValueError):  # nothing was said yet
                    told = check(documents.parse(said), _PROGRESS, len(_PROGRESS))
                    files = len(request["files"])
                    progress(told["what"], files * told["done"] / max(told["of"], 1), files)
            if time.monotonic() - since > silence:
                raise DeviceError(
                    f"the app on {self._adb.serial} made no progress for {silence:.0f} s: look at "
                    f"its screen, and try again"
                )
            time.sleep(POLL_SECONDS)


def _named(file: Measurement | Failure, protocol: str) -> Measurement | Failure:
    """``file`` with the protocol's whole name: the app does not know what degraded its images."""
    if isinstance(file, Failure) or file.quality is None:
        return file
    return replace(file, quality=replace(file.quality, protocol=protocol))


def _pictures(plan: Plan, folder: Path) -> tuple[dict[str, list[dict[str, str]]], dict[str, Path]]:
    """The pairs of the protocol as the request names them, by scale, and their files by SHA-256.

    PNG files, made in ``folder``; of one channel where the protocol compares one.
    """
    if plan.images is None:
        return {}, {}
    degradation = Degradation.from_json(plan.degradation)
    pairs_by_scale: dict[str, list[dict[str, str]]] = {}
    files: dict[str, Path] = {}
    for scale in scales(plan):
        entries = pairs_by_scale[str(scale)] = []
        pairs = protocol.pairs(Path(plan.images), scale, degradation)
        pairs.check_degraded()
        for pair in pairs:
            entry = {"name": pair.name}
            for part in ("lr", "hr"):
                path = folder / f"{len(files)}.png"
                _image(pair, part).save(path)
                entry[part] = sha256(path)
                files[entry[part]] = path
            entries.append(entry)
    return pairs_by_scale, files


def _image(pair: Pair, part: str) -> Image.Image:
    if part == "lr":
        return Image.fromarray(pair.lr)
    return Image.fromarray(pair.hr[..., 0] if pair.grayscale else pair.hr)
