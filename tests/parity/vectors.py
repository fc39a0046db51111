"""``python tests/parity/vectors.py`` writes the vectors that hold the twins together.

Tiles, statistics, the ranges of floats, levels, elements, layouts, resize and scores exist in
Python, in Java (``android_demo/core``) and, but for ranges, levels, layouts and resize, in
TypeScript (``web/src``), as does the condition of images (quality, noise, condition). A file
``<name>.json`` here holds cases of one of them: what is given, and what the runtime made of it
(``ANSWERS``). ``test_vectors.py``, ``tests/android_demo`` and ``tests/web`` read them.
"""

from __future__ import annotations

import io
import json
import zlib
from collections.abc import Callable
from itertools import product
from pathlib import Path
from types import SimpleNamespace

import numpy as np
from PIL import Image

from ailsr.runtime.bench.latency import Latency, is_steady
from ailsr.runtime.card import Card
from ailsr.runtime.engines.encoding import RANGES
from ailsr.runtime.engines.interface import Interface, find_encoding
from ailsr.runtime.engines.layouts import (
    CHANNELS,
    levels_of,
    probe_answer,
    probe_levels,
    rgb_of,
)
from ailsr.runtime.engines.levels import Levels
from ailsr.runtime.engines.pixels import from_pixels, to_pixels
from ailsr.runtime.errors import ModelError
from ailsr.runtime.imaging import image
from ailsr.runtime.imaging.condition import LOW_QUALITY, NOISY, Condition, noise_of_rows
from ailsr.runtime.imaging.protocol import Pair, score
from ailsr.runtime.imaging.resize import crop_to_multiple, enlarge, shrink
from ailsr.runtime.probe import probe_image
from ailsr.runtime.upscaling.upscaler import Upscaler


def layouts(layout, size, scale):
    """CRC-32 of the probe image in ``layout``, of the RGB image of an output, which is that of the
    large probe image with every seventh level changed, and of both as fidelity has them."""
    image = probe_image(*size)
    output = levels_of(probe_image(scale * size[0], scale * size[1]), layout).copy()
    output.reshape(-1)[::7] ^= 3
    parts = {
        "levels": levels_of(image, layout),
        "rgb": rgb_of(output, image, layout, "uint8"),
        "probe": probe_levels(image, layout),
        "answer": probe_answer(output, layout),
    }
    return {name: zlib.crc32(np.ascontiguousarray(part)) for name, part in parts.items()}


FOLDER = Path(__file__).parent
RANDOM = np.random.default_rng(20)


def read(name: str) -> list[dict]:
    """The cases of ``<name>.json``, each a dictionary of ``given`` and ``expected``."""
    return json.loads((FOLDER / f"{name}.json").read_text())


def tolerance(case: dict) -> dict:
    """The fields of a probe with those of a ``case`` of probe.json, where it has any."""
    return {name: case[name] for name in ("within_levels", "within_mean") if name in case}


def tiles(picture, windows, radius):
    """[start, stop, first, last] of each row and column of tiles; None: no window has room."""
    card = Card("any", 1, "rgb", "float32", "float32", windows[0], radius, other_sizes=windows[1:])
    engine = SimpleNamespace(card=card, scale=1, input_size=windows[0])
    try:
        plan = Upscaler(engine, Path("any")).plan(*picture)
    except ModelError:
        return None
    axes = [
        [(t.source[axis], t.target[axis]) for t in plan if t.target[1 - axis].start == 0]
        for axis in (0, 1)
    ]
    rows, columns = ([[s.start, s.stop, t.start, t.stop] for s, t in axis] for axis in axes)
    assert len(rows) * len(columns) == len(plan)
    return {"rows": rows, "columns": columns}


def statistics(samples_ms):
    """Percentiles, mean, interval of the median; and whether these would end the warm-up."""
    steady = is_steady(samples_ms)
    found = vars(Latency.of_samples(samples_ms, 0, steady))
    names = ("n", "p50_ms", "p90_ms", "p99_ms", "mean_ms", "sd_ms", "p50_low_ms", "p50_high_ms")
    return {name: found[name] for name in (*names, "steady")}


