"""The loss by layer as an HTML page of its own."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from pathlib import Path

from ailsr.export.int8.sensitivity import LayerLoss
from ailsr.runtime.files import atomic_output
from ailsr.runtime.report.style import STYLE

BAR = 60
"""Percent of its column that the longest bar takes."""


def write_html(title: str, losses: Sequence[LayerLoss], path: Path) -> None:
    """Write the drawing of ``losses`` to ``path``, whole or not at all."""
    with atomic_output(path) as temporary:
        temporary.write_text(page(title, losses), encoding="utf-8")


def page(title: str, losses: Sequence[LayerLoss]) -> str:
    """A bar for each layer, of what its activations lose and what its weights lose."""
    longest = max((loss.psnr_drop for loss in losses), default=0) or 1
    rows = "".join(_row(loss, BAR / longest) for loss in losses)
    style = (
        ".bar{display:inline-block;height:.8em;vertical-align:middle}"
        ".activations{background:#2a6f97}.weights{background:#e09f3e}"
    )
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{STYLE}{style}</style></head><body><main>"
        f"<h1>{escape(title)}</h1>"
        '<p class="lead">PSNR lost when one layer alone is in int8: '
        '<span class="bar activations" style="width:1em"></span> its result on levels, '
        '<span class="bar weights" style="width:1em"></span> its weights.</p>'
        '<div class="scroll"><table style="width:100%"><thead><tr><th scope="col">Layer</th>'
        '<th scope="col">MACs, %</th><th scope="col">Loss, dB</th>'
        f'<th scope="col" style="width:60%"></th></tr></thead><tbody>{rows}</tbody></table></div>'
        "</main></body></html>"
    )


def _row(loss: LayerLoss, unit: float) -> str:
    bars = "".join(
        f'<span class="bar {kind}" style="width:{unit * value:.2f}%"></span>'
        for kind, value in (("activations", loss.activations_db), ("weights", loss.weights_db))
    )
    return (
        f'<tr><th scope="row">{escape(loss.layer)}<small>{escape(loss.operator)}</small></th>'
        f"<td>{100 * loss.macs_share:.1f}</td><td>{loss.psnr_drop:.3f}</td>"
        f'<td style="text-align:left">{bars}</td></tr>'
    )
