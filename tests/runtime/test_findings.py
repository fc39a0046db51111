"""What a report finds in its files: the fastest, the front, what is worth showing."""

from __future__ import annotations

from dataclasses import replace

import pytest
from made_up_results import FAMILY, Outline, measured, results

from ailsr.runtime.bench import findings
from ailsr.runtime.bench.measurement import Failure
from ailsr.runtime.engines.engine import Backend
from ailsr.runtime.report.page import page


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
