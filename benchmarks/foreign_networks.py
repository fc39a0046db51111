"""Networks of others, exported: which are taken, how exactly, and what int8 costs them.

    python benchmarks/foreign_networks.py networks --calibration T91 --test Set5 \
        --output docs/foreign-networks.md

``networks`` is a folder of files as their authors publish or export them: .onnx, .pt2, and weights
(.pth, .safetensors, .ckpt) of architectures that spandrel recognises. A table ``sources.tsv`` in it
may name for each file where it comes from: file, repository, licence and, separated by spaces,
options of ``ailsr-export``. Each network goes through ``ailsr-export`` in processes of its own:
float32, then int8 TFLite. What is known is kept in survey.json there: an interrupted run goes on.

    python benchmarks/foreign_networks.py networks --only 39_SPANtiny_2024.onnx --int8-only \
        --calibration T91 --test Set5 --output docs/foreign-networks.md

makes int8 files alone, of those that ``--only`` names, and writes their lines of the page's part
about int8; what else the page says stays.
"""

from __future__ import annotations

import csv
import json
import os
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

from ailsr.export.int8.mixed_precision import MOST
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
and equal their original. Nothing of theirs is part of this project.

Written by `python benchmarks/foreign_networks.py`, {day}, on {cpu}:
PSNR of the float32 file on {test} ({protocol}; in tiles of {sizes} pixels),
largest difference of a sample from the original in grey levels, and seconds of the exports,
verified, on a machine that was also at other work.

"""
INT8 = ("<!-- int8 -->", "<!-- end of int8 -->")
"""Marks around the part of the page about int8."""
INT8_HEAD = """
int8 TFLite files: bytes of the file, PSNR lost on {test} in dB, what kept it close
([int8.md](int8.md)), and minutes of processor time; each line with its day and CPU, by
`python benchmarks/foreign_networks.py --int8-only`.

| network | file | bytes | loss, dB | by | tiles | min | day, CPU |
|---|---|--:|--:|---|---|--:|---|
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
    only: Annotated[
        list[str] | None, Option(metavar="FILE", help="One of the networks. Repeatable.")
    ] = None
    int8_only: Annotated[
        bool, Option("--int8-only", help="Leave float32, and its part of the page, as they are.")
    ] = False
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
    processor: float = 0.0
    """Seconds of processor time that the int8 file took."""
    made: str = ""
    """Day and CPU of the int8 file."""
    protocol: str = ""
    size: str = ""
    """Input size of the files."""


def main(config: Survey) -> None:
    """Export every network and write the page."""
    files = [f for f in config.folder.iterdir() if f.suffix.lower() in ENDINGS]
    if config.only:
        files = [f for f in files if f.name in config.only]
    if not files:
        raise UsageError(f"{config.folder} holds no network: {', '.join(ENDINGS)}")
    files.sort(key=lambda file: file.stat().st_size)  # the small ones are soon known
    sources = _sources(config.folder / "sources.tsv")
    kept = config.folder / "survey.json"
    every = json.loads(kept.read_text("utf-8")) if kept.exists() else {}
    with progress() as bar:
        for file in bar.track(files, task_id=bar.add_task("", total=len(files), note="")):
            known = Found(**every.get(file.name, {"file": file.name, "size": config.size}))
            source, found = sources.get(file.name, {}), known
            message(file.name)
            if not (config.int8_only or found.float32 or found.reason):
                found = _in_float32(found, file, source, config)
            if not (config.float_only or found.int8 or found.reason):
                found = _in_int8(found, file, source, config)
            if found == known:
                continue
            every[file.name] = vars(found)
            with atomic_output(kept) as temporary:
                temporary.write_text(json.dumps(every), encoding="utf-8")
    networks = [Found(**every[file.name]) for file in sorted(files)]
    if config.output:
        with atomic_output(config.output) as temporary:
            temporary.write_text(_page(networks, config), encoding="utf-8")
    if config.json or not config.output:
        typer.echo(json.dumps([vars(network) for network in networks]))


def _sources(table: Path) -> dict[str, dict[str, str]]:
    """The lines of ``sources.tsv`` by file; empty: there is none."""
    if not table.exists():
        return {}
    lines = csv.DictReader(table.read_text("utf-8").splitlines(), delimiter="\t")
    return {line["file"]: line for line in lines}


def _in_float32(found: Found, file: Path, source: dict[str, str], config: Survey) -> Found:
    started = time.monotonic()
    options = ["--precision", "float32", *(source.get("options") or "").split()]
    for target in config.target or ["all"]:
        options += ["--target", target]
    report = _export(file, options, config)
    return replace(
        found,
        repository=source.get("repository", ""),
        licence=source.get("licence", ""),
        seconds=time.monotonic() - started,
        reason=report.get("error") or "; ".join(refused["reason"] for refused in report["refused"]),
        float32=report.get("files", []),
        protocol=report.get("protocol", ""),
        size=config.size,
    )


