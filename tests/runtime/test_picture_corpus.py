"""Every kind of image file, plain and with little memory: the values that it was made of, or a
refusal by name, never another image."""

from __future__ import annotations

import io
import itertools
import logging
import struct
import sys
import warnings
import zlib

import cv2
import numpy as np
import pytest
import tifffile
from picture_files import CHANNELS, DEPTHS, png
from PIL import ExifTags, Image, features

from ailsr.runtime import ImageError
from ailsr.runtime.imaging.image import Limit, list_images, read_image
from ailsr.runtime.upscaling.frames import read_frames

KINDS = [(color, depth) for color, depths in DEPTHS.items() for depth in depths]


def both(path):
    """The image at ``path``, the same plain and with little memory."""
    plain = read_image(path)
    little = read_image(path, limit=Limit(1 << 20, path.parent))
    assert np.array_equal(plain.rgb, little.rgb[:])
    assert (plain.alpha is None) == (little.alpha is None)
    assert plain.alpha is None or np.array_equal(plain.alpha, little.alpha[:])
    assert (plain.notes, plain.grayscale, plain.exif) == (
        little.notes,
        little.grayscale,
        little.exif,
    )
    assert [p.name for p in path.parent.iterdir()] == [path.name]
    return plain


def eighths(samples, depth):
    """``samples`` of ``depth`` bits in 8, rounded."""
    return np.rint(samples * (255 / ((1 << depth) - 1))).astype(np.uint8)


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
    picture = both_of(path)
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
        picture = both_of(path)
        expected = turned(rgb, orientation)
        assert picture.rgb.shape == expected.shape
        assert np.abs(picture.rgb.astype(int) - expected).mean() < 3
        assert picture.exif is not None


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


def both_of(path):
    plain = read_image(path)
    little = read_image(path, limit=Limit(1 << 22, path.parent))
    assert np.array_equal(plain.rgb, little.rgb[:]) and plain.notes == little.notes
    return plain
