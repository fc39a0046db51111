"""Every kind of image becomes 8-bit sRGB and says what that cost; bad ones get one line."""

from __future__ import annotations

import struct
import zlib

import numpy as np
import pytest
from image_files import PILLOW
from PIL import Image, ImageCms

from ailsr.runtime import ImageError
from ailsr.runtime.imaging.image import (
    WRITE_OPTIONS,
    RgbImage,
    list_folder,
    list_images,
    read,
    read_image,
    write,
)


@pytest.fixture
def rgb(photographs):
    return np.ascontiguousarray(photographs["chelsea"][40:101, 100:181])  # 61×81


def saved(tmp_path, image, ending, **options):
    path = tmp_path / f"image{ending}"
    image.save(path, **options)
    return path


def mean_error(first, second):
    return float(np.abs(first.astype(int) - second).mean())


def test_a_plain_picture_is_read_as_it_is(tmp_path, rgb):
    picture = read_image(saved(tmp_path, Image.fromarray(rgb), ".png"))
    assert np.array_equal(picture.rgb, rgb)
    assert (picture.alpha, picture.notes, picture.grayscale) == (None, (), False)


@pytest.mark.parametrize("mode", ["1", "L", "P", "CMYK", "YCbCr"])
def test_other_colour_modes_become_rgb_and_say_so(tmp_path, rgb, mode):
    image = Image.fromarray(rgb).convert(mode)
    ending = {"CMYK": ".jpg", "YCbCr": ".tif"}.get(mode, ".png")
    path = saved(tmp_path, image, ending, **({"quality": 95} if ending == ".jpg" else {}))
    if mode == "YCbCr" and PILLOW < 13:
        with pytest.raises(ImageError, match="YCbCr samples that are not compressed"):
            read_image(path)
        return
    picture = read_image(path)
    expected = {"P": "palette converted to RGB"}.get(mode, f"{mode} converted to RGB")
    if mode in ("1", "L"):
        expected = "grayscale expanded to RGB"
    assert picture.notes == (expected,)
    assert picture.grayscale == (mode in ("1", "L"))
    assert mean_error(picture.rgb, np.asarray(image.convert("RGB"))) < 2
    if mode == "1":
        assert set(np.unique(picture.rgb)) == {0, 255}


@pytest.mark.parametrize("ending", [".png", ".tif"])
def test_sixteen_bits_are_scaled_not_clipped(tmp_path, ending):
    levels = np.array([[0, 128, 129, 257, 25700, 65535]], np.uint16)
    picture = read_image(saved(tmp_path, Image.fromarray(levels), ending))
    assert picture.rgb[0, :, 1].tolist() == [0, 0, 1, 1, 100, 255]
    assert picture.notes == ("16 bits per channel reduced to 8", "grayscale expanded to RGB")


def test_sixteen_bit_colour_is_scaled(tmp_path):
    path = tmp_path / "deep.png"
    row = b"\0" + struct.pack(">6H", 0, 25700, 65535, 257, 514, 51400)
    path.write_bytes(png(2, 1, 16, 2, row))
    picture = read_image(path)
    assert picture.rgb.tolist() == [[[0, 100, 255], [1, 2, 200]]]
    assert picture.notes == ("16 bits per channel reduced to 8",)


@pytest.mark.parametrize("mode", ["F", "I"])
def test_pixels_of_unknown_range_are_refused(tmp_path, mode):
    path = saved(tmp_path, Image.new(mode, (4, 4)), ".tif")
    with pytest.raises(ImageError, match="range is not known: convert it to 8 or 16 bits"):
        read(path)


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_alpha_is_kept_apart_and_read_puts_it_on_white(tmp_path, rgb, mode):
    alpha = np.tile(np.linspace(0, 255, rgb.shape[1]).astype(np.uint8), (rgb.shape[0], 1))
    base = Image.fromarray(rgb).convert(mode[:-1])
    image = base.copy()
    image.putalpha(Image.fromarray(alpha))
    path = saved(tmp_path, image, ".png")
    picture = read_image(path)
    assert np.array_equal(picture.alpha, alpha)
    assert np.array_equal(picture.rgb, np.asarray(base.convert("RGB")))
    white = Image.new("RGB", base.size, "white")
    white.paste(base.convert("RGB"), mask=Image.fromarray(alpha))
    assert np.array_equal(read(path), np.asarray(white))


