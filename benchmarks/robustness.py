"""Networks for photographs beside one that has only seen clean images: what they gain and cost.

    python benchmarks/robustness.py zoo:sesr_m5_photo_x2 --against zoo:sesr_m5_x2 \
        --test Set14 --test Kodak24 --degradation bicubic --degradation photo

Every network, bicubic and Lanczos upscale the same images, made by each degradation as
``ailsr-bench`` makes them. A row gives the mean PSNR and SSIMULACRA2, the difference of PSNR to the
clean network with its 95 % interval over the images (paired, Student's t), and the share of images
on which it is better than the clean network and than bicubic, by each metric. ``--mix`` draws what
lies between two networks of one descent: clean images against others.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from functools import partial
from itertools import product
from pathlib import Path
from statistics import fmean
from typing import Annotated

import numpy as np
import typer
from PIL import Image
from typer import Argument, Option

from ailsr.runtime.bench.host import Host
from ailsr.runtime.bench.intervals import mean_reach
from ailsr.runtime.commands.command import entry_point, print_table, progress, stdout
from ailsr.runtime.errors import UsageError
from ailsr.runtime.imaging.degradation import DEGRADATION_METAVAR, DEGRADATIONS, Degradation
from ailsr.runtime.imaging.image import Rgb
from ailsr.runtime.imaging.metrics import METRICS, MetricName
from ailsr.runtime.imaging.protocol import (
    PROTOCOL,
    Pair,
    Quality,
    evaluate,
    pairs,
    protocol_name,
    set_name,
)
from ailsr.runtime.imaging.resize import enlarge
from ailsr.train import checkpoint, zoo
from ailsr.train.networks import Network
from ailsr.train.scoring import score

JUDGED: tuple[MetricName, ...] = ("psnr", "ssimulacra2")
SHARES = (0.25, 0.5, 0.75)
Judge = Callable[[Sequence[Pair]], Quality]


@dataclass(frozen=True)
class Robustness:
    """Measure networks for degraded images beside one for clean images."""

    network: Annotated[
        list[str], Argument(help="Checkpoints or zoo:NAME, of one scale.", metavar="NETWORK...")
    ]
    against: Annotated[str, Option(metavar="FILE|zoo:NAME", help="The network for clean images.")]
    test: Annotated[list[Path], Option(metavar="DIR", help="Folder to judge on. Repeatable.")]
    degradation: Annotated[
        list[str] | None,
        Option(metavar=DEGRADATION_METAVAR, help="Repeatable. Default: bicubic, photo and web."),
    ] = None
    mix: Annotated[
        str | None,
        Option(
            metavar="FILE|zoo:NAME",
            help="A network that went on from NETWORK, such as on clean images: means of the "
            "weights of both are judged, too.",
        ),
    ] = None
    share: Annotated[
        list[float] | None,
        Option(min=0, max=1, help="Weight of --mix. Repeatable. Default: 0.25, 0.5, 0.75."),
    ] = None
    json: Annotated[bool, Option("--json", help="Print the figures as JSON.")] = False


def main(config: Robustness) -> None:
    """Evaluate everything on everything and print a table."""
    networks = {
        name: checkpoint.load(zoo.resolve(name)).network
        for name in (config.against, *config.network)
    }
    if config.mix is not None:
        clean = checkpoint.load(zoo.resolve(config.mix)).network
        for name, share in product(config.network, config.share or SHARES):
            networks[f"{name}, {share:.0%} {config.mix}"] = mean(networks[name], clean, share)
    scales = {network.scale for network in networks.values()}
    if len(scales) > 1:
        raise UsageError("networks of several scales: name those of one")
    (scale,) = scales
    judges: dict[str, Judge] = {
        "bicubic": partial(_evaluate, partial(enlarge, scale=scale)),
        "Lanczos": partial(_evaluate, partial(_lanczos, scale=scale)),
        **{name: partial(score, network, names=JUDGED) for name, network in networks.items()},
    }
    degradations = [Degradation.from_json(name) for name in config.degradation or DEGRADATIONS]
    found: dict[tuple[str, str], dict[str, Quality]] = {}
    with progress() as bar:
        task = bar.add_task("", total=len(degradations) * len(config.test) * len(judges), note="")
        for degradation, folder in product(degradations, config.test):
            images = list(pairs(folder, scale, degradation))
            key = protocol_name(PROTOCOL, degradation), set_name(folder)
            found[key] = {}
            for name, judge in judges.items():
                found[key][name] = judge(images)
                bar.advance(task)
    if config.json:
        means = [
            {"protocol": protocol, "images": images, "scores": {n: q.scores for n, q in of.items()}}
            for (protocol, images), of in found.items()
        ]
        typer.echo(json.dumps(means))
    else:
        stdout.print(f"x{scale}, on {Host.here().cpu}, {date.today()}", markup=False)
        titles = [METRICS[name].title for name in JUDGED]
        print_table(
            ["protocol", "images of", "", *titles, f"dB to\n{config.against}",
             "better than it", "better than\nbicubic"],
            list(_rows(found, config.against)),
            names=3,
        )  # fmt: skip


def mean(network: Network, other: Network, share: float) -> Network:
    """The mean of two fused networks, ``other`` with the weight ``share``.

    Between a network and one that was trained on from it, quality moves without a jump (Wang et
    al., Deep Network Interpolation, CVPR 2019). Raises UsageError for networks of other shapes.
    """
    result, theirs = network.fuse(), other.fuse().state_dict()
    ours = result.state_dict()
    if {n: w.shape for n, w in ours.items()} != {n: w.shape for n, w in theirs.items()}:
        raise UsageError("--mix is of another shape: name a network that went on from NETWORK")
    result.load_state_dict({n: w + share * (theirs[n] - w) for n, w in ours.items()})
    return result


def _rows(found: dict[tuple[str, str], dict[str, Quality]], clean: str) -> Iterator[list[str]]:
    """The figures of ``found``: by protocol and images, then by network."""
    for key, of in found.items():
        for name, quality in of.items():
            yield [
                *key, name, *(METRICS[n].text(quality.scores[n]) for n in JUDGED),
                *_compared(quality, of[clean], of["bicubic"]),
            ]  # fmt: skip


def _compared(quality: Quality, clean: Quality, bicubic: Quality) -> tuple[str, str, str]:
    return (
        "" if quality is clean else _difference(quality, clean),
        "" if quality is clean else _share(quality, clean),
        "" if quality is bicubic else _share(quality, bicubic),
    )


def _difference(quality: Quality, other: Quality) -> str:
    """Mean difference of PSNR over the images, and half its 95 % interval."""
    gains = [s["psnr"] - other.images[name]["psnr"] for name, s in quality.images.items()]
    if len(gains) < 2:
        return f"{gains[0]:+.2f}"
    return f"{fmean(gains):+.2f} ± {mean_reach(gains):.2f}"


def _share(quality: Quality, other: Quality) -> str:
    """Shares of the images on which ``quality`` is the better one, by each metric."""
    shares = [
        fmean(
            METRICS[n].gain(s[n], other.images[name][n]) > 0 for name, s in quality.images.items()
        )
        for n in JUDGED
    ]
    return ", ".join(f"{share:.0%}" for share in shares)


def _evaluate(upscale: Callable[[Rgb], Rgb], images: Sequence[Pair]) -> Quality:
    return evaluate(upscale, images, PROTOCOL, JUDGED)


def _lanczos(lr: Rgb, scale: int) -> Rgb:
    height, width = lr.shape[:2]
    size = (width * scale, height * scale)
    return np.asarray(Image.fromarray(lr).resize(size, Image.Resampling.LANCZOS))


if __name__ == "__main__":
    entry_point(Robustness, main)()
