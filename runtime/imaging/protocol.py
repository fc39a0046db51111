"""The evaluation protocols: which pixels are compared, so that figures can be.

``Y-shave-s``: the high-resolution image (HR) is cropped to a multiple of the scale s; the
low-resolution one (LR) is its bicubic reduction as MATLAB makes it; metrics are taken on Y
of BT.601 (studio range, rounded to whole levels as MATLAB's rgb2ycbcr does) without a border of s
pixels. An HR file of one channel (Set14's `bridge`) is compared in its own levels, as the
literature does.

``RGB-DIV2K``: the same on the three channels of RGB, as challenges report it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean
from typing import Any, Literal, get_args, overload

import numpy as np
from numpy.typing import NDArray

from ailsr.runtime.errors import ImageError, UsageError
from ailsr.runtime.imaging import image, metrics
from ailsr.runtime.imaging.alignment import aligned
from ailsr.runtime.imaging.color import Y_OFFSET, Y_WEIGHTS, luma
from ailsr.runtime.imaging.degradation import BICUBIC, Degradation
from ailsr.runtime.imaging.image import Rgb
from ailsr.runtime.imaging.metrics import METRICS, MetricName, Scores
from ailsr.runtime.imaging.resize import crop_to_multiple
from ailsr.runtime.names import unless_shared

Protocol = Literal["Y-shave-s", "RGB-DIV2K"]
PROTOCOL: Protocol = "Y-shave-s"
PROTOCOLS: tuple[Protocol, ...] = get_args(Protocol)


@dataclass(frozen=True)
class Pair:
    """A low-resolution image and what it should become."""

    name: str
    lr: Rgb
    """[h, w, 3]"""
    hr: Rgb
    """[scale*h, scale*w, 3]"""
    grayscale: bool = False
    """The HR file holds one channel."""

    @property
    def scale(self) -> int:
        return int(self.hr.shape[0] // self.lr.shape[0])


def protocol_name(protocol: Protocol, degradation: Degradation) -> str:
    """``Y-shave-s``, or ``Y-shave-s/photo-1`` of images that were degraded so."""
    return f"{protocol}/{degradation}" if degradation.steps else protocol


def baseline_name(scale: int) -> str:
    """What results are set against: ``bicubic``, or ``input``, the image as it is, at scale 1."""
    return "input" if scale == 1 else "bicubic"


class Pairs(Sequence[Pair]):
    """The pairs of a folder, sorted by name, each read when it is asked for."""

    def __init__(
        self,
        sources: Sequence[tuple[str, Path, Path | None]],
        scale: int,
        degradation: Degradation = BICUBIC,
    ) -> None:
        self.sources = sources
        """(name, HR file, LR file or None when ``degradation`` makes it)"""
        self._scale, self._degradation = scale, degradation

    @property
    def names(self) -> list[str]:
        return [name for name, _, _ in self.sources]

    def __len__(self) -> int:
        return len(self.sources)

    @overload
    def __getitem__(self, index: int) -> Pair: ...
    @overload
    def __getitem__(self, index: slice) -> Pairs: ...
    def __getitem__(self, index: int | slice) -> Pair | Pairs:
        if isinstance(index, slice):
            return Pairs(self.sources[index], self._scale, self._degradation)
        return _pair(*self.sources[index], self._scale, self._degradation)

    @property
    def are_given(self) -> bool:
        """The low-resolution images lie in a folder."""
        return any(lr is not None for _, _, lr in self.sources)

    def check_degraded(self) -> None:
        """Raise UsageError for images of scale 1 that are their own ground truth."""
        if not self.are_given:
            check_degraded(self._scale, self._degradation)

    def __iter__(self) -> Iterator[Pair]:
        return (_pair(*source, self._scale, self._degradation) for source in self.sources)


@dataclass(frozen=True)
class Quality:
    """Metrics by a protocol: the mean over the images of a folder, and each image's."""

    protocol: str
    """As ``protocol_name`` gives it."""
    scores: Scores
    """Means over the images; PSNR is infinite when every image equals its ground truth."""
    images: dict[str, Scores] = field(default_factory=dict)
    """By the image's name."""

    @classmethod
    def of_images(cls, protocol: str, images: dict[str, Scores]) -> Quality:
        """The means over one or more ``images``, which have the same metrics."""
        names = next(iter(images.values()))
        means = {name: fmean(scores[name] for scores in images.values()) for name in names}
        return cls(protocol, means, images)

    @property
    def psnr_db(self) -> float:
        return self.scores["psnr"]

    @property
    def ssim(self) -> float:
        return self.scores["ssim"]


