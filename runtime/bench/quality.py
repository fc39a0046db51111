"""Metrics or figures over a folder, of which an image that cannot be used costs only itself."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from ailsr.runtime.errors import AilsrError, ImageError, UsageError
from ailsr.runtime.imaging import no_reference, protocol
from ailsr.runtime.imaging.degradation import BICUBIC, Degradation
from ailsr.runtime.imaging.image import Rgb
from ailsr.runtime.imaging.metrics import ALWAYS, MetricName, Scores
from ailsr.runtime.imaging.no_reference import Figures, NoReference
from ailsr.runtime.imaging.protocol import Protocol, Quality

LeftOut = dict[str, str]
"""Why an image was left out, by its name."""


def judge(
    upscale: Callable[[Rgb], Rgb],
    images: Path,
    scale: int,
    comparison: Protocol,
    metrics: Sequence[MetricName] = ALWAYS,
    degradation: Degradation = BICUBIC,
    tick: Callable[[int, int], None] = lambda done, total: None,
) -> tuple[Quality | None, LeftOut]:
    """The quality of ``upscale`` over the images in ``images`` that can be used, None for none.

    ``tick`` is called with (images done, images in all) before each.
    """
    try:
        pairs = protocol.pairs(images, scale, degradation)
        pairs.check_degraded()
    except (ImageError, UsageError) as error:
        return None, {str(images): str(error)}
    scores: dict[str, Scores] = {}
    left_out: LeftOut = {}
    for done, name in enumerate(pairs.names):
        tick(done, len(pairs))
        try:
            pair = pairs[done]
            protocol.check_size(pair, comparison)
            scores[name] = protocol.score(upscale(pair.lr), pair, comparison, metrics)
        except (AilsrError, MemoryError) as error:
            left_out[name] = str(error) or f"{name}: out of memory"
    if not scores:
        return None, left_out
    return Quality.of_images(protocol.protocol_name(comparison, degradation), scores), left_out


def judge_without_reference(
    upscale: Callable[[Rgb], Rgb],
    images: Path,
    scale: int,
    tick: Callable[[int, int], None] = lambda done, total: None,
) -> tuple[NoReference | None, LeftOut]:
    """The figures of what ``upscale`` makes of the images themselves, ``scale`` times as large.

    As ``judge`` otherwise.
    """
    try:
        sources = no_reference.sources(images)
    except ImageError as error:
        return None, {str(images): str(error)}
    found: dict[str, Figures] = {}
    left_out: LeftOut = {}
    for done, (name, path) in enumerate(sources.items()):
        tick(done, len(sources))
        try:
            rgb = no_reference.read(name, path)
            found[name] = no_reference.figures(upscale(rgb), scale)
        except (AilsrError, MemoryError) as error:
            left_out[name] = str(error) or f"{name}: out of memory"
    return (NoReference.of_images(found) if found else None), left_out
