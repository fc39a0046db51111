"""The benchmarks of time run and report what they say; no time is judged."""

import sys

import pytest
from benchmark_runs import repeating, run

from ailsr.export.fit.command import MeasureConfig, measure_table
from ailsr.export.fit.probes import ProbeNetwork


def test_latency_prediction_compares_and_writes_its_page(photos):
    (photos / "page.md").write_text("# Fit\n\n## Method\n\nkept\n\n## Accuracy\n\nold\n")
    networks = [ProbeNetwork("sesr", depth, 8, 2, (24, 32)) for depth in (1, 9)]
    table = photos / "tables" / "tflite_int8_1.json"  # small, since one that is there is used
    measure_table(MeasureConfig(table, "tflite", "int8", 1, seconds=0), networks)
    figures = run(
        "latency_prediction.py", "--setting", "tflite int8 1", "--most", 1, "--seconds", 0,
        "--tables", "tables", "--page", "page.md", cwd=photos,
    )["tflite int8 1"]  # fmt: skip
    (network,) = figures["networks"]
    assert network["error"] == pytest.approx(
        network["predicted_p90_ms"] / network["measured_p90_ms"] - 1
    )
    assert figures["largest error"] == abs(network["error"])
    page = (photos / "page.md").read_text()
    assert "kept" in page and "old" not in page
    assert "| `zoo:sesr_m3_research_x2` | 640×360 |" in page.split("## Accuracy")[1]


def test_the_overhead_of_the_harness_is_measured(tmp_path):
    for ending in ("onnx", "tflite"):
        repeating(1.0, tmp_path / f"nearest.{ending}")
    figures = run(
        "harness_overhead.py", "nearest.onnx", "nearest.tflite", "--python", sys.executable,
        "--times", 1, cwd=tmp_path,
    )  # fmt: skip
    assert 0 <= figures["added, %"] <= figures["between, %"] + 0.1
    assert figures["start, s of CPU"] > 0.05 and figures["command, MB"] > 20
    assert all(-20 < megabytes < 200 for megabytes in figures["memory, MB"].values())


def test_video_is_measured_beside_the_network_and_bicubic(tmp_path):
    pytest.importorskip("av", reason='VIDEO NOT TESTED: pip install "ailsr[video]"')
    repeating(1.0, tmp_path / "nearest.tflite", (64, 96))
    found = run(
        "video_speed.py", "nearest.tflite", "--frames", 6, "--size", "192x128", "--times", 1,
        "--preset", "superfast", cwd=tmp_path,
    )  # fmt: skip
    rows = {(row["clip"], row["what"]): row for row in found}
    wholes = ("network alone", "ailsr-upscale", "FFmpeg's bicubic")
    parts = ("decoding", "colours in", "network", "colours out", "encoding", "the rest")
    assert list(rows) == [
        (clip, what)
        for clip in ("pan", "still scene")
        for what in (*wholes, *(f"of it {part}" for part in parts))
    ]
    for clip, saved in (("pan", 0.0), ("still scene", 0.3)):
        network, whole = rows[clip, "network alone"], rows[clip, "ailsr-upscale"]
        assert whole["preset"] == "superfast" and whole["saved"] >= saved
        assert whole["of_network"] == whole["frames_per_s"] / network["frames_per_s"]
        of_it = sum(rows[clip, f"of it {part}"]["cpu_ms"] for part in parts)
        assert of_it == pytest.approx(whole["cpu_ms"])
    assert rows["pan", "ailsr-upscale"]["saved"] == 0
