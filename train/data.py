"""Images of a run, read and checked before its first step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from ailsr.runtime.errors import ImageError, TrainingError
from ailsr.runtime.imaging.folder import list_folder
from ailsr.runtime.imaging.image import Rgb, list_images, read
from ailsr.runtime.imaging.protocol import Pair, left_out
from ailsr.runtime.imaging.resize import resize
from ailsr.train.digest import ImageDigest
from ailsr.train.events import Events, Progress
from ailsr.train.patches import PatchSource
from ailsr.train.recipe import Recipe
from ailsr.train.validation import Validation, load_validation


@dataclass(frozen=True)
class Data:
    """Training and validation images of a run."""

    source: PatchSource
    validation: list[Pair]
    """Empty without ``--val``."""
    skipped: int
    """Number of training images left out: unreadable, or smaller than a patch."""
    digests: dict[str, str | None]
    """By option, ``train`` and ``val``: the digest of its images, wherever their files are."""


class LoadedImages(NamedTuple):
    """Training images, and the files that are not among them."""

    images: list[Rgb]
    unreadable: dict[Path, str]
    """By file: the reason."""
    shrunk: int
    """Number of images that were larger than the limit."""
    digest: str
    """Of the images as their files hold them, in their order."""


def load_data(recipe: Recipe, device: torch.device, events: Events) -> Data:
    """The images of ``recipe``; ``events`` get a line about those left out or shrunk.

    Raises ImageError or TrainingError when a folder has none that can be used.
    """
    validation = (
        load_validation(recipe.val, recipe.scale, recipe.degradation) if recipe.val else None
    )
    loaded = load_images(recipe.train or [], recipe.max_megapixels, events.progress)
    source = PatchSource(loaded.images, recipe.scale, recipe.patch, device)
    _report(recipe, loaded, source, validation, events)
    return Data(
        source,
        validation.pairs if validation else [],
        skipped=len(loaded.unreadable) + source.too_small,
        digests={"train": loaded.digest, "val": validation and validation.digest},
    )


def load_images(folders: Sequence[Path], max_megapixels: float, progress: Progress) -> LoadedImages:
    """All images of ``folders``; those above ``max_megapixels`` shrunk by an integer factor.

    A photograph straight from a camera is blurred and noisy at its full size; shrunk, it is sharp
    enough to learn from. Raises TrainingError when no file can be read.
    """
    files = [f for folder in folders for f in list_images(folder)]
    images: list[Rgb] = []
    unreadable: dict[Path, str] = {}
    shrunk, digest = 0, ImageDigest()
    for number, file in enumerate(files, start=1):
        try:
            rgb = read(file)
            digest.add(rgb)
            factor = int(np.ceil(np.sqrt(rgb.shape[0] * rgb.shape[1] / (max_megapixels * 1e6))))
            if factor > 1:
                height, width = (max(1, side // factor) for side in rgb.shape[:2])
                rgb = resize(rgb, (height, width))
                shrunk += 1
            images.append(rgb)
        except ImageError as error:
            unreadable[file] = str(error)
        progress("reading pictures", number, len(files), "")
    if not images:
        named, reason = ", ".join(str(f) for f in folders), next(iter(unreadable.values()))
        raise TrainingError(
            f"none of the {len(files)} pictures in {named} can be read; the first: {reason}"
        )
    return LoadedImages(images, unreadable, shrunk, str(digest))


def _report(
    recipe: Recipe,
    loaded: LoadedImages,
    source: PatchSource,
    validation: Validation | None,
    events: Events,
) -> None:
    """Send ``events`` the images left out and the number shrunk."""
    notes = [list_folder(folder).note for folder in recipe.train or []]
    notes.append(left_out(recipe.val) if recipe.val else None)
    for note in filter(None, notes):
        events.say(note)
    if validation and (unusable := validation.left_out):
        first = next(iter(unusable.values()))
        events.say(f"left out of --val: {len(unusable)}, the first: {first}")
    if unreadable := loaded.unreadable:
        first = next(iter(unreadable.values()))
        events.say(f"left out: {len(unreadable)} unreadable, the first: {first}")
    if source.too_small:
        side = recipe.patch * recipe.scale
        events.say(f"left out: {source.too_small} smaller than a patch, {side}x{side}")
    if loaded.shrunk:
        events.say(f"shrunk: {loaded.shrunk} of more than --max-megapixels {recipe.max_megapixels}")
