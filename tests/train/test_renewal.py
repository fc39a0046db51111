import itertools

import numpy as np
import pytest
import skimage.data
import torch

from ailsr.runtime.imaging.degradation import BICUBIC, PHOTO
from ailsr.runtime.imaging.resize import shrink
from ailsr.train.patches import PatchSource
from ailsr.train.renewal import EVERY, Renewal

IMAGES = [skimage.data.astronaut()[:64, :96], skimage.data.coffee()[:80, :64]]


def source():
    return PatchSource(IMAGES, 2, 16, torch.device("cpu"))


def low(images):
    return [images.pair(index)[0].clone() for index in range(len(images))]


def same(one, other):
    return [torch.equal(a, b) for a, b in zip(one, other, strict=True)]


def test_one_image_after_the_other_is_renewed():
    images = source()
    with Renewal(images, PHOTO, seed=0) as renewal:
        renewal.advance(0)
        seen = [low(images)]
        for step in range(4 * EVERY + 1):
            renewal.advance(step)
            if step % EVERY == 0 and step:
                seen.append(low(images))
            else:
                assert all(same(seen[-1], low(images)))
    changes = [same(a, b) for a, b in itertools.pairwise(seen)]
    assert changes == [[False, True], [True, False]] * 2


@pytest.mark.parametrize("step", [1, EVERY, EVERY + 1, 3 * EVERY + 7])
def test_a_resumed_run_sees_the_same_images(step):
    whole, resumed = source(), source()
    with Renewal(whole, PHOTO, seed=3) as first, Renewal(resumed, PHOTO, seed=3) as second:
        first.advance(0)
        for number in range(step + 1):
            first.advance(number)
        second.advance(step)
        for number in range(step, step + 3 * EVERY):
            first.advance(number)
            second.advance(number)
            assert all(same(low(whole), low(resumed)))


def test_the_seed_decides():
    draws = []
    for seed in (0, 1):
        images = source()
        with Renewal(images, PHOTO, seed) as renewal:
            renewal.advance(0)
            draws.append(low(images))
    assert not any(same(*draws))


def test_bicubic_images_stay():
    images = source()
    before = low(images)
    with Renewal(images, BICUBIC, seed=0) as renewal:
        renewal.advance(0)
        for step in range(2 * EVERY):
            renewal.advance(step)
    assert all(same(before, low(images)))


def test_the_originals_stay_when_images_are_renewed():
    images = source()
    with Renewal(images, PHOTO, seed=0) as renewal:
        renewal.advance(0)
        for index, hr in enumerate(IMAGES):
            np.testing.assert_array_equal(images.original(index), hr)
            expected = torch.from_numpy(shrink(hr, 2)).permute(2, 0, 1)[None] / 255
            torch.testing.assert_close(images.clean(index), expected)
            assert not torch.equal(images.pair(index)[0], expected)
