import numpy as np
import pytest
import skimage.data

from ailsr.runtime.errors import ImageError
from ailsr.runtime.imaging.alignment import aligned
from ailsr.runtime.imaging.degradation import WEB
from ailsr.runtime.imaging.image import write
from ailsr.runtime.imaging.protocol import pairs
from ailsr.runtime.imaging.resize import resize, shrink

NAMES = ("lr.png", "hr.png")


@pytest.fixture(scope="module")
def photo():
    return skimage.data.astronaut()


@pytest.mark.parametrize("size", [(255, 255), (256, 255), (255, 256), (256, 256)])
def test_sides_may_be_rounded_up_or_down(photo, size):
    hr = photo[:511, :511]
    lr, cut = aligned(resize(hr, size), hr, 2, NAMES)
    assert lr.shape == (255, 255, 3)
    np.testing.assert_array_equal(cut, hr[:510, :510])


@pytest.mark.parametrize("size", [(254, 255), (255, 257), (170, 170), (511, 511)])
def test_other_sizes_are_refused_by_name(photo, size):
    with pytest.raises(
        ImageError, match=f"lr.png has {size[1]}x{size[0]}.*hr.png, 511x511.*255x255"
    ):
        aligned(resize(photo[:511, :511], size), photo[:511, :511], 2, NAMES)


@pytest.mark.parametrize(("right", "down"), [(1, 0), (0, -1), (-3, 2), (4, 4)])
@pytest.mark.parametrize("scale", [2, 4])
def test_a_shift_is_refused_and_told(photo, right, down, scale):
    lr = np.roll(shrink(photo, scale), (down, right), (0, 1))
    with pytest.raises(
        ImageError, match=f"lr.png is shifted against hr.png by {right} .* {down} down"
    ):
        aligned(lr, photo, scale, NAMES)


def test_another_image_is_refused(photo):
    other = shrink(skimage.data.coffee()[:400, :512], 2)
    with pytest.raises(ImageError, match=r"lr.png and hr.png do not show the same"):
        aligned(other, photo[:400], 2, NAMES)


@pytest.mark.parametrize("name", ["astronaut", "chelsea", "coffee", "rocket", "hubble_deep_field"])
@pytest.mark.parametrize("scale", [2, 3, 4])
def test_a_heavily_degraded_image_fits(name, scale):
    hr = getattr(skimage.data, name)()[:420, :420]
    hr = hr[: hr.shape[0] // scale * scale, : hr.shape[1] // scale * scale]
    aligned(WEB.of_image(hr, scale), hr, scale, NAMES)


def test_a_flat_image_fits():
    aligned(np.full((40, 40, 3), 9, np.uint8), np.full((80, 80, 3), 9, np.uint8), 2, NAMES)


def test_the_pairs_of_a_folder_are_checked_so(photo, tmp_path):
    write(photo[:101, :101], tmp_path / "HR" / "a.png")
    write(resize(photo[:101, :101], (51, 51)), tmp_path / "LR_bicubic" / "X2" / "ax2.png")
    (pair,) = pairs(tmp_path / "HR", 2)
    assert pair.lr.shape == (50, 50, 3)
    assert pair.hr.shape == (100, 100, 3)
    write(shrink(photo[4:104, :100], 2), tmp_path / "LR_bicubic" / "X2" / "ax2.png")
    with pytest.raises(ImageError, match=r"ax2.png is shifted against .*HR/a.png by 0 .* -2 down"):
        pairs(tmp_path / "HR", 2)[0]
