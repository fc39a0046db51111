"""Names of the zoo where files are taken: made on first use, or the command that makes them."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from ailsr.runtime import load
from ailsr.runtime.commands.upscale import Config, main
from ailsr.runtime.imaging import image
from ailsr.runtime.upscaling.tiles import plan
from ailsr.train import checkpoint, zoo
from ailsr.train.scoring import upscale_tiles

NAME = "zoo:sesr_m3_x2"


def run(command, *arguments, cache):
    return subprocess.run(
        [Path(sys.executable).with_name(command), *map(str, arguments)],
        capture_output=True, text=True, env=os.environ | {"XDG_CACHE_HOME": str(cache)},
    )  # fmt: skip


@pytest.fixture
def photo(photographs, tmp_path):
    image.write(photographs["chelsea"][:60, :90], tmp_path / "photo.png")
    return tmp_path / "photo.png"


def test_ailsr_upscale_exports_a_network_of_the_zoo_once(photo, tmp_path):
    cache, outputs = tmp_path / "cache", [tmp_path / name for name in ("1.png", "2.png")]
    child = run("ailsr-upscale", NAME, photo, "-o", outputs[0], cache=cache)
    assert child.returncode == 0, child.stderr
    (made,) = (cache / "ailsr" / "zoo").glob("*/*")
    assert child.stderr == f"{NAME}: exporting it to {made.parent}, this once\n"
    before = made.stat().st_mtime_ns
    child = run("ailsr-upscale", NAME, photo, "-o", outputs[1], cache=cache)
    assert (child.returncode, child.stderr) == (0, "")
    assert made.stat().st_mtime_ns == before
    rgb = image.read(photo)
    assert load(made).card.network == "sesr_m3"
    network = checkpoint.load(zoo.path(NAME)).network
    lr = torch.from_numpy(rgb.copy()).permute(2, 0, 1)[None]
    with torch.no_grad():
        whole = upscale_tiles(
            network.deploy(), lr, plan(rgb.shape[:2], (60, 90), network.radius, 2), 2
        )
    expected = whole[0].permute(1, 2, 0).numpy().astype(int)
    inner = (slice(0, 100), slice(0, 160))  # the file sees the image's edge repeated beyond it
    for output in outputs:
        difference = np.abs(image.read(output).astype(int) - expected)
        assert difference[inner].max() <= 1


def test_a_name_that_cannot_be_used_says_what_to_do(photo, tmp_path):
    for command, arguments, says in [
        ("ailsr-upscale", ["zoo:sesr_m33_x2", photo, "-o", tmp_path / "o.png"], "did you mean"),
        ("ailsr-bench", [NAME], f"run ailsr-export {NAME}"),
        ("ailsr-upscale", ["no:thing", photo, "-o", tmp_path / "o.png"], "no model file at"),
    ]:
        child = run(command, *arguments, cache=tmp_path / "cache")
        assert child.returncode == 1 and says in child.stderr
        assert child.stderr.count("\n") == 1
    script = (
        "import sys\n"
        "sys.modules['torch'] = None\n"  # as if it were not installed
        f"sys.argv = ['ailsr-upscale', '{NAME}', '{photo}', '-o', 'o.png']\n"
        "from ailsr.runtime.commands.upscale import cli\n"
        "cli()\n"
    )
    child = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True,
        env=os.environ | {"XDG_CACHE_HOME": str(tmp_path / "cache")},
    )  # fmt: skip
    assert child.returncode == 1
    _, error = child.stderr.splitlines()
    assert f"run ailsr-export {NAME} --target onnx --precision float32" in error


def test_python_loads_a_network_of_the_zoo_by_its_name(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    upscaler = load(NAME)
    assert upscaler.card.network == "sesr_m3" and upscaler.scale == 2


def test_auto_takes_the_other_network_from_the_zoo(photo, tmp_path, monkeypatch, capsys):
    """A clean network's checkpoint stands for the one for photographs, its recipe says so."""
    folder = tmp_path / "zoo"
    folder.mkdir()
    stored = torch.load(zoo.path(NAME), weights_only=True)
    torch.save(stored, folder / "sesr_m3_x2.pt")
    stored["card"]["recipe"]["degradation"] = "photo"
    torch.save(stored, folder / "sesr_m3_photo_x2.pt")
    monkeypatch.setattr(zoo, "FOLDER", folder)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    coarse = tmp_path / "coarse.jpg"
    Image.open(photo).save(coarse, quality=20)
    main(Config(Path(NAME), [coarse, photo], tmp_path / "out", auto=True))
    said = capsys.readouterr().err.splitlines()
    assert sum("exporting it to" in line for line in said) == 2
    assert [line.partition(" (")[0] for line in said[2:]] == [
        f"{coarse}: sesr_m3_photo_x2_float32.onnx", f"{photo}: sesr_m3_x2_float32.onnx",
    ]  # fmt: skip
