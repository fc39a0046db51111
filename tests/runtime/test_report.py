"""The report: what it says, which crops it shows, and that one file holds all of it."""

from __future__ import annotations

import base64
import io
import itertools
import math
import re
from dataclasses import replace
from datetime import UTC, datetime
from html.parser import HTMLParser

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from ailsr.runtime.bench import findings
from ailsr.runtime.bench.energy import Energy
from ailsr.runtime.bench.host import Host
from ailsr.runtime.bench.latency import Latency, Ratio, Sustained
from ailsr.runtime.bench.measurement import Failure, Measurement
from ailsr.runtime.bench.path_parts import Parts
from ailsr.runtime.bench.report_document import to_document
from ailsr.runtime.bench.results import Results
from ailsr.runtime.bench.system import Condition, Conditions, Noise
from ailsr.runtime.bench.table import NOT_MEASURABLE, milliseconds, rows
from ailsr.runtime.engines.engine import Backend
from ailsr.runtime.imaging import metrics
from ailsr.runtime.imaging.color import luma
from ailsr.runtime.imaging.crops import SIDE, best_window, crop
from ailsr.runtime.imaging.protocol import Pair, Quality
from ailsr.runtime.imaging.resize import enlarge, shrink
from ailsr.runtime.report import scatter
from ailsr.runtime.report.latency import BINS, _histogram
from ailsr.runtime.report.page import page, write_html

HOST = Host("Cortex-A76", 4, 8 * 10**9, "Linux", "aarch64", "3.11.2", "performance", 0.1)
BICUBIC = Quality(
    "Y-shave-s", {"psnr": 33.69, "ssim": 0.93}, {"woman": {"psnr": 32.1, "ssim": 0.9}}
)


def latency(p50_ms: float) -> Latency:
    return Latency.of_samples([0.9 * p50_ms, p50_ms, p50_ms, 1.5 * p50_ms], warm_up_runs=10)


def measured(name: str, p50_ms: float | None, psnr_db: float, **values: object) -> Measurement:
    """A file called ``<network>_x2_<precision>.<ending>`` that takes ``p50_ms``."""
    network, precision = name.split(".")[0].split("_x2_")
    whole = None if p50_ms is None else latency(p50_ms)
    woman = {"psnr": psnr_db - 1, "ssim": 0.94}
    quality = Quality("Y-shave-s", {"psnr": psnr_db, "ssim": 0.95}, {"woman": woman})
    figures = {
        "load_ms": 12.0,
        "first_run_ms": 30.0,
        "inference": whole and latency(0.8 * p50_ms),
        "peak_memory_bytes": 84_000_000,
    }
    fixed = Measurement(
        file=f"exported/{name}",
        engine="engine 1.0",
        network=network,
        precision=precision,
        pixels="uint8",
        scale=2,
        input_size=(90, 160),
        threads=4,
        size_bytes=19_540,
        measurable=whole is not None,
        whole_path=whole,
        quality=quality,
        **(figures if whole else {}),
    )
    return replace(fixed, **values)


def results(*files: Measurement | Failure) -> Results:
    date = datetime(2026, 3, 1, 12, tzinfo=UTC)
    return Results(HOST, date, 4, 200, 5.0, "Y-shave-s", "Set5", list(files), {2: BICUBIC})


FAMILY = [
    measured("sesr_m5_x2_float32.onnx", 20.0, 37.30),
    measured("sesr_m5_x2_float32.tflite", 16.0, 37.30),
    measured("sesr_m5_x2_int8.tflite", 6.25, 37.22),
    measured("sesr_m5_x2_int8.mlpackage", None, 37.21),
]


@pytest.mark.parametrize(
    ("files", "sentence"),
    [
        (
            FAMILY,
            "sesr_m5 ×2 int8 (TFLite) is the fastest: 160×90 to 320×180 in 6.25 ms, "
            "0.08 dB below float32 and 3.53 dB above bicubic",
        ),
        (
            FAMILY[:1],
            "sesr_m5 ×2 float32 (ONNX) upscales 160×90 to 320×180 in 20.0 ms, "
            "3.61 dB above bicubic",
        ),
        (
            [measured("a_x2_float32.onnx", 9.0, 33.0), measured("a_x2_int8.onnx", 5.0, 33.001)],
            "a ×2 int8 (ONNX) is the fastest: 160×90 to 320×180 in 5.00 ms, "
            "with the PSNR of float32 and 0.69 dB below bicubic",
        ),
        (
            # Twice the time for four times the pixels is faster.
            [FAMILY[2], measured("b_x2_int8.onnx", 12.5, 30.0, input_size=(180, 320))],
            "b ×2 int8 (ONNX) is the fastest: 320×180 to 640×360 in 12.5 ms, 3.69 dB below bicubic",
        ),
        (
            [replace(FAMILY[0], network=None, precision=None, quality=None)],
            "sesr_m5_x2_float32.onnx upscales 160×90 to 320×180 in 20.0 ms",
        ),
        (FAMILY[3:], "1 file evaluated, none timed on this machine"),
        ([Failure("x.onnx", "damaged")], "0 files evaluated, none timed on this machine"),
    ],
)
def test_the_headline_says_what_was_found(files, sentence):
    assert findings.headline(results(*files)) == sentence


