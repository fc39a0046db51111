"""Every kind of image file, plain and with little memory: the values that it was made of, or a
refusal by name, never another image."""

from __future__ import annotations

import io
import sys

import cv2
import numpy as np
import pytest
from image_files import CHANNELS, DEPTHS, both, eighths, png
from PIL import Image

from ailsr.runtime import ImageError
from ailsr.runtime.imaging.image import Limit, list_images, read_image
from ailsr.runtime.upscaling.frames import read_frames

KINDS = [(color, depth) for color, depths in DEPTHS.items() for depth in depths]


@pytest.mark.parametrize(("color", "depth"), KINDS)
@pytest.mark.parametrize("interlaced", [False, True])
@pytest.mark.parametrize("transparent", [False, True])
@pytest.mark.parametrize("size", [(1, 1), (2, 3), (23, 37)])
def test_png(tmp_path, color, depth, interlaced, transparent, size):
    if transparent and color in (4, 6):
        pytest.skip("alpha is among its samples")
    random = np.random.default_rng(depth)
    samples = random.integers(0, 1 << depth, (*size, CHANNELS[color]))
    samples[0, 0] = samples[-1, -1]  # two pixels of the colour that may be transparent
    palette = random.integers(0, 256, (1 << min(depth, 8), 3), np.uint8)
    before, alpha, rgb = [], None, None
    if color == 3:
        before, rgb = [(b"PLTE", palette.tobytes())], palette[samples[..., 0]]
    if transparent and color == 3:
        opacity = random.integers(0, 256, len(palette), np.uint8)
        opacity[-1] = 255
        before.append((b"tRNS", opacity[:-1].tobytes()))
        alpha = opacity[samples[..., 0]]
    elif transparent:
        before = [(b"tRNS", samples[0, 0].astype(">u2").tobytes())]
        alpha = np.where((samples == samples[0, 0]).all(-1), 0, 255)
    elif color in (4, 6):
        alpha = eighths(samples[..., -1], depth)
    if rgb is None:
        colors = samples[..., : -1 if color in (4, 6) else None]
        rgb = np.broadcast_to(eighths(colors, depth), (*size, 3))
    path = tmp_path / "a.png"
    path.write_bytes(png(samples, depth, color, interlaced=interlaced, before=before))
    picture = both(path)
    assert np.array_equal(picture.rgb, rgb)
    alpha = None if alpha is None or alpha.min() == 255 else alpha
    assert (picture.alpha is None) == (alpha is None)
    assert alpha is None or np.array_equal(picture.alpha, alpha)
    assert ("16 bits per channel reduced to 8" in picture.notes) == (depth == 16)
    assert picture.grayscale == (color in (0, 4))
    if color in (0, 2, 6) and depth >= 8 and not transparent:  # what OpenCV leaves as it is
        found = cv2.imread(str(path), cv2.IMREAD_UNCHANGED).reshape(samples.shape)
        order = [2, 1, 0, 3][: samples.shape[2]] if color != 0 else [0]
        assert np.array_equal(found[..., order], samples)
    # A frame in a pipe is read as a file is, and what it loses is told.
    notes = []
    (frame,) = read_frames(io.BytesIO(path.read_bytes()), None, notes.append)[1]
    assert np.array_equal(frame, picture.on_white())
    dropped = ["alpha dropped, put on white (frames in a pipe hold none)"] * (alpha is not None)
    assert notes == [f"frame 1: {note}" for note in (*picture.notes, *dropped)]


def modes(rgb):
    gray = np.ascontiguousarray(rgb[..., 1])
    alpha = np.tile(np.arange(1, rgb.shape[1] + 1, dtype=np.uint8), (len(rgb), 1))
    deep = gray.astype(np.uint16) * 257 + np.arange(len(rgb), dtype=np.uint16)[:, None]
    return {
        "1": Image.fromarray(gray).convert("1"),
        "L": Image.fromarray(gray),
        "LA": Image.merge("LA", [Image.fromarray(gray), Image.fromarray(alpha)]),
        "P": Image.fromarray(rgb).quantize(64),
        "RGB": Image.fromarray(rgb),
        "RGBA": Image.fromarray(np.dstack([rgb, alpha])),
        "I;16": Image.fromarray(deep),
    }


CONTAINERS = {
    ".bmp": ("1", "L", "P", "RGB"),
    ".dib": ("L", "RGB"),
    ".gif": ("1", "L", "P"),
    ".jp2": ("L", "LA", "RGB", "RGBA", "I;16"),
    ".pcx": ("1", "L", "P", "RGB"),
    ".pgm": ("L", "I;16"),
    ".ppm": ("RGB",),
    ".tga": ("L", "LA", "P", "RGB", "RGBA"),
    ".tif": ("1", "L", "LA", "P", "RGB", "RGBA", "I;16"),
    ".webp": ("RGB", "RGBA"),
}