def ranges(size, scale, gain, bias, low, high):
    """Those of a float file that repeats pixels, then computes gain·x + bias in [low, high]."""

    def run(samples):
        large = samples.repeat(scale, 0).repeat(scale, 1)
        return np.clip(np.float32(gain) * large + np.float32(bias), *np.float32([low, high]))

    interface = Interface(True, tuple(size), False, scale, "float32")
    encoding = find_encoding(interface, scale, None, run)
    return {"input": str(encoding.input), "output": str(encoding.output)}


def levels(pixels, scale, zero_point):
    """The level of each pixel, and the pixel of each level, from the lowest up, in hexadecimal."""
    every = np.arange(256, dtype=np.uint8)
    first = np.iinfo(pixels).min
    table = Levels((float(np.float32(scale)), zero_point), pixels)
    given = (every.astype(int) + first).astype(pixels)
    found = (table.of(given), table.pixels(given))
    level_of, pixel_of = ((f.astype(int) - first).astype(np.uint8).tobytes().hex() for f in found)
    return {"level_of": level_of, "pixel_of": pixel_of}


def elements(pixels, range, outputs):
    """Each of the 256 pixels as an element of the file's input; ``outputs`` as pixels."""
    every, found = np.arange(256, dtype=np.uint8), np.array(outputs, pixels)
    if pixels == "float32":  # as the engines do
        return {
            "inputs": encoded(range, to_pixels(every, pixels))[:256],
            "pixels": from_pixels(RANGES[range].decode(colors(found)), pixels)
            .ravel()[: len(outputs)]
            .tolist(),
        }
    return {
        "inputs": to_pixels(every, pixels).tolist(),
        "pixels": from_pixels(found, pixels).tolist(),
    }


def encoded(range, samples):
    return RANGES[range].encode(colors(samples)).ravel().tolist()


def colors(samples):
    """``samples`` in threes, with as many more as that takes."""
    return np.append(samples, samples[: -len(samples) % 3]).reshape(-1, 3)


def resize(size, scale):
    """CRC-32 of the probe image made smaller, and of the small one made larger again."""
    small = shrink(crop_to_multiple(probe_image(*size), scale), scale)
    return {"shrunk": zlib.crc32(small), "enlarged": zlib.crc32(enlarge(small, scale))}


def scores(size, scale, protocol, grayscale, change):
    """PSNR in dB and SSIM of a changed probe image."""
    upscaled, hr = scored(size, grayscale, change)
    return score(upscaled, Pair("any", hr[::scale, ::scale], hr, grayscale), protocol)


def scored(size, grayscale, change):
    """(upscaled, HR), uint8, for a case of scores."""
    hr = probe_image(*size)
    if grayscale:
        hr = hr[..., :1].repeat(3, axis=2)
    return np.ascontiguousarray(CHANGES[change](hr)), hr


def quality(file):
    """The quality of the JPEG with these bytes, in hexadecimal; None: it is no JPEG."""
    return image.read_file(io.BytesIO(bytes.fromhex(file)), "it").jpeg_quality


def noise(size, change):
    """Levels of noise of a changed probe image."""
    return noise_of_rows(np.ascontiguousarray(CHANGES[change](probe_image(*size))))


def condition(jpeg_quality, noise):
    """Whether a network for photographs is to be taken, and the condition in words."""
    found = Condition(jpeg_quality, noise)
    return {"degraded": found.is_degraded, "words": str(found)}


def saved(kind: str, gray: bool = False, **options) -> str:
    """A small image as a file in hexadecimal."""
    file, rgb = io.BytesIO(), probe_image(8, 8)
    Image.fromarray(rgb[..., 0] if gray else rgb).save(file, kind, **options)
    return file.getvalue().hex()


