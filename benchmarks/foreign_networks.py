"""Networks of others, exported: which are taken, how exactly, and what int8 costs them.

    python benchmarks/foreign_networks.py networks --calibration T91 --test Set5 \
        --output docs/foreign-networks.md

``networks`` is a folder of files as their authors publish or export them: .onnx, .pt2, and weights
(.pth, .safetensors, .ckpt) of architectures that spandrel recognises. A table ``sources.tsv`` in it
may name for each file where it comes from: file, repository, licence and, separated by spaces,
options of ``ailsr-export``. Each network goes through ``ailsr-export`` in processes of its own:
float32, then int8 TFLite. What is known is kept in survey.json there: an interrupted run goes on.
"""

from __future__ import annotations

import csv
import json
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from pathlib import Path
from typing import Annotated, Any

import typer
from typer import Argument, Option

from ailsr.export.targets import TARGETS
from ailsr.export.verification import MAX_PSNR_DROP
from ailsr.runtime.bench.host import Host
from ailsr.runtime.commands.command import entry_point, message, progress
from ailsr.runtime.errors import UsageError
from ailsr.runtime.files import atomic_output

ENDINGS = (".onnx", ".pt2", ".pth", ".safetensors", ".ckpt")
EXPORT = Path(sys.executable).with_name("ailsr-export")
PAGE = """# Networks of others

{taken} of {count} networks by their authors' own code and weights are taken by `ailsr-export FILE`
and equal their original. {int8} Nothing of theirs is part of this project.

Written by `python benchmarks/foreign_networks.py`, {day}, on {cpu}:
PSNR of the float32 file on {test} ({protocol}; in tiles of {sizes} pixels),
largest difference of a sample from the original in grey levels, loss of the int8 TFLite file, and
seconds of both exports, verified, on a machine that was also at other work.

"""


@dataclass(frozen=True)
class Survey:
    """Export a folder of networks of others and write what became of them."""

    folder: Annotated[Path, Argument(help="Files of networks.", metavar="DIR")]
    calibration: Annotated[Path, Option(metavar="DIR", help="Images to calibrate on.")]
    test: Annotated[Path, Option(metavar="DIR", help="Images to verify on.")]
    size: Annotated[str, Option(metavar="HxW", help="Input size of the files.")] = "64x64"
    limit: Annotated[float, Option(metavar="S", help="Seconds for one export.")] = 900
    target: Annotated[
        list[str] | None,
        Option(metavar="|".join(TARGETS), help="Of the float32 files. Repeatable. Default: all."),
    ] = None
    float_only: Annotated[bool, Option("--float-only", help="Leave int8 to a later run.")] = False
    output: Annotated[Path | None, Option(metavar="PAGE.md", help="The page to write.")] = None
    json: Annotated[bool, Option("--json", help="Print the figures as JSON.")] = False


@dataclass(frozen=True)
class Found:
    """What became of one network."""

    file: str
    repository: str = ""
    licence: str = ""
    seconds: float = 0.0
    reason: str = ""
    """Why it was refused; empty: it was taken."""
    float32: list[dict[str, Any]] = field(default_factory=list)
    """The files of all targets, as ``ailsr-export --json`` tells of them."""
    int8: dict[str, Any] = field(default_factory=dict)
    """The int8 file, or the ``reason`` that there is none."""
    protocol: str = ""
    size: str = ""
    """Input size of the files."""

    @property
    def is_near(self) -> bool:
        """Whether its int8 file loses no more than is allowed."""
        return self.int8.get("precision") == "int8" and "reason" not in self.int8


def main(config: Survey) -> None:
    """Export every network and write the page."""
    files = [f for f in config.folder.iterdir() if f.suffix.lower() in ENDINGS]
    if not files:
        raise UsageError(f"{config.folder} holds no network: {', '.join(ENDINGS)}")
    files.sort(key=lambda file: file.stat().st_size)  # the small ones are soon known
    sources = _sources(config.folder / "sources.tsv")
    kept = config.folder / "survey.json"
    every = json.loads(kept.read_text("utf-8")) if kept.exists() else {}
    with progress() as bar:
        for file in bar.track(files, task_id=bar.add_task("", total=len(files), note="")):
            known = Found(**every[file.name]) if file.name in every else None
            if known and (known.reason or known.int8 or config.float_only):
                continue
            message(file.name)
            source = sources.get(file.name, {})
            found = known or _in_float32(file, source, config)
            if not (found.reason or config.float_only):
                found = _in_int8(found, file, source, config)
            every[file.name] = vars(found)
            with atomic_output(kept) as temporary:
                temporary.write_text(json.dumps(every), encoding="utf-8")
    networks = [Found(**every[file.name]) for file in sorted(files)]
    if config.output:
        with atomic_output(config.output) as temporary:
            temporary.write_text(_page(networks, config.test), encoding="utf-8")
    if config.json or not config.output:
        typer.echo(json.dumps([vars(network) for network in networks]))


