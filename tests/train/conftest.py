from pathlib import Path

import pytest
import skimage.data

from ailsr.runtime.imaging.image import write
from ailsr.train.recipe import Recipe

SMALL = {
    "network": "sesr_m3", "scale": 2, "steps": 24, "rounds": 3, "batch": 4, "patch": 16,
    "learning_rate": 1e-3, "warmup": 2, "arithmetic": "float32", "threads": 1,
    "checkpoint_every": 4, "log_every": 4,
}  # fmt: skip


@pytest.fixture(scope="session")
def peers(data) -> Path:
    """Models by others, beside the images that AILSR_DATA names."""
    folder = data.parent / "peers"
    if not folder.is_dir():
        pytest.skip(f"no models of others: {folder} is missing")
    return folder


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    folder = tmp_path_factory.mktemp("photos")
    write(skimage.data.astronaut()[:160, 100:300], folder / "train" / "astronaut.png")
    write(skimage.data.coffee()[50:200, 100:300], folder / "train" / "coffee.png")
    write(skimage.data.chelsea()[60:180, 100:260], folder / "val" / "chelsea.png")
    return folder


@pytest.fixture
def recipe(photos, tmp_path):
    return Recipe(output=tmp_path / "run", train=[photos / "train"], val=photos / "val", **SMALL)
