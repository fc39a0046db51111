"""The report: what it says, and that one file holds all of it."""

from __future__ import annotations

import base64
import io
import re
from dataclasses import replace

import numpy as np
import pytest
from made_up_results import FAMILY, Outline, repaired, results
from PIL import Image

from ailsr.runtime.bench import findings
from ailsr.runtime.bench.energy import Energy
from ailsr.runtime.bench.latency import Latency, Ratio, Sustained
from ailsr.runtime.bench.measurement import Failure
from ailsr.runtime.bench.path_parts import Parts
from ailsr.runtime.bench.results import Results
from ailsr.runtime.bench.system import Condition, Conditions, Noise
from ailsr.runtime.bench.table import NOT_MEASURABLE
from ailsr.runtime.engines.engine import Backend
from ailsr.runtime.imaging.crops import SIDE, crop
from ailsr.runtime.imaging.protocol import Pair
from ailsr.runtime.imaging.resize import enlarge, shrink
from ailsr.runtime.report.latency import BINS, _histogram
from ailsr.runtime.report.page import page, write_html


@pytest.fixture(scope="module")
def pair(photographs) -> Pair:
    hr = photographs["chelsea"]
    return Pair("chelsea", shrink(hr[:300, :450], 2), hr[:300, :450])


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


def test_a_histogram_holds_every_run_up_to_p99():
    samples = [*np.linspace(10, 20, 99), 100.0]
    drawing = _histogram("x.onnx", Latency.of_samples(samples))
    heights = [float(h) for h in re.findall(r'height="([\d.]+)" class="bar"', drawing)]
    latency = Latency.of_samples(samples)
    counts, _ = np.histogram(samples, BINS, (10, latency.p99_ms))
    assert len(heights) == np.count_nonzero(counts)
    assert np.allclose(heights, 92 * counts[counts > 0] / counts.max(), atol=0.06)
    assert "100 runs, in ms; 1 slower, up to 100" in drawing


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
