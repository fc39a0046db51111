"""The JPEG quality and the noise from which on a network for photographs wins over a clean one.

    python benchmarks/condition.py zoo:sesr_m5_x2 zoo:sesr_m5_photo_x2 --test Set14/HR

Both upscale the same images, reduced by the protocol's bicubic and then saved as JPEG, or given
Gaussian noise. Of each series the threshold is found with which choosing between the two, as
``ailsr-upscale --auto`` does, gives the highest mean PSNR: the constants of
``runtime/imaging/condition.py``. The last lines compare the choice by those constants with either
network alone, and with the better of the two on each image.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import fmean
from typing import Annotated

import numpy as np
from PIL import Image
from typer import Argument, Option

from ailsr.runtime import load
from ailsr.runtime.commands.command import entry_point, print_json, print_table, progress, stdout
from ailsr.runtime.imaging import jpeg_quality, protocol
from ailsr.runtime.imaging.condition import Condition
from ailsr.runtime.imaging.image import Rgb
from ailsr.runtime.imaging.no_reference import levels, noise

QUALITIES = (98, 95, 92, 90, 87, 85, 80, 75, 70, 60, 50, 30)
SIGMAS = (0.0, 1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 7.0, 10.0)


@dataclass(frozen=True)
class Config:
    """Find the thresholds of --auto for two exported files of one scale."""

    clean: Annotated[Path, Argument(help="The network for clean images.", metavar="CLEAN")]
    photo: Annotated[Path, Argument(help="The one for photographs.", metavar="PHOTO")]
    test: Annotated[list[Path], Option(metavar="DIR", help="Images to judge on. Repeatable.")]
    json: Annotated[bool, Option("--json", help="Print one JSON document, no table.")] = False


@dataclass(frozen=True)
class Case:
    """One image in one condition, and the PSNR of both networks in dB."""

    name: str
    jpeg_quality: int | None
    sigma: float
    noise: float
    """As estimated."""
    clean_db: float
    photo_db: float


def main(config: Config) -> None:
    """Measure every image in every condition, and print what was found."""
    upscalers = [load(path) for path in (config.clean, config.photo)]
    pairs = [pair for folder in config.test for pair in protocol.pairs(folder, upscalers[0].scale)]
    jpegs: list[Case] = []
    noisy: list[Case] = []
    with progress() as bar:
        task = bar.add_task("", total=len(pairs) * (len(QUALITIES) + len(SIGMAS)), note="")
        for pair in pairs:
            versions: list[tuple[int | None, float, Rgb]] = [
                (quality, 0.0, as_jpeg(pair.lr, quality)) for quality in QUALITIES
            ]
            versions += [(None, sigma, with_noise(pair.lr, sigma)) for sigma in SIGMAS]
            for quality, sigma, lr in versions:
                changed = protocol.Pair(pair.name, lr, pair.hr, pair.grayscale)
                scores = [psnr(upscaler.upscale(lr), changed) for upscaler in upscalers]
                case = Case(pair.name, quality, sigma, noise(levels(lr)), *scores)
                (noisy if quality is None else jpegs).append(case)
                bar.advance(task)
    coarse = -threshold(jpegs, lambda case: -(case.jpeg_quality or 0))
    level = threshold(noisy, lambda case: case.noise)
    means = compared([*jpegs, *noisy])
    if config.json:
        every = [asdict(case) for case in (*jpegs, *noisy)]
        print_json({"low_quality": coarse, "noisy": level, "psnr": means, "cases": every})
        return
    lines = []
    for title, cases in rows(jpegs, noisy).items():
        gains = [case.photo_db - case.clean_db for case in cases]
        lines.append(
            [
                title, f"{fmean(case.noise for case in cases):.1f}",
                f"{fmean(case.clean_db for case in cases):.2f}", f"{fmean(gains):+.2f}",
                f"{fmean(gain > 0 for gain in gains):.0%}",
            ]
        )  # fmt: skip
    print_table(["condition", "noise estimate", "clean, dB", "photo, dB", "photo wins on"], lines)
    stdout.print(f"photo at JPEG quality {coarse:g} and below, at noise {level:.1f} and above")
    stdout.print(", ".join(f"{name} {psnr:.2f} dB" for name, psnr in means.items()))


def psnr(upscaled: Rgb, pair: protocol.Pair) -> float:
    """PSNR in dB by the protocol."""
    return protocol.score(upscaled, pair, names=("psnr",))["psnr"]


def as_jpeg(lr: Rgb, quality: int) -> Rgb:
    """``lr`` saved as JPEG and read again."""
    file = io.BytesIO()
    Image.fromarray(lr).save(file, "JPEG", quality=quality)
    with Image.open(file) as saved:
        assert jpeg_quality.of_image(saved) == quality
        return np.asarray(saved)


def with_noise(lr: Rgb, sigma: float) -> Rgb:
    """``lr`` with the same Gaussian noise in each channel, of ``sigma`` levels."""
    noise = np.random.default_rng(0).normal(0, sigma, lr.shape[:2])[..., None]
    return np.clip(np.rint(lr + noise), 0, 255).astype(np.uint8)


def threshold(cases: Sequence[Case], figure: Callable[[Case], float]) -> float:
    """The least ``figure`` from which on the photo network is to be taken for the best mean PSNR;
    inf: never."""
    ordered = sorted(cases, key=figure, reverse=True)
    best, total, found = 0.0, 0.0, float("inf")
    for place, case in enumerate(ordered):
        total += case.photo_db - case.clean_db
        last = place + 1 == len(ordered) or figure(ordered[place + 1]) < figure(case)
        if last and total > best:
            best, found = total, figure(case)
    return found


def compared(cases: Sequence[Case]) -> dict[str, float]:
    """Mean PSNR in dB of either network, of the choice by the constants, and of the better one."""

    def chosen(case: Case) -> float:
        degraded = Condition(case.jpeg_quality, case.noise).is_degraded
        return case.photo_db if degraded else case.clean_db

    return {
        "clean": fmean(case.clean_db for case in cases),
        "photo": fmean(case.photo_db for case in cases),
        "auto": fmean(map(chosen, cases)),
        "better": fmean(max(case.clean_db, case.photo_db) for case in cases),
    }


def rows(jpegs: Sequence[Case], noisy: Sequence[Case]) -> dict[str, list[Case]]:
    """The cases by condition."""
    table = {f"JPEG {q}": [case for case in jpegs if case.jpeg_quality == q] for q in QUALITIES}
    return table | {f"noise {s:g}": [case for case in noisy if case.sigma == s] for s in SIGMAS}


if __name__ == "__main__":
    entry_point(Config, main)()
