"""Ways from a trained network to a TFLite file, each in an environment of its own.

The environments are made under ``build/converters`` on first use, with the versions that
``benchmarks/converters/*.txt`` pin, ours with those of ``constraints.txt``.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import onnx
import torch
from numpy.typing import NDArray

from ailsr.export.graph.sizes import default_input_size
from ailsr.export.image_sets import image_set
from ailsr.export.reading.from_torch import to_onnx
from ailsr.runtime.commands.command import message
from ailsr.runtime.errors import EngineError
from ailsr.runtime.files import size_bytes
from ailsr.runtime.imaging.image import Rgb
from ailsr.runtime.upscaling.tiles import Size
from ailsr.train import checkpoint, zoo

ROOT = Path(__file__).resolve().parent.parent
RECIPES = Path(__file__).resolve().parent / "converters"
BUILD = ROOT / "build" / "converters"
LONGEST = 300
"""Seconds that a conversion may take."""


@dataclass(frozen=True)
class Material:
    """One network in the forms that the tool chains start from."""

    name: str
    scale: int
    input_size: Size
    folder: Path
    """With ``network.pt2``, ``network.onnx`` and ``calibration.npy``; the files go there, too."""
    pictures: Path
    """High-resolution ones to calibrate on."""
    images: Path
    """High-resolution ones that ailsr-export verifies on."""


class Converted(NamedTuple):
    """What became of a conversion."""

    path: Path
    seconds: float
    """Wall time of the whole process."""
    error: str | None
    """Why there is no file."""


@dataclass(frozen=True)
class ToolChain:
    """A converter."""

    name: str
    environment: str
    requirements: tuple[str, ...]
    """What pip is to install."""
    script: str | None = None
    """In ``RECIPES``; None: ailsr-export."""
    source: str = ""
    """Of the files of ``Material``, the one that the script starts from."""

    def python(self) -> Path:
        """The interpreter of its environment, which is made if there is none."""
        home = BUILD / self.environment
        python = home / "bin" / "python"
        complete = home / "complete"
        if not complete.exists():
            message(f"installing {self.name} in {home} …")
            for command in (
                [sys.executable, "-m", "venv", home],
                [python, "-m", "pip", "install", "--quiet", *self.requirements],
            ):
                done = subprocess.run(
                    list(map(str, command)), cwd=ROOT, capture_output=True, text=True
                )
                if done.returncode:
                    raise EngineError(f"{self.name} cannot be installed: {_last_line(done.stderr)}")
            complete.touch()
        return python

    def installed_bytes(self) -> int:
        """Size of its environment."""
        return size_bytes(self.python().parent.parent)

    def convert(self, material: Material, precision: str) -> Converted:
        """The network of ``material`` as a TFLite file, or why there is none."""
        python = self.python()
        if self.script is None:
            folder = material.folder / self.environment
            output = folder / f"{material.name}_{precision}.tflite"
            command = [
                python.with_name("ailsr-export"), f"zoo:{material.name}", "--target", "tflite",
                "--precision", precision, "--output", folder, "--calibration", material.pictures,
                "--images", material.images,
            ]  # fmt: skip
        else:
            output = material.folder / f"{self.environment}_{precision}.tflite"
            command = [
                python, RECIPES / self.script, material.folder / self.source, precision,
                material.folder / "calibration.npy", output,
            ]  # fmt: skip
        output.unlink(missing_ok=True)
        environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
        start = time.perf_counter()
        try:
            done = subprocess.run(
                list(map(str, command)),
                env=environment,
                capture_output=True,
                text=True,
                timeout=LONGEST,
            )
            error = _last_line(done.stderr) if done.returncode else None
        except subprocess.TimeoutExpired:
            error = f"not finished after {LONGEST} s"
        return Converted(output, time.perf_counter() - start, error)


OURS = ToolChain("ailsr", "ailsr", ("-c", "constraints.txt", "-e", ".[export]"))
CHAINS = (
    OURS,
    ToolChain(
        "litert-torch",
        "litert_torch",
        ("-r", str(RECIPES / "litert_torch.txt")),
        "convert_with_litert_torch.py",
        "network.pt2",
    ),
    ToolChain(
        "onnx2tf",
        "onnx2tf",
        ("-r", str(RECIPES / "onnx2tf.txt")),
        "convert_with_onnx2tf.py",
        "network.onnx",
    ),
)


def prepared(name: str, pictures: Path, images: Path) -> Material:
    """The network ``name`` of the zoo, written down for each tool chain."""
    network = checkpoint.load(zoo.path(name)).network
    deployed, size = network.deploy(), default_input_size(network.scale)
    folder = BUILD / "files" / name
    folder.mkdir(parents=True, exist_ok=True)
    example = torch.zeros(1, 3, *size)
    torch.export.save(torch.export.export(deployed, (example,)), folder / "network.pt2")
    onnx.save(to_onnx(deployed, example), folder / "network.onnx")
    pairs = image_set(pictures, "calibration", network.scale).pairs
    np.save(folder / "calibration.npy", np.stack(list(canvases([p.lr for p in pairs], size))))
    return Material(name, network.scale, size, folder, pictures, images)


def canvases(pictures: Sequence[Rgb], size: Size) -> Iterator[NDArray[np.float32]]:
    """``pictures``, in [0, 1], side by side on canvases of ``size``, what is left of them black.

    The other converters calibrate on images of the input's size.
    """
    height, width = size
    canvas, top, left, below = np.zeros((*size, 3), np.float32), 0, 0, 0
    for picture in pictures:
        h, w = picture.shape[:2]
        if left + w > width:
            top, left = below, 0
        if top + h > height:
            yield canvas
            canvas, top, left, below = np.zeros((*size, 3), np.float32), 0, 0, 0
        part = picture[:height, :width].astype(np.float32) / np.float32(255)
        canvas[top : top + h, left : left + w] = part
        left, below = left + w, max(below, top + h)
    yield canvas


def _last_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1][:200] if lines else "it ended without a word"
