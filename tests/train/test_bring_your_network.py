"""docs/bring-your-network.md does what it says, and what breaks its contract is told so."""

import importlib
import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import skimage.data
import torch

from ailsr.runtime import load as load_file
from ailsr.runtime.errors import UsageError
from ailsr.runtime.imaging.image import write
from ailsr.train import checkpoint
from ailsr.train.checkpoint import Checkpoint
from ailsr.train.command import main
from ailsr.train.networks import create
from ailsr.train.recipe import Recipe
from ailsr.train.training import train

PAGE = (Path(__file__).parents[2] / "docs" / "bring-your-network.md").read_text(encoding="utf-8")
EXAMPLE = re.search(r"```python\n(.*?)```", PAGE, re.DOTALL)[1]
TRAIN, EXPORT = (
    shlex.split(line)
    for line in re.search(r"```sh\n(.*?)```", PAGE, re.DOTALL)[1].replace("\\\n", "").splitlines()
)


def run(command, *more, cwd):
    done = subprocess.run(
        [Path(sys.executable).with_name(command[0]), *command[1:], *map(str, more)], cwd=cwd,
        env=os.environ | {"OMP_NUM_THREADS": "1"}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    return done.returncode, done.stdout, done.stderr


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """The folder in which the page's training command has run, with fewer steps."""
    folder = tmp_path_factory.mktemp("own")
    (folder / "grouped.py").write_text(EXAMPLE, encoding="utf-8")
    write(skimage.data.coffee()[50:200, 100:300], folder / "photos" / "coffee.png")
    write(skimage.data.chelsea()[50:170, 100:260], folder / "val" / "chelsea.png")
    code, _, err = run(TRAIN, "--steps=22", "--batch=2", "--patch=16", cwd=folder)
    assert code == 0, err
    return folder


def test_the_pages_network_is_trained_and_exported(trained):
    content = torch.load(trained / "run" / "best.pt", weights_only=True)
    assert content["network"] == "grouped:GroupedNet"
    more = ["--precision=int8", "--input-size=48x64", "--images=val", "--calibration=photos"]
    more.append("--allow-worse-than-bicubic")  # after 22 steps
    code, out, err = run(EXPORT, *more, "--json", cwd=trained)
    assert code == 0, err
    report = json.loads(out)
    names = {path.name for path in (trained / "exported").iterdir()}
    assert names == {f"groupednet_x2_int8.{end}" for end in ("onnx", "tflite", "mlpackage")}
    assert all(abs(file["loss"]) < 0.3 for file in report["files"])
    upscaler = load_file(trained / "exported" / "groupednet_x2_int8.tflite")
    assert (upscaler.card.network, upscaler.card.radius) == ("groupednet", 4)
    # Tiled or whole, the file computes the network: within a grey level or two of int8.
    picture = np.ascontiguousarray(skimage.data.coffee()[60:150, 110:230])
    sys.path.insert(0, str(trained))
    try:
        network = checkpoint.load(trained / "run" / "best.pt", "grouped:GroupedNet").network
    finally:
        sys.path.remove(str(trained))
    with torch.no_grad():
        y = network.deploy()(torch.from_numpy(picture).permute(2, 0, 1)[None].float() / 255)
    expected = (y[0].permute(1, 2, 0).numpy() * 255).clip(0, 255)
    assert np.abs(upscaler.upscale(picture) - expected).mean() < 2


def test_a_checkpoint_alone_imports_nothing(trained):
    without = [word for word in EXPORT if word not in ("--network", "grouped:GroupedNet")]
    code, _, err = run(without, cwd=trained)
    assert code == 1
    (line,) = err.splitlines()
    assert "add --network grouped:GroupedNet" in line


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An importable current folder, forgotten after the test."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    known = set(sys.modules)
    importlib.invalidate_caches()
    yield tmp_path
    for name in set(sys.modules) - known:
        if str(tmp_path) in repr(sys.modules[name]):  # its file or its folder
            del sys.modules[name]


LUMA = """
import copy
import torch.nn as nn
import torch.nn.functional as F
from ailsr.train.networks import Network
from ailsr.train.networks.luma import fold_rgb_input, repeat_rgb_output
from ailsr.train.networks.skip import NearestAnchor


class Net(Network):
    color = "y"
    radius = 2

    def __init__(self, scale):
        super().__init__(scale)
        self.first = nn.Conv2d(1, 8, 3, padding=1)
        self.last = nn.Conv2d(8, scale**2, 3, padding=1)
        self.skip = NearestAnchor(1, scale)

    def forward(self, x):
        return F.pixel_shuffle(self.last(F.relu(self.first(x))) + self.skip(x), self.scale)

    def _as_rgb(self):
        rgb = copy.deepcopy(self)
        rgb.first, rgb.last = fold_rgb_input(self.first), repeat_rgb_output(self.last)
        rgb.skip = NearestAnchor(3, self.scale)
        return rgb
"""


def test_a_luma_network_of_a_package(folder):
    (folder / "package").mkdir()
    (folder / "package" / "luma.py").write_text(LUMA)
    torch.manual_seed(0)
    net = create("package.luma:Net", 3)
    assert (net.name, net.reference) == ("net", "package.luma:Net")
    after = torch.rand(1)
    torch.manual_seed(0)
    type(net)(3)
    assert torch.equal(torch.rand(1), after)  # the check leaves the seed's numbers alone


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (("radius = 2", "radius = 1"), "radius is 1, but a pixel changes the output at least 2"),
        (("radius = 2", "radius = 2.5"), "radius is 2.5"),
        (("    radius = 2", ""), "does not define radius"),
        (('color = "y"', 'color = "Y"'), 'give the class color = "rgb" or "y"'),
        (('    color = "y"', ""), 'give the class color = "rgb" or "y"'),
        (("def __init__(self, scale)", "def __init__(self)"), r"Net(2) failed (TypeError"),
        (("scale**2, 3", "scale, 3"), "forward of (1, 1, 11, 14) failed at broken.py"),
        (("F.pixel_shuffle(", "max("), "failed at broken.py:21 (RuntimeError"),
        (("x), self.scale)", "x), 1)"), "gives (1, 4, 11, 14), expected (1, 1, 22, 28)"),
        (("_as_rgb", "as_rgb"), "needs _as_rgb()"),
        (("repeat_rgb_output(self.last)", "nn.Conv2d(8, 12, 3, padding=1)"), "changes the output"),
        (("nn.Conv2d(1, 8, 3", "nn.BatchNorm2d(1); nn.Conv2d(1, 8, 3"), "batch normalisation"),
        (("class Net(Network)", "class Net(nn.Module)"), "is not a subclass"),
        (("class Net(", "class Ned("), "has no Net (did you mean Ned?)"),
        (("import copy", "import copied"), "failed at broken.py:2 (ModuleNotFound"),
        (("import copy", "import ("), "importing broken failed (SyntaxError"),
        (("import copy", "raise SystemExit(2)"), "importing broken failed at broken.py:2"),
        (("super().__init__(scale)", "raise SystemExit(0)"), "Net(2) failed at broken.py:15 (Sys"),
        (("super().__init__(scale)", "nn.Module.__init__(self)"), "has to call super().__init__"),
        (("NearestAnchor(1, scale)", "NearestAnchor(1, scale); self.requires_grad_(False)"),
         "no parameters to train"),
        (("def forward(self, x):", "def forward(self, x):\n        assert x.shape[3] % 2 == 0"),
         "forward of (1, 1, 10, 13) failed at broken.py:21 (AssertionError"),
    ],
)  # fmt: skip
def test_a_broken_contract_is_one_line(folder, change, says):
    assert change[0] in LUMA
    (folder / "broken.py").write_text(LUMA.replace(*change))
    with pytest.raises(UsageError) as caught:
        create("broken:Net", 2)
    message = str(caught.value)
    assert message.startswith("--network broken:Net: ")
    assert says in message


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("absent_module:Net", "there is no module absent_module"),
        ("ailsr.absent:Net", "there is no module ailsr.absent"),
        ("mine/nets.py:Net", "did you mean mine.nets:Net?"),
        ("mine:", "package.module:Class"),
        ("a:b:c", "package.module:Class"),
        ("json:JSONDecoder", "not a subclass"),
        ("ailsr.train.networks:Network", "not a subclass"),
    ],
)
def test_a_name_that_leads_nowhere_is_one_line(folder, name, says):
    with pytest.raises(UsageError) as caught:
        create(name, 2)
    assert says in str(caught.value)


