"""Reports follow their schema, in every form, and others are refused."""

from __future__ import annotations

import csv
import json
from dataclasses import fields

import fastjsonschema
import pytest
from report_runs import SCHEMA_DOCUMENT, run, validate

from ailsr.runtime import UsageError
from ailsr.runtime.bench.comparison import compare, load_report
from ailsr.runtime.bench.energy import Energy
from ailsr.runtime.bench.host import Host
from ailsr.runtime.bench.latency import Latency, Ratio, Sustained
from ailsr.runtime.bench.measurement import Failure, Measurement
from ailsr.runtime.bench.path_parts import Parts
from ailsr.runtime.bench.reference import Reference
from ailsr.runtime.bench.system import Condition, Conditions, Noise
from ailsr.runtime.engines.engine import Backend
from ailsr.runtime.imaging.metrics import METRICS
from ailsr.runtime.imaging.protocol import Quality
from ailsr.runtime.probe import Fidelity


@pytest.fixture
def folder(reports):
    return reports


@pytest.fixture
def report(folder):
    return json.loads((folder / "r.json").read_text())


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


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        (Latency, "latency"),
        (Ratio, "ratio"),
        (Reference, "reference"),
        (Fidelity, "fidelity"),
        (Backend, "backend"),
        (Parts, "parts"),
        (Sustained, "sustained"),
        (Energy, "energy"),
        (Noise, "noise"),
        (Condition, "condition"),
        (Conditions, "conditions"),
        (Host, "host"),
        (Failure, "failure"),
        (Measurement, "measurement"),
        (Quality, "quality"),
    ],
)
def test_the_schema_knows_every_field_and_no_other(kind, name):
    definition = SCHEMA_DOCUMENT["definitions"][name]
    derived = {
        "measurement": {
            *("error", "output_size", "delegate", "fallback", "frames_per_second"),
            "megapixels_per_second",
        },
        "latency": {"histogram"},  # instead of samples, by front ends with little room
    }.get(name, set())
    stored = {f.name for f in fields(kind) if not f.name.startswith("named_")}
    if kind is Quality:  # its scores stand beside the other fields
        stored = stored - {"scores"} | {metric.key for metric in METRICS.values()}
    assert set(definition["properties"]) == stored | derived
    assert set(definition.get("required", [])) <= stored | derived


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
