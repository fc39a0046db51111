"""Networks as training leaves them, without the training."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import skimage.data
import torch
from export_runs import Theirs, saved
from torch import nn

from ailsr.runtime.imaging.image import write
from ailsr.train import checkpoint
from ailsr.train.checkpoint import Checkpoint
from ailsr.train.networks import Network, create

TRAINING = {
    "recipe": {
        "method": "ail", "steps": 7, "train": ["/home/someone/T91"], "licence": ["T91: not stated"],
    },
    "pictures": 91,
}  # fmt: skip
RESIDUAL = 0.03
"""Standard deviation of the residual, white being 1: that of a trained network is of this size."""


@pytest.fixture(scope="session")
def sane():
    """``sane(name, scale)``: a network with random weights that upscales sensibly.

    Its output is that of its skip and a small residual; without a skip it is as initialised, near
    the identity.
    """

    def make(name: str, scale: int = 2) -> Network:
        torch.manual_seed(0)
        network = create(name, scale).eval()
        if name.startswith("quicksrnet"):
            return network
        convs = [m for m in network.modules() if isinstance(m, nn.Conv2d)]
        if not name.startswith("vdsr"):  # no residual, no biases
            for conv in convs:
                conv.reset_parameters()
        last = convs[-1]
        picture = torch.rand(1, network.channels, 24, 24)
        with torch.no_grad():
            whole, weight = network(picture), last.weight.clone()
            last.bias.zero_()
            last.weight.zero_()
            last.weight.copy_(weight * RESIDUAL / (whole - network(picture)).std())
        return network

    return make


@pytest.fixture(scope="session")
def files(tmp_path_factory) -> dict[str, Path]:
    """A network of someone else's in files of each kind."""
    folder = tmp_path_factory.mktemp("theirs")
    return {
        "onnx": saved(Theirs(), folder / "theirs_x2.onnx"),
        "pt2": saved(Theirs(), folder / "theirs.pt2"),
        "fixed": saved(Theirs(), folder / "fixed.pt2", dynamic=False),
        "levels": saved(Theirs(255.0), folder / "levels.onnx"),
    }


@pytest.fixture(scope="session")
def folders(tmp_path_factory) -> dict[str, Path]:
    """Crops of photographs to calibrate and to verify with."""
    crops = {
        "calibration": {"astronaut": (20, 150), "rocket": (200, 250)},
        "images": {"chelsea": (60, 120), "coffee": (80, 250)},
    }
    root = tmp_path_factory.mktemp("pictures")
    for folder, pictures in crops.items():
        for name, (y, x) in pictures.items():
            crop = getattr(skimage.data, name)()[y : y + 160, x : x + 200]
            write(np.ascontiguousarray(crop), root / folder / f"{name}.png")
    return {name: root / name for name in crops}


@pytest.fixture(scope="session")
def model(sane, tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("run") / "best.pt"
    checkpoint.save(Checkpoint(sane("sesr_m5"), TRAINING), path)
    return path


@pytest.fixture(scope="session")
def pictures(photographs, tmp_path_factory) -> list[str]:
    """The options that name small images."""
    folder = tmp_path_factory.mktemp("pictures")
    for option, name in (("images", "chelsea"), ("calibration", "astronaut")):
        write(photographs[name][60:156, 120:232], folder / option / f"{name}.png")
    return [f"--{option}={folder / option}" for option in ("images", "calibration")]


@pytest.fixture(scope="session")
def images(photographs) -> list[np.ndarray]:
    """Crops of two photographs, of 120×120 pixels."""
    return [photographs[name][100:220, 80:200] for name in ("chelsea", "astronaut")]
