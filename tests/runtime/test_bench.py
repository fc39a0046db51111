"""The harness: what it finds in real files, and files that defeat it."""

from __future__ import annotations

import itertools
import json
import os
import shutil
import subprocess
import sys
import textwrap
from importlib.resources import files as files_of
from pathlib import Path

import numpy as np
import pytest

from ailsr.export.graph.graph import Conv, DepthToSpace, Graph, Pad
from ailsr.export.graph.quantization import PIXELS, Quantization
from ailsr.export.targets.onnx import writer as onnx_writer
from ailsr.export.targets.tflite import writer as tflite_writer
from ailsr.runtime.bench import process
from ailsr.runtime.bench.harness import bicubic_quality
from ailsr.runtime.bench.measurement import Failure, Measurement
from ailsr.runtime.bench.request import Request
from ailsr.runtime.bench.upscale import UpscaleRequest
from ailsr.runtime.card import Card
from ailsr.runtime.imaging import image, protocol
from ailsr.runtime.imaging.degradation import PHOTO
from ailsr.runtime.imaging.protocol import pairs
from ailsr.runtime.imaging.resize import enlarge
from ailsr.runtime.progress import silent

SIZE = (48, 64)
SCHEMA = json.loads(files_of("ailsr.runtime").joinpath("report.schema.json").read_text())
BENCH = Path(sys.executable).with_name("ailsr-bench")


def bicubic_graph(size: tuple[int, int]) -> Graph:
    """MATLAB's bicubic ×2 as a convolution: channel (i*2 + j)*3 + c is pixel (i, j) of colour c."""
    weight = np.zeros((12, 3, 5, 5), np.float32)
    for y in range(5):
        for x in range(5):
            impulse = np.zeros((9, 9))
            impulse[y + 2, x + 2] = 1
            response = enlarge(impulse, 2)[8:10, 8:10]  # of the pixel in the middle
            for block, value in enumerate(response.flat):
                for c in range(3):
                    weight[block * 3 + c, c, y, x] = value
    return Graph(
        (
            Pad("image", "padded", (2, 2, 2, 2)),
            Conv("padded", "blocks", weight, np.zeros(12, np.float32)),
            DepthToSpace("blocks", "upscaled", 2),
        ),
        (3, *size),
    )


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> dict[str, Path]:
    """Files that compute bicubic interpolation ×2: float32 and int8 ONNX, float32 TFLite."""
    folder = tmp_path_factory.mktemp("files")
    graph = bicubic_graph(SIZE)
    pinned = Quantization(dict.fromkeys(graph.shapes, PIXELS))
    paths = {}
    for ending, precision, pixels, writer in (
        ("onnx", "float32", "float32", onnx_writer),
        ("onnx", "int8", "uint8", onnx_writer),
        ("tflite", "float32", "float32", tflite_writer),
    ):
        path = folder / f"cubic_x2_{precision}.{ending}"
        card = Card("cubic", 2, "rgb", precision, pixels, SIZE, radius=3)
        writer.write(graph, card, path, pinned if precision == "int8" else None)
        paths[f"{ending} {precision}"] = path
    return paths


@pytest.fixture(scope="module")
def images(tmp_path_factory, photographs) -> Path:
    folder = tmp_path_factory.mktemp("images")
    for name, rgb in photographs.items():
        image.write(rgb[100:260, 150:340], folder / f"{name}.png")
    return folder


def request(path: Path, images: Path | None = None, threads: int = 1) -> Request:
    return Request(str(path), threads, runs=5, seconds=0.5, images=images and str(images))


def measure(*arguments: object) -> Measurement | Failure:
    return process.measure(request(*arguments), silent)


