"""ailsr-fit: graphs of the families, what it predicts, and its commands on real small networks."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ailsr.export.fit import expected_psnr, probes
from ailsr.export.fit.architectures import ARCHITECTURES
from ailsr.export.fit.candidates import candidates
from ailsr.export.fit.command import MeasureConfig, PredictConfig, measure_table, predict
from ailsr.export.fit.expected_psnr import DEEPEST, JUDGED_ON, KNOWN, ExpectedPsnr
from ailsr.export.fit.probes import PROBES, ProbeNetwork, workload
from ailsr.export.reading.from_torch import graph_of
from ailsr.runtime import AilsrError, UsageError
from ailsr.runtime.fit.latency_model import (
    Device,
    LatencyModel,
    LatencyTable,
    Operator,
    Probe,
    Times,
    Units,
    Workload,
    works,
)
from ailsr.runtime.fit.measure import Timed
from ailsr.train import zoo
from ailsr.train.networks import FAMILIES, create

COMMAND = [sys.executable, "-m", "ailsr.export.fit.command"]
UNITS = Units(8, True, 16, 2.0**14, 2.0**21)
"""Of the device that the exact table is of."""


def exact_time(work: Workload, per_pixel: float) -> float:
    """Milliseconds on a device that is exactly as the model supposes."""
    random = np.random.default_rng(1)
    total = sum(works(operator, UNITS, 1) for operator in work.operators)
    costs = random.uniform(0.5, 2, len(total)) * 1e-8
    costs[-1] = 0.02  # the start of an operator
    return float(total @ costs) + per_pixel * work.output_pixels + 0.1


@pytest.fixture(scope="module")
def table() -> LatencyTable:
    found = []
    for network in PROBES:
        work = workload(replace(network, size=(32, 32)).graph, network.size)
        inference, whole = exact_time(work, 0), exact_time(work, 1e-6)
        times = Times(inference, 1.1 * inference), Times(whole, 1.1 * whole)
        found.append(Probe(str(network), work, *times))
    return LatencyTable(Device("exact", "engine 1", "tflite", "int8", 1), "today", tuple(found))


@pytest.fixture(scope="module")
def model(table) -> LatencyModel:
    return LatencyModel(table)


@pytest.mark.parametrize(
    ("family", "depth", "width", "scale"),
    [("sesr", 3, 10, 2), ("sesr3", 2, 10, 3), ("quicksrnet", 1, 9, 4), ("abpn", 2, 11, 3)],
)
def test_graphs_of_the_families_are_those_of_the_export(family, depth, width, scale):
    name = FAMILIES[family].name.format(depth=depth, width=width)
    traced = graph_of(create(name, scale).deploy(), (12, 16))
    ours = ARCHITECTURES[family](depth, width, scale, (12, 16))
    assert sorted(workload(ours).operators) == sorted(workload(traced).operators)
    assert ours.shapes[ours.output] == traced.shapes[traced.output]


def test_an_exact_table_is_predicted_exactly(model, table):
    for probe in table.probes:
        found = model.predict(probe.workload)
        assert found.p50_ms == pytest.approx(probe.whole_path.p50, rel=1e-3)
        assert found.inference_p50_ms == pytest.approx(probe.inference.p50, rel=1e-3)
    assert model.spread == pytest.approx(1.1)
    assert model.error < 0.01


def test_networks_and_sizes_that_are_not_in_the_table(model):
    for family, depth, width, scale, size in (
        ("sesr", 7, 28, 2, (270, 480)),
        ("abpn", 4, 20, 3, (200, 300)),
        ("quicksrnet", 5, 36, 4, (180, 320)),
    ):
        work = workload(ARCHITECTURES[family](depth, width, scale, (16, 16)), size)
        found = model.predict(work)
        assert found.p90_ms == pytest.approx(1.1 * exact_time(work, 1e-6), rel=0.02)
        assert found.p90_low_ms < found.p90_ms < found.p90_high_ms


sizes = st.integers(1, 64)


@given(sizes, sizes, sizes, sizes, st.sampled_from([1, 3, 5, 7]), st.integers(1, 10**6))
def test_more_work_never_takes_less_time(model, inputs, outputs, more_in, more_out, kernel, pixels):
    def predicted(*operators):
        return model.predict(Workload(operators, pixels, 4 * pixels)).p90_ms

    conv = Operator("conv", kernel, inputs, outputs, pixels)
    wider = Operator("conv", kernel, inputs + more_in, outputs + more_out, pixels)
    assert 0 < predicted(conv) <= predicted(wider) * (1 + 1e-9)
    assert predicted(conv) <= predicted(conv, Operator("add", 1, outputs, outputs, pixels))
    assert predicted(conv) <= predicted(conv._replace(pixels=2 * pixels))


def test_a_table_comes_back_from_its_file(table, tmp_path):
    table.save(tmp_path / "table.json")
    assert LatencyTable.load(tmp_path / "table.json") == table


def test_a_table_with_times_that_cannot_be_is_refused(table, tmp_path):
    table.save(tmp_path / "table.json")
    for time in ("0.0", "NaN", "-1.0", "Infinity"):
        document = json.loads((tmp_path / "table.json").read_text())
        document["probes"][3]["inference"][0] = float(time)
        (tmp_path / "damaged.json").write_text(json.dumps(document))
        why = r"damaged\.json is no latency table .*(out of range|no JSON)"
        with pytest.raises(UsageError, match=why):
            LatencyTable.load(tmp_path / "damaged.json")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "no latency table at .*: measure one with ailsr-fit measure"),
        ("{", "is no latency table"),
        ('{"schema": "ailsr-bench", "schema_version": 1}', "it is ailsr-bench 1"),
        ('{"schema": "ailsr-fit-table", "schema_version": 1, "probes": []}', "is no latency table"),
    ],
)
def test_what_is_no_table_is_one_line(tmp_path, content, message):
    path = tmp_path / "table.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(UsageError, match=message) as caught:
        LatencyTable.load(path)
    assert "\n" not in str(caught.value)


def test_candidates_fit_and_the_next_deeper_does_not(model):
    budget = 60.0
    found = candidates(model, budget, 2, (720, 1280))
    assert {c.family for c in found} == {*FAMILIES}
    psnr = [c.psnr.at_least for c in found]
    assert psnr == sorted(psnr, reverse=True)
    for c in found:
        assert c.prediction.p90_ms <= budget
        assert create(c.network, 2).radius > 0
        deeper = ARCHITECTURES[c.family](c.depth + 1, c.width, 2, (16, 16))
        assert c.depth == DEEPEST or model.predict(workload(deeper, (360, 640))).p90_ms > budget
    with pytest.raises(UsageError, match="--family vdsr: choose one of sesr"):
        candidates(model, budget, 2, (720, 1280), ["vdsr"])


def test_expected_psnr_is_near_that_of_networks_it_has_not_seen(monkeypatch):
    assert {network.family for network in KNOWN.values()} == {*FAMILIES}
    missed = []
    for size in (("sesr", 3, 16), ("sesr", 5, 16), ("sesr", 11, 16)):
        left_out = {name: network for name, network in KNOWN.items() if network[:3] == size}
        assert len(left_out) > 3
        others = {name: network for name, network in KNOWN.items() if name not in left_out}
        monkeypatch.setattr(expected_psnr, "KNOWN", others)
        expected = ExpectedPsnr()
        for name, network in left_out.items():
            found = expected(*network)
            off = abs(found.psnr_db - zoo.psnr(name)[JUDGED_ON])
            assert off < 0.15, name
            missed += [name] * (off > found.margin_db)
        monkeypatch.undo()
    assert len(missed) <= 1  # of twelve, by intervals of 95 %
    expected = ExpectedPsnr()
    near, far = expected("sesr", 5, 16, 2), expected("sesr", 5, 64, 2)
    assert near.margin_db < far.margin_db and near.psnr_db < far.psnr_db
    assert expected("sesr", 30, 16, 2) == expected("sesr", DEEPEST, 16, 2)


@pytest.mark.parametrize("target", ["tflite", "onnx"])
@pytest.mark.parametrize("precision", ["int8", "float32"])
def test_probes_run(tmp_path, target, precision):
    assert {*ARCHITECTURES} == {*FAMILIES}
    for family in ARCHITECTURES:
        graph = ProbeNetwork(family, 1, 5, 2, (10, 12)).graph
        path = probes.write(graph, 2, target, precision, tmp_path)
        timed = Timed()
        timed.add_pass(path, 1, None, seconds=0)
        inference, whole_path = timed.times
        assert timed.engine.split()[0] in ("ai-edge-litert", "onnxruntime")
        assert 0 < inference.p50 <= inference.p90 and 0 < whole_path.p50 <= whole_path.p90


def test_a_table_is_measured(tmp_path, capsys):
    networks = [ProbeNetwork("sesr", depth, 8, 2, (24, 32)) for depth in (1, 20)]
    path = tmp_path / "new" / "table.json"
    measure_table(MeasureConfig(path, "onnx", "float32", 1, seconds=0), networks)
    shallow, deep = LatencyTable.load(path).probes
    assert deep.whole_path.p50 > shallow.whole_path.p50 > 0
    found = LatencyTable.load(path).device
    assert (found.engine.split()[0], found.target, found.threads) == ("onnxruntime", "onnx", 1)
    assert "table.json: 2 networks; left out" in " ".join(capsys.readouterr().err.split())


def test_measuring_needs_no_torch(tmp_path):
    code = """
        import sys
        from pathlib import Path
        class Refuse:
            def find_spec(self, name, path=None, target=None):
                if name.split(".")[0] in refused:
                    raise ImportError(f"asked for {name}", name=name)
        refused = {"torch", "onnx", "ailsr.train"}
        sys.meta_path.insert(0, Refuse())
        from ailsr.export.fit.command import MeasureConfig, measure_table
        from ailsr.export.fit.probes import ProbeNetwork
        networks = [ProbeNetwork("abpn", depth, 4, 2, (8, 8)) for depth in (0, 1)]
        measure_table(MeasureConfig(Path(sys.argv[1]), threads=1, seconds=0), networks)
        try:
            measure_table(MeasureConfig(Path(sys.argv[1]), "onnx"), networks)
        except Exception as error:
            print(type(error).__name__, error)
    """
    path = tmp_path / "table.json"
    command = [sys.executable, "-c", textwrap.dedent(code), path]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.stdout == "EngineError onnx files need onnx: pip install onnx onnxruntime\n"
    assert len(LatencyTable.load(path).probes) == 2


def fit(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*COMMAND, *map(str, arguments)], capture_output=True, text=True)


def test_commands_from_a_table_to_a_training(table, tmp_path):
    path = tmp_path / "table.json"
    table.save(path)
    done = fit("predict", "zoo:sesr_m5_x2", "zoo:vdsr_f13_research_x2", "--table", path)
    assert done.returncode == 0, done.stderr
    m5, vdsr = (line.split() for line in done.stdout.splitlines() if line.startswith("zoo:"))
    assert float(m5[3]) < float(m5[4]) < float(vdsr[3])
    assert float(m5[1]) == pytest.approx(0.2304 * 18.3, abs=0.6)  # GMAC of the RGB file
    done = fit("propose", "--budget-ms", 60, "--table", path, "--json", "--family", "sesr")
    document = json.loads(done.stdout)
    first = document["networks"][0]
    assert first["command"].startswith(f"ailsr-train --network {first['network']} --scale 2 ")
    assert first["p90_ms"] <= 60
    named = fit("predict", first["network"], "--scale", 2, "--table", path, "--json")
    again = json.loads(named.stdout)["networks"][0]
    assert again["p90_ms"] == pytest.approx(first["p90_ms"])


def test_what_does_not_fit_is_one_line(table, tmp_path):
    path = tmp_path / "table.json"
    table.save(path)
    done = fit("propose", "--budget-ms", 0.01, "--table", path)
    assert (done.returncode, done.stdout) == (1, "")
    (line,) = done.stderr.splitlines()
    assert line.startswith("error: no network fits into 0.01 ms at 720x1280 on exact: choose")
    done = fit("propose", "--budget-ms", 1, "--output-size", "1x1", "--table", path)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "error: --output-size is too small for a scale of 2\n"


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"models": ["sesr_m3"]}, "sesr_m3 is the name of a network: add --scale"),
        ({"models": ["zoo:none_x2"]}, "there is no such network in the zoo"),
        ({"models": ["zoo:sesr_m3_x2"], "scale": 3}, "has a scale of 2: leave --scale 3 out"),
        ({"models": ["m5.tflite"]}, "m5.tflite is an exported file: measure it with ailsr-bench"),
        ({"models": ["x"], "output_size": "720"}, "--output-size 720: give height and width"),
        ({"models": ["sesr_m3"], "scale": 2, "output_size": "9x9"}, "too small for a scale of 2"),
    ],
)
def test_what_cannot_be_predicted_is_refused(table, tmp_path, values, message):
    path = tmp_path / "table.json"
    table.save(path)
    with pytest.raises(AilsrError, match=message):
        predict(PredictConfig(table=path, **values))


def test_a_table_is_not_begun_with_an_engine_that_does_not_exist(tmp_path):
    with pytest.raises(UsageError, match="--engine tflite=coreml: choose one of tflite=litert"):
        measure_table(MeasureConfig(tmp_path / "table.json", engine="coreml"))
    assert not list(tmp_path.iterdir())