def _in_int8(found: Found, file: Path, source: dict[str, str], config: Survey) -> Found:
    before = _of_children()
    options = ["--precision", "int8", "--target", "tflite"]
    report = _export(file, [*options, *(source.get("options") or "").split()], config)
    files = [*report.get("files", []), *report.get("refused", [])]
    int8 = (files[0] if files else {"reason": report["error"]}) | {"size": config.size}
    made = f"{date.today().isoformat()}, {Host.here().cpu}"
    return replace(found, int8=int8, processor=_of_children() - before, made=made)


def _of_children() -> float:
    """Seconds of processor time of the processes that ended."""
    times = os.times()
    return times.children_user + times.children_system


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


def _page(every: list[Found], config: Survey) -> str:
    """The page; with ``--int8-only`` the one that is there, but for its part about int8."""
    old = config.output.read_text("utf-8") if config.output and config.output.exists() else ""
    int8 = "\n".join([INT8[0], *_int8_part(every, old, config), INT8[1], ""])
    if config.int8_only and old:
        before, _, rest = old.partition(INT8[0])
        after = rest.partition(INT8[1])[2].strip("\n")
        return before.rstrip("\n") + "\n\n" + int8 + (f"\n{after}\n" if after else "")
    return _float32_part(every, config.test) + "\n" + int8


def _int8_part(every: list[Found], old: str, config: Survey) -> list[str]:
    """Its lines: those of ``every`` network that was tried, and those of others on the ``old``
    page."""
    part = old.partition(INT8[0])[2].partition(INT8[1])[0]
    lines = {line.split("`")[1]: line for line in part.splitlines() if line.startswith("| `")}
    lines |= {network.file: _int8_line(network) for network in every if network.int8}
    near = sum(line.split(" | ")[1] == "int8" for line in lines.values())
    head = INT8_HEAD.format(test=_set_name(config.test)) if lines else ""
    tried = (
        f"Of {len(lines)} networks that were tried in int8, {near}\n"
        f"({near / max(1, len(lines)):.0%}) become int8 files that lose at most "
        f"{MAX_PSNR_DROP['int8']:.2f} dB with at most {MOST:.0%} of the MACs outside int8."
    )
    return [
        *(tried.splitlines() if lines else ["None was tried in int8."]),
        *head.splitlines(),
        *(lines[name] for name in sorted(lines)),
    ]


def _int8_line(network: Found) -> str:
    made = network.int8
    cells = ["none", "–", "–", _cell(made.get("reason", ""))]
    if "reason" not in made:
        cells = [made["precision"], f"{made['bytes']}", f"{made['loss']:.3f}", made["means"]]
    cells += [made.get("size", network.size), f"{network.processor / 60:.1f}", network.made]
    return f"| {_name(network)} | {' | '.join(cells)} |"


def _set_name(test: Path) -> str:
    return test.parent.name if test.name == "HR" else test.name


def _float32_part(every: list[Found], test: Path) -> str:
    taken = [network for network in every if not network.reason]
    head = PAGE.format(
        taken=len(taken),
        count=len(every),
        day=date.today().isoformat(),
        cpu=Host.here().cpu,
        test=_set_name(test),
        protocol=next((network.protocol for network in taken), ""),
        sizes=" or ".join(sorted({network.size for network in taken})),
    )
    lines = [
        "| network | from | licence | PSNR, dB | difference | s |",
        "|---|---|---|--:|--:|--:|",
        *map(_line, taken),
    ]
    refused = [network for network in every if network.reason]
    if refused:
        lines += ["", "Refused:", "", "| network | from | licence | reason |", "|---|---|---|---|"]
        lines += [
            f"| {_name(n)} | {n.repository} | {n.licence} | {_cell(n.reason)} |" for n in refused
        ]
    return head + "\n".join(lines) + "\n"


def _line(network: Found) -> str:
    psnr = network.float32[0]["psnr"]
    furthest = 255 * max(f["max_difference"] for f in network.float32)
    cells = [
        _name(network), network.repository, network.licence, f"{psnr:.2f}", f"{furthest:.4f}",
        f"{network.seconds:.0f}",
    ]  # fmt: skip
    return f"| {' | '.join(map(str, cells))} |"


def _name(network: Found) -> str:
    return f"`{network.file}`"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")[:200]


if __name__ == "__main__":
    entry_point(Survey, main)()