@pytest.mark.parametrize("kind", ["onnx float32", "onnx int8", "tflite float32"])
def test_a_file_that_computes_bicubic_scores_as_bicubic(files, images, kind):
    steps = []
    found = process.measure(
        request(files[kind], images), lambda what, done, of: steps.append((done / of, what))
    )
    assert isinstance(found, Measurement), found
    bicubic = bicubic_quality(images, 2, "Y-shave-s")
    # The file pads by reflection, int8 rounds once more.
    assert found.quality.psnr_db == pytest.approx(bicubic.psnr_db, abs=0.1)
    assert found.quality.ssim == pytest.approx(bicubic.ssim, abs=0.002)
    assert found.quality.protocol == "Y-shave-s"
    for name, scores in bicubic.images.items():
        assert found.quality.images[name]["psnr"] == pytest.approx(scores["psnr"], abs=0.3)

    assert (found.network, found.precision) == ("cubic", kind.split()[1])
    assert (found.input_size, found.output_size, found.scale) == (SIZE, (96, 128), 2)
    assert found.size_bytes == files[kind].stat().st_size
    assert found.threads == 1
    assert found.load_ms > 0 and found.first_run_ms > 0
    assert found.inference.n == found.whole_path.n == 5
    assert found.frames_per_second == pytest.approx(1000 / found.whole_path.mean_ms)
    assert found.megapixels_per_second == pytest.approx(found.frames_per_second * 96 * 128 / 1e6)
    # An interpreter with numpy and an engine, neither less nor ten times as much.
    assert 15e6 < found.engine_memory_bytes <= found.peak_memory_bytes < 400e6
    assert steps == sorted(steps)
    assert [what for what, _ in itertools.groupby(what for _, what in steps)] == [
        *("load", "latency", "parts", "PSNR")
    ]


def test_memory_is_not_that_of_the_harness(files):
    """A process that was forked from a large one inherits its peak in getrusage."""
    ballast = np.ones(500_000_000, np.uint8)
    found = measure(files["onnx float32"])
    assert found.peak_memory_bytes < ballast.nbytes


def test_without_images_there_is_latency_only(files):
    found = measure(files["onnx float32"])
    assert found.quality is None
    assert found.whole_path.n == 5


def test_pictures_are_upscaled_for_looking_at(files, images, tmp_path):
    output = tmp_path / "chelsea.png"
    process.upscale(
        UpscaleRequest(str(files["onnx float32"]), 1, str(images), {"chelsea": str(output)})
    )
    pair = pairs(images, 2)[pairs(images, 2).names.index("chelsea")]
    difference = image.read(output).astype(int) - enlarge(pair.lr, 2)
    assert np.abs(difference[4:-4, 4:-4]).max() <= 1  # MATLAB rounds between the two passes


ENGINES = """
    import os
    import numpy as np
    from ailsr.runtime.engines.engine import Engine

    class Reference(Engine):
        name, measurable = "reference 1.0", False
        input_size, scale, io_dtype = (16, 16), 2, "uint8"
        def __init__(self, path, threads):
            os.write(1, b"an engine that talks\\n")
        def run(self, image):
            return image.repeat(2, 0).repeat(2, 1)

    class Crash(Reference):
        def run(self, image):
            os.write(2, b"double free\\n")
            os.abort()
        measurable = True

    class Raise(Crash):
        def run(self, image):
            raise ZeroDivisionError("two\\nlines")

    class Late(Crash):
        def run(self, image):
            if image.min() == image.max():
                super().run(image)
            return image.repeat(2, 0).repeat(2, 1)

    class Leave(Reference):
        def __init__(self, path, threads):
            os._exit(7)
"""


@pytest.fixture(scope="module")
def engines(tmp_path_factory) -> Path:
    """A folder with engines of another package, registered as such packages register them."""
    folder = tmp_path_factory.mktemp("site")
    (folder / "other_engines.py").write_text(textwrap.dedent(ENGINES))
    info = folder / "other_engines-1.0.dist-info"
    info.mkdir()
    info.joinpath("METADATA").write_text("Metadata-Version: 2.1\nName: other-engines\nVersion: 1\n")
    names = {
        "ref": "Reference",
        "crash": "Crash",
        "raise": "Raise",
        "leave": "Leave",
        "late": "Late",
    }
    lines = [f"{ending} = other_engines:{name}" for ending, name in names.items()]
    info.joinpath("entry_points.txt").write_text("\n".join(["[ailsr.engines]", *lines]))
    for ending in names:
        folder.joinpath(f"model.{ending}").write_bytes(b"model")
    return folder


@pytest.fixture
def with_engines(engines, monkeypatch) -> Path:
    monkeypatch.setenv("PYTHONPATH", str(engines), prepend=os.pathsep)
    return engines


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


