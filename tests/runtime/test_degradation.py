import io
import math
import re
from pathlib import Path

import numpy as np
import pytest
import skimage.data
from PIL import Image

from ailsr.runtime.errors import ImageError, UsageError
from ailsr.runtime.imaging.degradation import BICUBIC, DEGRADATIONS, PHOTO, WEB, Degradation
from ailsr.runtime.imaging.degradation_steps import STEPS, Blur, Jpeg, Noise, Resize, gaussian_blur
from ailsr.runtime.imaging.image import write
from ailsr.runtime.imaging.metrics import psnr
from ailsr.runtime.imaging.protocol import pairs
from ailsr.runtime.imaging.resize import enlarge, shrink

SEED = 7


@pytest.fixture(scope="module")
def photo():
    return skimage.data.astronaut()[:200, 100:320]


def random():
    return np.random.default_rng(SEED)


def flat(level, side=256):
    return np.full((side, side, 3), level, np.uint8)


def to_linear(level):
    """sRGB levels as linear light (IEC 61966-2-1)."""
    v = np.asarray(level, float) / 255
    return np.where(v <= 0.04045, v / 12.92, ((v + 0.055) / 1.055) ** 2.4)


@pytest.mark.parametrize(("long", "short", "angle"), [(2, 2, 0), (3, 1.5, 0), (3, 1, 0.7)])
def test_a_point_is_blurred_to_a_gaussian_of_that_width_and_angle(long, short, angle):
    point = np.zeros((65, 65, 3), np.uint8)
    point[32, 32] = 255
    kernel = gaussian_blur(point, long, short, angle)[..., 0] / 255
    y, x = np.mgrid[-32:33, -32:33]
    u, v = x * math.cos(angle) + y * math.sin(angle), y * math.cos(angle) - x * math.sin(angle)
    expected = np.exp(-((u / long) ** 2 + (v / short) ** 2) / 2) / (2 * math.pi * long * short)
    np.testing.assert_allclose(kernel, expected, atol=2e-5)


