"""The metrics of quality: each with its unit, its computation and its name in reports.

``METRICS`` is the registry: tables, reports, plots, budgets and comparisons follow it.
"""

from __future__ import annotations

import importlib
import io
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ailsr.runtime.errors import EngineError, UsageError

PEAK = 255.0
WINDOW = 11
"""Side of SSIM's window in pixels: no image may be smaller."""
SIGMA = 1.5

Plane = NDArray[Any]
"""H×W or H×W×C, intensities in [0, 255], any element type."""
MetricName = Literal["psnr", "ssim", "ssimulacra2", "vmaf", "xpsnr", "flicker"]
METRIC_NAMES: tuple[MetricName, ...] = get_args(MetricName)
Scores = Mapping[MetricName, float]
"""By the metric's name."""


def shave(image: Plane, border: int) -> Plane:
    """A view of ``image`` without ``border`` pixels on each side."""
    height, width = image.shape[:2]
    return image[border : height - border, border : width - border]


def psnr(image: Plane, reference: Plane) -> float:
    """PSNR in dB of ``image`` against ``reference`` for a peak of 255; inf when they are equal."""
    error = np.subtract(image, reference, dtype=np.float64)
    mse = float(np.mean(error * error))
    return 10 * float(np.log10(PEAK**2 / mse)) if mse else float("inf")


def _decibels(share: float) -> float:
    """dB of a mean squared error that is ``share`` of that of the peak; inf for none."""
    return -10 * math.log10(share) if share else math.inf


def ssim(image: Plane, reference: Plane) -> float:
    """Mean structural similarity of ``image`` and ``reference``, at most 1.

    11×11 Gaussian window with sigma 1.5, only windows that lie inside the image, K = (0.01,
    0.03) (Wang et al. 2004 and their ssim_index.m, without its downsampling). The mean over the
    channels when there are several. Raises ValueError for a side under 11 pixels.
    """
    if image.shape != reference.shape or min(image.shape[:2]) < WINDOW:
        raise ValueError(
            f"SSIM needs two images of one size, {WINDOW} pixels or more a side; "
            f"got {image.shape} and {reference.shape}"
        )
    c1, c2 = (0.01 * PEAK) ** 2, (0.03 * PEAK) ** 2
    x, y = image.astype(np.float64), reference.astype(np.float64)
    mean_x, mean_y = _blur(x), _blur(y)
    var_x = _blur(x * x) - mean_x**2
    var_y = _blur(y * y) - mean_y**2
    covariance = _blur(x * y) - mean_x * mean_y
    similarity = (2 * mean_x * mean_y + c1) * (2 * covariance + c2)
    similarity /= (mean_x**2 + mean_y**2 + c1) * (var_x + var_y + c2)
    return float(similarity.mean())


def _blur(plane: NDArray[np.float64]) -> NDArray[np.float64]:
    """``plane`` under the Gaussian window, where the window fits: 10 pixels less a side."""
    offsets = np.arange(WINDOW) - WINDOW // 2
    weights = np.exp(-(offsets**2) / (2 * SIGMA**2))
    weights /= weights.sum()
    height, width = (n - WINDOW + 1 for n in plane.shape[:2])
    columns = sum(w * plane[i : i + height] for i, w in enumerate(weights))
    blurred: NDArray[np.float64] = sum(w * columns[:, i : i + width] for i, w in enumerate(weights))
    return blurred


def ssimulacra2(image: Plane, reference: Plane) -> float:
    """SSIMULACRA2 of two uint8 RGB images, 100 at most (Sneyers, 2023; package ssimulacra2)."""
    compute: Callable[[io.BytesIO, io.BytesIO], float]
    compute = importlib.import_module("ssimulacra2").compute_ssimulacra2
    return float(compute(_file(reference), _file(image)))


def _file(rgb: Plane) -> io.BytesIO:
    """``rgb`` as an uncompressed file, which the package reads."""
    file = io.BytesIO()
    Image.fromarray(np.asarray(rgb, np.uint8)).save(file, "PPM")
    file.seek(0)
    return file


def flicker(change: Plane, reference_change: Plane) -> float:
    """The mean absolute difference, in levels, of the changes from one frame to the next."""
    return float(np.abs(np.subtract(change, reference_change, dtype=np.float64)).mean())


@dataclass(frozen=True)
class Filter:
    """A filter of FFmpeg that compares two videos."""

    graph: str
    """With ``{output}`` and ``{source}`` for its inputs."""
    result: str
    """A regular expression for what it writes in the end; its group is the figure."""


