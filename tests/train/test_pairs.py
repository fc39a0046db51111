"""Training on pairs of one's own: which low-resolution images a run takes."""

import dataclasses

import numpy as np
import pytest
import skimage.data
import torch

from ailsr.runtime.errors import ImageError, UsageError
from ailsr.runtime.imaging.degradation import PHOTO
from ailsr.runtime.imaging.image import write
from ailsr.runtime.imaging.resize import shrink
from ailsr.train.data import load_data
from ailsr.train.events import Events
from ailsr.train.recipe import Recipe

HR = skimage.data.astronaut()[:120, 100:260]


@pytest.fixture
def marked(tmp_path):
    """A data set whose LR images are brighter than bicubic reductions."""
    write(HR, tmp_path / "set_train_HR" / "a.png")
    write(brighter(HR), tmp_path / "set_train_LR_bicubic" / "X2" / "ax2.png")
    write(shrink(HR, 2) // 2, tmp_path / "mine" / "a.png")
    return tmp_path


def brighter(hr):
    return np.minimum(shrink(hr, 2), 200) + np.uint8(50)


def recipe(folder, **options):
    options = {"train": [folder / "set_train_HR"], "patch": 16, "method": "l1"} | options
    return Recipe(output=folder / "run", **options)


def loaded(recipe):
    return load_data(recipe, torch.device("cpu"), Events()).source


def lr(recipe):
    return loaded(recipe).pair(0)[0].mul(255).round().byte()[0].permute(1, 2, 0).numpy()


def test_a_data_set_brings_its_own(marked):
    np.testing.assert_array_equal(lr(recipe(marked)), brighter(HR))


def test_a_named_folder_goes_first(marked):
    np.testing.assert_array_equal(
        lr(recipe(marked, train_lr=[marked / "mine"])), shrink(HR, 2) // 2
    )


def test_a_scale_without_a_folder_is_reduced(marked):
    np.testing.assert_array_equal(lr(recipe(marked, scale=4)), shrink(HR, 4))


def test_a_degradation_makes_them_itself(marked):
    np.testing.assert_array_equal(lr(recipe(marked, degradation=PHOTO)), shrink(HR, 2))


def test_pairs_are_not_shrunk(marked):
    assert loaded(recipe(marked, max_megapixels=0.001)).pair(0)[1].shape == (1, 3, 120, 160)


def test_a_missing_image_is_named(marked):
    write(HR, marked / "set_train_HR" / "b.png")
    with pytest.raises(ImageError, match=r"has no bx2.png for .*b.png"):
        loaded(recipe(marked))


def test_a_pair_that_does_not_fit_is_named(marked):
    write(shrink(HR, 2)[2:], marked / "mine" / "a.png")
    with pytest.raises(ImageError, match=r"mine/a.png has 80x58 .*a.png, 160x120, .* 80x60"):
        loaded(recipe(marked, train_lr=[marked / "mine"]))


def test_each_folder_has_its_own(marked):
    with pytest.raises(UsageError, match="1 --train-lr for 2 --train"):
        recipe(marked, train=[marked / "mine", marked / "mine"], train_lr=[marked / "mine"])
    with pytest.raises(UsageError, match="--degradation"):
        recipe(marked, train_lr=[marked / "mine"], degradation=PHOTO)


def test_a_run_remembers_their_pixels(marked):
    mine = recipe(marked, train_lr=[marked / "mine"])
    digests = [
        load_data(r, torch.device("cpu"), Events()).digests["train"]
        for r in (mine, dataclasses.replace(mine, train_lr=None))
    ]
    assert digests[0] != digests[1]
    assert Recipe.from_dict(mine.to_dict()).train_lr == mine.train_lr