def test_crops_come_from_the_fastest_network_in_float_and_int8():
    faster = measured("abpn_x2_int8.onnx", 3.0, 35.0)
    assert list(findings.shown(results(*FAMILY)).values()) == [FAMILY[1], FAMILY[2]]
    assert findings.shown(results(*FAMILY, faster)) == {"int8": faster}
    half = measured("sesr_m5_x2_float16.tflite", 18.0, 37.3)
    assert findings.shown(results(half, *FAMILY[2:])) == {"float16": half, "int8": FAMILY[2]}
    peer = replace(FAMILY[0], network=None, precision=None)
    assert findings.shown(results(peer)) == {"sesr_m5_x2_float32.onnx": peer}


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.126, "0.13"), (9.994, "9.99"), (9.996, "10.0"), (99.96, " 100"), (1234.5, "1234")],
)
def test_milliseconds_have_three_digits_and_four_characters(value, text):
    assert milliseconds(value) == text


def test_rows_tell_measured_from_not_measurable_and_failed():
    same_name = replace(FAMILY[0], file="other/sesr_m5_x2_float32.onnx")
    table = rows(results(FAMILY[0], same_name, FAMILY[3], Failure("bad.onnx", "damaged")))
    assert [row.name for row in table] == [
        "exported/sesr_m5_x2_float32.onnx",
        "other/sesr_m5_x2_float32.onnx",
        "sesr_m5_x2_int8.mlpackage",
        "bad.onnx",
        "bicubic ×2",
    ]
    assert [row.why_no_latency for row in table] == [
        *("", "", NOT_MEASURABLE, "damaged", "quality only")
    ]
    assert table[0].whole_path.p50 == "20.0" and table[0].inference.p50 == "16.0"
    assert table[0].scores == ("37.30", "0.9500") and table[0].memory_mb == "84"


def test_an_infinite_psnr_is_null_in_json_and_a_sign_in_the_table():
    perfect = measured("copy_x2_int8.onnx", 1.0, math.inf)
    document = to_document(results(perfect))
    assert document["files"][0]["quality"]["psnr_db"] is None
    assert document["files"][0]["quality"]["images"]["woman"]["psnr_db"] is None
    assert rows(results(perfect))[0].scores[0] == "∞"
    assert "∞" in page(results(perfect), [])


@given(st.integers(1, 6), st.integers(0, 2**32 - 1))
def test_the_best_window_is_that_of_an_exhaustive_search(side, seed):
    gain = np.random.default_rng(seed).normal(size=(9, 7))
    sums = {
        (top, left): gain[top : top + side, left : left + side].sum()
        for top in range(10 - side)
        for left in range(8 - side)
    }
    assert sums[best_window(gain, side)] == pytest.approx(max(sums.values()))


@pytest.fixture(scope="module")
def pair(photographs) -> Pair:
    hr = photographs["chelsea"]
    return Pair("chelsea", shrink(hr[:300, :450], 2), hr[:300, :450])


def repaired(pair: Pair, top: int, left: int) -> np.ndarray:
    """Bicubic but for one window, which is the truth."""
    upscaled = enlarge(pair.lr, 2)
    window = (slice(top, top + SIDE), slice(left, left + SIDE))
    upscaled[window] = pair.hr[window]
    return upscaled


@pytest.mark.parametrize(("top", "left"), [(60, 121), (200, 300)])
def test_a_crop_shows_where_the_network_gains(pair, top, left):
    network = repaired(pair, top, left)
    found = crop(pair, {"float32": network, "int8": enlarge(pair.lr, 2)}, "Y-shave-s")
    assert (found.top, found.left) == (top, left)
    assert [panel.label for panel in found.panels] == ["bicubic", "float32", "int8", "ground truth"]
    assert found.panels[1].psnr_db == math.inf
    assert found.panels[3].psnr_db is None
    window = (slice(top, top + SIDE), slice(left, left + SIDE))
    np.testing.assert_array_equal(found.panels[0].pixels, enlarge(pair.lr, 2)[window])
    expected = metrics.psnr(
        np.rint(luma(found.panels[0].pixels)), np.rint(luma(found.panels[3].pixels))
    )
    assert found.panels[0].psnr_db == found.panels[2].psnr_db == expected
    in_rgb = crop(pair, {"float32": network}, "RGB-DIV2K").panels[0]
    assert in_rgb.psnr_db == metrics.psnr(in_rgb.pixels, pair.hr[window])


