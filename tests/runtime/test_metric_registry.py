"""The registry of metrics, and CONTRIBUTING.md's list of what a new one takes."""

from __future__ import annotations

import ast
import csv
import importlib.util
import json
import math
import re
import tomllib
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from ailsr.runtime.bench import budget, findings
from ailsr.runtime.bench.comparison import compare
from ailsr.runtime.bench.exchange import write_csv, write_markdown
from ailsr.runtime.bench.host import Host
from ailsr.runtime.bench.latency import Latency
from ailsr.runtime.bench.measurement import Measurement
from ailsr.runtime.bench.report_document import check_document, read_results, to_document
from ailsr.runtime.bench.results import Results
from ailsr.runtime.commands.compare import as_document, failures, parse_drops
from ailsr.runtime.errors import EngineError, UsageError
from ailsr.runtime.imaging.metrics import ALWAYS, METRIC_NAMES, METRICS, metric_name, taken
from ailsr.runtime.imaging.protocol import Quality
from ailsr.runtime.report.page import page

ROOT = Path(__file__).parents[2]
SCHEMA = json.loads((ROOT / "runtime" / "report.schema.json").read_text(encoding="utf-8"))
HOST = Host("Cortex-A76", 4, 8 * 10**9, "Linux", "aarch64", "3.11.2", "performance", 0.1)


def listed() -> set[str]:
    """The files that "Add a metric" names."""
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8").partition("## Add a metric")[2]
    return set(re.findall(r"`([\w/.]+\.(?:py|toml|json))`", text.partition("\n## ")[0]))


def naming(words: set[str]) -> set[str]:
    """The modules in which one of ``words`` is a string, and the schema."""
    found = {"runtime/report.schema.json"}
    for package in ("runtime", "train", "export"):
        for path in (ROOT / package).rglob("*.py"):
            tree = ast.parse(path.read_text(encoding="utf-8"))
            if words & {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant)}:
                found.add(str(path.relative_to(ROOT)))
    return found


def test_every_name_has_an_entry():
    assert tuple(METRICS) == METRIC_NAMES
    assert len({metric.key for metric in METRICS.values()}) == len(METRICS)


def test_the_files_of_the_list_exist():
    assert len(listed()) >= 4
    assert [name for name in listed() if not (ROOT / name).is_file()] == []


@pytest.mark.parametrize("name", [name for name in METRICS if name not in ALWAYS])
def test_no_other_file_names_a_metric(name):
    """PSNR and SSIM are also what phones send and what training writes down."""
    assert naming({name, METRICS[name].key, METRICS[name].title}) <= listed()


def test_the_schema_has_the_field_of_each():
    definitions = SCHEMA["definitions"]
    keys = {metric.key for metric in METRICS.values()}
    choice = SCHEMA["properties"]["budget"]["properties"]["choices"]["items"]["properties"]
    assert set(definitions["score"]["properties"]) == keys
    assert set(definitions["quality"]["properties"]) == keys | {"protocol", "images"}
    assert set(choice) == keys | {"scale", "file", "p90_ms", "fastest"}
    assert definitions["settings"]["properties"]["metrics"]["items"]["enum"] == list(METRICS)
    assert set(definitions["score"]["required"]) == {METRICS[name].key for name in ALWAYS}


def test_the_package_of_each_is_an_extra():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    for metric in METRICS.values():
        if metric.package:
            needed = [name.replace("-", "_") for name in extras[metric.extra or metric.package]]
            assert any(name.startswith(metric.package) for name in needed)


def test_what_is_not_installed_is_one_line():
    for name in METRICS:
        package = METRICS[name].package
        if package and importlib.util.find_spec(package) is None:
            extra = METRICS[name].extra or package
            with pytest.raises(EngineError, match=f'pip install "ailsr.{extra}.'):
                taken([name], video=True)
        else:
            assert set(taken([name], video=True)) == {*ALWAYS, name}
        if METRICS[name].of_video:
            with pytest.raises(UsageError, match=f"--metric {name} is of videos: give --video"):
                taken([name])


def measured(file: str, p50_ms: float, scores: dict[str, float]) -> Measurement:
    return Measurement(
        file, "engine 1", None, None, "uint8", 2, (90, 160), 1, 9000, True,
        whole_path=Latency.of_samples([p50_ms] * 8),
        quality=Quality("Y-shave-s", scores, {"a": scores}),
    )  # fmt: skip


BICUBIC = Quality("Y-shave-s", {"psnr": 30.0, "ssim": 0.8, "ssimulacra2": 40.0})
FILES = [  # the faster one has the higher PSNR, the slower one the higher SSIM
    measured("fast.onnx", 5, {"psnr": 33.0, "ssim": 0.900, "ssimulacra2": 60.0}),
    measured("slow.onnx", 9, {"psnr": 32.0, "ssim": 0.925, "ssimulacra2": 70.5}),
]


def results(*metrics: str) -> Results:
    date = datetime(2026, 11, 29, tzinfo=UTC)
    return Results(
        HOST, date, 1, 10, 1.0, "Y-shave-s", "photos", list(FILES), {2: BICUBIC}, metrics=metrics
    )