def test_many_files_are_related_to_the_first_that_can_be_timed(with_engines, files):
    """More than are alive side by side, so that the first is run again beside the last."""
    paths = [with_engines / "model.crash", *files.values(), *files.values()]
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


def test_a_worker_ends_when_the_harness_goes_away(files):
    worker = subprocess.Popen(
        process.COMMAND, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    asked = {"file": str(files["onnx int8"]), "threads": 1, "runs": 3, "seconds": 0.1}
    said, why = worker.communicate(json.dumps({"task": "measure", "in_turn": True, **asked}) + "\n")
    assert json.loads(said.splitlines()[-1]) == {"turn": "over"}
    assert (worker.returncode, why.splitlines()[-1]) == (1, "the harness has gone away")


def test_a_damaged_file_is_one_line(tmp_path, files):
    path = tmp_path / "damaged.onnx"
    path.write_bytes(files["onnx float32"].read_bytes()[:300])
    found = measure(path)
    assert isinstance(found, Failure)
    assert "damaged" in found.error and "\n" not in found.error
    assert not found.error.startswith(str(path))


def test_the_worker_needs_numpy_pillow_and_an_engine_only(files):
    """No command-line library, no torch, nothing of training or export is even looked for."""
    code = """
        import json, runpy, sys
        class Refuse:
            def find_spec(self, name, path=None, target=None):
                if name.split(".")[0] in ("typer", "rich", "torch", "matplotlib", "scipy"):
                    raise ImportError(f"asked for {name}")
                if name in ("ailsr.train", "ailsr.export"):
                    raise ImportError(f"asked for {name}")
        sys.meta_path.insert(0, Refuse())
        runpy.run_module("ailsr.runtime.bench.worker", run_name="__main__")
    """
    values = {"file": str(files["onnx float32"]), "threads": 1, "runs": 3, "seconds": 0.1}
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        input=json.dumps({"task": "measure", **values}),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert "result" in json.loads(done.stdout.splitlines()[-1]), done.stdout


def bench(*arguments: object, columns: int = 100) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [BENCH, *map(str, arguments)],
        capture_output=True,
        text=True,
        env={**os.environ, "COLUMNS": str(columns)},
    )


def test_the_command_prints_a_table_and_goes_on_after_a_failure(
    with_engines, files, images, tmp_path
):
    html = tmp_path / "new" / "report.html"
    paths = [files["onnx int8"], with_engines / "model.crash", with_engines / "model.ref"]
    done = bench(*paths, "--images", images, "--runs", 3, "--seconds", 0.2, "--html", html)
    assert done.returncode == 1
    lines = done.stdout.splitlines()
    row = {line.split()[0]: line for line in reversed(lines) if line}  # the first table's
    assert "failed" in row["model.crash"]
    assert "model.crash failed: the engine crashed (SIGABRT): double free" in lines
    assert "not measurable  here" in row["model.ref"]
    psnr = f"{bicubic_quality(images, 2, 'Y-shave-s').psnr_db:.2f}"
    assert psnr in row["bicubic"]
    size, load, p50, p90, p99, whole_p50, whole_p90, *rest = row["cubic_x2_int8.onnx"].split()[1:]
    assert float(size) == pytest.approx(files["onnx int8"].stat().st_size / 1000, abs=0.06)
    assert float(p50) <= float(p90) <= float(p99) and float(whole_p50) <= float(whole_p90)
    assert float(load) > 0 and len(rest) == 4
    assert any("Y-shave-s" in line for line in lines)
    assert done.stderr.splitlines()[-1].startswith("error: 1 of 3 files failed: model.crash: the")
    page = html.read_text()
    assert "failed: the engine crashed (SIGABRT)" in page and "not measurable here" in page