def test_a_small_picture_gives_a_small_crop(pair):
    small = Pair("small", pair.lr[:20, :30], pair.hr[:40, :60])
    found = crop(small, {"int8": enlarge(small.lr, 2)}, "Y-shave-s")
    assert found.size == (36, 36)  # without the border that the protocol leaves out


class Outline(HTMLParser):
    """The tags of a page, checked to nest, and its text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in ("meta", "img", "br", "wbr", "input"):
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data


@pytest.fixture(scope="module")
def report(pair) -> str:
    versions = {"float32": repaired(pair, 60, 121), "int8": enlarge(pair.lr, 2)}
    failure = Failure("<script>&.onnx", "onnxruntime cannot load it <here>")
    return page(results(*FAMILY, failure), [crop(pair, versions, "Y-shave-s")])


def test_the_page_is_whole_and_needs_nothing_else(report):
    outline = Outline(report)
    assert not {tag for tag, _ in outline.tags} & {"script", "link", "iframe"}
    assert not re.search(r"https?:|url\(|@import", report)
    for tag, attributes in outline.tags:
        if tag == "img":
            assert attributes["src"].startswith("data:image/")
            assert attributes["alt"]
    for name in ("sesr_m5_x2_float32.onnx", "sesr_m5_x2_int8.mlpackage", "<script>&.onnx"):
        assert name in outline.text
    assert "failed: onnxruntime cannot load it <here>" in outline.text
    assert NOT_MEASURABLE in outline.text
    assert findings.headline(results(*FAMILY)) in outline.text
    assert ("meta", {"name": "viewport", "content": "width=device-width, initial-scale=1"}) in (
        outline.tags
    )


def test_the_crops_in_the_page_are_the_exact_pixels(report, pair):
    pictures = [
        np.asarray(Image.open(io.BytesIO(base64.b64decode(data))))
        for data in re.findall(r"data:image/png;base64,([^\"]+)", report)
    ]
    window = (slice(60, 60 + SIDE), slice(121, 121 + SIDE))
    bicubic = enlarge(pair.lr, 2)[window]
    slider = [bicubic, bicubic]  # int8, and over its left part bicubic
    panels = [bicubic, pair.hr[window], bicubic, pair.hr[window]]
    for picture, expected in zip(pictures, slider + panels, strict=True):
        np.testing.assert_array_equal(picture, expected)


def test_every_row_of_the_table_is_equally_wide(report):
    table = report[report.index("<table>") : report.index("</table>")]
    widths = []
    for row in re.findall(r"<tr.*?</tr>", table, re.DOTALL):
        spans = re.findall(r"<t[hd]([^>]*)>", row)
        widths.append(sum(int((re.findall(r'colspan="(\d+)"', s) or [1])[0]) for s in spans))
    assert set(widths) == {20} and len(widths) == 2 + len(FAMILY) + 2


def test_the_slider_can_be_moved_by_keyboard_and_pointer(report):
    (slider,) = (attributes for tag, attributes in Outline(report).tags if tag == "input")
    assert slider["type"] == "range" and "--cut" in slider["oninput"]
    assert slider["aria-label"].startswith("chelsea: how much of it bicubic shows")


@pytest.fixture(scope="module")
def lasting() -> Results:
    """Two files side by side, both of which slow down, one with XNNPACK left out."""
    curve = tuple(Sustained(30.0 * k + 15, 5.0 + (k > 9), 1500.0, 40.0 + k) for k in range(20))
    own = (Backend("XNNPACK", 0, ()), Backend("CPU", 14, ("CONV_2D",)))
    first = replace(FAMILY[2], sustained=curve, conditions=Conditions(*[Condition(1800.0)] * 3))
    second = replace(
        FAMILY[1],
        ratio=Ratio(FAMILY[2].file, 2.56, 2.51, 2.61, 20),
        sustained=curve,
        backends=own,
        parts=Parts(1.0, 2.0, 3.0, 4.0, 10.0),
        noise=Noise(0.1, 31.0, 5),
        energy=Energy("rapl", 0.0123),
    )
    return replace(results(first, second), sustained_minutes=10.0)


def test_the_page_tells_how_latencies_spread_and_last(lasting):
    html = page(lasting, [])
    text = " ".join(Outline(html).text.split())
    assert "1 sesr_m5_x2_int8.tflite 20.0 % slower at the end, 40 to 59 °C" in text
    assert "×2.56 (2.51–2.61)" in text and "relative to sesr_m5_x2_int8.tflite" in text
    assert "XNNPACK took none of the 14 operators: CPU computes them" in text
    assert "decode 1.00 · tile 2.00 · convert 3.00 · infer 4.00 · encode 10.0" in text
    assert "RAPL counters, idle power included: sesr_m5_x2_float32.tflite 12.3 mJ." in text
    assert "1800 MHz before, 1800 MHz during, 1800 MHz after" in text
    assert "other processes took 31 % of the processor" in text.lower()
    assert re.findall(r'class="infer" style="width:([\d.]+)%', html) == ["20.00"]
    assert html.count('class="curve int8"') == html.count('class="curve float32"') == 3


def test_what_the_first_backend_leaves_to_others_is_a_fallback():
    some = (Backend("XNNPACK", 12, ("CONV_2D",)), Backend("CPU", 2, ("QUANTIZE",)))
    assert replace(FAMILY[2], backends=some).delegate == "XNNPACK"
    assert replace(FAMILY[2], backends=some).fallback == (
        "XNNPACK left 2 of 14 operators to CPU: QUANTIZE"
    )
    untold = (Backend("GPU", 12), Backend("CPU", 2))
    assert replace(FAMILY[2], backends=untold).fallback == "GPU left 2 of 14 operators to CPU"
    for all_of_it in (None, (Backend("CPU", 14),), (Backend("XNNPACK", 14), Backend("CPU", 0))):
        assert replace(FAMILY[2], backends=all_of_it).fallback is None


def test_a_histogram_holds_every_run_up_to_p99():
    samples = [*np.linspace(10, 20, 99), 100.0]
    drawing = _histogram("x.onnx", Latency.of_samples(samples))
    heights = [float(h) for h in re.findall(r'height="([\d.]+)" class="bar"', drawing)]
    latency = Latency.of_samples(samples)
    counts, _ = np.histogram(samples, BINS, (10, latency.p99_ms))
    assert len(heights) == np.count_nonzero(counts)
    assert np.allclose(heights, 92 * counts[counts > 0] / counts.max(), atol=0.06)
    assert "100 runs, in ms; 1 slower, up to 100" in drawing


def test_the_front_names_what_none_is_both_faster_and_better_than():
    slow, fast = FAMILY[1], FAMILY[2]
    no_better = measured("b_x2_int8.onnx", 18.0, slow.quality.psnr_db + 0.001)
    found = results(FAMILY[0], no_better, slow, fast, FAMILY[3])
    assert findings.front(found, found.measured) == [fast, slow]
    text = " ".join(Outline(page(found, [])).text.split())
    names = "sesr_m5_x2_int8.tflite, sesr_m5_x2_float32.tflite"
    assert f"On the front, from the fastest to the best: {names}." in text


def test_int8x16_is_among_the_precisions():
    wide = measured("sesr_m5_x2_int8x16.tflite", 9.0, 37.29)
    assert list(findings.shown(results(FAMILY[1], wide)).values()) == [FAMILY[1], wide]
    assert list(findings.shown(results(*FAMILY, wide)).values()) == [FAMILY[1], FAMILY[2]]
    assert "int8x16" in page(results(FAMILY[1], wide), [])


def test_a_report_without_pictures_or_latency_still_is_one():
    for files in ([], [FAMILY[3]], [Failure("x.onnx", "damaged")]):
        Outline(page(replace(results(*files), images=None, bicubic={}), []))


def test_a_report_is_written_whole_or_not_at_all(tmp_path, monkeypatch):
    path = tmp_path / "report.html"
    write_html(results(*FAMILY), [], path)
    before = path.read_text()
    broken = [replace(FAMILY[0], input_size=None)]
    with pytest.raises(TypeError):
        write_html(results(*broken), [], path)
    assert path.read_text() == before
    assert [p.name for p in tmp_path.iterdir()] == ["report.html"]


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


def test_a_lone_file_is_named_in_the_plot():
    drawing = scatter.scatter(
        [scatter.Point(5, 6, 37, "ONNX int8", "int8", "circle")], *"xy", 340, 340
    )
    assert ">ONNX int8</text>" in drawing and ">37.00</text>" in drawing
