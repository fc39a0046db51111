"""Comparing reports tells a change from noise."""

from __future__ import annotations

import copy
import json
from pathlib import Path

import numpy as np
import pytest
from report_runs import run, validate

from ailsr.runtime import ModelError, UsageError
from ailsr.runtime.bench.comparison import BETWEEN_RUNS, compare, compare_pairs
from ailsr.runtime.bench.harness import decided
from ailsr.runtime.bench.report_document import read_file
from ailsr.runtime.commands.against import counterparts
from ailsr.runtime.commands.compare import failures, judge, undecided
from ailsr.runtime.errors import EngineError, UndecidedError


@pytest.fixture
def folder(reports):
    return reports


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
    file = other["files"][0]
    if file.get("to_reference"):
        file["to_reference"] = [factor * value for value in file["to_reference"]]
    return other


def as_measured(report, random, *, change=1.0, spread=0.02, machine=1.0, processes=5):
    """``report`` as a run that took its first file ``change`` times as long, on a machine that was
    ``machine`` times slower, with processes that differ by ``spread``."""
    other = copy.deepcopy(report)
    file = other["files"][0]
    noise = np.exp(spread * random.standard_normal(processes))
    file["to_reference"] = (10 * change * noise).tolist()
    for key in ("p50_ms", "p50_low_ms", "p50_high_ms"):
        file["whole_path"][key] *= change * machine * float(np.median(noise))
    return other


def test_an_unchanged_file_is_called_changed_once_in_a_hundred(report):
    random = np.random.default_rng(0)
    found = [
        compare(
            as_measured(report, random, spread=spread),
            as_measured(report, random, spread=spread, machine=machine),
        )
        .changes[0]
        .verdict
        for spread in (0.002, 0.02, 0.1)
        for machine in np.geomspace(0.4, 2.5, 100)
    ]
    assert found.count("same") >= 296


def test_a_change_of_a_tenth_is_found_whatever_the_machine_does(report):
    random = np.random.default_rng(0)
    for change, verdict in ((1.1, "slower"), (1 / 1.1, "faster")):
        found = [
            compare(
                as_measured(report, random, spread=0.015),
                as_measured(report, random, change=change, spread=0.015, machine=machine),
            )
            .changes[0]
            .verdict
            for machine in np.geomspace(0.8, 1.25, 100)
        ]
        assert found.count(verdict) >= 90


def test_a_report_differs_from_itself_in_nothing(report):
    assert report["settings"]["processes"] == 5
    assert len(report["files"][0]["to_reference"]) == 5
    found = compare(report, report)
    assert [change.verdict for change in found.changes] == ["same", "same", "unknown"]
    assert found.changes[0].ratio == 1 and found.changes[0].score_changes == {"psnr": 0, "ssim": 0}
    assert failures(found, slower=None, drops={"psnr": 0, "ssim": 0}) == []


@pytest.mark.parametrize("which", ["another machine", "no reference", "another reference"])
def test_what_shares_no_reference_differs_by_much_or_not_at_all(report, which):
    other = copy.deepcopy(report)
    if which == "another machine":
        other["host"]["cpu"] = "another"
    elif which == "no reference":
        del other["reference"], other["files"][0]["to_reference"]
    else:
        other["reference"]["name"] += ", another numpy"
    for file in (*report["files"][:1], *other["files"][:1]):
        file["whole_path"] |= {"p50_low_ms": file["whole_path"]["p50_ms"]}
        file["whole_path"] |= {"p50_high_ms": file["whole_path"]["p50_ms"]}
    for factor, verdict in ((1.01, "slower"), (0.99, "same")):
        found = compare(report, slowed(other, factor * BETWEEN_RUNS))
        assert found.changes[0].verdict == verdict
        assert found.changes[0].ratio == pytest.approx(factor * BETWEEN_RUNS)
        assert any("share no reference workload" in caveat for caveat in found.caveats)
        assert undecided(found, 5) != []


def test_reports_without_intervals_are_compared_by_their_spread(report):
    del report["reference"]
    for file in report["files"][:2]:
        for part in ("inference", "whole_path"):
            del file[part]["p50_low_ms"], file[part]["p50_high_ms"]
            file[part]["sd_ms"] = 0.1 * file[part]["p50_ms"]
    validate(report)
    assert compare(report, slowed(report, 2)).changes[0].verdict == "slower"
    assert compare(report, slowed(report, 1.3)).changes[0].verdict == "same"


def test_what_cannot_be_told_has_an_exit_code_of_its_own(report, tmp_path):
    random = np.random.default_rng(0)
    report["files"] = report["files"][:1]
    before = as_measured(report, random, spread=0.005)
    noisy, slow = (
        as_measured(report, random, change=change, spread=spread)
        for change, spread in ((1.0, 0.3), (1.3, 0.005))
    )
    paths = {name: tmp_path / f"{name}.json" for name in ("before", "noisy", "slow")}
    for path, document in zip(paths.values(), (before, noisy, slow), strict=True):
        path.write_text(json.dumps(document))
    done = run("compare", paths["before"], paths["noisy"], "--fail-on-slower", 5)
    assert done.returncode == 3
    assert done.stderr.startswith("error: cannot be told to 5 %: ") and done.stderr.count("\n") == 1
    assert "--against OLD" in done.stderr
    done = run("compare", paths["before"], paths["slow"], "--fail-on-slower", 5)
    assert (done.returncode, done.stderr.count("% slower (limit 5 %)")) == (1, 1)
    assert run("compare", paths["before"], paths["slow"], "--fail-on-slower", 50).returncode == 0
    assert run("compare", paths["before"], paths["noisy"]).returncode == 0