def _sources(table: Path) -> dict[str, dict[str, str]]:
    """The lines of ``sources.tsv`` by file; empty: there is none."""
    if not table.exists():
        return {}
    lines = csv.DictReader(table.read_text("utf-8").splitlines(), delimiter="\t")
    return {line["file"]: line for line in lines}


def _in_float32(file: Path, source: dict[str, str], config: Survey) -> Found:
    started = time.monotonic()
    options = ["--precision", "float32", *(source.get("options") or "").split()]
    for target in config.target or ["all"]:
        options += ["--target", target]
    report = _export(file, options, config)
    return Found(
        file.name,
        source.get("repository", ""),
        source.get("licence", ""),
        time.monotonic() - started,
        report.get("error") or "; ".join(refused["reason"] for refused in report["refused"]),
        report.get("files", []),
        protocol=report.get("protocol", ""),
        size=config.size,
    )


def _in_int8(found: Found, file: Path, source: dict[str, str], config: Survey) -> Found:
    started = time.monotonic()
    options = ["--precision", "int8", "--target", "tflite"]
    report = _export(file, [*options, *(source.get("options") or "").split()], config)
    files = [*report.get("files", []), *report.get("refused", [])]
    int8 = files[0] if files else {"reason": report["error"]}
    return replace(found, int8=int8, seconds=found.seconds + time.monotonic() - started)


def _export(file: Path, options: Sequence[str], config: Survey) -> dict[str, Any]:
    """The JSON of one export, or its ``error``."""
    command = [
        EXPORT, file, *options, "--json", "--input-size", config.size, "--images", config.test,
        "--calibration", config.calibration, "--output", config.folder / "exported",
    ]  # fmt: skip
    try:
        done = subprocess.run(
            list(map(str, command)), capture_output=True, text=True, timeout=config.limit
        )
    except subprocess.TimeoutExpired:
        return {"error": f"it took more than {config.limit:g} s"}
    if done.stdout.startswith("{"):
        report: dict[str, Any] = json.loads(done.stdout)
        return report
    errors = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    told = (errors or [f"exit code {done.returncode}"])[-1].removeprefix("error: ")
    return {"error": told.removeprefix(f"{file}: ")}


def _page(every: list[Found], test: Path) -> str:
    taken = [network for network in every if not network.reason]
    head = PAGE.format(
        taken=len(taken),
        count=len(every),
        int8=_int8(taken),
        day=date.today().isoformat(),
        cpu=Host.here().cpu,
        test=test.parent.name if test.name == "HR" else test.name,
        protocol=next((network.protocol for network in taken), ""),
        sizes=" or ".join(sorted({network.size for network in taken})),
    )
    lines = [
        "| network | from | licence | PSNR, dB | difference | int8 loss, dB | int8 by | s |",
        "|---|---|---|--:|--:|--:|---|--:|",
        *map(_line, taken),
    ]
    refused = [network for network in every if network.reason]
    if refused:
        lines += ["", "Refused:", "", "| network | from | licence | reason |", "|---|---|---|---|"]
        lines += [
            f"| {_name(n)} | {n.repository} | {n.licence} | {_cell(n.reason)} |" for n in refused
        ]
    return head + "\n".join(lines) + "\n"


def _int8(taken: list[Found]) -> str:
    """What became of the networks that were tried in int8, as a sentence."""
    tried = [network for network in taken if network.int8]
    if not tried:
        return "None was tried in int8."
    near, drop = sum(network.is_near for network in tried), MAX_PSNR_DROP["int8"]
    return f"Of {len(tried)} that were tried in int8, {near} lose at most {drop} dB."


def _line(network: Found) -> str:
    psnr = network.float32[0]["psnr"]
    furthest = 255 * max(f["max_difference"] for f in network.float32)
    loss, method = "–", "not tried"
    if network.is_near:
        loss, method = f"{network.int8['loss']:.3f}", network.int8["means"]
    elif network.int8:
        method = _cell(network.int8.get("reason") or network.int8["precision"])
    cells = [
        _name(network), network.repository, network.licence, f"{psnr:.2f}", f"{furthest:.4f}", loss,
        method, f"{network.seconds:.0f}",
    ]  # fmt: skip
    return f"| {' | '.join(map(str, cells))} |"


def _name(network: Found) -> str:
    return f"`{network.file}`"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")[:200]


if __name__ == "__main__":
    entry_point(Survey, main)()