def test_transparent_colours_of_palettes_and_grays_are_alpha(tmp_path):
    image = Image.new("P", (3, 2), 1)
    image.putpalette([255, 0, 0, 0, 255, 0])
    image.putpixel((0, 0), 0)
    picture = read_image(saved(tmp_path, image, ".gif", transparency=0))
    assert picture.alpha.tolist() == [[0, 255, 255], [255, 255, 255]]
    gray = Image.new("L", (3, 2), 9)
    gray.putpixel((0, 0), 7)
    picture = read_image(saved(tmp_path, gray, ".png", transparency=7))
    assert picture.alpha.tolist() == [[0, 255, 255], [255, 255, 255]]
    assert picture.grayscale


def test_alpha_that_is_opaque_throughout_is_none(tmp_path, rgb):
    image = Image.fromarray(rgb)
    image.putalpha(255)
    assert read_image(saved(tmp_path, image, ".png")).alpha is None


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied(tmp_path, rgb, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    picture = read_image(saved(tmp_path, Image.fromarray(rgb), ".png", exif=exif))
    expected = {
        1: rgb,
        2: rgb[:, ::-1],
        3: rgb[::-1, ::-1],
        4: rgb[::-1],
        5: rgb.swapaxes(0, 1),
        6: np.rot90(rgb, -1),
        7: rgb[::-1, ::-1].swapaxes(0, 1),
        8: np.rot90(rgb),
    }[orientation]
    assert np.array_equal(picture.rgb, expected)
    assert len(picture.notes) == (orientation > 1)


def test_damaged_exif_data_does_not_lose_the_picture(tmp_path, rgb):
    path = saved(tmp_path, Image.fromarray(rgb), ".png", exif=b"Exif\0\0MM\0*\xff\xff\xff\xff")
    assert np.array_equal(read(path), rgb)


def test_a_colour_profile_is_converted_to_srgb(tmp_path, rgb):
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    image = Image.fromarray(rgb)
    picture = read_image(saved(tmp_path, image, ".png", icc_profile=profile))
    assert np.array_equal(picture.rgb, rgb)
    assert picture.notes == ()

    # A profile in which the red channel is blue and the other way round.
    swapped = profile.replace(b"rXYZ", b"?XYZ").replace(b"bXYZ", b"rXYZ").replace(b"?XYZ", b"bXYZ")
    picture = read_image(saved(tmp_path, image, ".png", icc_profile=swapped))
    assert mean_error(picture.rgb, rgb[..., ::-1]) < 1
    assert picture.notes == ("converted from its colour profile to sRGB",)

    picture = read_image(saved(tmp_path, image, ".png", icc_profile=b"no profile"))
    assert np.array_equal(picture.rgb, rgb)
    assert picture.notes == ("its colour profile cannot be used; taken as sRGB",)


def test_of_an_animation_the_first_frame_is_read(tmp_path):
    frames = [Image.new("RGB", (5, 4), colour) for colour in ("red", "lime", "blue")]
    path = saved(tmp_path, frames[0], ".gif", save_all=True, append_images=frames[1:])
    picture = read_image(path)
    assert "the first of 3 frames" in picture.notes
    assert picture.rgb[0, 0].tolist() == [255, 0, 0]


def test_missing_folder_empty_and_foreign_files_get_one_line(tmp_path):
    (tmp_path / "empty.png").touch()
    (tmp_path / "text.png").write_text("not an image\n")
    (tmp_path / "half.avif").write_bytes(b"\0\0\0\x20ftypavif" + bytes(20))
    for path, message in (
        (tmp_path / "missing.png", "no image at .*missing.png"),
        (tmp_path, "is a folder"),
        (tmp_path / "empty.png", "empty.png is empty"),
        (tmp_path / "text.png", "text.png is not an image"),
        (tmp_path / "half.avif", "half.avif is an AVIF image that is damaged"),
    ):
        with pytest.raises(ImageError, match=message) as caught:
            read(path)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("ending", [".png", ".jpg", ".gif", ".bmp", ".webp", ".tif"])
def test_a_cut_file_is_an_error_never_half_a_picture(tmp_path, rgb, ending):
    path = saved(tmp_path, Image.fromarray(rgb), ending)
    content = path.read_bytes()
    for length in range(1, len(content) * 9 // 10, len(content) // 25):
        path.write_bytes(content[:length])
        with pytest.raises(ImageError, match=path.name) as caught:
            read(path)
        assert "\n" not in str(caught.value)


def test_a_decompression_bomb_is_refused_unread(tmp_path):
    path = tmp_path / "bomb.png"
    path.write_bytes(png(60000, 60000, 8, 2, b""))
    with pytest.raises(ImageError, match=r"has 3600 megapixels.* more than 1024M: cut it"):
        read(path)


@pytest.mark.parametrize("ending", list(WRITE_OPTIONS))
def test_what_is_written_is_read_again(tmp_path, rgb, ending):
    path = tmp_path / "new" / f"out{ending.upper()}"
    write(rgb, path)
    lossy = ending in (".jpg", ".jpeg", ".webp")
    assert mean_error(read(path), rgb) < (4 if lossy else 1e-9)
    alpha = np.full(rgb.shape[:2], 128, np.uint8)
    write(rgb, path, alpha)
    again = read_image(path)
    if ending in (".png", ".webp", ".tif", ".tiff"):
        assert np.array_equal(again.alpha, alpha)
    else:
        assert again.alpha is None
        assert mean_error(again.rgb, RgbImage(rgb, alpha).on_white()) < 4


def test_a_picture_that_cannot_be_written_leaves_nothing(tmp_path):
    with pytest.raises(ImageError, match=r"'.xyz'; choose one of .png, .jpg"):
        write(np.zeros((4, 4, 3), np.uint8), tmp_path / "out.xyz")
    before = tmp_path / "out.jpg"
    before.write_bytes(b"before")
    with pytest.raises(ImageError, match=r"out.jpg cannot be written"):
        write(np.zeros((1, 70000, 3), np.uint8), before)
    (tmp_path / "file").touch()
    with pytest.raises(ImageError, match=r"cannot be written: .*[Ee]xists|Not a directory"):
        write(np.zeros((4, 4, 3), np.uint8), tmp_path / "file" / "out.png")
    assert before.read_bytes() == b"before"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["file", "out.jpg"]


def test_pictures_of_a_folder_are_found_by_their_endings(tmp_path):
    for name in ("b.PNG", "a.jpg", "c.jfif", "d.mpo", "c.txt", "b.txt", ".hidden.png", ".DS_Store"):
        (tmp_path / name).touch()
    (tmp_path / "more").mkdir()
    (tmp_path / "README").write_text("not an image\n")
    for kind in ("png", "jpeg", "gif", "webp", "tiff", "bmp", "ppm"):
        Image.new("RGB", (4, 4)).save(tmp_path / kind, kind)
    listing = list_folder(tmp_path)
    named = ["a.jpg", "b.PNG", "bmp", "c.jfif", "d.mpo", "gif", "jpeg", "png", "ppm", "tiff"]
    assert [p.name for p in listing.images] == [*named, "webp"]
    assert list_images(tmp_path) == listing.images
    assert listing.note == (
        f"{tmp_path}: 5 of 16 left out: 2 ending in .txt, 1 hidden, 1 without an ending, "
        "1 a folder of its own"
    )
    (tmp_path / "none").mkdir()
    with pytest.raises(ImageError, match=r"no images in .*none: looked for .*\.png"):
        list_images(tmp_path / "none")
    with pytest.raises(ImageError, match="no folder of images at"):
        list_images(tmp_path / "missing")


def png(width, height, bits, colour, rows):
    """The bytes of a PNG file with this header and these raw rows."""

    def chunk(kind, content):
        checked = kind + content
        return struct.pack(">I", len(content)) + checked + struct.pack(">I", zlib.crc32(checked))

    header = struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0)
    data = chunk(b"IDAT", zlib.compress(rows))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + data + chunk(b"IEND", b"")
