"""What a network sees below transparency: colours that do not show in the result."""

from __future__ import annotations

import numpy as np
import pytest

from ailsr.runtime.imaging.metrics import psnr
from ailsr.runtime.imaging.resize import enlarge
from ailsr.runtime.imaging.transparency import Filled, OnWhite, filled_in


@pytest.fixture
def sprite(photographs):
    """A disc cut from a photograph, 120×160, with a soft edge."""
    rgb = np.ascontiguousarray(photographs["chelsea"][40:160, 100:260])
    y, x = np.mgrid[:120, :160]
    alpha = np.clip(50.5 - np.hypot(y - 60, x - 80), 0, 1) * 255
    return rgb, np.rint(alpha).astype(np.uint8)


def over(rgb, alpha, background):
    weight = alpha[..., None] / 255
    return np.rint(rgb * weight + np.array(background) * (1 - weight)).astype(np.uint8)


def test_filled_colours_come_nearer_to_compositing_before_enlarging(sprite):
    rgb, alpha = sprite
    for background in [(255, 255, 255), (0, 0, 0), (0, 200, 60)]:
        reference = enlarge(over(rgb, alpha, background), 2)
        score = {}
        for hidden in (0, 255):
            plain = np.where(alpha[..., None] > 0, rgb, np.uint8(hidden))
            for name, seen in (("plain", plain), ("filled", filled_in(plain, alpha, 6))):
                result = over(enlarge(seen, 2), enlarge(alpha, 2), background)
                score[name, hidden] = psnr(result, reference)
        assert score["filled", 0] == score["filled", 255]
        assert score["filled", 0] > max(score["plain", 0], score["plain", 255]) + 0.3


def test_a_hidden_pixel_is_the_mean_of_its_visible_neighbours():
    rgb = np.zeros((3, 5, 3), np.uint8)
    alpha = np.zeros((3, 5), np.uint8)
    rgb[0, 0], rgb[1, 0], alpha[:2, 0] = 100, 201, (1, 255)
    filled = filled_in(rgb, alpha, 2)[..., 0]
    assert filled.tolist() == [[100, 151, 151, 0, 0], [201, 151, 168, 0, 0], [201, 201, 176, 0, 0]]


@pytest.mark.parametrize("height", [1, 7, 50])
def test_bands_are_those_of_the_whole(sprite, height):
    rgb, alpha = sprite
    whole = filled_in(rgb, alpha, 9)
    assert np.array_equal(whole[alpha > 0], rgb[alpha > 0])
    rows = Filled(rgb, alpha, 9)
    white = OnWhite(rgb, alpha)
    for start in range(0, len(rgb), height):
        assert np.array_equal(rows[start : start + height], whole[start : start + height])
        shown = over(rgb, alpha, (255, 255, 255))[start : start + height]
        assert np.abs(white[start : start + height].astype(int) - shown).max() <= 1
