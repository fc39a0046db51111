"""onnxruntime's execution providers, LiteRT's accelerators, and the choice of an engine by itself:
with whatever packages and devices are here."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from ailsr.runtime import EngineError, ModelError, UsageError, load
from ailsr.runtime.engines import providers
from ailsr.runtime.engines.engine import Backend, fallback, told
from ailsr.runtime.engines.registry import ENGINES, chosen_engines, installed_engines, open_engine
from ailsr.runtime.imaging import image
from ailsr.runtime.probe import Probe
from ailsr.runtime.upscaling.auto_engine import choose, usable_cores

UPSCALE, BENCH = (Path(sys.executable).with_name(name) for name in ("ailsr-upscale", "ailsr-bench"))
CHOOSE = (
    "import sys; from pathlib import Path; from ailsr.runtime.upscaling.auto_engine import choose; "
    "print(choose(Path(sys.argv[1]), 1, 0.1).why)"
)


@pytest.fixture
def cache(tmp_path, monkeypatch) -> Path:
    """An empty folder of caches."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "ailsr" / "engines"


@pytest.mark.parametrize("name", providers.PROVIDERS)
def test_a_provider_is_right_and_tells_what_it_computes_or_is_refused(
    write_network, photographs, name
):
    path, title = write_network("onnx int8 uint8", (24, 36)), providers.PROVIDERS[name].title
    if name not in providers.available():
        with pytest.raises((EngineError, ModelError), match=title.replace("QNN", "(QNN|qnn)")):
            load(path, threads=1, engine=name)
        pytest.skip(f"{title} NOT TESTED: onnxruntime has none here")
    upscaler, reference = load(path, threads=1, engine=name), load(path, threads=1)
    assert upscaler.engine.name == f"{reference.engine.name} {title}"
    picture = photographs["chelsea"][50:95, 100:155]
    difference = np.abs(upscaler.upscale(picture).astype(int) - reference.upscale(picture))
    assert difference.max() <= 8
    own, *others = upscaler.engine.backends()
    assert own.name == title
    operators = sum(backend.operators for backend in (own, *others))
    assert operators >= 5, "convolutions, a sum and a rearrangement"


def test_a_provider_that_is_missing_is_told_with_its_package(write_network):
    path = write_network("onnx float32 float32", (12, 12))
    missing = [name for name in providers.PROVIDERS if name not in providers.available()]
    assert missing, "no machine has them all"
    for name in missing:
        with pytest.raises((EngineError, ModelError)) as caught:
            open_engine(path, 1, engine=name)
        assert "\n" not in str(caught.value)
        install = providers.PROVIDERS[name].install
        assert install in str(caught.value) or "that it can use" in str(caught.value)


def test_a_session_that_does_without_its_provider_is_refused(write_network):
    path = write_network("onnx float32 float32", (12, 12))
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    with pytest.raises(EngineError, match="cannot start CUDA here, and would use the CPU instead"):
        providers.check_taken(session, "cuda")


@pytest.mark.skipif(
    not hasattr(onnxruntime.InferenceSession, "get_provider_graph_assignment_info"),
    reason="onnxruntime is too old to tell",
)
def test_operators_that_a_provider_leaves_to_the_cpu_are_counted(write_network):
    path = write_network("onnx float32 float32", (12, 12))
    options = onnxruntime.SessionOptions()
    providers.record_assignment(options)
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    found = providers.assigned(session, "cuda")
    assert [backend.name for backend in found] == ["CUDA", "CPU"]
    left = found[1].operators
    assert left >= 5
    assert fallback(found) == f"CUDA took none of the {left} operators: CPU computes them"


def test_what_ran_where_is_a_line():
    assert told((Backend("OpenVINO", 44),)) == "OpenVINO computes all 44 operators"
    assert told((Backend("GPU", 3), Backend("CPU", 1))) == "GPU left 1 of 4 operators to CPU"
    assert told(None) == "it does not tell what computes the operators"


