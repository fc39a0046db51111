"""The app's core computes what tests/parity holds, as the Python runtime does."""

from __future__ import annotations

import json
import zlib
from pathlib import Path

import numpy as np
import pytest
from parity import vectors
from PIL import Image

from ailsr.runtime.imaging import image
from ailsr.runtime.probe import probe_image

PARITY = Path(__file__).parent.parent / "parity"
PROBE = json.loads((PARITY / "probe.json").read_text())


@pytest.mark.parametrize(
    "name", ["tiles", "statistics", "ranges", "levels", "elements", "condition", "layouts"]
)
def test_the_core_computes_what_the_vectors_hold(ask, name):
    cases = vectors.read(name)
    answers = ask(*({"ask": name, **case["given"]} for case in cases))
    for answer, case in zip(answers, cases, strict=True):
        expected = case["expected"]
        if name == "statistics":
            answer = {name: answer[name] for name in expected}
            expected = pytest.approx(expected, rel=1e-12)
        assert answer == expected, case["given"]


def test_noise_is_what_the_vectors_hold(ask, tmp_path):
    cases = vectors.read("noise")
    questions = []
    for number, given in enumerate(case["given"] for case in cases):
        changed = vectors.CHANGES[given["change"]](probe_image(*given["size"]))
        Image.fromarray(changed).save(path := tmp_path / f"{number}.png")
        questions.append({"ask": "noise", "image": str(path)})
    found = ask(*questions)
    assert found == pytest.approx([case["expected"] for case in cases], rel=1e-12)
    assert len(set(found)) > 4  # not all without noise


def test_the_quality_of_a_jpeg_is_what_the_vectors_hold(ask, tmp_path):
    cases = vectors.read("quality")
    files = [(bytes.fromhex(case["given"]["file"]), case["expected"]) for case in cases]
    files += [(files[0][0][:count], None) for count in (0, 1, 30, 100)]
    paths = [tmp_path / str(number) for number in range(len(files))]
    for path, (content, _) in zip(paths, files, strict=True):
        path.write_bytes(content)
    questions = [{"ask": "quality", "path": str(path)} for path in paths]
    assert ask(*questions) == [quality for _, quality in files]


def test_cards_are_accepted_as_by_the_runtime(ask):
    """By the cases that tests/runtime/test_card.py tries on the runtime."""
    cases = json.loads((PARITY / "cards.json").read_text())
    questions = [
        {"ask": "card", "parts": [p if isinstance(p, str) else p[0] * p[1] for p in case["card"]]}
        for case in cases
    ]
    answers = dict(zip((case["what"] for case in cases), ask(*questions), strict=True))
    assert answers == {case["what"]: case["is"] for case in cases}


def test_resize_computes_what_the_vectors_hold(ask, tmp_path):
    cases = vectors.read("resize")
    questions = []
    for number, case in enumerate(cases):
        names = ("picture", "small", "large")
        paths = {name: str(tmp_path / f"{number}_{name}.png") for name in names}
        Image.fromarray(probe_image(*case["given"]["size"])).save(paths["picture"])
        questions.append({"ask": "resize", "scale": case["given"]["scale"], **paths})
    ask(*questions)
    for question, case in zip(questions, cases, strict=True):
        small, large = (zlib.crc32(image.read(Path(question[n]))) for n in ("small", "large"))
        assert {"shrunk": small, "enlarged": large} == case["expected"], case["given"]


def test_scores_are_what_the_vectors_hold(ask, tmp_path):
    cases = [(case["given"], case["expected"]) for case in vectors.read("scores")]
    questions = []
    for number, (given, _) in enumerate(cases):
        paths = {name: str(tmp_path / f"{number}_{name}.png") for name in ("upscaled", "hr")}
        upscaled, hr = vectors.scored(given["size"], given["grayscale"], given["change"])
        Image.fromarray(upscaled).save(paths["upscaled"])
        Image.fromarray(hr[..., 0] if given["grayscale"] else hr).save(paths["hr"])
        how = {name: given[name] for name in ("scale", "protocol")}
        questions.append({"ask": "score", **how, **paths})
    for answer, (given, expected) in zip(ask(*questions), cases, strict=True):
        assert answer == pytest.approx(expected, rel=1e-9), given


def test_the_probe_image_is_that_of_the_runtime(ask):
    sizes = [(picture["height"], picture["width"]) for picture in PROBE["pictures"]]
    expected = [picture["crc32"] for picture in PROBE["pictures"]]
    assert [zlib.crc32(probe_image(*size).tobytes()) for size in sizes] == expected
    assert ask(*({"ask": "probe", "height": h, "width": w} for h, w in sizes)) == expected


def test_answers_to_the_probe_are_judged_as_by_the_runtime(ask, tmp_path):
    """The right ones, which are exact only where all places and sums agree, and the faults."""
    answers = PROBE["answers"]
    cases = [{**answer, "change": "none", "verdict": "exact", "levels": 0} for answer in answers]
    cases += PROBE["fidelity"]
    questions = []
    for number, case in enumerate(cases):
        size, scale = (case["height"], case["width"]), case["scale"]
        (probe,) = (a for a in answers if (a["height"], a["width"]) == size)
        right = probe_image(*size).repeat(scale, axis=0).repeat(scale, axis=1)
        upscaled = tmp_path / f"{number}.png"
        image.write(np.ascontiguousarray(vectors.CHANGES[case["change"]](right)), upscaled)
        own = {**probe, **vectors.tolerance(case)}
        questions.append({"ask": "fidelity", "probe": own, "upscaled": str(upscaled)})
    assert ask(*questions) == [{name: v[name] for name in ("verdict", "levels")} for v in cases]