def test_near_names_are_suggested_and_paths_are_left_to_creation():
    assert Recipe(network="a.b:C", train=[Path("x")]).network == "a.b:C"
    for name, says in (("sesr_m6", "did you mean sesr_m"), ("mine.py:Net", "mean mine:Net")):
        with pytest.raises(UsageError, match=says):
            Recipe(network=name, train=[Path("x")])


TRAP = "open('sprung', 'w').close()\n" + LUMA


def test_only_the_named_class_is_imported_for_a_checkpoint(folder):
    (folder / "mine.py").write_text(LUMA)
    path = folder / "model.pt"
    checkpoint.save(Checkpoint(create("mine:Net", 2), {}), path)
    content = torch.load(path, weights_only=True)
    torch.save(content | {"network": "trap:Net"}, path)
    (folder / "trap.py").write_text(TRAP)
    for allowed in (None, "sesr_m5", "mine:Net"):
        with pytest.raises(UsageError, match="add --network trap:Net if you trust it"):
            checkpoint.load(path, allowed)
    assert not (folder / "sprung").exists()
    assert checkpoint.load(path, "trap:Net").network.reference == "trap:Net"
    assert (folder / "sprung").exists()


def test_a_run_that_came_from_elsewhere_imports_nothing(folder):
    (folder / "trap.py").write_text(TRAP)
    write(skimage.data.coffee()[50:120, 100:200], folder / "photos" / "coffee.png")
    output = Path("run")
    recipe = Recipe(
        network="sesr_m3", train=[Path("photos")], output=output, method="mse", steps=2, batch=1,
        patch=16, threads=1,
    )  # fmt: skip
    train(recipe)
    last = output / "last.pt"
    content = torch.load(last, weights_only=True)
    content["card"]["recipe"]["network"] = "trap:Net"
    torch.save(content, last)
    main(Recipe(output=output, resume=True, json=True))  # the network of the file itself counts
    content["progress"]["teacher"] = {"name": "trap:Net", "state": {}}
    torch.save(content, last)
    with pytest.raises(UsageError, match="only when you name it"):
        main(Recipe(output=output, resume=True, json=True))
    assert not (folder / "sprung").exists()
