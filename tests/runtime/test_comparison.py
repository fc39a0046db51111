"""Reports follow their schema, and comparing them tells a change from noise."""

from __future__ import annotations

import copy
import csv
import json
import subprocess
import sys
from importlib.resources import files
from pathlib import Path

import fastjsonschema
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ailsr.runtime import UsageError
from ailsr.runtime.bench.comparison import compare, load_report
from ailsr.runtime.bench.latency import Latency, median_interval
from ailsr.runtime.commands.compare import failures

BENCH = Path(sys.executable).with_name("ailsr-bench")
validate = fastjsonschema.compile(
    json.loads(files("ailsr.runtime").joinpath("report.schema.json").read_text())
)


def run(*arguments):
    return subprocess.run([BENCH, *map(str, arguments)], capture_output=True, text=True)


@pytest.fixture(scope="module")
def folder(tmp_path_factory, write_network, photographs):
    """A folder with the report of a real run in every form, one of its files damaged."""
    from ailsr.runtime.imaging import image

    folder = tmp_path_factory.mktemp("reports")
    (folder / "images").mkdir()
    image.write(photographs["chelsea"][:80, :100], folder / "images" / "chelsea.png")
    models = [write_network(kind, (24, 32)) for kind in ("onnx int8 uint8", "tflite int8 uint8")]
    damaged = folder / "damaged.onnx"
    damaged.write_bytes(b"damaged")
    done = run(
        *models, damaged, "--runs", 20, "--seconds", 1, "--json", "--images", folder / "images",
        "--csv", folder / "r.csv", "--markdown", folder / "r.md", "--history", folder / "h.jsonl",
    )  # fmt: skip
    assert done.returncode == 1
    (folder / "r.json").write_text(done.stdout)
    return folder


@pytest.fixture
def report(folder):
    return json.loads((folder / "r.json").read_text())


def slowed(report, factor):
    """``report`` with every latency of its first file ``factor`` times as long."""
    other = copy.deepcopy(report)
    for part in ("inference", "whole_path"):
        latency = other["files"][0][part]
        latency |= {
            k: (factor * np.asarray(v)).tolist() for k, v in latency.items() if k.endswith("_ms")
        }
    return other


def test_a_report_follows_the_schema(report):
    assert validate(report) is not None
    assert [bool(file["error"]) for file in report["files"]] == [False, False, True]


@pytest.mark.parametrize(
    ("change", "what"),
    [
        (lambda r: r.pop("host"), "host"),
        (lambda r: r.update(schema_version=2), "schema_version"),
        (lambda r: r.update(date="yesterday"), "date"),
        (lambda r: r["files"][0].update(scale=0), "files"),
        (lambda r: r["files"][0].pop("quality"), "files"),
        (lambda r: r["files"][0]["whole_path"].update(p50_ms="fast"), "files"),
        (lambda r: r["files"][2].update(error=None), "files"),
        (lambda r: r["baselines"][0]["quality"].update(protocol="Y"), "baselines"),
    ],
)
def test_a_report_that_lacks_something_does_not(report, change, what):
    change(report)
    with pytest.raises(fastjsonschema.JsonSchemaException, match=what):
        validate(report)


def test_keys_may_be_added(report):
    report["files"][0]["energy_joules"] = 1.5
    validate(report)


def test_the_other_forms_say_the_same(folder, report):
    assert json.loads((folder / "h.jsonl").read_text()) == report
    with (folder / "r.csv").open(newline="") as file:
        lines = list(csv.DictReader(file))
    for line, entry in zip(lines, report["files"], strict=True):
        assert line["file"] == entry["file"]
        if entry["error"]:
            assert (line["error"], line["scale"]) == (entry["error"], "")
            continue
        assert float(line["whole_path_p50_ms"]) == entry["whole_path"]["p50_ms"]
        assert float(line["infer_ms"]) == entry["parts"]["infer_ms"]
        assert line["ratio"] == (str(entry["ratio"]["ratio"]) if entry["ratio"] else "")
        assert float(line["psnr_db"]) == entry["quality"]["psnr_db"]
        assert (line["input_height"], line["input_width"]) == ("24", "32")
    table = (folder / "r.md").read_text().splitlines()
    assert table[0].startswith("| file | size, kB |") and table[1].startswith("| --- | --: |")
    assert {line.count("|") for line in table[:6]} == {table[0].count("|")}
    assert "failed: " in table[4] and table[5].startswith("| bicubic")


@given(st.lists(st.floats(0.1, 100), min_size=1, max_size=300))
def test_the_interval_holds_the_median(samples):
    latency = Latency.of_samples(samples)
    assert min(samples) <= latency.p50_low_ms <= latency.p50_ms + 1e-9
    assert latency.p50_ms - 1e-9 <= latency.p50_high_ms <= max(samples)


@pytest.mark.parametrize("n", [20, 200])
def test_nineteen_of_twenty_intervals_hold_the_true_median(n):
    random = np.random.default_rng(0)
    draws = random.lognormal(size=(2000, n))  # its median is 1
    held = [low <= 1 <= high for low, high in map(median_interval, draws)]
    assert 0.94 < np.mean(held) < 0.985