@pytest.mark.parametrize(
    ("ending", "mode"), [(ending, mode) for ending, found in CONTAINERS.items() for mode in found]
)
def test_what_pillow_writes_without_loss_is_read_again(tmp_path, photographs, ending, mode):
    image = modes(np.ascontiguousarray(photographs["chelsea"][40:72, 100:148]))[mode]
    path = tmp_path / f"a{ending}"
    options = {".webp": {"lossless": True, "exact": True}, ".jp2": {"irreversible": False}}
    image.save(path, **options.get(ending, {}))
    picture = both(path)
    if mode == "I;16":
        image = Image.fromarray(eighths(np.asarray(image), 16))
    assert np.array_equal(picture.rgb, np.asarray(image.convert("RGB")))
    if "A" in mode:
        assert np.array_equal(picture.alpha, np.asarray(image.getchannel("A")))
    else:
        assert picture.alpha is None


@pytest.mark.parametrize("white", [1, 15, 255, 256, 1023, 65535])
@pytest.mark.parametrize("kind", [b"P5", b"P6", b"P2", b"P3"])
def test_pnm_of_any_white(tmp_path, kind, white):
    channels = 3 if kind in (b"P6", b"P3") else 1
    samples = np.random.default_rng(white).integers(0, white + 1, (5, 7, channels))
    path = tmp_path / "a.ppm"
    body = " ".join(map(str, samples.ravel().tolist())).encode()
    if kind in (b"P5", b"P6"):
        body = samples.astype(">u2" if white > 255 else "u1").tobytes()
    path.write_bytes(b"%b # a comment\n7 5\n%d\n" % (kind, white) + body)
    expected = np.broadcast_to(samples * 255 / white, (5, 7, 3))
    assert np.abs(both(path).rgb - expected).max() <= 0.51


@pytest.mark.parametrize("limit", [None, 1 << 20])
@pytest.mark.parametrize("interlaced", [False, True])
def test_a_png_that_lacks_rows_is_refused(tmp_path, photographs, limit, interlaced):
    rgb, path = photographs["chelsea"][40:60, 100:134], tmp_path / "a.png"
    path.write_bytes(png(rgb, 8, 2, interlaced=interlaced, rows=9))
    with pytest.raises(ImageError, match=r"a\.png cannot be read \(it is cut short\)"):
        read_image(path, limit=limit and Limit(limit, tmp_path))
    with pytest.raises(ImageError, match=r"frame 1 cannot be read \(it is cut short\)"):
        list(read_frames(io.BytesIO(path.read_bytes()), None)[1])


@pytest.mark.parametrize(
    ("chunk", "note"),
    [
        ((b"gAMA", (100000).to_bytes(4, "big")), "its gamma of 1 is not applied; taken as sRGB"),
        ((b"gAMA", (45455).to_bytes(4, "big")), None),
        ((b"cICP", bytes((9, 16, 0, 1))), "its colour space (cICP 9/16/0/1) is not applied; taken"),
        ((b"cICP", bytes((1, 13, 0, 1))), None),
    ],
)
def test_colours_that_are_not_applied_are_named(tmp_path, photographs, chunk, note):
    path = tmp_path / "a.png"
    path.write_bytes(png(photographs["chelsea"][:9, :9], 8, 2, before=[chunk]))
    notes = both(path).notes
    assert len(notes) == (note is not None) and all(n.startswith(note) for n in notes)


@pytest.mark.parametrize(
    ("chunk", "message"),
    [
        ((b"ABCD", b""), "it needs ABCD to be understood"),
        ((b"PLTE", bytes(4)), "its palette has 4 bytes"),
        ((b"tRNS", bytes(2)), "its tRNS chunk has 2 bytes"),
        ((b"a\0CD", b""), "what follows is no chunk of a PNG"),
    ],
)
def test_a_png_that_is_not_understood_is_refused_by_name(tmp_path, photographs, chunk, message):
    path = tmp_path / "a.png"
    path.write_bytes(png(photographs["chelsea"][:9, :9], 8, 2, before=[chunk]))
    with pytest.raises(ImageError, match=message):
        read_image(path)


def test_heif_without_its_package_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    path = tmp_path / "a.heic"
    path.write_bytes(b"\0\0\0\x18ftypheic" + bytes(12) + bytes(99))
    with pytest.raises(ImageError, match=r'a\.heic is a HEIF image: pip install "ailsr\[heif\]"'):
        read_image(path)
    with pytest.raises(
        ImageError, match=r'1 ending in \.heic, which needs pip install "ailsr\[heif'
    ):
        list_images(tmp_path)