@pytest.mark.parametrize("name", ["gpu", "npu"])
def test_an_accelerator_of_compiled_model_computes_all_or_is_refused(write_network, name):
    path = write_network("tflite float32 float32", (24, 36))
    try:
        upscaler = load(path, threads=1, engine=name)
    except (EngineError, ModelError) as error:
        assert "takes every operator or none" in str(error)
        pytest.skip(f"LiteRT's {name.upper()} NOT TESTED: there is none here")
    assert upscaler.fidelity() is None or upscaler.fidelity().verdict != "wrong"
    (backend,) = upscaler.engine.backends()
    assert backend.name == name.upper() and backend.operators >= 5


def test_auto_is_a_choice_for_every_ending():
    assert chosen_engines(["auto"]) == dict.fromkeys(ENGINES, "auto")
    assert chosen_engines(["auto", "onnx=cpu"])[".onnx"] == "cpu"
    with pytest.raises(UsageError, match=r"--engine onnx=quick: choose one of .*, or auto"):
        chosen_engines(["onnx=quick"])
    with pytest.raises(UsageError, match="--engine xyz=auto: choose one of"):
        chosen_engines(["xyz=auto"])


def test_auto_takes_the_fastest_of_those_that_are_right(write_network, cache):
    path = write_network("tflite float32 float32", (24, 36))
    assert {"litert", "compiled"} <= {*installed_engines(path)}
    first = choose(path, threads=1, seconds=0.1)
    (file,) = cache.glob("*.json")
    kept = json.loads(file.read_text())
    timed = {entry["engine"]: entry for entry in kept["engines"]}

    def keep():
        file.write_text(json.dumps({**kept, "engines": [*timed.values()]}))

    right = [name for name in timed if timed[name]["ms"]]
    assert first.engine == min(right, key=lambda name: timed[name]["ms"])
    assert first.why.startswith(f"engine {first.engine}, the fastest right one: ")

    other = {"litert": "compiled", "compiled": "litert"}[first.engine]
    timed[other]["ms"] = 1e-3
    keep()
    assert choose(path, threads=1).engine == other
    timed[other] |= {"verdict": "wrong", "why": f"{other} is wrong (31 levels)"}
    keep()
    again = choose(path, threads=1)
    assert again.engine == first.engine
    assert f"{other} 0.001 ms, but {other} is wrong (31 levels)" in again.why
    assert ", measured before: " in again.why


def test_auto_measures_anew_for_another_file_and_other_threads(write_network, cache):
    path = write_network("tflite float32 float32", (24, 36))
    choose(path, threads=1, seconds=0.05)
    assert "measured before" in choose(path, threads=1, seconds=0.05).why
    assert "measured before" not in choose(path, threads=2, seconds=0.05).why
    other = write_network("tflite float32 float32", (24, 40))
    assert "measured before" not in choose(other, threads=1, seconds=0.05).why


def test_auto_measures_anew_on_other_cores(write_network, cache):
    path = write_network("tflite float32 float32", (24, 36))
    choose(path, threads=1, seconds=0.05)
    assert "measured before" in choose(path, threads=1, cores=usable_cores()).why
    assert len([*cache.glob("*.json")]) == 1
    one, *others = usable_cores()
    if not others:
        pytest.skip("ONE CORE: --engine auto on several NOT TESTED")
    assert "measured before" not in choose(path, threads=1, seconds=0.05, cores=[one]).why
    assert len([*cache.glob("*.json")]) == 2


def test_auto_does_not_go_by_what_was_measured_on_a_busy_machine(write_network, cache):
    path = write_network("tflite float32 float32", (24, 36))
    first = choose(path, threads=1, seconds=0.05)
    (file,) = cache.glob("*.json")
    kept = json.loads(file.read_text())
    for entry in kept["engines"]:
        entry["ms"] = 1e6  # as no engine takes
    for percent, said in ((0.0, "measured before: 1e+06 ms"), (60.0, "")):
        file.write_text(json.dumps({**kept, "others_percent": percent}))
        os.utime(file, (1e9, 1e9))  # before any process of today
        why = subprocess.run(
            [sys.executable, "-c", CHOOSE, path], capture_output=True, text=True, check=True
        ).stdout
        assert (said in why) if said else ("measured before" not in why)
    assert json.loads(file.read_text())["others_percent"] != 60.0
    assert first.engine in installed_engines(path)
    file.write_text(json.dumps({**kept, "others_percent": 60.0}))  # as it is while we run
    assert "; other processes took 60 % of the processor meanwhile" in choose(path, threads=1).why


