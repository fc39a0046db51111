"""Images that say how they are to be turned, by EXIF, XMP and other ways."""

from __future__ import annotations

import io
import zlib

import cv2
import numpy as np
import pytest
from image_files import both, png
from PIL import ExifTags, Image, features

from ailsr.runtime.upscaling.frames import read_frames


def exif_of(orientation):
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    exif[ExifTags.Base.Make] = "Maker"
    return exif.tobytes()


def xmp_of(orientation):
    return (
        '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:Description '
        f'tiff:Orientation="{orientation}"/></x:xmpmeta>'
    ).encode()


def raw_profile(kind, content):
    return b"\n%b\n%8d\n" % (kind, len(content)) + content.hex().encode() + b"\n"


PNG_SOURCES = {
    "eXIf": lambda n: (b"eXIf", exif_of(n).removeprefix(b"Exif\0\0")),
    "XMP": lambda n: (b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + xmp_of(n)),
    "XMP, compressed": lambda n: (
        b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + zlib.compress(xmp_of(n))),
    "raw exif": lambda n: (
        b"tEXt", b"Raw profile type exif\0" + raw_profile(b"exif", exif_of(n))),
    "raw exif, compressed": lambda n: (
        b"zTXt",
        b"Raw profile type exif\0\0" + zlib.compress(raw_profile(b"exif", exif_of(n)))),
    "raw APP1": lambda n: (
        b"zTXt",
        b"Raw profile type APP1\0\0" + zlib.compress(raw_profile(b"generic", exif_of(n)))),
    "raw xmp": lambda n: (
        b"zTXt", b"Raw profile type xmp\0\0" + zlib.compress(raw_profile(b"xmp", xmp_of(n)))),
}  # fmt: skip


@pytest.mark.parametrize("source", PNG_SOURCES)
@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("place", ["before", "after"])
def test_the_orientation_of_a_png(tmp_path, photographs, source, orientation, place):
    rgb = np.ascontiguousarray(photographs["chelsea"][40:61, 100:134])
    path = tmp_path / "a.png"
    path.write_bytes(png(rgb, 8, 2, **{place: [PNG_SOURCES[source](orientation)]}))
    picture = both(path)
    assert np.array_equal(picture.rgb, turned(rgb, orientation))
    assert picture.notes == ("turned as its EXIF orientation says",) * (orientation > 1)
    assert (picture.exif is not None) == ("XMP" not in source and "xmp" not in source)
    (frame,) = read_frames(io.BytesIO(path.read_bytes()), None)[1]
    assert np.array_equal(frame, picture.rgb)


def turned(rgb, orientation):
    """``rgb``, stored as ``orientation`` says, as OpenCV turns it upright."""
    flips = {2: 1, 3: -1, 4: 0, 5: None, 7: None}
    if orientation in (5, 7):
        transposed = cv2.transpose(rgb)
        return transposed if orientation == 5 else cv2.flip(transposed, -1)
    if orientation in (6, 8):
        way = cv2.ROTATE_90_CLOCKWISE if orientation == 6 else cv2.ROTATE_90_COUNTERCLOCKWISE
        return cv2.rotate(rgb, way)
    return cv2.flip(rgb, flips[orientation]) if orientation > 1 else rgb


SAVED = {
    "JPEG": {"quality": 100, "subsampling": 0},
    "WEBP": {"lossless": True},
    "TIFF": {},
    "AVIF": {"quality": 100, "subsampling": "4:4:4"},
    "MPO": {"quality": 100, "subsampling": 0},
}


@pytest.mark.parametrize("container", SAVED)
@pytest.mark.parametrize("source", ["EXIF", "XMP", "EXIF before XMP"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_orientation_of_others(tmp_path, photographs, container, source, orientation):
    if container == "AVIF" and not features.check("avif"):
        pytest.skip("this Pillow has no AVIF")
    rgb = np.ascontiguousarray(photographs["chelsea"][40:104, 100:228])
    path = tmp_path / "a.picture"
    said = {"xmp": xmp_of(9 - orientation if "EXIF" in source else orientation)}
    said |= {"exif": exif_of(orientation)} if "EXIF" in source else {}
    said = said if source != "EXIF" else {"exif": exif_of(orientation)}
    if container == "TIFF":
        said = {
            {"exif": "tiffinfo", "xmp": "tiffinfo"}[key]: None for key in said
        } and {"tiffinfo": {**({274: orientation} if "exif" in said else {}),
                            **({700: said["xmp"]} if "xmp" in said else {})}}  # fmt: skip
    if container == "MPO":
        said |= {"save_all": True, "append_images": [Image.fromarray(rgb)]}
    Image.fromarray(rgb).save(path, container, **SAVED[container], **said)
    # An AVIF file is turned by its own boxes, whatever else it says.
    expected = turned(rgb, 1 if container == "AVIF" and source == "XMP" else orientation)
    picture = both(path, memory=1 << 22)
    assert picture.rgb.shape == expected.shape
    assert np.abs(picture.rgb.astype(int) - expected).mean() < 3
    moved = not np.array_equal(expected, rgb)
    assert ("turned as its EXIF orientation says" in picture.notes) == moved


def test_heif(tmp_path, photographs):
    pillow_heif = pytest.importorskip("pillow_heif", reason='pip install "ailsr[heif]"')
    rgb, path = np.ascontiguousarray(photographs["chelsea"][40:104, 100:228]), tmp_path / "a.heic"
    for orientation in range(1, 9):
        said = {"exif": exif_of(orientation), "xmp": xmp_of(orientation)}
        heif = pillow_heif.from_pillow(Image.fromarray(rgb))
        heif.save(path, quality=100, chroma=444, **said)
        picture = both(path, memory=1 << 22)
        expected = turned(rgb, orientation)
        assert picture.rgb.shape == expected.shape
        assert np.abs(picture.rgb.astype(int) - expected).mean() < 3
        assert picture.exif is not None