@pytest.mark.parametrize(
    ("name", "front", "best", "sentence"),
    [
        ("psnr", ["fast.onnx"], "fast.onnx", "33.00 dB"),
        ("ssim", ["fast.onnx", "slow.onnx"], "slow.onnx", "0.9250 SSIM"),
        ("ssimulacra2", ["fast.onnx", "slow.onnx"], "slow.onnx", "70.50 SSIMULACRA2"),
    ],
)
def test_files_are_ranked_by_the_first_metric(name, front, best, sentence):
    found = results(name, *(other for other in ALWAYS if other != name))
    assert [file.file for file in findings.front(found, found.measured)] == front
    (choice,) = budget.choices(found, 10)
    assert choice.file == best and sentence in budget.sentence(choice, found, 10)
    entry = budget.document([choice], found.rank_metric, 10)["choices"][0]
    assert entry[METRICS[name].key] == choice.score
    unit = " in dB" if name == "psnr" else ""
    assert f">{METRICS[name].title}{unit} (Y-shave-s)</text>" in page(found, [])


def test_every_form_shows_the_metrics_that_were_asked_for(tmp_path):
    found = results("ssimulacra2", "psnr")
    write_csv(found, tmp_path / "r.csv")
    write_markdown(found, tmp_path / "r.md")
    with (tmp_path / "r.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0])[-3:] == ["ssimulacra2", "psnr_db", "error"]
    assert rows[1]["ssimulacra2"] == "70.5"
    table = (tmp_path / "r.md").read_text(encoding="utf-8")
    assert "| SSIMULACRA2 | PSNR, dB |" in table and "| 60.00 | 33.00 |" in table
    assert "SSIM |" not in table and "SSIMULACRA2 and PSNR by Y-shave-s on photos" in table
    assert "SSIMULACRA2</th>" in page(found, []) and "SSIM</th>" not in page(found, [])


def test_a_report_holds_them_all_and_reads_back():
    found = results("ssimulacra2")
    document = json.loads(json.dumps(to_document(found)))
    check_document(document)
    assert document["files"][1]["quality"]["images"]["a"]["ssimulacra2"] == 70.5
    again = read_results(document, "local")
    assert (again.files, again.bicubic, again.metrics) == (
        found.files,
        found.bicubic,
        found.metrics,
    )
    del document["settings"]["metrics"]  # an older report
    for entry in (*document["files"], *document["baselines"]):
        for holder in (entry["quality"], *entry["quality"]["images"].values()):
            del holder["ssimulacra2"]
    old = read_results(document, "local")
    assert old.metrics == ALWAYS and set(old.measured[0].quality.scores) == {*ALWAYS}


def test_a_comparison_has_the_metrics_that_both_reports_have():
    before = to_document(results("psnr"))
    worse = {"psnr": 32.9, "ssim": 0.89, "ssimulacra2": 58.0}
    after = replace(results("psnr"), files=[measured("fast.onnx", 5, worse)])
    found = compare(before, to_document(after))
    (change,) = found.changes
    assert change.score_changes == pytest.approx({"psnr": -0.1, "ssim": -0.01, "ssimulacra2": -2})
    (entry,) = as_document(found)["changes"]
    names = ("psnr_change_db", "ssim_change", "ssimulacra2_change")
    assert [entry[name] for name in names] == pytest.approx([-0.1, -0.01, -2])
    found = replace(found, only_before=[])
    assert failures(found, None, parse_drops(["0.2", "ssimulacra2=3"])) == []
    assert failures(found, None, parse_drops(["psnr=0.05", "ssimulacra2=1.5"])) == [
        "fast.onnx lost 0.100 dB (limit 0.05 dB)",
        "fast.onnx lost 2.000 SSIMULACRA2 (limit 1.5 SSIMULACRA2)",
    ]
    without = replace(after, files=[measured("fast.onnx", 5, {"psnr": 33.0, "ssim": 0.9})])
    lost = replace(compare(before, to_document(without)), only_before=[])
    assert failures(lost, None, parse_drops(["ssimulacra2=1"])) == [
        "fast.onnx has no SSIMULACRA2 any more: measure it with --images --metric ssimulacra2"
    ]


@pytest.mark.parametrize("text", ["x", "-1", "ssim=", "ssim=nan", "lpips=1", "=1=2"])
def test_a_limit_that_is_none_is_refused(text):
    with pytest.raises(UsageError, match=r"--fail-on-drop|no metric"):
        parse_drops([text])


def test_a_name_that_is_none_is_refused():
    with pytest.raises(UsageError, match="no metric 'lpips': choose one of psnr, ssim"):
        metric_name("lpips")


def test_gain_and_text():
    lower = replace(METRICS["psnr"], higher_is_better=False)
    assert (METRICS["psnr"].gain(3, 1), lower.gain(3, 1)) == (2, -2)
    assert (METRICS["psnr"].with_unit(math.inf), METRICS["ssim"].text(0.5)) == ("∞ dB", "0.5000")