def test_blur_counts_in_low_resolution_pixels(photo):
    low = (photo.shape[0] // 2, photo.shape[1] // 2)
    blurred = Blur(sigma=(1.5, 1.5)).apply(photo, low, random())
    np.testing.assert_array_equal(blurred, np.rint(gaussian_blur(photo, 3, 3)))


def test_blur_keeps_a_flat_image_up_to_its_border():
    assert np.array_equal(
        Blur(sigma=(2, 2)).apply(flat(200, 40), (20, 20), random()), flat(200, 40)
    )


@pytest.mark.parametrize("level", [40, 128, 220])
def test_shot_noise_grows_with_the_light(level):
    noisy = Noise(shot=(4, 4)).apply(flat(level), (256, 256), random())
    # In linear light the variance is proportional to the light; at 128 it is 4 levels.
    slope = (to_linear(level + 1) - to_linear(level - 1)) / 2
    middle = (to_linear(129) - to_linear(127)) / 2 * 4
    expected = middle * np.sqrt(to_linear(level) / to_linear(128)) / slope
    assert noisy.std() == pytest.approx(math.hypot(expected, 12**-0.5), rel=0.03)
    assert noisy.mean() == pytest.approx(level, abs=0.1)


def test_noise_adds_up_by_squares():
    noisy = Noise(gaussian=(3, 3), shot=(4, 4)).apply(flat(128), (256, 256), random())
    assert noisy.std() == pytest.approx(5, rel=0.03)


def test_jpeg_is_what_a_program_would_save(photo):
    file = io.BytesIO()
    Image.fromarray(photo).save(file, "JPEG", quality=40, subsampling="4:2:0")
    step = Jpeg(quality=(40, 40), subsampling=("4:2:0",))
    np.testing.assert_array_equal(step.apply(photo, photo.shape[:2], random()), Image.open(file))


@pytest.mark.parametrize("kind", ["box", "bilinear", "bicubic", "lanczos"])
def test_no_filter_shifts_the_image(photo, kind):
    chain = Degradation("x", (Resize(to=(1.3, 1.3), filters=(kind,)), Resize(filters=(kind,))))
    lr, bicubic = chain.of_image(photo, 2), shrink(photo, 2)
    right = psnr(lr, bicubic)
    for axis in (0, 1):
        assert right > psnr(np.roll(lr, 1, axis), bicubic) + 3
        assert right > psnr(np.roll(lr, -1, axis), bicubic) + 3


@pytest.mark.parametrize("scale", [2, 3, 4])
@pytest.mark.parametrize("degradation", DEGRADATIONS.values(), ids=str)
def test_low_resolution_images_have_their_size(photo, degradation, scale):
    hr = photo[: 198 // scale * scale, : 216 // scale * scale]
    lr = degradation.of_image(hr, scale)
    assert lr.shape == (hr.shape[0] // scale, hr.shape[1] // scale, 3)
    assert lr.dtype == np.uint8


def test_heavier_is_worse(photo):
    against = shrink(photo, 2)
    scores = [psnr(d.of_image(photo, 2), against) for d in (BICUBIC, PHOTO, WEB)]
    assert scores[0] == math.inf
    assert scores[1] > scores[2] + 1


def test_an_image_of_the_protocol_is_always_degraded_alike(photo, tmp_path):
    for folder, name in (("one", "a.png"), ("other", "b.png")):
        write(photo, tmp_path / folder / name)
    write(photo[::-1], tmp_path / "other" / "a.png")
    (one,) = pairs(tmp_path / "one", 2, PHOTO)
    _, other = pairs(tmp_path / "other", 2, PHOTO)
    np.testing.assert_array_equal(one.lr, other.lr)
    np.testing.assert_array_equal(one.hr, photo)


def test_a_folder_of_bicubic_images_is_not_taken_for_another_degradation(photo, tmp_path):
    write(photo, tmp_path / "HR" / "a.png")
    write(np.zeros((100, 110, 3), np.uint8), tmp_path / "LR_bicubic" / "X2" / "a.png")
    assert pairs(tmp_path / "HR", 2)[0].lr.max() == 0
    assert pairs(tmp_path / "HR", 2, PHOTO)[0].lr.max() > 0


def test_training_sees_the_share_of_clean_images(photo):
    half, draws = Degradation("half", PHOTO.steps, clean=0.5), random()
    clean = shrink(photo, 2)
    count = sum(np.array_equal(half.sample(photo, 2, draws), clean) for _ in range(60))
    assert 18 <= count <= 42
    assert not np.array_equal(half.of_image(photo, 2), clean)


def test_a_step_is_done_to_its_share_of_the_images(photo):
    seldom = Degradation("x", (Resize(filters=("box",)), Jpeg(quality=(30, 30), share=0.25)))
    plain, draws = Degradation("x", seldom.steps[:1]).of_image(photo, 2), random()
    count = sum(np.array_equal(seldom.sample(photo, 2, draws), plain) for _ in range(60))
    assert 36 <= count <= 54


@pytest.mark.parametrize(
    "degradation", [*DEGRADATIONS.values(), Degradation("x", WEB.steps)], ids=str
)
def test_a_degradation_is_written_and_read(degradation):
    assert Degradation.from_json(degradation.to_json()) == degradation


def test_a_toml_file_names_the_degradation(tmp_path):
    file = tmp_path / "scanner.toml"
    file.write_text(
        'clean = 0.2\n[[steps]]\nkind = "blur"\nsigma = 0.5\n[[steps]]\nkind = "resize"\n'
        'filters = ["box"]\n'
    )
    scanner = Degradation.from_json(str(file))
    assert str(scanner) == "scanner-1"
    assert scanner.steps == (Blur(sigma=(0.5, 0.5)), Resize(filters=("box",)))
    assert scanner.clean == 0.2


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("steps = []", "'steps' is a list of 0"),
        ('steps = [{kind = "resize"}]\nclaen = 1', "there is no 'claen'"),
        ('steps = [{kind = "glur"}]', "blur, resize, noise, jpeg"),
        ('steps = [{kind = "blur"}]', "no 'sigma'"),
        ('steps = [{kind = "blur", sigma = [2, 1]}]', "not a range"),
        ('steps = [{kind = "blur", sigma = 1, turn = 1}]', "there is no 'turn'"),
        ('steps = [{kind = "jpeg", quality = 200}]', "not a number in its range"),
        ('steps = [{kind = "blur", sigma = 1}]', 'of kind "resize"'),
        ("steps = [", "cannot be read"),
    ],
)
def test_a_wrong_table_is_told_in_one_line(tmp_path, text, said):
    file = tmp_path / "mine.toml"
    file.write_text(text)
    with pytest.raises(UsageError, match=said) as raised:
        Degradation.from_json(str(file))
    assert "mine" in str(raised.value)
    assert "\n" not in str(raised.value)


def test_an_unknown_name_is_answered_with_the_known_ones():
    with pytest.raises(UsageError, match="'foto': choose bicubic, photo, web"):
        Degradation.from_json("foto")


def test_images_too_small_to_reduce_are_refused(tmp_path):
    write(flat(3, 1), tmp_path / "a.png")
    with pytest.raises(ImageError, match="too small to reduce"):
        pairs(tmp_path, 2, PHOTO)[0]


def test_a_photo_is_still_the_image(photo):
    assert psnr(enlarge(PHOTO.of_image(photo, 2), 2), photo) > 22


ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("name", [*(d for d in DEGRADATIONS if d != "bicubic"), *STEPS])
def test_every_degradation_and_step_is_documented(name):
    training = (ROOT / "docs" / "training.md").read_text(encoding="utf-8")
    section = training.split("## Photographs as people have them")[1].split("\n## ")[0]
    assert f"`{name}`" in section or f'kind = "{name}"' in section


def test_the_list_for_a_new_degradation_names_its_places():
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    listed = text.split("## Add a degradation")[1].split("\n## ")[0]
    paths = re.findall(r"`((?:runtime|train|docs|tests)/[\w/.]+)`", listed)
    assert all((ROOT / path).is_file() for path in paths)
    # Every file that spells out the name of a degradation is in the list.
    spelled = re.compile(r"""["'`](?:photo|web)["'`]""")
    files = [f for folder in ("runtime/imaging", "train") for f in (ROOT / folder).rglob("*.py")]
    named = [str(f.relative_to(ROOT)) for f in files if spelled.search(f.read_text("utf-8"))]
    assert named == ["runtime/imaging/degradation.py"]
    assert set(named) <= set(paths)