def pairs(folder: Path, scale: int, degradation: Degradation = BICUBIC) -> Pairs:
    """The pairs of the HR images in ``folder`` (or in its subfolder ``HR``).

    The LR images come from a sibling of the HR folder, ``LR_bicubic/X<scale>``, where there is
    one (``baby.png`` or ``babyx2.png``; of ``DIV2K_valid_HR`` it is ``DIV2K_valid_LR_bicubic``),
    and are made by the protocol otherwise; another ``degradation`` makes them all. Raises
    ImageError when there are no images or LR images are missing.
    """
    if scale < 1:
        raise UsageError(f"a scale of {scale}: give 1 or more")
    folder = _hr_folder(folder)
    paths = image.list_images(folder)
    names = unless_shared([path.stem for path in paths], [path.name for path in paths])
    lr_folder = usual_lr_folder(folder, scale) if not degradation.steps else None
    if lr_folder is None:
        made = [(name, path, None) for name, path in zip(names, paths, strict=True)]
        return Pairs(made, scale, degradation)
    lr_paths = lr_files(paths, lr_folder, scale)
    return Pairs(list(zip(names, paths, lr_paths, strict=True)), scale)


def check_degraded(scale: int, degradation: Degradation) -> None:
    """Raise UsageError for images made by ``degradation`` that are their own ground truth."""
    if scale == 1 and not degradation.steps:
        raise UsageError(
            "clean images tell nothing of a file of ×1, which restores images at their own size: "
            "add --degradation photo, or put those to restore into LR_bicubic/X1 beside HR"
        )


def lr_files(hr_files: Sequence[Path], folder: Path, scale: int) -> list[Path]:
    """The file in ``folder`` for each of ``hr_files``: ``babyx2.png`` or ``baby.png`` for
    ``baby.png``. Raises ImageError when one is missing."""
    by_stem = {path.stem: path for path in image.list_images(folder)}
    found = []
    for path in hr_files:
        lr = by_stem.get(f"{path.stem}x{scale}") or by_stem.get(path.stem)
        if lr is None:
            raise ImageError(
                f"{folder} has no {path.stem}x{scale}.png for {path}: add it, or rename that "
                f"folder to have the low-resolution images made"
            )
        found.append(lr)
    return found


def left_out(folder: Path) -> str | None:
    """One line on the files of ``folder`` that ``pairs`` leaves out, with reasons; None: none."""
    return image.list_folder(_hr_folder(folder)).note


def set_name(folder: Path) -> str:
    """The name of the image set in ``folder``: ``Set5`` for Set5 and for Set5/HR."""
    return folder.parent.name if folder.name == "HR" else folder.name


def check_set_names(folders: Sequence[Path]) -> None:
    """Raises UsageError when two of ``folders`` have one ``set_name``."""
    names: dict[str, Path] = {}
    for folder in folders:
        if (other := names.setdefault(set_name(folder), folder)) is not folder:
            raise UsageError(
                f"{other} and {folder} are both called {set_name(folder)}: name each folder once, "
                "and rename one of two sets"
            )


def evaluate(
    upscale: Callable[[Rgb], Rgb],
    pairs: Sequence[Pair],
    protocol: Protocol = PROTOCOL,
    names: Sequence[MetricName] = metrics.ALWAYS,
) -> Quality:
    """The metrics ``names`` of ``upscale`` (uint8 RGB in and out) over ``pairs``.

    Raises ImageError for an image too small for the protocol or a result of the wrong size.
    """
    images = {pair.name: score(upscale(pair.lr), pair, protocol, names) for pair in pairs}
    if not images:
        raise ImageError("no images to evaluate: name a folder that holds some")
    return Quality.of_images(protocol, images)


