"""The report's crops: a slider between bicubic and the network, and each version beside it."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator, Sequence
from html import escape
from pathlib import Path

from PIL import Image

from ailsr.runtime.bench import findings
from ailsr.runtime.bench.results import Results
from ailsr.runtime.imaging.crops import Crop, Panel
from ailsr.runtime.imaging.image import Rgb
from ailsr.runtime.imaging.metrics import METRICS
from ailsr.runtime.imaging.no_reference import FIGURES
from ailsr.runtime.imaging.protocol import baseline_name
from ailsr.runtime.report.latency import breakable

THUMBNAIL = 200
"""Longer side of the image that shows where a crop lies, in pixels."""


def crop_section(results: Results, crops: Sequence[Crop]) -> Iterator[str]:
    """Heading and crops as HTML; nothing when there are none."""
    if not crops:
        return
    yield "<h2>Before and after</h2>"
    lead = _without_reference(results, crops) if results.is_no_reference else _lead(results, crops)
    yield f'<p class="lead">{lead} Drag across an image or use the arrow keys.</p>'
    for crop in crops:
        yield _crop(results, crop)


def _lead(results: Results, crops: Sequence[Crop]) -> str:
    total = len(next(iter(results.bicubic.values())).images) if results.bicubic else len(crops)
    which = "" if total <= len(crops) else f" Of {total} images, the {len(crops)} that gain most."
    files = "; ".join(
        f"{label} is {Path(file.file).name}" for label, file in findings.shown(results).items()
    )
    shown = next(iter(findings.shown(results).values()))
    return (
        f"Enlarged where the network gains most over {baseline_name(shown.scale)}, with the PSNR "
        "of the crop."
        f"{which} {escape(files)}."
    )


def _without_reference(results: Results, crops: Sequence[Crop]) -> str:
    total = len(next(iter(results.before.values())).images) if results.before else len(crops)
    which = "" if total <= len(crops) else f" Of {total} images, the {len(crops)} with most blocks."
    scale = next(iter(findings.shown(results).values())).scale
    repeated = "" if scale == 1 else "; the input has its pixels repeated"
    return (
        "Images without a ground truth, where the files differ most from "
        f"{baseline_name(scale)}{repeated}.{which} "
        "The figures are of the whole image; they say what is left of "
        "two artefacts, not which result is better."
    )


def _crop(results: Results, crop: Crop) -> str:
    height, width = crop.size
    tall, wide = crop.picture.shape[:2]
    box = "".join(
        f"{side}:{100 * part / whole:.2f}%;"
        for side, part, whole in (
            ("left", crop.left, wide),
            ("top", crop.top, tall),
            ("width", width, wide),
            ("height", height, tall),
        )
    )
    panels = "".join(
        f"<figure>{_picture(crop, panel)}<figcaption>{_label(panel)}</figcaption></figure>"
        for panel in crop.panels
    )
    return (
        f'<section class="crop" style="--width:{width};--height:{height}"><header>'
        f'<span class="where"><img src="{_thumbnail(crop.picture)}" '
        f'alt="{escape(crop.name)}, whole image"><i style="{box}"></i></span>'
        f"<div><h3>{escape(crop.name)}</h3>{_whole_picture(results, crop.name)}</div></header>"
        f'{_slider(crop)}<div class="panels">{panels}</div></section>'
    )


def _slider(crop: Crop) -> str:
    """Bicubic to the left of a line that can be moved, the last file's result to the right.
    Without scripts the line stays in the middle."""
    before, after = crop.before, crop.after
    moved = "this.parentNode.style.setProperty('--cut',this.value+'%')"
    return (
        f'<figure class="slider"><div>{_picture(crop, after)}{_picture(crop, before)}'
        f'<input type="range" min="0" max="100" value="50" oninput="{moved}" '
        f'aria-label="{escape(crop.name)}: how much of it {escape(before.label)} shows, '
        f'the rest is {escape(after.label)}"></div>'
        f"<figcaption><span>{_label(before)}</span><span>{_label(after)}</span></figcaption>"
        f"</figure>"
    )


def _picture(crop: Crop, panel: Panel) -> str:
    alt = f"{escape(crop.name)}: {escape(panel.label)}"
    return f'<img src="{_data_uri(panel.pixels, "PNG", optimize=True)}" alt="{alt}">'


def _label(panel: Panel) -> str:
    score = "" if panel.psnr_db is None else METRICS["psnr"].with_unit(panel.psnr_db)
    return f"<b>{escape(panel.label)}</b>{score and f' <span>{score}</span>'}"


def _whole_picture(results: Results, name: str) -> str:
    """The first metric of the whole image in each version, or its figures without a truth."""
    files = findings.shown(results)
    if results.is_no_reference:
        versions = {label: found for (label, _), found in results.before.items()}
        versions |= {n: file.no_reference for n, file in files.items() if file.no_reference}
        lines = ["<dt>Whole image, no reference</dt>"]
        for label, found in versions.items():
            texts = [f"{n} {figure.text(found.images[name][n])}" for n, figure in FIGURES.items()]
            lines.append(f"<dt>{breakable(label)}</dt><dd>{', '.join(texts)}</dd>")
        return f'<dl class="whole long">{"".join(lines)}</dl>'
    qualities = {label: file.quality for label, file in files.items()}
    scale = next(iter(files.values())).scale
    baseline = baseline_name(scale)
    lines = [
        f"<dt>{escape(label)}</dt><dd>{results.rank_metric.with_unit(score)}</dd>"
        for label, quality in {baseline: results.bicubic.get(scale), **qualities}.items()
        if (score := results.rank_score(quality, name)) is not None
    ]
    return f'<dl class="whole"><dt>Whole image</dt>{"".join(lines)}</dl>' if lines else ""


def _thumbnail(rgb: Rgb) -> str:
    image = Image.fromarray(rgb)
    image.thumbnail((2 * THUMBNAIL, 2 * THUMBNAIL))  # twice the size shown, for dense screens
    return _data_uri(image, "JPEG", quality=80)


def _data_uri(picture: Rgb | Image.Image, kind: str, **options: object) -> str:
    image = picture if isinstance(picture, Image.Image) else Image.fromarray(picture)
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return f"data:image/{kind.lower()};base64,{base64.b64encode(buffer.getvalue()).decode()}"