def test_files_that_an_export_did_not_write_stand_in_every_report_as_failed(
    files, images, tmp_path
):
    reason = "the int8 file loses 0.3 dB: no file was written; accept more with --max-drop DB"
    refused = {"file": "exported/cubic_x2_int8.tflite", "target": "tflite", "reason": reason}
    document = {"files": [{"file": str(files["onnx int8"])}], "refused": [refused]}
    exported, html, table = (tmp_path / name for name in ("export.json", "r.html", "r.md"))
    exported.write_text(json.dumps(document), encoding="utf-8")
    flags = ["--exported", exported, "--images", images, "--runs", 3, "--seconds", 0.1]
    done = bench(*flags, "--html", html, "--markdown", table)
    assert done.returncode == 1
    lines = done.stdout.splitlines()
    row = {line.split()[0]: line for line in reversed(lines) if line}  # the first table's
    assert "failed" in row["cubic_x2_int8.tflite"] and "failed" not in row["cubic_x2_int8.onnx"]
    assert f"cubic_x2_int8.tflite failed: {reason}" in lines
    assert f"1 of 2 files failed: cubic_x2_int8.tflite: {reason}" in done.stderr
    assert f"failed: {reason}" in html.read_text() and f"failed: {reason}" in table.read_text()

    exported.write_text(json.dumps(document | {"files": []}), encoding="utf-8")  # none is written
    html.unlink()
    done = bench(*flags, "--html", html, "--json")
    assert (done.returncode, "Traceback" in done.stderr) == (1, False)
    assert json.loads(done.stdout)["files"] == [{"file": refused["file"], "error": reason}]
    assert f"failed: {reason}" in html.read_text()


@pytest.mark.parametrize("content", ["", "[]", '{"files": [{}]}', '{"files": 1}'])
def test_what_is_no_report_of_an_export_gets_one_line(tmp_path, content):
    path = tmp_path / "export.json"
    path.write_text(content)
    done = bench("--exported", path)
    (line,) = done.stderr.splitlines()
    assert done.returncode == 1
    assert line.startswith(f"error: --exported {path}: this is not what ailsr-export --json prints")


def test_without_a_file_it_says_what_to_name():
    done = bench()
    assert done.returncode == 1
    assert done.stderr.startswith("error: no file to measure: name some, or")


def test_the_command_prints_one_json_document(files, images):
    paths = [files["onnx float32"], files["tflite float32"]]
    done = bench(*paths, "--images", images, "--runs", 3, "--seconds", 0.2, "--json", columns=20)
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    properties = {name: set(kind["properties"]) for name, kind in SCHEMA["definitions"].items()}
    assert set(document) == set(SCHEMA["properties"]) - {"budget", "comparison"}
    assert (document["schema"], document["schema_version"]) == ("ailsr-bench", 1)
    assert set(document["host"]) == {
        *("cpu", "cores", "memory_bytes", "os", "machine", "python", "governor", "load_average"),
        "device",
    }
    assert document["host"]["cores"] >= 1 and document["host"]["memory_bytes"] > 2**28
    for entry, path in zip(document["files"], paths, strict=True):
        assert set(entry) == properties["measurement"]
        assert entry["file"] == str(path)
        assert entry["input_size"] == list(SIZE)
        assert set(entry["inference"]) == properties["latency"] - {"histogram"}
        assert set(entry["quality"]) == {"protocol", "psnr_db", "ssim", "images"}
        assert set(entry["quality"]["images"]["rocket"]) == {"psnr_db", "ssim"}
    first, second = document["files"]
    assert (first["ratio"], document["settings"]["baseline"]) == (None, str(paths[0]))
    assert second["ratio"]["to"] == str(paths[0]) and second["ratio"]["blocks"] == 3
    assert len(second["to_reference"]) == 1  # three runs are one process's
    assert document["reference"]["latency"]["p50_ms"] > 0
    assert second["ratio"]["low"] <= second["ratio"]["ratio"] <= second["ratio"]["high"]
    assert {backend["name"] for backend in second["backends"]} == {"XNNPACK", "CPU"}
    assert first["delegate"] == "CPU" and first["fallback"] is None
    assert all(value > 0 for value in first["parts"].values())
    (baseline,) = document["baselines"]
    assert (baseline["name"], baseline["scale"]) == ("bicubic", 2)


