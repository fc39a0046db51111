import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ailsr.train.sampling import CELL, UNIFORM_SHARE, PatchSampler

MANY = 20_000
side = st.integers(8, 60)


def generator():
    return torch.Generator().manual_seed(0)


@given(st.lists(st.tuples(side, side), min_size=1, max_size=4))
@settings(max_examples=30)
def test_patches_lie_inside_their_pictures(sizes):
    picture, top, left = PatchSampler(sizes, 8, 2).sample(500, generator())
    height, width = torch.tensor(sizes)[picture].unbind(1)
    assert bool(((top >= 0) & (left >= 0)).all())
    assert bool(((top + 8 <= height) & (left + 8 <= width)).all())


def test_without_importance_every_position_of_a_picture_is_as_likely_as_another():
    sampler = PatchSampler([(8 + 2, 8 + 12)], 8, 2)  # 3 x 13 positions
    _, top, left = sampler.sample(MANY, generator())
    counts = torch.bincount(top * 13 + left, minlength=39)
    assert len(counts) == 39
    torch.testing.assert_close(counts / MANY, torch.full((39,), 1 / 39), atol=0.006, rtol=0)


def test_patches_are_drawn_in_proportion_to_their_importance():
    patch, scale = 8, 2
    dull, lively = torch.zeros(1, 1, 80, 80), torch.zeros(1, 1, 80, 80)
    lively[..., 32:48, 32:48] = 1.0  # one patch at (16, 16), seen by those around it
    sampler = PatchSampler([(40, 40), (40, 40)], patch, scale, [dull, lively])
    picture, top, left = sampler.sample(MANY, generator())
    assert float(picture.double().mean()) == pytest.approx(1 - UNIFORM_SHARE / 2, abs=0.02)
    near = (picture == 1) & ((top - 16).abs() < patch + CELL) & ((left - 16).abs() < patch + CELL)
    assert float(near.double().mean()) > 1 - UNIFORM_SHARE
    assert int((picture == 0).sum()) > 0  # nothing is never seen


def test_twice_the_importance_is_drawn_twice_as_often():
    maps = [torch.full((1, 1, 64, 64), 0.01), torch.full((1, 1, 64, 64), 0.02)]
    picture, _, _ = PatchSampler([(32, 32), (32, 32)], 16, 2, maps).sample(MANY, generator())
    expected = UNIFORM_SHARE / 2 + (1 - UNIFORM_SHARE) * 2 / 3
    assert float(picture.double().mean()) == pytest.approx(expected, abs=0.02)


def test_importance_that_is_zero_everywhere_draws_alike():
    sampler = PatchSampler([(32, 32)], 16, 3, [torch.zeros(1, 1, 96, 96)])
    _, top, _ = sampler.sample(MANY, generator())
    assert float(top.double().mean()) == pytest.approx(8, abs=0.2)
