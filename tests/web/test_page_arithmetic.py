"""The page computes what the Python runtime computes: tiles, statistics, the fidelity probe."""

from __future__ import annotations

import json
import zlib
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
from parity import vectors

from ailsr.runtime.bench.latency import is_steady
from ailsr.runtime.engines.encoding import RANGES
from ailsr.runtime.engines.layouts import levels_of
from ailsr.runtime.engines.pixels import to_pixels
from ailsr.runtime.probe import Fidelity, probe_image

UNIT = asdict(RANGES["0..1"])
RANDOM = np.random.default_rng(7)
PARITY = json.loads((Path(__file__).parents[1] / "parity" / "probe.json").read_text())


def test_tiles_are_what_the_vectors_hold(in_node):
    cases = vectors.read("tiles")
    given = [[case["given"][name] for name in ("picture", "windows", "radius")] for case in cases]
    for tiles, case in zip(in_node("tiles", "planTiles", given), cases, strict=True):
        expected = case["expected"]
        if expected:
            expected = [[row, column] for row in expected["rows"] for column in expected["columns"]]
            tiles = [[list(tile[axis].values()) for axis in ("rows", "columns")] for tile in tiles]
        assert tiles == expected, case["given"]


def test_statistics_are_what_the_vectors_hold(in_node):
    cases = vectors.read("statistics")
    samples = [[case["given"]["samples_ms"]] for case in cases]
    steady = in_node("latency", "isSteady", samples)
    summaries = in_node("latency", "summary", [[*s, 7, True] for s in samples])
    for summary, settled, case in zip(summaries, steady, cases, strict=True):
        assert summary["samples_ms"] == case["given"]["samples_ms"]
        found = {name: summary[name] for name in case["expected"]} | {"steady": settled}
        assert found == pytest.approx(case["expected"], rel=1e-12)