def wide(jpeg: str) -> str:
    """The JPEG with quantisers of 16 bits, in one segment, after a fill byte."""
    file, tables = bytes.fromhex(jpeg), b""
    while (at := file.find(b"\xff\xdb")) >= 0:
        quantisers = file[at + 5 : at + 69]
        tables += bytes([0x10 | file[at + 4]]) + b"".join(bytes([0, q]) for q in quantisers)
        file = file[:at] + file[at + 69 :]
    segment = b"\xff\xff\xdb" + (len(tables) + 2).to_bytes(2, "big") + tables
    return (file[:2] + segment + file[2:]).hex()


def _flipped(rgb):
    flipped = rgb.copy()
    flipped[0, 0, 2] ^= 1
    return flipped


def _grainy(rgb):
    grain = np.random.default_rng(3).integers(-9, 10, rgb.shape[:2])[..., None]
    return np.clip(rgb + grain, 0, 255).astype(np.uint8)


CHANGES: dict[str, Callable] = {
    "none": lambda rgb: rgb,
    "add 1": lambda rgb: np.minimum(rgb, 254) + np.uint8(1),
    "add 9": lambda rgb: np.minimum(rgb, 246) + np.uint8(9),
    "swap red and blue": lambda rgb: rgb[..., ::-1],
    "shift down by a row": lambda rgb: np.roll(rgb, 1, axis=0),
    "the last bit of blue at row 0, column 0": _flipped,
    "grain": _grainy,
    "16 levels": lambda rgb: rgb & np.uint8(0xF0),
    "Y of 52.5": lambda rgb: np.full_like(rgb, (5, 65, 25)),
    "scale 3": lambda rgb: rgb[::2, ::2].repeat(3, axis=0).repeat(3, axis=1),
}
"""What is done to an image of uint8 that was enlarged by 2, or to any."""

ANSWERS = {
    f.__name__: f
    for f in (
        *(tiles, statistics, ranges, levels, elements, resize, scores),
        *(quality, noise, condition, layouts),
    )
}


