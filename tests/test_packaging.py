"""The wheel in an environment of its own: numpy, Pillow and one engine, no torch."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import onnx
import pytest
from environments import alone
from PIL import Image

ROOT = Path(__file__).parent.parent


def run(*command, **options):
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")}
    done = subprocess.run(
        [str(c) for c in command], env=environment, capture_output=True, text=True, check=False,
        **options,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    with alone(ROOT / "build" / "lib"):
        run(sys.executable, "-m", "build", "--wheel", "--outdir", folder, ROOT)
    (path,) = folder.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def clean_environment(wheel, tmp_path_factory):
    folder = tmp_path_factory.mktemp("environment")
    run(sys.executable, "-m", "venv", folder)
    pip = [folder / "bin" / "python", "-m", "pip", "install", "--quiet"]
    run(*pip, "--constraint", ROOT / "constraints.txt", f"{wheel}[onnx]")
    return folder


def test_wheel_holds_the_packages_and_nothing_else(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    tops = {"/".join(n.split("/")[:2]) for n in names if ".dist-info/" not in n}
    assert tops == {"ailsr/runtime", "ailsr/train", "ailsr/export"}
    assert {f"{top}/py.typed" for top in tops} <= set(names)
    assert "ailsr/runtime/report.schema.json" in names
    page = {f"ailsr/{path.relative_to(ROOT)}" for path in ROOT.glob("runtime/web/page/**/*.gz")}
    assert page <= set(names)
    ours = [
        p for t in tops for ending in (".py", ".pt") for p in (ROOT / t[6:]).rglob(f"*{ending}")
    ]
    every = {p.relative_to(ROOT).as_posix() for p in ours}
    assert {f"ailsr/{name}" for name in every} <= set(names)


def test_runtime_works_without_torch(clean_environment, tmp_path):
    installed = run(clean_environment / "bin" / "python", "-m", "pip", "list").stdout
    assert "torch" not in installed
    shown = run(clean_environment / "bin" / "ailsr-bench", "--help").stdout
    assert "--images" in shown

    # A file by other hands: nearest-neighbour enlargement as DepthToSpace of repeated channels.
    weight = np.repeat(np.eye(3, dtype=np.float32), 4, axis=0).reshape(12, 3, 1, 1)
    graph = onnx.parser.parse_graph(
        "nearest (float[1,3,16,16] image) => (float[1,3,32,32] upscaled) {"
        '  repeated = Conv(image, weight)  upscaled = DepthToSpace<blocksize=2, mode="CRD">'
        "(repeated) }"
    )
    graph.initializer.append(onnx.numpy_helper.from_array(weight, "weight"))
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 13)])
    model.ir_version = 8
    onnx.save(model, tmp_path / "nearest.onnx")
    picture = np.random.default_rng(0).integers(0, 256, (23, 19, 3), dtype=np.uint8)
    Image.fromarray(picture).save(tmp_path / "picture.png")
    run(
        clean_environment / "bin" / "ailsr-upscale", "nearest.onnx", "picture.png",
        "-o", "large.png", cwd=tmp_path,
    )  # fmt: skip
    large = np.asarray(Image.open(tmp_path / "large.png"))
    shown = run(clean_environment / "bin" / "ailsr-show", "nearest.onnx", cwd=tmp_path).stdout
    assert "1x Conv, 1x DepthToSpace" in shown
    np.testing.assert_array_equal(large, picture.repeat(2, axis=0).repeat(2, axis=1))
