"""Bicubic interpolation gives the published figures, and folders are understood."""

from __future__ import annotations

import numpy as np
import pytest

from ailsr.runtime import ImageError, UsageError
from ailsr.runtime.imaging import image
from ailsr.runtime.imaging.color import luma
from ailsr.runtime.imaging.metrics import psnr, shave
from ailsr.runtime.imaging.protocol import (
    PROTOCOL,
    PROTOCOLS,
    Pair,
    evaluate,
    left_out,
    pairs,
    score,
)
from ailsr.runtime.imaging.resize import crop_to_multiple, enlarge, shrink


@pytest.mark.parametrize(
    ("name", "scale", "expected"),
    [
        ("Set5", 2, 33.64),
        ("Set5", 3, 30.385),
        ("Set5", 4, 28.42),
        ("Set14", 2, 30.22),
        ("Set14", 3, 27.53),
        ("Set14", 4, 25.99),
    ],
)
def test_bicubic_gives_the_published_psnr(data, name, scale, expected):
    scores = evaluate(
        lambda lr: enlarge(lr, scale), pairs(data / "benchmark" / name, scale), "Y-shave-s"
    )
    assert scores.psnr_db == pytest.approx(expected, abs=0.005)
    assert scores.protocol == PROTOCOL == "Y-shave-s"
    assert len(scores.images) == {"Set5": 5, "Set14": 14}[name]


def test_rgb_div2k_compares_the_three_channels(photographs):
    hr = crop_to_multiple(photographs["astronaut"], 3)
    pair = Pair("astronaut", shrink(hr, 3), hr)
    upscaled = enlarge(pair.lr, 3)
    scores = evaluate(lambda lr: enlarge(lr, 3), [pair], "RGB-DIV2K")
    assert scores.psnr_db == psnr(shave(upscaled, 3), shave(hr, 3))
    assert scores.images == {"astronaut": {"psnr": scores.psnr_db, "ssim": scores.ssim}}
    y = [shave(np.rint(luma(plane)), 3) for plane in (upscaled, hr)]
    assert score(upscaled, pair)["psnr"] == psnr(*y)


def test_low_resolution_pictures_of_a_sibling_folder_are_used(data):
    root = data / "benchmark" / "Set14"
    for folder in (root, root / "HR"):
        found = pairs(folder, 3)
        assert len(found) == 14
        assert found.names == sorted(found.names)
        pair = found[2]
        assert (pair.name, pair.scale, pair.grayscale) == ("bridge", 3, True)
        assert np.array_equal(pair.lr, image.read(root / "LR_bicubic" / "X3" / "bridgex3.png"))
        assert not np.array_equal(pair.lr, shrink(pair.hr, 3))  # its borders are the other kind
        assert [p.name for p in found[:2]] == found.names[:2]


def test_without_them_the_protocol_makes_them(tmp_path, photographs):
    for name in ("rocket", "chelsea"):
        image.write(photographs[name], tmp_path / f"{name}.png")
    found = pairs(tmp_path, 4)
    assert found.names == ["chelsea", "rocket"]
    chelsea = found[0]
    assert np.array_equal(chelsea.hr, photographs["chelsea"][:300, :448])
    assert np.array_equal(chelsea.lr, shrink(chelsea.hr, 4))


@pytest.mark.parametrize(
    ("hr", "lr"), [("HR", "LR_bicubic/X2"), ("valid_HR", "valid_LR_bicubic/X2")]
)
@pytest.mark.parametrize("name", ["a.png", "ax2.png"])
def test_names_of_low_resolution_folders_and_files(tmp_path, photographs, hr, lr, name):
    rgb = photographs["chelsea"][:40, :60]
    image.write(rgb, tmp_path / hr / "a.png")
    marked = shrink(rgb, 2) // 2
    image.write(marked, tmp_path / lr / name)
    assert np.array_equal(pairs(tmp_path / hr, 2)[0].lr, marked)


def test_equal_stems_stay_apart(tmp_path, photographs):
    for name in ("a.png", "a.bmp", "b.png"):
        image.write(photographs["chelsea"][:40, :40], tmp_path / name)
    scores = evaluate(lambda lr: enlarge(lr, 2), pairs(tmp_path, 2))
    assert list(scores.images) == ["a.bmp", "a.png", "b"]


def test_folders_that_cannot_be_evaluated_get_one_line(tmp_path, photographs):
    rgb = photographs["chelsea"][:40, :60]
    with pytest.raises(ImageError, match="no folder of images"):
        pairs(tmp_path / "missing", 2)
    with pytest.raises(ImageError, match="no images in"):
        pairs(tmp_path, 2)
    with pytest.raises(UsageError, match="scale of 0"):
        pairs(tmp_path, 0)

    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "x.png").write_text("not an image")
    with pytest.raises(ImageError, match=r"x\.png is not an image"):
        evaluate(lambda lr: enlarge(lr, 2), pairs(tmp_path / "bad", 2))

    image.write(rgb, tmp_path / "set" / "HR" / "a.png")
    image.write(rgb[:10, :10], tmp_path / "set" / "LR_bicubic" / "X2" / "ax2.png")
    with pytest.raises(ImageError, match=r"ax2\.png has 10x10 pixels; .* has 30x20"):
        pairs(tmp_path / "set", 2)[0]
    image.write(rgb, tmp_path / "set" / "HR" / "b.png")
    with pytest.raises(ImageError, match=r"has no bx2\.png for"):
        pairs(tmp_path / "set", 2)


def test_pictures_too_small_and_results_of_the_wrong_size_are_named(tmp_path, photographs):
    image.write(photographs["chelsea"][:18, :60], tmp_path / "small.png")
    with pytest.raises(ImageError, match=r"small has 60x16 pixels, .* 19x19 is the least"):
        evaluate(lambda lr: enlarge(lr, 4), pairs(tmp_path, 4))
    with pytest.raises(ImageError, match="too small to reduce by 20"):
        pairs(tmp_path, 20)[0]
    pair = Pair("a", np.zeros((20, 20, 3), np.uint8), np.zeros((40, 40, 3), np.uint8))
    with pytest.raises(ImageError, match=r"a came out as \(20, 20, 3\)"):
        evaluate(lambda lr: lr, [pair])
    with pytest.raises(ImageError, match="no images to evaluate"):
        evaluate(lambda lr: lr, [])
    with pytest.raises(UsageError, match="choose one of Y-shave-s, RGB-DIV2K"):
        score(pair.hr, pair, "Y")
    assert PROTOCOLS == ("Y-shave-s", "RGB-DIV2K")


def test_equal_pictures_score_infinity_and_one(photographs):
    hr = photographs["chelsea"][:60, :60]
    assert score(hr, Pair("a", shrink(hr, 2), hr)) == {
        "psnr": float("inf"),
        "ssim": pytest.approx(1.0),
    }


def test_what_a_folder_leaves_out_is_said(tmp_path):
    image.write(np.zeros((24, 24, 3), np.uint8), tmp_path / "Set1" / "HR" / "a.png")
    assert left_out(tmp_path / "Set1") is None
    (tmp_path / "Set1" / "HR" / "a.raw").touch()
    expected = f"{tmp_path / 'Set1' / 'HR'}: 1 of 2 left out: 1 ending in .raw"
    assert left_out(tmp_path / "Set1") == left_out(tmp_path / "Set1" / "HR") == expected