@dataclass(frozen=True)
class Metric:
    """A figure of quality of an image or a video against its ground truth."""

    title: str
    """Its name for people."""
    key: str
    """Its name in reports and CSV files, with the unit; an infinite value is null there."""
    compute: Callable[[Plane, Plane], float] | None
    """Of an image and its reference, without the border that the protocol leaves out; None: by
    ``filter``."""
    digits: int
    """Decimals that are shown."""
    unit: str = ""
    higher_is_better: bool = True
    of_rgb: bool = False
    """Computed on RGB, whatever the protocol compares."""
    of_changes: bool = False
    """Computed on what changes from one frame of a video to the next."""
    filter: Filter | None = None
    """Computed by FFmpeg on the luma of a video."""
    averaged: tuple[Callable[[float], float], Callable[[float], float]] | None = None
    """What the frames of a video are averaged as, and back; None: as they are."""
    package: str | None = None
    """The optional package that it needs; a metric of images without one is always taken."""
    extra: str | None = None
    """ailsr's extra that brings the package, where that has another name."""
    note: str = ""
    """How it is computed, in a sentence for the report."""

    @property
    def of_video(self) -> bool:
        """Of a video alone, not of an image."""
        return self.of_changes or self.filter is not None

    def gain(self, value: float, other: float) -> float:
        """How much better ``value`` is than ``other``, in the metric's unit."""
        return value - other if self.higher_is_better else other - value

    def text(self, value: float) -> str:
        """``value`` with its digits; ∞ where it is infinite."""
        return f"{value:.{self.digits}f}" if np.isfinite(value) else "∞"

    def with_unit(self, value: float) -> str:
        """``37.30 dB``"""
        return f"{self.text(value)} {self.unit or self.title}"


METRICS: dict[MetricName, Metric] = {
    "psnr": Metric(
        "PSNR",
        "psnr_db",
        psnr,
        2,
        "dB",
        averaged=(lambda db: 10 ** (-db / 10), _decibels),
    ),
    "ssim": Metric("SSIM", "ssim", ssim, 4, note="SSIM with an 11×11 Gaussian window."),
    "ssimulacra2": Metric(
        "SSIMULACRA2",
        "ssimulacra2",
        ssimulacra2,
        2,
        of_rgb=True,
        package="ssimulacra2",
        note="SSIMULACRA2 on RGB.",
    ),
    "vmaf": Metric(
        "VMAF",
        "vmaf",
        None,
        2,
        filter=Filter(
            "{output}{source}libvmaf=model=version=vmaf_v0.6.1neg", r"VMAF score: ([\d.]+)"
        ),
        package="imageio_ffmpeg",
        extra="video",
        note="VMAF by the model v0.6.1neg, which gives nothing for sharpening, on luma.",
    ),
    "xpsnr": Metric(
        "XPSNR",
        "xpsnr_db",
        None,
        2,
        "dB",
        filter=Filter("{source}{output}xpsnr", r"XPSNR\s+y: *([\d.]+|inf)"),
        package="imageio_ffmpeg",
        extra="video",
        note="XPSNR of luma.",
    ),
    "flicker": Metric(
        "flicker",
        "flicker_levels",
        flicker,
        3,
        "levels",
        higher_is_better=False,
        of_changes=True,
        note="Flicker: the mean absolute difference of the changes from one frame to the next, of "
        "the result and of the original.",
    ),
}
ALWAYS: tuple[MetricName, ...] = tuple(
    n for n, metric in METRICS.items() if not metric.package and not metric.of_video
)
"""The metrics that every report on images holds."""
OF_VIDEO: tuple[MetricName, ...] = tuple(n for n, metric in METRICS.items() if metric.of_video)
"""Those that only videos have."""


def metric_name(text: str) -> MetricName:
    """The metric of that name. Raises UsageError for one that does not exist."""
    for name in METRIC_NAMES:
        if name == text:
            return name
    raise UsageError(f"no metric {text!r}: choose one of {', '.join(METRIC_NAMES)}")


def taken(asked: Sequence[MetricName], video: bool = False) -> tuple[MetricName, ...]:
    """The metrics to compute, of images or of a ``video``, where ``asked`` are to be shown.

    Raises EngineError when the package of one is not installed, UsageError for one of videos where
    there are images.
    """
    for name in asked:
        if METRICS[name].of_video and not video:
            raise UsageError(f"--metric {name} is of videos: give --video FILE, not --images")
        if (package := METRICS[name].package) is not None:
            try:
                importlib.import_module(package)
            except ImportError as error:
                raise EngineError(
                    f'{METRICS[name].title} needs the package {package}: pip install "ailsr['
                    f'{METRICS[name].extra or package}]"'
                ) from error
    return tuple(name for name in METRIC_NAMES if name in ALWAYS or name in asked)


def titles(names: Sequence[MetricName]) -> str:
    """``PSNR and SSIM``"""
    first = ", ".join(METRICS[name].title for name in names[:-1])
    last = METRICS[names[-1]].title
    return f"{first} and {last}" if first else last
