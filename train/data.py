"""Images of a run, read and checked before its first step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from ailsr.runtime.errors import ImageError, TrainingError
from ailsr.runtime.imaging.alignment import aligned
from ailsr.runtime.imaging.folder import list_folder
from ailsr.runtime.imaging.image import Rgb, list_images, read
from ailsr.runtime.imaging.protocol import Pair, left_out, lr_files, usual_lr_folder
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
    lr: list[Rgb | None]
    """By image: its low-resolution image, where a folder has one."""
    unreadable: dict[Path, str]
    """By file: the reason."""
    shrunk: int
    """Number of images that were larger than the limit."""
    digest: str
    """Of the images as their files hold them, in their order."""


def load_data(recipe: Recipe, device: torch.device, events: Events) -> Data:
    """The images of ``recipe``; ``events`` get a line about those left out or shrunk.

    Raises ImageError or TrainingError when a folder has none that can be used, or when a pair of
    images does not fit together.
    """
    validation = (
        load_validation(recipe.val, recipe.scale, recipe.degradation) if recipe.val else None
    )
    loaded = load_images(_files(recipe), recipe.scale, recipe.max_megapixels, events.progress)
    source = PatchSource(loaded.images, recipe.scale, recipe.patch, device, loaded.lr)
    _report(recipe, loaded, source, validation, events)
    return Data(
        source,
        validation.pairs if validation else [],
        skipped=len(loaded.unreadable) + source.too_small,
        digests={"train": loaded.digest, "val": validation and validation.digest},
    )


def _files(recipe: Recipe) -> list[tuple[Path, Path | None]]:
    """(HR file, LR file or None) of all training images."""
    files: list[tuple[Path, Path | None]] = []
    for number, folder in enumerate(recipe.train or []):
        hr_files = list_images(folder)
        if recipe.train_lr:
            lr_folder: Path | None = recipe.train_lr[number]
        else:
            lr_folder = None if recipe.degraded else usual_lr_folder(folder, recipe.scale)
        lr = lr_files(hr_files, lr_folder, recipe.scale) if lr_folder else [None] * len(hr_files)
        files += zip(hr_files, lr, strict=True)
    return files


def load_images(
    files: Sequence[tuple[Path, Path | None]], scale: int, max_megapixels: float, progress: Progress
) -> LoadedImages:
    """The images of ``files`` (HR, LR or None); those above ``max_megapixels`` that have no LR
    shrunk by an integer factor.

    A photograph straight from a camera is blurred and noisy at its full size; shrunk, it is sharp
    enough to learn from. Raises TrainingError when no file can be read, ImageError when a pair does
    not fit together.
    """
    images: list[Rgb] = []
    low: list[Rgb | None] = []
    unreadable: dict[Path, str] = {}
    shrunk, digest = 0, ImageDigest()
    for number, (file, lr_file) in enumerate(files, start=1):
        try:
            rgb, lr = read(file), read(lr_file) if lr_file else None
        except ImageError as error:
            unreadable[file] = str(error)
            continue
        finally:
            progress("reading images", number, len(files), "")
        digest.add(rgb)
        if lr is not None:
            digest.add(lr)
            lr, rgb = aligned(lr, rgb, scale, (str(lr_file), str(file)))
        elif (factor := _excess(rgb, max_megapixels)) > 1:
            height, width = (max(1, side // factor) for side in rgb.shape[:2])
            rgb = resize(rgb, (height, width))
            shrunk += 1
        images.append(rgb)
        low.append(lr)
    if not images:
        folder, reason = files[0][0].parent, next(iter(unreadable.values()))
        raise TrainingError(
            f"none of the {len(files)} images in {folder} can be read; the first: {reason}"
        )
    return LoadedImages(images, low, unreadable, shrunk, str(digest))


def _excess(rgb: Rgb, max_megapixels: float) -> int:
    """The factor by which ``rgb`` has to shrink."""
    return int(np.ceil(np.sqrt(rgb.shape[0] * rgb.shape[1] / (max_megapixels * 1e6))))


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