def _given() -> dict[str, list[dict]]:
    """The cases of each file."""

    def cases(names: str, *values) -> list[dict]:
        return [dict(zip(names.split(), v, strict=True)) for v in values]

    def samples(*counts):
        return [RANDOM.gamma(4, 3, n).round(4).tolist() for n in counts]

    thumbnail = saved("JPEG", quality=90)
    outputs = [n / 510 for n in range(-6, 30)] + RANDOM.uniform(-0.2, 1.2, 60).tolist()
    outputs = np.array(outputs, np.float32)
    every = {"uint8": range(256), "int8": range(-128, 128)}
    return {
        "tiles": cases(
            "picture windows radius",
            *(((n, 1), [(w, 1)], r) for n in (1, 9, 64, 65, 403) for w in (9, 64) for r in (0, 3)),
            ((9, 8), [(8, 8)], 4), ((8, 8), [(8, 8)], 4),
            ((300, 200), [(48, 64), (64, 48)], 5), ((200, 300), [(48, 64), (64, 48)], 5),
            ((100, 100), [(20, 30), (90, 90), (100, 101)], 6), ((100, 100), [(8, 8), (50, 50)], 4),
            ((40, 40), [(20, 40), (40, 40)], 0), ((40, 40), [(40, 40), (20, 40)], 0),
            ((50, 50), [(60, 60), (30, 120)], 2), ((3024, 4032), [(640, 360), (360, 640)], 12),
        ),
        "statistics": cases(
            "samples_ms",
            *([s] for s in samples(1, 2, 3, 4, 7, 10, 11, 50, 51, 200)),
            [[5.0] * 5 + [5.25] * 5], [[5.0] * 5 + [5.26] * 5], [[5.0, 9.0, 1.0] * 4],
        ),
        "ranges": cases(
            "size scale gain bias low high",
            *(((48, 64), 2, 1, b, -1e9, 1e9) for b in (0, 0.006, 0.03, -0.5, 1.6, 20)),
            *(((20, 24), 4, 1, b, 0, 255) for b in (0, 0.05, 1.6, 20)),
            *(((48, 64), 3, 1, b, 0, 1) for b in (0, 0.05)),
            ((90, 70), 2, 1, 0, -1, 1), ((90, 70), 2, 1, 0.1, -1, 1), ((64, 64), 2, 0.5, 0.5, 0, 1),
            ((48, 64), 2, 2, -1, -1, 1), ((48, 64), 2, 1 / 255, 0, 0, 1),
            ((7, 5), 2, 255, 0, 0, 255), ((48, 64), 3, 0.226, 0.449, 0, 1),
            ((48, 64), 1, 57.6, 114, 0, 255), ((48, 64), 1, 1, 20, 0, 255),
            ((48, 64), 1, 1, 0.04, -1e9, 1e9),
            ((64, 64), 2, 0, 0.5, 0, 1), ((64, 64), 2, 0, 127, 0, 255), ((64, 64), 2, -1, 0, -9, 9),
        ),
        "levels": cases(
            "pixels scale zero_point",
            ("uint8", 0.0035, 0), ("int8", 0.0035, -128), ("int8", 0.0035, -125), ("int8", 0.02, 9),
            ("int8", 0.0078125, 0), ("uint8", 1 / 255, 0), ("int8", 1 / 255, -128),
            ("int8", 1 / 255, -127), ("uint8", 1.0, 0), ("int8", 0.9, -128), ("uint8", 1.3, 128),
            ("int8", 0.0625, -128), ("uint8", 0.0626, 3), ("uint8", 0, 0), ("uint8", 100.0, 255),
        ),
        "elements": cases(
            "pixels range outputs",
            *((pixels, "0..1", list(values)) for pixels, values in every.items()),
            *(("float32", name, encoded(name, outputs)) for name in RANGES),
        ),
        "resize": cases(
            "size scale", *((n, s) for n in ((61, 83), (16, 200), (12, 12)) for s in (2, 3, 4))
        ),
        "scores": cases(
            "size scale protocol grayscale change",
            *(
                (size, scale, protocol, gray, change)
                for size, scale in (((48, 64), 2), ((90, 33), 3))
                for protocol in ("Y-shave-s", "RGB-DIV2K")
                for gray in (False, True)
                for change in ("add 9", "shift down by a row", "16 levels", "Y of 52.5")
            ),
        ),
        "layouts": cases(
            "layout size scale",
            *((name, (34, 45), scale) for name in CHANNELS for scale in (2, 3)),
        ),
        "quality": cases(
            "file",
            *([saved("JPEG", quality=n)] for n in (1, 30, 49, 50, 75, 85, 86, 95, 100)),
            [saved("JPEG", quality=60, gray=True)],
            [saved("JPEG", quality=70, progressive=True)],
            [saved("JPEG", qtables=[[9] * 64, [99] * 64])],
            [saved("JPEG", quality=40, exif=b"Exif\0\0" + bytes.fromhex(thumbnail))],
            [wide(saved("JPEG", quality=40))],
            [saved("PNG")], [saved("BMP")],
        ),
        "noise": cases(
            "size change",
            *(
                (size, change)
                for size in ((9, 40), (10, 10), (48, 64), (33, 90), (530, 20))
                for change in ("none", "grain", "Y of 52.5")
            ),
        ),
        "condition": cases(
            "jpeg_quality noise",
            *product((None, 100, LOW_QUALITY + 1, LOW_QUALITY, 1), (0, NOISY - 0.01, NOISY, 20)),
        ),
    }  # fmt: skip


def main() -> None:
    """Write all files; a case a line."""
    for name, given in _given().items():
        lines = [json.dumps({"given": g, "expected": ANSWERS[name](**g)}) for g in given]
        (FOLDER / f"{name}.json").write_text("[\n" + ",\n".join(lines) + "\n]\n")


if __name__ == "__main__":
    main()
