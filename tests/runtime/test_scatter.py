"""The plot of points: its axes, and labels that never overlap."""

from __future__ import annotations

import itertools
import math
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_up_results import Outline

from ailsr.runtime.report import scatter


@given(st.floats(-1e3, 1e3), st.floats(1e-3, 1e4), st.integers(2, 12))
def test_ticks_are_round_and_on_the_axis(low, length, most):
    axis = scatter.Axis(low, low + length, 0, 100)
    ticks = axis.ticks(most)
    assert len(ticks) <= most + 1
    for tick in ticks:
        assert -1e-4 <= axis(tick) <= 100 + 1e-4
    for first, second in itertools.pairwise(ticks):
        step = second - first
        assert float(f"{step / 10 ** math.floor(math.log10(step * 1.001)):.3g}") in (1, 2, 5)


points = st.builds(
    lambda x, noise, y, label: scatter.Point(x, x * noise, y, label, "int8", "square"),
    st.floats(0.1, 300),
    st.floats(1, 4),
    st.floats(25, 40),
    st.text("abc ", min_size=3, max_size=25),
)


def test_a_logarithmic_axis_has_equal_ratios_equally_far_apart():
    axis = scatter.Axis(3, 300, 0, 100, logarithmic=True)
    assert axis.ticks(7) == [5, 10, 20, 50, 100, 200]
    assert [axis(value) for value in (3, 30, 300)] == pytest.approx([0, 50, 100])


@given(st.lists(points, min_size=1, max_size=12), st.sampled_from([340, 690, 1200]), st.booleans())
def test_labels_and_marks_never_overlap(sample, width, logarithmic):
    drawing = scatter.scatter(sample, "ms", "dB", width, 380, logarithmic)
    Outline(drawing)
    centres = [
        [sum(axis) / 4 for axis in zip(*(map(float, p.split(",")) for p in corners), strict=True)]
        for corners in (m.split() for m in re.findall(r'polygon points="([^"]+)"', drawing))
    ]
    assert len(centres) == len(sample)
    for x, y in centres:
        assert 0 <= x <= width and 0 <= y <= 380
    labels = [
        (float(x), float(y) - 12, float(x) + 6.5 * len(text), float(y))
        for x, y, text in re.findall(
            r'<text x="([^"]+)" y="([^"]+)" class="int8">([^<]*)<', drawing
        )
    ]
    for a, b in itertools.combinations(labels, 2):
        assert a[2] <= b[0] or b[2] <= a[0] or a[3] <= b[1] or b[3] <= a[1]
    for left, top, right, bottom in labels:
        assert left >= 0 and right <= width
        assert not any(left < x < right and top < y < bottom for x, y in centres)


def test_a_label_is_nearest_to_its_own_mark():
    crowd = [
        scatter.Point(x, x_high, y, name, "int8", "circle")
        for name, x, x_high, y in (
            ("OpenCV bicubic", 2, 2, 30.45),
            ("FSRCNN-small, OpenCV", 187, 243, 30.81),
            ("ArtCNN C4F16, float32", 217, 313, 32.1),
            ("ArtCNN C4F32, int8", 227, 470, 32.15),
            ("ABPN of SR-mobile, float32", 263, 311, 31.96),
            ("ArtCNN C4F16, int8", 280, 392, 32.05),
            ("sesr3_m12_w32", 297, 329, 32.98),
            ("eSR-MAX, float32", 325, 738, 31.12),
            ("ArtCNN C4F32, float32", 439, 597, 32.23),
            ("ABPN of SR-mobile, int8", 455, 969, 31.73),
            ("ESPCN, OpenCV", 618, 659, 31.0),
            ("FSRCNN, OpenCV", 633, 737, 31.1),
            ("eSR-CNN, float32", 807, 1086, 32.31),
        )
    ]
    drawing = scatter.scatter(crowd, "ms", "dB", 760, 560, logarithmic=True)
    marks = {
        name: (float(x), float(y))
        for x, y, name in re.findall(
            r'<circle cx="([^"]+)" cy="([^"]+)"[^>]*><title>([^:]+):', drawing
        )
    }
    labels = re.findall(r'<text x="([^"]+)" y="([^"]+)" class="int8">([^<]*)<', drawing)
    assert len(marks) == len(crowd) and len(labels) > 3

    def distance(left, bottom, name, mark):
        x, y = mark
        right, top = left + 6.6 * len(name), bottom - 14
        return math.hypot(max(left - x, 0, x - right), max(top - y, 0, y - bottom))

    for left, bottom, name in labels:
        far = {n: distance(float(left), float(bottom), name, m) for n, m in marks.items()}
        assert far[name] <= min(far.values()) + 0.1  # coordinates are rounded to a tenth


def test_what_is_on_the_front_is_named_first():
    places = [(1.0, 30.0), (9.0, 31.0), *[(5.0, 30.5 + n / 50) for n in range(-3, 4)]]
    for front in range(2, 9):
        crowd = [
            scatter.Point(x, x, y, f"network number {n}", "int8", "circle", on_front=n == front)
            for n, (x, y) in enumerate(places)
        ]
        drawing = scatter.scatter(crowd, "ms", "dB", 330, 180)
        assert f">network number {front}<" in drawing
        assert len(re.findall(r">network number \d<", drawing)) < len(crowd)


def test_a_lone_file_is_named_in_the_plot():
    drawing = scatter.scatter(
        [scatter.Point(5, 6, 37, "ONNX int8", "int8", "circle")], *"xy", 340, 340
    )
    assert ">ONNX int8</text>" in drawing and ">37.00</text>" in drawing
