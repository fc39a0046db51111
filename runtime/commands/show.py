"""``ailsr-show``: the card, tensors, operators and weights of a file."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated, Any

import typer
from rich import box
from rich.table import Table

from ailsr.runtime.anatomy.anatomy import Anatomy
from ailsr.runtime.anatomy.lint import Lint, lint, reads
from ailsr.runtime.anatomy.lint_rules import DELEGATES, DelegateName
from ailsr.runtime.anatomy.registry import anatomy
from ailsr.runtime.card import Card, Layout
from ailsr.runtime.commands.command import entry_point, print_json, stdout
from ailsr.runtime.errors import EngineError, UsageError
from ailsr.runtime.probe import Fidelity


@dataclass(frozen=True)
class ShowConfig:
    """Show what a file is, how it was made, how good it is and what it is made of.

    Reads exported files (.onnx, .tflite, .mlpackage), ours and those of others, checkpoints (.pt,
    zoo:NAME) and torch.export programs (.pt2). Nothing in the file is run, but by --probe.

    Examples:

    ailsr-show sesr_m5_x2_int8.tflite

    ailsr-show sesr_m5_x2_int8.tflite --lint gpu --lint nnapi

    ailsr-show sesr_m5_x2_int8.onnx --probe

    ailsr-show zoo:sesr_m5_x2 --json
    """

    model: Annotated[
        str,
        typer.Argument(metavar="FILE", help="The file, or zoo:NAME.", show_default=False),
    ]
    lint: Annotated[
        list[DelegateName],
        typer.Option(
            help="Say which operators the phone's GPU (gpu), NNAPI (nnapi), Hexagon DSP "
            "(hexagon), Qualcomm's HTP (qnn) or Neural Engine (ane) would leave to the CPU; may be "
            "repeated. See docs/lint.md.",
            show_default=False,
        ),
    ] = field(default_factory=list)
    probe: Annotated[
        bool,
        typer.Option(
            "--probe",
            help="Run an exported file once, on the test image whose right answer it holds: does "
            "the engine compute here what was exported? Exit code 1 when it does not.",
        ),
    ] = False
    json: Annotated[bool, typer.Option("--json", help="Print one JSON document, no table.")] = False


def main(config: ShowConfig) -> None:
    """Print the card and the anatomy of ``config.model``."""
    found = anatomy(config.model)
    answer = _probe(config.model) if config.probe else None
    lints = [_lint(found, config.model, delegate) for delegate in config.lint]
    if config.json:
        lint_document = {"lint": [asdict(result) for result in lints]} if lints else {}
        probe_document = {"probe": asdict(answer)} if answer else {}
        print_json(document(config.model, found) | lint_document | probe_document)
        _check(config.model, answer)
        return
    table = Table(
        box=box.SIMPLE, show_header=False, padding=(0, 2, 0, 0), pad_edge=False, show_edge=False
    )
    table.add_column(style="bold", overflow="fold", max_width=24)
    table.add_column(overflow="fold")
    for group in (_what_it_is(found), _how_it_was_made(found), _what_it_is_made_of(found)):
        for name, text in group:
            table.add_row(name, text)
        table.add_section()
    if not stdout.is_terminal:
        stdout.width = 400  # a pipe has no width: never fold or cut
    stdout.print(config.model, soft_wrap=True)
    stdout.print(table)
    for result in lints:
        for line in result.lines():
            stdout.print(line, soft_wrap=True)
    if answer:
        stdout.print(f"fidelity in {answer.engine}: {answer}", soft_wrap=True)
    _check(config.model, answer)


@dataclass(frozen=True)
class Answer:
    """An engine's answer to a file's probe."""

    engine: str
    """Its name and version"""
    fidelity: Fidelity | None
    """None: the file has no probe."""

    def __str__(self) -> str:
        return "not known, the file has no probe" if self.fidelity is None else str(self.fidelity)


def _probe(model: str) -> Answer:
    from ailsr.runtime.engines.registry import engine_names
    from ailsr.runtime.upscaling.upscaler import load

    if not engine_names(Path(model)):
        raise UsageError(f"--probe is for exported files, and no engine runs {model}: export it")
    upscaler = load(model)
    return Answer(upscaler.engine.name, upscaler.fidelity())


def _check(model: str, answer: Answer | None) -> None:
    if answer and answer.fidelity and answer.fidelity.verdict == "wrong":
        raise EngineError(
            f"{answer.engine} does not compute what was exported as {model}: use another engine or "
            "precision on this machine"
        )


def document(model: str, found: Anatomy) -> dict[str, Any]:
    """The JSON document."""
    return {
        "file": model,
        "kind": found.kind,
        "bytes": found.bytes,
        "sealed": found.sealed,
        "card": asdict(found.card) if found.card else None,
        "inputs": [asdict(tensor) for tensor in found.inputs],
        "outputs": [asdict(tensor) for tensor in found.outputs],
        "operators": found.counts,
        "weights": found.weights,
        "weight_bytes": found.weight_bytes,
        "versions": found.versions,
        "facts": found.facts,
    }


def _lint(found: Anatomy, model: str, delegate: DelegateName) -> Lint:
    if not reads(delegate, found):
        kind = DELEGATES[delegate].kind
        raise UsageError(f"--lint {delegate} is for {kind} files, and {model} is {found.kind}")
    return lint(found, delegate)


LAYOUTS: dict[Layout, str] = {
    "rgb": "RGB pixels",
    "rgba": "RGBA pixels, alpha ignored and opaque in the result",
    "y": "planes of luma, 16 to 235 of 255",
    "y-full": "planes of luma of full range",
}
"""In words."""
Lines = Iterator[tuple[str, str]]


def _what_it_is(found: Anatomy) -> Lines:
    versions = ", ".join(f"{name} {version}" for name, version in found.versions.items())
    yield "format", f"{found.kind} ({versions})" if versions else found.kind
    yield "size", f"{found.bytes:,} bytes"
    card = found.card
    if card is None and "network" not in found.facts:
        yield "card", "none: the file is not one of ours, or its metadata were removed"
    elif card is not None:
        height, width = card.input_size
        inside = "luma" if card.color == "y" else "RGB"
        yield "network", f"{card.network} x{card.scale}, {inside} inside"
        ranges = [text or "0..1" for text in (card.input_range, card.output_range)]
        if ranges != ["0..1", "0..1"]:
            yield "network takes", f"{ranges[0]} and returns {ranges[1]}: the file converts"
        yield (
            "precision",
            f"{card.precision}; takes and returns {card.pixels} {LAYOUTS[card.layout]}",
        )
        yield "input size", f"{height}x{width}, becomes {card.scale * height}x{card.scale * width}"
        for height, width in card.other_sizes:
            yield "or", f"{height}x{width}, becomes {card.scale * height}x{card.scale * width}"
        yield "radius", f"{card.radius} pixels: tiles overlap by as much"
    for name, tensors in (("takes", found.inputs), ("returns", found.outputs)):
        if tensors:
            yield name, ", ".join(map(str, tensors))


def _how_it_was_made(found: Anatomy) -> Lines:
    card = found.card or Card("", 1, "rgb", "float32", "float32", (1, 1), 0)
    for name, value in card.training.items():
        yield f"training: {name}", _text(value)
    for name, text in found.facts.items():
        yield name, text
    for name, value in (
        ("calibration", card.calibration),
        ("checkpoint SHA-256", card.checkpoint_sha256),
        ("ailsr", card.ailsr_version),
    ):
        if value:
            yield name, value
    for pictures, psnr in card.psnr.items():
        yield "PSNR", f"{psnr:.3f} dB on {pictures} ({card.protocol})"
    if found.sealed:
        yield "seal", "intact: the bytes are those that were exported"


def _what_it_is_made_of(found: Anatomy) -> Lines:
    yield "weights", f"{found.weights:,} numbers, {found.weight_bytes:,} bytes"
    total = len(found.operators)
    if total:
        counts = (f"{count}x {title}" for title, count in found.counts.items())
        yield "operators", f"{total}: {', '.join(counts)}"


def _text(value: Any) -> str:  # noqa: ANN401
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


cli = entry_point(ShowConfig, main)
