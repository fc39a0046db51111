"""The rows of the table that every form of report has."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from made_up_results import FAMILY, measured, results

from ailsr.runtime.bench.measurement import Failure
from ailsr.runtime.bench.report_document import to_document
from ailsr.runtime.bench.table import NOT_MEASURABLE, milliseconds, rows
from ailsr.runtime.report.page import page


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