def paired(report, *ratios):
    """``report`` of two files that took turns, the second's ratio to the first being known."""
    report["files"] = report["files"][:2]
    old = report["files"][0]["file"]
    report["files"][1]["ratio"] = {
        **{"to": old, "ratio": 1.0, "low": 1.0, "high": 1.0, "blocks": 20},
        "processes": list(ratios),
    }
    return compare_pairs(report, [(1, 0)])


@pytest.mark.parametrize(
    ("ratios", "percent", "expected"),
    [
        ((1.005, 1.01, 1.0), 5, True),  # the same, narrow enough
        ((1.6, 1.8, 1.7, 1.75), 5, True),  # wide, but slower beyond doubt
        ((0.55, 0.6, 0.65), 5, True),  # wide, but faster beyond doubt
        ((1.5, 0.7, 1.2), 5, False),
        ((1.5, 0.7, 1.2), 0, True),  # no precision is asked for
        ((1.1,), 5, False),
        ((1.1,), 0, False),
    ],
)
def test_the_bench_goes_on_until_a_comparison_is_decided(report, ratios, percent, expected):
    (change,) = paired(report, *ratios).changes
    files = [read_file(entry) for entry in report["files"]]
    assert decided(files, percent) == change.decides(percent) == expected


def test_files_of_one_run_are_compared_by_the_ratios_of_their_processes(report):
    found = paired(report, 1.1, 1.1, 1.1, 1.1, 1.1)
    (change,) = found.changes
    assert (change.ratio, change.verdict) == (pytest.approx(1.1), "slower")
    assert change.file == Path(report["files"][1]["file"]).name
    with pytest.raises(EngineError, match=r"10\.0 % slower .limit 5 %"):
        judge(found, 5)
    judge(found, 11)
    for unclear in ((1.5, 0.7, 1.2), (1.1,)):
        with pytest.raises(UndecidedError, match="cannot be told to 5 %"):
            judge(paired(report, *unclear), 5)


def test_each_file_has_its_counterpart(tmp_path):
    new, old = tmp_path / "new", tmp_path / "old"
    for folder in (new, old):
        folder.mkdir()
        for name in ("a.onnx", "b.tflite"):
            (folder / name).touch()
    a, b = new / "a.onnx", new / "b.tflite"
    assert counterparts([a, b], [old]) == [old / "a.onnx", old / "b.tflite"]
    assert counterparts([b, a], [old / "a.onnx", old / "b.tflite"]) == [
        old / "b.tflite",
        old / "a.onnx",
    ]
    (old / "c.onnx").touch()
    assert counterparts([a], [old / "c.onnx"]) == [old / "c.onnx"]
    assert counterparts([a], [a]) == [a]
    mixed = [old / "c.onnx", old / "b.tflite"]
    assert counterparts([a, b], mixed) == mixed
    with pytest.raises(UsageError, match=r"nothing for b\.tflite"):
        counterparts([a, b], [old / "a.onnx"])
    with pytest.raises(ModelError, match=r"no model file at .*d\.onnx"):
        counterparts([a], [old / "d.onnx"])


def test_a_file_against_another_in_one_run(write_network):
    """The real thing: a float network against itself at int8, and against itself."""
    fast, slow = (
        write_network(kind, (48, 64)) for kind in ("onnx int8 uint8", "onnx float32 float32")
    )
    done = run(fast, "--against", fast, "--runs", 40, "--seconds", 0.4, "--json")
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert validate(document) and [f["file"] for f in document["files"]] == [str(fast)] * 2
    (change,) = document["comparison"]["changes"]
    assert change["ratio_low"] < change["ratio"] < change["ratio_high"]
    assert len(document["files"][0]["ratio"]["processes"]) == 5
    done = run(slow, "--against", fast, "--runs", 40, "--seconds", 0.4, "--threads", 1)
    assert done.returncode == 0, done.stderr
    assert "99 % interval" in done.stdout
    done = run(slow, "--fail-on-slower", 5)
    assert (done.returncode, done.stderr) == (
        1,
        "error: --fail-on-slower compares: add --against OLD\n",
    )


def test_a_build_can_fail_on_it(folder, report, tmp_path):
    report["files"].pop()
    for file in report["files"]:  # a quiet machine
        file["to_reference"] = [10.0, 10.01, 10.02]
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


def test_a_multiple_of_nothing_is_not_used(report, recwarn):
    """A report may come from anywhere; its figures may be 0."""
    other = copy.deepcopy(report)
    other["files"][0]["to_reference"] = [0.0, 1.0]
    assert compare(report, other).changes[0].ratio == 1
    assert not recwarn.list
