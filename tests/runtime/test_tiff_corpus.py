"""Every kind of TIFF, plain and with little memory: the values that it was made of, or a refusal by
name, never another image."""

from __future__ import annotations

import itertools
import logging
import struct
import warnings

import cv2
import numpy as np
import pytest
import tifffile
from image_files import PILLOW, both, eighths

from ailsr.runtime import ImageError
from ailsr.runtime.imaging.image import read_image

TIFFS = [
    ("miniswhite", 1, []),
    ("minisblack", 1, []),
    ("minisblack", 2, ["unassalpha"]),
    ("minisblack", 2, ["assocalpha"]),
    ("minisblack", 2, ["unspecified"]),
    ("rgb", 3, []),
    ("rgb", 4, ["unassalpha"]),
    ("rgb", 4, ["assocalpha"]),
    ("rgb", 4, ["unspecified"]),
    ("separated", 4, []),
    ("separated", 5, ["unspecified"]),
    ("ycbcr", 3, []),
    ("cielab", 3, []),
]


@pytest.mark.parametrize(("photometric", "channels", "extra"), TIFFS)
@pytest.mark.parametrize("kind", ["u1", "u2", "u4", "i1", "i2", "f2", "f4"])
def test_tiff(tmp_path, caplog, photometric, channels, extra, kind):
    caplog.set_level(logging.CRITICAL)
    kind, size, path = np.dtype(kind), (21, 34), tmp_path / "a.tif"
    random = np.random.default_rng(channels)
    samples = random.random((*size, channels)) * 0.999
    if kind.kind != "f":
        samples *= np.iinfo(kind).max + 1.0
    samples = samples.astype(kind)
    read = []
    for order, planar, compression, tile in itertools.product(
        "<>", ("contig", "separate"), (None, "zlib"), (None, (16, 16))
    ):
        if channels == 1 and planar == "separate":
            continue
        data = samples if planar == "contig" else np.moveaxis(samples, -1, 0)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                tifffile.imwrite(
                    path,
                    np.ascontiguousarray(data if channels > 1 else data[..., 0]),
                    photometric=photometric,
                    byteorder=order,
                    planarconfig=planar if channels > 1 else None,
                    extrasamples=extra,
                    compression=compression,
                    tile=tile,
                )
            except ValueError:
                continue  # tifffile does not write that
        try:
            picture = both(path)
        except ImageError as error:
            assert "\n" not in str(error) and "is it complete" not in str(error)
            continue
        read.append((order, planar, compression, tile))
        assert kind.kind == "u" and kind.itemsize <= 2, "its white is not known"
        assert photometric != "cielab"
        if photometric == "ycbcr":
            expected = cv2.cvtColor(samples[..., [0, 2, 1]], cv2.COLOR_YCrCb2RGB)
            assert np.abs(expected.astype(int) - picture.rgb).max() <= 1
            continue
        levels = samples / np.iinfo(kind).max * 255
        # Pillow keeps the high byte of each of several samples of 16 bits.
        tolerance = 1 if kind.itemsize == 2 and channels > 1 else 0.5
        colors = levels[..., : 1 if photometric.startswith("minis") else 3]
        if photometric == "miniswhite":
            colors = 255 - colors
        elif photometric == "separated":
            colors, tolerance = (255 - colors) * (255 - levels[..., 3:4]) / 255, 2.5
        shown = np.ones(size, bool)
        if extra and extra[0].endswith("alpha"):
            alpha = levels[..., -1]
            assert np.abs(picture.alpha - alpha).max() <= tolerance
            if extra == ["assocalpha"]:
                shown = alpha > 40
                colors = np.clip(colors * 255 / np.maximum(alpha, 1)[..., None], 0, 255)
                tolerance = 1 if kind.itemsize == 1 else 255 / 40
        else:
            assert picture.alpha is None
        assert np.abs(picture.rgb - colors)[shown].max() <= tolerance + 1e-6
        dropped = "a channel without a meaning dropped" in picture.notes
        assert dropped == (extra == ["unspecified"])
    deep = photometric in ("rgb", "separated") or channels == 1 or extra == ["unspecified"]
    common = ("u1", "u2") if deep else ("u1",)
    if PILLOW < 13 and (photometric, extra) == ("minisblack", ["assocalpha"]):
        common = ()
    assert bool(read) == (kind.str[1:] in common and photometric != "cielab")


@pytest.mark.parametrize("bits", [1, 2, 4, 12])
@pytest.mark.parametrize("white_is_zero", [False, True])
def test_tiff_of_few_bits(tmp_path, bits, white_is_zero):
    path, levels = tmp_path / "a.tif", np.arange(32)[None] * ((1 << bits) - 1) // 31
    packed = np.unpackbits(levels.astype(">u2")[..., None].view(np.uint8), axis=-1)
    strip = np.packbits(packed[..., 16 - bits :].reshape(1, -1)).tobytes()
    photometric = tifffile.PHOTOMETRIC.MINISWHITE if white_is_zero else 1
    tags = {256: 32, 257: 1, 258: bits, 259: 1, 262: int(photometric), 273: 8, 277: 1, 278: 1}
    tags[279] = len(strip)
    path.write_bytes(tiff(tags, strip))
    if bits == 12 and white_is_zero:
        with pytest.raises(ImageError, match="of a kind that is not read"):
            read_image(path)
        return
    expected = eighths(levels, bits)
    assert np.array_equal(both(path).rgb[..., 0], 255 - expected if white_is_zero else expected)


def tiff(tags, strip):
    """A little-endian TIFF of one strip, which lies at 8; all ``tags`` are one long each."""
    offset = 8 + len(strip) + len(strip) % 2
    head = b"II*\0" + offset.to_bytes(4, "little") + strip.ljust(offset - 8, b"\0")
    entries = b"".join(
        struct.pack("<HHII", tag, 4, 1, value) for tag, value in sorted(tags.items())
    )
    return head + len(tags).to_bytes(2, "little") + entries + bytes(4)


GRAY = {256: 4, 257: 20, 258: 8, 259: 1, 262: 1, 273: 8, 277: 1, 278: 10, 279: 40}


@pytest.mark.parametrize(
    ("tags", "message"),
    [
        ({}, r"it holds 1 of its 2 strips or tiles"),
        ({278: 20, 257: 40, 279: 80}, r"it holds 1 of its 2 strips or tiles"),
        ({257: 5, 256: 4, 262: 2, 277: 4}, "does not say what the fourth is"),
        ({257: 10, 254: 1}, "whose first image is a reduced one"),
        ({257: 10, 262: 32803}, "of a kind that is not read|photometric 32803"),
        ({257: 10, 322: 1 << 15, 323: 1 << 15, 324: 8}, "decoding them takes 1025M"),
    ],
)
def test_a_tiff_that_is_not_what_it_seems_is_refused(tmp_path, tags, message):
    path = tmp_path / "a.tif"
    tags = GRAY | tags
    if 324 in tags:
        tags = {tag: value for tag, value in tags.items() if tag not in (273, 278, 279)}
    path.write_bytes(tiff(tags, bytes(80)))
    with pytest.raises(ImageError, match=message):
        read_image(path)
