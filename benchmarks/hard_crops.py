"""A set of hard images: the crops of others' on which bicubic enlargement errs most.

    python benchmarks/hard_crops.py Kodak24/HR --output Kodak24_hard

cuts each HR image into whole squares and writes the quarter of all of them that has the lowest PSNR
by the protocol ``Y-shave-s``, as PNG, for ``--test`` of the other benchmarks and of
``ailsr-bench``.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from typer import Argument, Option

from ailsr.runtime.commands.command import entry_point, message, print_json, progress
from ailsr.runtime.errors import UsageError
from ailsr.runtime.files import atomic_output
from ailsr.runtime.imaging.image import Rgb, write
from ailsr.runtime.imaging.protocol import Pair, evaluate, pairs
from ailsr.runtime.imaging.resize import enlarge, shrink


@dataclass(frozen=True)
class HardCrops:
    """Write the crops of images on which bicubic enlargement errs most."""

    folder: Annotated[Path, Argument(help="HR images.", metavar="DIR")]
    output: Annotated[Path, Option(help="Folder of the crops; not there yet.", metavar="DIR")]
    scale: Annotated[int, Option(min=2, help="Enlargement.")] = 2
    side: Annotated[int, Option(min=24, help="Of a crop, in HR pixels.")] = 192
    share: Annotated[float, Option(min=0.01, max=1, help="Of the crops that is kept.")] = 0.25
    json: Annotated[bool, Option("--json", help="Print the figures as JSON.")] = False


def main(config: HardCrops) -> None:
    """Cut, judge and write."""
    if config.output.exists():
        raise UsageError(f"{config.output} is there: give another --output")
    if config.side % config.scale:
        raise UsageError(f"--side {config.side} is no multiple of --scale {config.scale}")
    crops = dict(_crops(config))
    if not crops:
        raise UsageError(f"{config.folder} has no image of {config.side} pixels each way")
    psnr = _bicubic_psnr(crops, config.scale)
    count = max(1, round(config.share * len(crops)))
    hard = sorted(crops, key=lambda name: (psnr[name], name))[:count]
    with atomic_output(config.output) as temporary:
        for name in hard:
            write(crops[name], temporary / f"{name}.png")
    worst = f"{psnr[hard[-1]]:.2f} dB or less by bicubic enlargement"
    message(f"{len(hard)} of {len(crops)} crops: {worst}")
    if config.json:
        print_json({name: psnr[name] for name in hard})


def _crops(config: HardCrops) -> Iterator[tuple[str, Rgb]]:
    """(name, crop) of all whole squares of the images."""
    for pair in pairs(config.folder, config.scale):
        height, width = pair.hr.shape[:2]
        for top in range(0, height - config.side + 1, config.side):
            for left in range(0, width - config.side + 1, config.side):
                crop = pair.hr[top : top + config.side, left : left + config.side]
                yield f"{pair.name}_{top}_{left}", crop


def _bicubic_psnr(crops: dict[str, Rgb], scale: int) -> dict[str, float]:
    """PSNR in dB of bicubic enlargement by the name of the crop."""
    with progress() as bar:
        task = bar.add_task("judging", total=len(crops), note="")
        made = [Pair(n, shrink(c, scale), c) for n, c in bar.track(crops.items(), task_id=task)]
    quality = evaluate(lambda lr: enlarge(lr, scale), made)
    return {name: scores["psnr"] for name, scores in quality.images.items()}


if __name__ == "__main__":
    entry_point(HardCrops, main)()
