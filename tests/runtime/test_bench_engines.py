"""Engines of other packages in the harness, and those that fail."""

from __future__ import annotations

import shutil
import subprocess

import numpy as np
import pytest
from bench_runs import BENCH, measure, request

from ailsr.runtime.bench import process
from ailsr.runtime.bench.harness import bicubic_quality
from ailsr.runtime.bench.measurement import Failure, Measurement
from ailsr.runtime.imaging import image


def test_an_engine_that_is_no_yardstick_gives_quality_only(with_engines, images):
    found = measure(with_engines / "model.ref", images)
    assert isinstance(found, Measurement), found
    assert not found.measurable
    assert (found.inference, found.whole_path, found.load_ms) == (None, None, None)
    assert found.peak_memory_bytes is None
    assert 20 < found.quality.psnr_db < bicubic_quality(images, 2, "Y-shave-s").psnr_db


def test_an_engine_of_one_size_upscales_within_a_limit_of_memory(with_engines, images, tmp_path):
    model, source, output = with_engines / "model.ref", images / "rocket.png", tmp_path / "out.png"
    command = [BENCH.with_name("ailsr-upscale"), model, source, "-o", output, "--threads", "2"]
    done = subprocess.run([*command, "--max-memory", "256M"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert np.array_equal(image.read(output), image.read(source).repeat(2, 0).repeat(2, 1))


@pytest.mark.parametrize(
    ("ending", "reason"),
    [
        ("crash", "the engine crashed (SIGABRT): double free"),
        ("raise", "ZeroDivisionError: two lines"),
        ("leave", "the engine ended the process with exit code 7"),
    ],
)
def test_an_engine_that_fails_is_one_line(with_engines, ending, reason):
    path = with_engines / f"model.{ending}"
    assert measure(path) == Failure(str(path), reason)


def test_an_engine_that_fails_on_a_picture_keeps_its_latencies(with_engines, images, tmp_path):
    shutil.copytree(images, tmp_path / "mixed")
    image.write(np.full((40, 40, 3), 90, np.uint8), tmp_path / "mixed" / "plain.png")
    found = measure(with_engines / "model.late", tmp_path / "mixed")
    assert isinstance(found, Measurement) and found.whole_path.n == 5
    assert found.quality is None
    assert found.left_out == {str(tmp_path / "mixed"): "the engine crashed (SIGABRT): double free"}


def test_many_files_are_related_to_the_first_that_can_be_timed(with_engines, cubic_files):
    """More than are alive side by side, so that the first is run again beside the last."""
    paths = [with_engines / "model.crash", *cubic_files.values(), *cubic_files.values()]
    requests = [request(path) for path in paths]
    said: list[list[str]] = [[] for _ in paths]
    told = [lambda what, done, of, mine=mine: mine.append(what) for mine in said]
    found = process.measure_side_by_side(requests, told).files
    assert len(requests) > process.SIDE_BY_SIDE
    assert [getattr(each, "file", None) for each in found] == [str(path) for path in paths]
    assert isinstance(found[0], Failure) and found[1].ratio is None
    assert {file.ratio.to for file in found[2:]} == {str(paths[1])}
    assert all(file.ratio.blocks == 5 for file in found[2:])
    assert all(said) and len(said) == 7
