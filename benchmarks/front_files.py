"""The files that ``front.py`` measures: the zoo's and those of others, exported where need be."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from peers import PEERS

from ailsr.export.exporter import Exporter
from ailsr.export.reading.source import open_source
from ailsr.export.targets import TargetName
from ailsr.runtime.card import Precision
from ailsr.runtime.commands.command import message
from ailsr.runtime.engines.registry import open_engine
from ailsr.runtime.errors import AilsrError, UsageError
from ailsr.runtime.files import sha256
from ailsr.runtime.sides import parse_sides
from ailsr.train import checkpoint, zoo
from ailsr.train.networks import SCALES

if TYPE_CHECKING:
    from front import Front

TOO_SLOW = ("vdsr_f13",)
"""Left out unless ``--only`` names it: a network of 1280×720 pixels throughout."""

Images = Literal["research", "free", "CC0", "peer", ""]
"""Training images: for research or of no stated licence, for commercial use, in the public domain;
those of a published file, not known; none."""
FREE: tuple[Images, ...] = ("free", "CC0", "")
PRECISIONS: dict[TargetName, Precision] = {"onnx": "float32", "tflite": "int8"}
"""What is made of networks, by target."""
INT8X16 = "int8 loses too much, and int8x16 takes several times as long as float32"
"""Why a network of others is measured in float32 alone."""


@dataclass(frozen=True)
class Entry:
    """One thing to measure."""

    name: str
    images: Images
    file: str
    """Its path, or the name of a ``Resizer``."""


def check(config: Front) -> None:
    """Raises UsageError for options that cannot be met, such as an ``--only`` that the zoo does not
    have."""
    if unknown := set(config.scale) - set(SCALES):
        raise UsageError(f"--scale {min(unknown)} is not supported: choose 2, 3 or 4")
    if config.input_size:
        try:
            parse_sides(config.input_size)
        except ValueError:
            raise UsageError(
                f"--input-size {config.input_size}: give height and width, as in 360x640"
            ) from None
    if missing := [folder for folder in config.peers if not folder.is_dir()]:
        raise UsageError(f"--peers {missing[0]}: there is no such folder")
    names = {name[:-3] for name in zoo.names()}
    if others := set(config.only) - names:
        raise UsageError(
            f"--only {min(others)}: no network of the zoo: name it without its scale, like sesr_m5"
        )


def of_zoo(scale: int, config: Front) -> Iterator[Entry]:
    """The zoo's networks for clean images as int8 TFLite files."""
    for name in zoo.names():
        member = checkpoint.load(zoo.path(name))
        recipe, short = member.card["recipe"], name.removesuffix(f"_x{scale}")
        is_clean = recipe.get("degradation", "bicubic") == "bicubic"
        wanted = short in config.only if config.only else recipe["network"] not in TOO_SLOW
        if member.network.scale != scale or not is_clean or not wanted:
            continue
        path = _exported(f"zoo:{name}", zoo.path(name), "tflite", config)
        yield Entry(short, images_of(recipe.get("licence") or []), str(path))


def images_of(licences: Sequence[str]) -> Images:
    """The kind of training images with ``licences``, each as ``set: licence``."""
    stated = [licence.partition(": ")[2] for licence in licences]
    if not stated or any("non-commercial" in s or "not stated" in s for s in stated):
        return "research"
    return "CC0" if all(s == "CC0" for s in stated) else "free"


def of_others(scale: int, config: Front, left_out: dict[str, str]) -> Iterator[Entry]:
    """What others publish, and the files that the user named."""
    for peer in PEERS.get(scale, []):
        path = peer.path(config.peers)
        if path is None:
            where = f"no {peer.place} in --peers" if config.peers else "no --peers given"
            left_out[peer.name] = where
        elif peer.is_luma:
            for target, precision in PRECISIONS.items():
                name = f"{peer.name}, {precision}"
                try:
                    file = _exported(peer.name, path, target, config)
                except AilsrError as error:
                    left_out[name] = str(error)
                    continue
                if file.stem.endswith("int8x16"):
                    left_out[name] = INT8X16
                else:
                    yield Entry(name, "peer", str(file))
        else:
            yield Entry(peer.name, "peer", str(path))
    names = [path.name for path in config.file]
    for path in config.file:
        if open_engine(path, 1).scale == scale:
            name = path.name if names.count(path.name) == 1 else str(path)
            yield Entry(name, "peer", str(path))


def _exported(name: str, source: Path, target: TargetName, config: Front) -> Path:
    """``source`` as an int8 TFLite file or a float32 ONNX file, of an earlier run where that has
    left one."""
    digest = sha256(source)[:12]
    folder = config.kept / f"{source.stem}-{config.input_size or 'default'}-{digest}"
    path = next(folder.glob(f"*.{target}"), None)
    if path is None or config.again:
        for old in folder.glob(f"*.{target}"):
            old.unlink()
        message(f"{name}: exporting for {target} …")
        exporter = Exporter(
            open_source(source), parse_sides(config.input_size) if config.input_size else None,
            calibration=config.calibration, images=config.test[0],
        )  # fmt: skip
        path = Path(exporter.export(target, PRECISIONS[target], folder).file)
    return path