def test_a_degradation_makes_the_low_resolution_images(files, images, tmp_path):
    page = tmp_path / "report.html"
    done = bench(
        *(files["onnx float32"], "--images", images, "--runs", 3, "--seconds", 0.2, "--json"),
        *("--degradation", "photo", "--html", page),
    )
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert document["settings"]["protocol"] == "Y-shave-s/photo-1"
    degraded = protocol.pairs(images, 2, PHOTO)
    expected = protocol.evaluate(lambda lr: enlarge(lr, 2), degraded)
    clean = protocol.evaluate(lambda lr: enlarge(lr, 2), protocol.pairs(images, 2))
    for quality in (document["files"][0]["quality"], document["baselines"][0]["quality"]):
        assert quality["protocol"] == "Y-shave-s/photo-1"
        # The file computes bicubic interpolation to within a level.
        assert quality["psnr_db"] == pytest.approx(expected.psnr_db, abs=0.05)
        assert quality["psnr_db"] < clean.psnr_db - 0.5
    assert "photo-1" in page.read_text("utf-8")
    assert bench(files["onnx float32"], "--degradation", "foto").returncode == 1


def test_pictures_that_cannot_be_used_cost_only_themselves(files, images, tmp_path):
    mixed = tmp_path / "mixed"
    shutil.copytree(images, mixed)
    (mixed / "broken.png").write_bytes((images / "rocket.png").read_bytes()[:900])
    image.write(np.zeros((10, 10, 3), np.uint8), mixed / "small.png")
    done = bench(
        files["onnx int8"], "--images", mixed, "--runs", 3, "--seconds", 0.2, "--json",
        "--history", tmp_path / "h.jsonl", "--html", tmp_path / "r.html",
    )  # fmt: skip
    document = json.loads(done.stdout)
    (entry,) = document["files"]
    assert entry["error"] is None and entry["whole_path"]["n"] == 3
    assert set(entry["left_out"]) == {"broken", "small"}
    bicubic = bicubic_quality(images, 2, "Y-shave-s")  # of the others alone
    assert entry["quality"]["psnr_db"] == pytest.approx(bicubic.psnr_db, abs=0.1)
    assert document["baselines"][0]["quality"]["psnr_db"] == pytest.approx(bicubic.psnr_db)
    assert json.loads((tmp_path / "h.jsonl").read_text()) == document
    assert "Mean over the images, without broken, small." in (tmp_path / "r.html").read_text()
    assert done.returncode == 1
    error = done.stderr.splitlines()[-1]
    assert error.startswith("error: PSNR and SSIM leave out: ")
    assert "broken.png cannot be read" in error and "small has 10x10 pixels" in error


def test_where_no_picture_can_be_used_latencies_are_kept(files, tmp_path):
    image.write(np.zeros((10, 10, 3), np.uint8), tmp_path / "small.png")
    found = measure(files["onnx int8"], tmp_path)
    assert isinstance(found, Measurement) and found.whole_path and found.quality is None
    assert list(found.left_out) == ["small"]
    assert bicubic_quality(tmp_path, 2, "Y-shave-s") is None


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs Linux's /dev/full")
def test_a_report_that_cannot_be_written_costs_only_itself(files, tmp_path):
    (tmp_path / "r.csv").mkdir()
    done = bench(files["onnx int8"], "--csv", tmp_path / "r.csv")
    assert (done.returncode, done.stdout) == (1, "")  # known before anything is measured
    assert done.stderr == f"error: {tmp_path / 'r.csv'} is a folder: name a file in it\n"
    (tmp_path / "r.csv").rmdir()
    done = bench(
        files["onnx int8"], "--runs", 3, "--seconds", 0.2, "--history", "/dev/full",
        "--csv", tmp_path / "r.csv",
    )  # fmt: skip
    assert done.returncode == 1 and "cubic_x2_int8.onnx" in done.stdout
    assert done.stderr.splitlines()[-1] == (
        "error: /dev/full cannot be written: No space left on device"
    )
    assert [path.name for path in tmp_path.iterdir()] == ["r.csv"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["absent.onnx"], "error: no model file at absent.onnx: check the name"),
        (["{model}", "--images", "{empty}"], "error: no images in {empty}"),
        (["{model}", "--images", "{empty}/no"], "error: no folder of images at {empty}/no"),
    ],
)
def test_what_cannot_be_measured_at_all_is_one_line(files, tmp_path, arguments, message):
    places = {"model": files["onnx float32"], "empty": tmp_path}
    done = bench(*(argument.format(**places) for argument in arguments))
    assert (done.returncode, done.stdout) == (1, "")
    (line,) = done.stderr.splitlines()
    assert line.startswith(message.format(**places))