def score(
    upscaled: Rgb,
    pair: Pair,
    protocol: Protocol = PROTOCOL,
    names: Sequence[MetricName] = metrics.ALWAYS,
) -> Scores:
    """The metrics ``names`` of one result. Raises ImageError as ``evaluate`` does."""
    if protocol not in PROTOCOLS:
        raise UsageError(f"no protocol {protocol!r}: choose one of {', '.join(PROTOCOLS)}")
    if upscaled.shape != pair.hr.shape:
        raise ImageError(f"{pair.name} came out as {upscaled.shape}, not as {pair.hr.shape}")
    check_size(pair, protocol)
    planes = compared(upscaled, pair, protocol)
    rgb = [metrics.shave(plane, pair.scale) for plane in (upscaled, pair.hr)]
    every = {name: METRICS[name] for name in names}
    return {
        name: metric.compute(*(rgb if metric.of_rgb else planes))
        for name, metric in every.items()
        if metric.compute and not metric.of_video
    }


def compared(upscaled: Rgb, pair: Pair, protocol: Protocol) -> tuple[NDArray[Any], NDArray[Any]]:
    """The pixels of a result and of its HR that the protocol compares, without the border."""
    upscaled, reference = _planes(upscaled, pair, protocol)
    return metrics.shave(upscaled, pair.scale), metrics.shave(reference, pair.scale)


def check_size(pair: Pair, protocol: Protocol = PROTOCOL) -> None:
    """Raise ImageError when ``pair`` is too small for the protocol."""
    smallest = metrics.WINDOW + 2 * pair.scale
    height, width = pair.hr.shape[:2]
    if min(height, width) < smallest:
        raise ImageError(
            f"{pair.name} has {width}x{height} pixels, too few for {protocol} at x{pair.scale}: "
            f"remove it, {smallest}x{smallest} is the least"
        )


def _planes(upscaled: Rgb, pair: Pair, protocol: Protocol) -> tuple[NDArray[Any], NDArray[Any]]:
    """The pixels of a result and of its HR that the protocol compares."""
    if protocol == "RGB-DIV2K":
        return upscaled, pair.hr
    if pair.grayscale:
        gray = (luma(upscaled) - Y_OFFSET) * 255 / sum(Y_WEIGHTS)
        return np.rint(gray), pair.hr[..., 0]
    return np.rint(luma(upscaled)), np.rint(luma(pair.hr))


def _hr_folder(folder: Path) -> Path:
    return folder / "HR" if (folder / "HR").is_dir() else folder


def usual_lr_folder(hr_folder: Path, scale: int) -> Path | None:
    """The folder beside ``hr_folder`` that data sets keep their bicubic reductions in, if any."""
    hr_folder = hr_folder.resolve()
    siblings = [hr_folder.with_name("LR_bicubic")]
    if "HR" in hr_folder.name:
        siblings.append(hr_folder.with_name(hr_folder.name.replace("HR", "LR_bicubic")))
    folders = (sibling / f"X{scale}" for sibling in siblings)
    return next((folder for folder in folders if folder.is_dir()), None)


def _pair(
    name: str, hr_path: Path, lr_path: Path | None, scale: int, degradation: Degradation
) -> Pair:
    picture = image.read_image(hr_path)
    hr = crop_to_multiple(picture.on_white(), scale)
    if hr.size == 0:
        height, width = picture.rgb.shape[:2]
        raise ImageError(f"{hr_path} has {width}x{height} pixels: too small to reduce by {scale}")
    if lr_path is None:
        return Pair(name, degradation.of_image(hr, scale), hr, picture.grayscale)
    lr, hr = aligned(image.read(lr_path), picture.on_white(), scale, (str(lr_path), str(hr_path)))
    return Pair(name, lr, hr, picture.grayscale)