def test_auto_refuses_a_file_that_no_engine_computes_rightly(write_network, cache):
    black = Probe.of(np.zeros((48, 72, 3), np.uint8))
    path = write_network("tflite float32 float32", (24, 36), probe=black)
    with pytest.raises(
        EngineError, match=r"finds no engine that computes it rightly here \(litert"
    ):
        choose(path, threads=1, seconds=0.05)


def test_auto_compares_engines_where_a_file_has_no_probe(write_network, cache):
    path = write_network("tflite float32 float32", (24, 36), probe=None)
    choose(path, threads=1, seconds=0.05)
    (file,) = cache.glob("*.json")
    timed = json.loads(file.read_text())["engines"]
    verdicts = {entry["engine"]: entry["verdict"] for entry in timed}
    assert verdicts["litert"] == "first"
    assert verdicts["compiled"] == "exact"


@pytest.mark.parametrize(
    "content", [b"", b"\0\xff", b"[]", b'{"engine": 1}', b'{"engines": [], "others_percent": 0}']
)
def test_auto_survives_a_broken_cache(write_network, cache, content):
    path = write_network("tflite float32 float32", (24, 36))
    first = choose(path, threads=1, seconds=0.05)
    (file,) = cache.glob("*.json")
    file.write_bytes(content)
    again = choose(path, threads=1, seconds=0.05)
    assert "measured before" not in again.why
    assert {first.engine, again.engine} <= {*installed_engines(path)}
    assert "measured before" in choose(path, threads=1, seconds=0.05).why


def test_auto_survives_a_home_that_cannot_be_written(write_network, tmp_path, monkeypatch):
    path = write_network("tflite float32 float32", (24, 36))
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert choose(path, threads=1, seconds=0.05).engine in installed_engines(path)
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", "/proc/no/such/home")
    assert choose(path, threads=1, seconds=0.05).engine in installed_engines(path)


def test_two_processes_at_once_measure_once(write_network, cache):
    path = write_network("tflite float32 float32", (24, 36))
    command = [sys.executable, "-c", CHOOSE, path]
    both = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    lines = [process.communicate()[0].strip() for process in both]
    assert [process.returncode for process in both] == [0, 0]
    figures = [line.partition(": ")[2] for line in lines]
    assert figures[0] == figures[1] and "ms a run" in figures[0]


def test_commands_tell_what_was_chosen_and_what_ran_where(
    write_network, images, photographs, tmp_path, cache
):
    path = write_network("onnx int8 uint8", (24, 36))
    picture, large = tmp_path / "small.png", tmp_path / "large.png"
    image.write(photographs["chelsea"][:40, :50], picture)
    command = [UPSCALE, path, picture, "-o", large, "--engine", "auto", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert f"{path.name}: engine " in done.stderr
    was_busy = "measured anew" in done.stderr
    (found,) = json.loads(done.stdout)
    assert found["engine"].startswith("onnxruntime ")
    assert sum(backend["operators"] for backend in found["backends"]) >= 5
    assert image.read(large).shape == (80, 100, 3)

    command = [BENCH, path, "--engine", "onnx=auto", "--images", images, "--processes", "1"]
    command += ["--runs", "3", "--seconds", "0", "--html", tmp_path / "report.html"]
    done = subprocess.run([*command, "--json"], capture_output=True, text=True, check=True)
    (file,) = json.loads(done.stdout)["files"]
    assert file["engine"] == found["engine"] or was_busy
    assert file["engine_choice"].startswith("engine ")
    assert "Choice of engines" in (tmp_path / "report.html").read_text()
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert f"{path.name}: engine " in " ".join(done.stdout.split())


def test_a_missing_engine_ends_the_commands_in_one_line(write_network, tmp_path):
    path = write_network("onnx int8 uint8", (24, 36))
    missing = next(n for n in providers.PROVIDERS if n not in providers.available())
    command = [UPSCALE, path, tmp_path, "-o", tmp_path / "out", "--engine", f"onnx={missing}"]
    image.write(np.zeros((8, 8, 3), np.uint8), tmp_path / "a.png")
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr.startswith("error: ") and done.stderr.count("\n") == 1
    assert not (tmp_path / "out").exists()