def test_a_report_differs_from_itself_in_nothing(report):
    found = compare(report, report)
    assert [change.verdict for change in found.changes] == ["same", "same", "unknown"]
    assert found.changes[0].ratio == 1 and found.changes[0].psnr_change_db == 0
    assert failures(found, slower=None, loss=0) == []


def test_what_is_beyond_the_noise_is_a_change(report):
    latency = report["files"][0]["whole_path"]
    reach = latency["p50_high_ms"] / latency["p50_low_ms"]
    for factor, verdict in (
        (1.01 * reach, "slower"),
        (reach**0.5, "same"),
        (0.99 / reach, "faster"),
    ):
        found = compare(report, slowed(report, factor))
        assert found.changes[0].ratio == pytest.approx(factor)
        assert (found.changes[0].verdict, found.changes[1].verdict) == (verdict, "same")


def test_reports_without_intervals_are_compared_by_their_spread(report):
    for file in report["files"][:2]:
        for part in ("inference", "whole_path"):
            del file[part]["p50_low_ms"], file[part]["p50_high_ms"]
            file[part]["sd_ms"] = 0.1 * file[part]["p50_ms"]
    validate(report)
    assert compare(report, slowed(report, 2)).changes[0].verdict == "slower"
    assert compare(report, slowed(report, 1.05)).changes[0].verdict == "same"


def test_a_build_can_fail_on_it(folder, report, tmp_path):
    report["files"].pop()
    before, after = tmp_path / "before.json", tmp_path / "after.json"
    before.write_text(json.dumps(report))
    worse = slowed(report, 50)
    worse["files"][1]["quality"]["psnr_db"] -= 0.2
    after.write_text(json.dumps(worse))
    names = [Path(file["file"]).name for file in report["files"]]
    done = run("compare", before, after)
    assert (done.returncode, done.stderr) == (0, "")
    row = {line.split()[0]: line for line in done.stdout.splitlines() if line}
    assert "slower" in row[names[0]] and "+4900.0" in row[names[0]] and "-0.200" in row[names[1]]
    done = run("compare", before, after, "--fail-on-slower", 10, "--fail-on-loss", 0.1, "--json")
    assert done.returncode == 1
    assert done.stderr == (
        f"error: {names[0]} is 4900.0 % slower (limit 10 %); "
        f"{names[1]} lost 0.200 dB (limit 0.1 dB)\n"
    )
    assert [c["verdict"] for c in json.loads(done.stdout)["changes"]] == ["slower", "same"]
    assert run("compare", after, before, "--fail-on-slower", 0).returncode == 0
    assert run("compare", before, folder / "h.jsonl", "--fail-on-slower", 0).returncode == 0


def test_what_makes_reports_hard_to_compare_is_said(report):
    other = copy.deepcopy(report)
    other["host"] |= {"cpu": "another", "load_average": 99.0}
    other["files"][1]["file"] = "new.onnx"
    found = compare(report, other)
    assert any("another machine" in caveat for caveat in found.caveats)
    assert any("busy in the second report: load 99" in caveat for caveat in found.caveats)
    assert found.only_after == ["new.onnx"] and len(found.only_before) == 1
    for file in other["files"]:
        file["file"] += ".x"
    with pytest.raises(UsageError, match="no file in common"):
        compare(report, other)


@pytest.mark.parametrize("text", ["", "[]", "{", '{"schema": "x"}', "\ufffd"])
def test_what_is_no_report_gets_one_line(tmp_path, text):
    (tmp_path / "r.json").write_text(text, encoding="utf-8")
    with pytest.raises(UsageError, match=r"r\.json is no report.*ailsr-bench FILE"):
        load_report(tmp_path / "r.json")
    with pytest.raises(UsageError, match=r"no report at .*absent"):
        load_report(tmp_path / "absent.json")


def test_broken_lines_of_a_history_are_left_out_and_counted(folder, report, tmp_path):
    history = tmp_path / "h.jsonl"
    whole = (folder / "h.jsonl").read_text()
    history.write_text('{"half' + "\n" + whole + whole[:99])
    told = []
    assert load_report(history, told.append) == report
    assert told == [f"{history}: 2 of its lines are broken, and left out"]
    done = run("compare", history, folder / "h.jsonl")
    assert done.returncode == 0 and done.stderr == told[0] + "\n"
    history.write_text('{"half\n')
    with pytest.raises(UsageError, match="is no report"):
        load_report(history)


def test_reports_of_another_version_or_damaged_are_refused(tmp_path, report):
    (tmp_path / "r.json").write_text(json.dumps(report | {"schema_version": 2}))
    with pytest.raises(UsageError, match="schema version 2, this ailsr reads 1"):
        load_report(tmp_path / "r.json")
    del report["files"][0]["whole_path"]["sd_ms"], report["files"][0]["size_bytes"]
    with pytest.raises(UsageError, match=r"damaged .KeyError: 'size_bytes'"):
        compare(report, report)
