"""PSNR-Y of a file of luma beside that of the RGB file of the same network, from the same planes.

    python benchmarks/luma_planes.py exported/sesr_m3_x2_int8.tflite \\
        exported/sesr_m3_x2_y_int8.tflite --test Set5/HR --test Set14/HR

A video's frames are planes of Y, Cb and Cr in 8 bits (BT.601, studio range, here 4:4:4). The file
of luma is given Y and returns Y; the RGB file is given the RGB of the planes, and what it returns
becomes planes again. PSNR is that of Y, in dB, against Y of the high-resolution image. The last
figure is the RGB file's as ailsr-bench has it, on RGB that never was planes: its luma was not
rounded on the way in.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray
from typer import Argument, Option

from ailsr.runtime import load
from ailsr.runtime.commands.command import entry_point, print_json, print_table
from ailsr.runtime.engines.layouts import FULL_WEIGHTS, Levels
from ailsr.runtime.errors import UsageError
from ailsr.runtime.imaging import metrics, protocol
from ailsr.runtime.imaging.color import luma
from ailsr.runtime.imaging.image import Rgb


@dataclass(frozen=True)
class LumaPlanes:
    """Compare two files of one network: of RGB, and of luma in studio range."""

    rgb: Annotated[Path, Argument(help="The file of RGB.", metavar="RGB")]
    luma: Annotated[Path, Argument(help="That of --layout y.", metavar="Y")]
    test: Annotated[list[Path], Option(metavar="DIR", help="Images to judge on. Repeatable.")]
    json: Annotated[bool, Option("--json", help="Print the figures as JSON.")] = False


def main(config: LumaPlanes) -> None:
    """Print the mean PSNR of each folder. Raises UsageError for files of other layouts."""
    of_rgb, of_luma = load(config.rgb), load(config.luma)
    if (of_rgb.engine.layout, of_luma.engine.layout) != ("rgb", "y"):
        raise UsageError("give a file of --layout rgb, then the one of --layout y")
    found: list[dict[str, Any]] = []
    for folder in config.test:
        scores: dict[str, list[float]] = {"rgb": [], "y": [], "rgb_never_planes": []}
        for pair in protocol.pairs(folder, of_rgb.scale):
            planes = _planes(pair.lr)
            truth = np.rint(luma(pair.hr))
            outputs = {
                "rgb": _planes(of_rgb.upscale(_rgb(planes)))[0],
                "y": of_luma.upscale(planes[0][..., None])[..., 0],
                "rgb_never_planes": np.rint(luma(of_rgb.upscale(pair.lr))),
            }
            for name, plane in outputs.items():
                pixels = metrics.shave(plane.astype(np.float64), pair.scale)
                scores[name].append(metrics.psnr(pixels, metrics.shave(truth, pair.scale)))
        found.append({"set": protocol.set_name(folder)} | {k: fmean(v) for k, v in scores.items()})
    if config.json:
        print_json(found)
        return
    figures = (
        (row["set"], row["rgb"], row["y"], row["y"] - row["rgb"], row["rgb_never_planes"])
        for row in found
    )
    print_table(
        ["PSNR-Y, dB", "file of RGB", "file of y", "difference", "RGB, never planes"],
        [[name, *(f"{value:.3f}" for value in values)] for name, *values in figures],
    )


def _planes(rgb: Rgb) -> tuple[Levels, Levels, Levels]:
    """Y, Cb and Cr in studio range, rounded to 8 bits."""
    studio = luma(rgb)
    y = (studio - 16) * 255 / 219
    blue, red = (rgb[..., 2] - y) / 1.772, (rgb[..., 0] - y) / 1.402
    return _bytes(studio), _bytes(128 + blue * 224 / 255), _bytes(128 + red * 224 / 255)


def _rgb(planes: tuple[Levels, Levels, Levels]) -> Rgb:
    """RGB of three planes, rounded to 8 bits."""
    y = (planes[0].astype(np.float64) - 16) * 255 / 219
    blue, red = ((plane.astype(np.float64) - 128) * 255 / 224 for plane in planes[1:])
    r, b = y + 1.402 * red, y + 1.772 * blue
    of_red, of_green, of_blue = FULL_WEIGHTS
    g = (y - of_red * r - of_blue * b) / of_green
    return _bytes(np.dstack([r, g, b]))


def _bytes(values: NDArray[np.float64]) -> Levels:
    levels: Levels = np.clip(np.rint(values), 0, 255).astype(np.uint8)
    return levels


if __name__ == "__main__":
    entry_point(LumaPlanes, main)()