def test_elements_are_what_the_vectors_hold(in_node):
    cases = vectors.read("elements")
    every = as_picture((np.arange(3 * 86) % 256).reshape(1, 86, 3))
    ranges = [asdict(RANGES[case["given"]["range"]]) for case in cases]
    layouts = [
        {**case["given"], "input": range, "output": range, "layout": "rgb", "channels_last": True}
        for case, range in zip(cases, ranges, strict=True)
    ]
    written = in_node("elements", "toElements", [[every, layout] for layout in layouts])
    outputs = [[[*layout["outputs"], 0, 0], layout] for layout in layouts]
    read = in_node(
        "elements", "fromElements", [[o, len(o) // 3, 1, layout] for o, layout in outputs]
    )
    for elements, picture, case in zip(written, read, cases, strict=True):
        count = len(case["given"]["outputs"])
        found = {
            "inputs": list(elements.values())[:256],
            "pixels": colors(picture)[:count],
        }
        assert found == case["expected"]


@pytest.mark.parametrize("pixels", ["float32", "uint8", "int8"])
def test_planes_hold_the_same_elements(in_node, pixels):
    rgb = RANDOM.integers(0, 256, (5, 7, 3))
    last, first = (form_of(pixels, "rgb", channels_last) for channels_last in (True, False))
    picture = as_picture(rgb)
    by_pixel, by_plane = (
        np.array(list(elements.values()))
        for elements in in_node("elements", "toElements", [[picture, last], [picture, first]])
    )
    assert np.array_equal(by_plane.reshape(3, 5, 7).transpose(1, 2, 0), by_pixel.reshape(5, 7, 3))
    (back,) = in_node("elements", "fromElements", [[by_plane.tolist(), 7, 5, first]])
    assert list(back["rgba"].values()) == picture["rgba"]


def form_of(pixels: str, layout: str, channels_last: bool) -> dict:
    ends = {"input": UNIT, "output": UNIT}
    return {"pixels": pixels, "layout": layout, "channels_last": channels_last, **ends}


@pytest.mark.parametrize("pixels", ["float32", "uint8", "int8"])
def test_rgba_is_opaque_going_in_and_its_colours_come_out(in_node, pixels):
    rgb = RANDOM.integers(0, 256, (5, 7, 3), np.uint8)
    form = form_of(pixels, "rgba", channels_last=True)
    (elements,) = in_node("elements", "toElements", [[as_picture(rgb), form]])
    if pixels != "uint8":  # which is given as it is
        elements = list(elements.values())
    written = np.array(elements).reshape(5, 7, 4)
    expected = to_pixels(levels_of(rgb, "rgba"), pixels)
    assert np.array_equal(written, expected.astype(np.float64))
    written[2, 3, 3] = to_pixels(np.array([128], np.uint8), pixels)[0]
    for opaque_only in (False, True):
        given = [written.ravel().tolist(), 7, 5, form, opaque_only]
        (back,) = in_node("elements", "fromElements", [given])
        if opaque_only:
            rgb[2, 3] = 0
        assert colors(back) == rgb.ravel().tolist()


def test_scores_are_what_the_vectors_hold(in_node):
    cases = [c for c in vectors.read("scores") if c["given"]["protocol"] == "Y-shave-s"]
    pictures = []
    for given in (case["given"] for case in cases):
        pair = vectors.scored(given["size"], given["grayscale"], given["change"])
        pictures.append([*map(as_picture, pair), given["scale"], given["grayscale"]])
    for found, case in zip(in_node("scores", "score", pictures), cases, strict=True):
        assert found == pytest.approx(case["expected"], rel=1e-9), case["given"]


def test_the_condition_of_a_picture_is_what_the_vectors_hold(in_node):
    cases = vectors.read("quality")
    files = [[list(bytes.fromhex(case["given"]["file"]))] for case in cases]
    assert in_node("condition", "jpegQuality", files) == [case["expected"] for case in cases]
    damaged = [[files[0][0][:count]] for count in (0, 1, 30, 100)]
    assert in_node("condition", "jpegQuality", damaged) == [None] * 4
    cases = vectors.read("noise")
    pictures = []
    for given in (case["given"] for case in cases):
        changed = vectors.CHANGES[given["change"]](probe_image(*given["size"]))
        pictures.append([as_picture(np.ascontiguousarray(changed))])
    found = in_node("condition", "noiseLevel", pictures)
    assert found == pytest.approx([case["expected"] for case in cases], rel=1e-12)
    assert len(set(found)) > 4  # not all without noise
    cases = vectors.read("condition")
    given = [case["given"] for case in cases]
    conditions = [[{"jpegQuality": g["jpeg_quality"], "noise": g["noise"]}] for g in given]
    for function, name in (("isDegraded", "degraded"), ("inWords", "words")):
        found = in_node("condition", function, conditions)
        assert found == [case["expected"][name] for case in cases]


def test_warm_up_ends_by_the_rule_of_the_harness(in_node):
    cases = [(10 + RANDOM.normal(0, 1, n)).tolist() for n in RANDOM.integers(1, 30, 100)]
    steady = in_node("latency", "isSteady", [[samples] for samples in cases])
    assert steady == [is_steady(samples) for samples in cases]
    assert set(steady) == {True, False}


def test_the_probe_image_is_that_of_the_runtime(in_node):
    sizes = [[picture["height"], picture["width"]] for picture in PARITY["pictures"]]
    pictures = in_node("probe", "probePicture", sizes)
    for picture, expected in zip(pictures, PARITY["pictures"], strict=True):
        assert (picture["height"], picture["width"]) == (expected["height"], expected["width"])
        assert zlib.crc32(bytes(colors(picture))) == expected["crc32"]


def repeated(height, width, scale):
    """The probe image with each pixel ``scale`` times along each side: as if upscaled."""
    return probe_image(height, width).repeat(scale, 0).repeat(scale, 1)


def as_picture(rgb):
    """An opaque image as the page has it."""
    rgba = np.dstack([rgb, np.full(rgb.shape[:2], 255)])
    return {"width": rgb.shape[1], "height": rgb.shape[0], "rgba": rgba.ravel().tolist()}


def colors(picture):
    """The red, green and blue of each pixel of an image that a function of the page returned."""
    levels = list(picture["rgba"].values())
    return [level for i, level in enumerate(levels) if i % 4 < 3]


def test_fidelity_is_that_of_the_runtime(in_node):
    probes = {(a["height"], a["width"], a["scale"]): a for a in PARITY["answers"]}
    cases, expected = [], []
    for size, probe in probes.items():
        cases.append([probe, as_picture(repeated(*size))])
        expected.append({"verdict": "exact", "levels": 0})
    for case in PARITY["fidelity"]:
        size = case["height"], case["width"], case["scale"]
        probe = {**probes[size], **vectors.tolerance(case)}
        cases.append([probe, as_picture(vectors.CHANGES[case["change"]](repeated(*size)))])
        expected.append({"verdict": case["verdict"], "levels": case["levels"]})
    assert in_node("probe", "fidelity", cases) == expected


def test_fidelity_is_said_as_the_runtime_says_it(in_node):
    found = [("exact", 0), ("within", 1), ("within", 2), ("wrong", 31)]
    said = in_node("probe", "verdict", [[{"verdict": v, "levels": n}] for v, n in found])
    assert said == [str(Fidelity(*values)) for values in found]
    assert in_node("probe", "verdict", [[None]]) == ["not known"]


def test_page_and_runtime_are_small(node):
    page = Path(__file__).parents[2] / "runtime" / "web" / "page"
    sizes = {path.name: path.stat().st_size for path in page.rglob("*.gz")}
    assert sum(sizes.values()) < 15e6  # both runtimes, as carried and sent
    assert sizes.pop("video.js.gz") < 120e3  # sent where a video is chosen
    own = [size for name, size in sizes.items() if not name.startswith("ort")]
    assert sum(own) < 20e3
