"""Checkpoints as people have them: weights of classes that are not ours."""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from export_runs import ailsr_export
from graph_reference import run as run_graph

from ailsr.export.exporter import Exporter
from ailsr.export.reading.from_torch import quiet
from ailsr.export.reading.source import open_source
from ailsr.export.reading.spandrel_module import import_spandrel
from ailsr.export.reading.state_dict import find_state_dict, fitted
from ailsr.export.reading.user_module import Call
from ailsr.runtime import load
from ailsr.runtime.errors import EngineError, ModelError, UsageError

SIZE = (24, 32)
THEIRS = """
import torch
from torch import nn


class Compact(nn.Module):
    def __init__(self, upscale, feat=8, white=1.0):
        super().__init__()
        torch.manual_seed(0)
        self.body = nn.Sequential(
            nn.Conv2d(3, feat, 3, padding=1), nn.PReLU(feat),
            nn.Conv2d(feat, 3 * upscale**2, 3, padding=1),
        )
        self.shuffle = nn.PixelShuffle(upscale)
        self.upscale = upscale

    def forward(self, x):
        residual = self.shuffle(self.body(x))
        return residual + nn.functional.interpolate(x, scale_factor=self.upscale, mode="nearest")


class Grey(nn.Module):
    def forward(self, x):
        return x.mean(1)


class Broken(Compact):
    def forward(self, x):
        return self.nothing(x)


def make(upscale):
    return Compact(upscale)


number = 3
"""


@pytest.fixture(scope="module")
def theirs(tmp_path_factory):
    """Their module, importable as ``theirs``."""
    folder = tmp_path_factory.mktemp("theirs")
    (folder / "theirs.py").write_text(THEIRS, "utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(folder)
        import theirs

        yield theirs
    sys.modules.pop("theirs")


@pytest.fixture(scope="module")
def trained(theirs):
    """Their network, of small residual, as if it were trained."""
    network = theirs.Compact(2).eval()
    with torch.no_grad():
        for conv in (network.body[0], network.body[2]):
            conv.weight *= 0.3
            conv.bias *= 0.1
    return network


def computed(network, image):
    with torch.inference_mode():
        batch = torch.from_numpy(image).permute(2, 0, 1)[None]
        return network(batch)[0].permute(1, 2, 0).numpy()


def image_of(photographs):
    return photographs["chelsea"][50:74, 100:132].astype(np.float32) / 255


WRAPPED = {
    "bare": lambda state: state,
    "params": lambda state: {"params": state},
    "an average before the last step": lambda state: {
        "params": {name: torch.zeros_like(t) for name, t in state.items()},
        "params_ema": state,
    },
    "state_dict and an optimiser": lambda state: {
        "epoch": 3,
        "state_dict": state,
        "optimizer": {"state": {0: {"exp_avg": torch.ones(3)}}, "param_groups": [{"lr": 0.1}]},
    },
    "a wrapper's prefix": lambda state: {f"module.{name}": t for name, t in state.items()},
    "two prefixes": lambda state: {"model": {f"net.module.{n}": t for n, t in state.items()}},
    "beside a discriminator": lambda state: {
        "state_dict": {f"generator.{n}": t for n, t in state.items()}
        | {"discriminator.weight": torch.ones(2)}
    },
    "an average among the weights": lambda state: {
        **{f"net.{name}": torch.zeros_like(t) for name, t in state.items()},
        **{f"net_ema.{name}": t for name, t in state.items()},
    },
    "what a profiler left": lambda state: state | {"body.0.total_ops": torch.zeros(1)},
    "half": lambda state: {name: t.half() for name, t in state.items()},
    "a key of one's own": lambda state: {"best": {"weights_of_run_7": state}},
}


@pytest.mark.parametrize("how", WRAPPED)
def test_weights_are_found_as_frameworks_keep_them(trained, tmp_path, photographs, how):
    torch.save(WRAPPED[how](trained.state_dict()), tmp_path / "compact_x2.pth")
    source = open_source(tmp_path / "compact_x2.pth", "theirs:Compact(upscale=2)")
    assert (source.name, source.scale, source.input_size) == ("compact", 2, None)
    image = image_of(photographs)
    atol = 1e-3 if how == "half" else 1e-6
    np.testing.assert_allclose(source.run(image), computed(trained, image), atol=atol)
    graph = source.graph(SIZE)
    np.testing.assert_allclose(run_graph(graph, image)["upscaled"], source.run(image), atol=1e-5)


@pytest.mark.parametrize("network", ["theirs:make(3)", "theirs:Compact(3, feat = 8)"])
def test_a_network_is_made_by_any_call(theirs, tmp_path, network):
    torch.save(theirs.make(3).state_dict(), tmp_path / "weights.ckpt")
    assert open_source(tmp_path / "weights.ckpt", network).scale == 3


def test_safetensors(trained, tmp_path, photographs):
    if importlib.util.find_spec("safetensors") is None:
        (tmp_path / "weights.safetensors").touch()
        with pytest.raises(EngineError, match=r"pip install .*spandrel"):
            open_source(tmp_path / "weights.safetensors", "theirs:Compact(2)")
        return
    from safetensors.torch import save_file

    path = tmp_path / "weights.safetensors"
    save_file(trained.state_dict(), path)
    source, image = open_source(path, "theirs:Compact(2)"), image_of(photographs)
    np.testing.assert_allclose(source.run(image), computed(trained, image), atol=1e-6)
    path.write_bytes(path.read_bytes()[:-5])
    with pytest.raises(ModelError, match="damaged safetensors"):
        open_source(path, "theirs:Compact(2)")


def test_a_class_of_ours_takes_plain_weights(sane, tmp_path, monkeypatch):
    """Its deploy form is exported, its radius and its colour are those it states."""
    (tmp_path / "own_sesr.py").write_text(
        "from ailsr.train.networks.sesr import Sesr\n\n"
        "class Mine(Sesr):\n    def __init__(self, scale):\n        super().__init__(scale, 3)\n"
    )
    monkeypatch.chdir(tmp_path)
    torch.save(sane("sesr_m3").state_dict(), tmp_path / "mine.pth")
    source = open_source(tmp_path / "mine.pth", "own_sesr:Mine(2)")
    assert (source.name, source.scale, source.color) == ("mine", 2, "y")
    assert source.radius == sane("sesr_m3").radius
    with pytest.raises(UsageError, match=r"give it, as in --network 'own_sesr:Mine\(2\)'"):
        open_source(tmp_path / "mine.pth", "own_sesr:Mine")


def test_the_command_takes_them(trained, tmp_path, capsys, pictures):
    torch.save({"params_ema": trained.state_dict()}, tmp_path / "compact.pth")
    code, _, err = ailsr_export(
        capsys, tmp_path / "compact.pth", "--network=theirs:Compact(2)", "--target=tflite",
        "--precision=float32", "--input-size=48x56", f"--output={tmp_path}", *pictures,
    )  # fmt: skip
    assert code == 0, err
    card = load(tmp_path / "compact_x2_float32.tflite").card
    assert card is not None and (card.network, card.radius) == ("compact", 2)


# What does not fit ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("network", "says"),
    [
        ("theirs:Compact", r"Compact\(\) failed .*'upscale'.*--network 'theirs:Compact\(upscale=2"),
        ("theirs:Compact(2, size=3)", r"unexpected keyword argument 'size'"),
        ("theirs:Compact(open('x'))", r"its arguments are numbers"),
        ("theirs:Compact(2)(3)", r"its arguments are numbers"),
        ("theirs:Compact(**{'upscale': 2})", r"its arguments are numbers"),
        ("theirs:Compact(2", r"its arguments are numbers"),
        ("theirs:Compct(2)", r"no Compct \(did you mean Compact\?\)"),
        ("theirs:number", r"number is no class"),
        ("theirs:Compact(upscale=3)", r"body.2.weight is 12x8x3x3, not 27x8x3x3"),
        ("theirs:Compact(2, feat=4)", r"4 of its tensors have other sizes \(.* and 1 more\)"),
        (
            "theirs:Broken(2)",
            r"forward of \(1, 3, 64, 64\) failed at theirs.py:\d+",
        ),
        ("theirs:Grey()", r"weights are not those of Grey: it has 5 others \(body.0.bias, "),
        ("none:Compact(2)", r"there is no module none"),
    ],
)
def test_what_does_not_fit_is_said_in_one_line(trained, tmp_path, network, says):
    path = tmp_path / "w.pth"
    torch.save(trained.state_dict(), path)
    with pytest.raises((ModelError, UsageError, EngineError), match=says) as refused:
        open_source(path, network)
    assert len(str(refused.value).splitlines()) == 1 and len(str(refused.value)) < 500


def test_missing_weights_are_named(trained):
    state = trained.state_dict()
    del state["body.0.bias"]
    state["head.weight"] = torch.ones(2)
    says = r"lacks 1 of the 5 tensors \(body.0.bias\); it has 1 others \(head.weight\)"
    with pytest.raises(ModelError, match=says):
        fitted(state, trained)


@pytest.mark.parametrize("content", [[], 3, {"epoch": 3, "params": {}}, torch.ones(3)])
def test_no_weights(content):
    with pytest.raises(ModelError, match=r"it has no weights: it holds .*params_ema, params"):
        find_state_dict(content)


def test_torchscript_says_how_to_save_weights(trained, tmp_path, monkeypatch, photographs):
    """And that way works."""
    monkeypatch.chdir(tmp_path)
    with quiet():
        torch.jit.trace(trained, torch.rand(1, 3, 8, 8)).save("script.pt")
    with pytest.raises(ModelError, match="a TorchScript program, which is code") as refused:
        open_source(Path("script.pt"))
    how = str(refused.value).split("save its weights, ")[1].split(", and give")[0]
    with quiet():
        exec(how, {"torch": torch})
    image = image_of(photographs)
    source = open_source(Path("weights.pth"), "theirs:Compact(2)")
    np.testing.assert_allclose(source.run(image), computed(trained, image), atol=1e-6)


@pytest.mark.parametrize("pickled", ["module", "options"])
def test_a_pickled_object_is_named_and_not_loaded(trained, tmp_path, pickled):
    what = trained if pickled == "module" else {"params": {}, "args": argparse.Namespace(scale=2)}
    name = "theirs.Compact" if pickled == "module" else "argparse.Namespace"
    torch.save(what, tmp_path / "whole.pth")
    says = rf"holds {name}, which is code.*torch.save\(model.state_dict\(\)"
    with pytest.raises(ModelError, match=says):
        open_source(tmp_path / "whole.pth", "theirs:Compact(2)")


def test_arguments_are_literals():
    call = Call.of("pkg.mod:Net(2, [1, -2.5], act='prelu', norm=None)")
    assert call == ("pkg.mod:Net", [2, [1, -2.5]], {"act": "prelu", "norm": None})
    assert Call.of("pkg.mod:Net()") == Call.of("pkg.mod:Net") == ("pkg.mod:Net", [], {})


# Networks that their weights tell ------------------------------------------------------------


def test_without_spandrel_the_message_says_what_to_install(trained, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "spandrel", None)
    torch.save({"params": trained.state_dict()}, tmp_path / "w.pth")
    with pytest.raises(EngineError, match=r'pip install "ailsr\[spandrel\]"'):
        open_source(tmp_path / "w.pth")


def import_or_skip():
    if importlib.util.find_spec("spandrel") is None:
        pytest.skip("no spandrel")
    import_spandrel()


@pytest.fixture
def srvgg(tmp_path):
    """SRVGGNetCompact ×4 as realesr-general-x4v3.pth holds it, with weights of small residual."""
    import_or_skip()
    compact = importlib.import_module("spandrel.architectures.Compact.__arch.SRVGG")
    torch.manual_seed(0)
    network = compact.SRVGGNetCompact(num_feat=16, num_conv=3, upscale=4, act_type="prelu").eval()
    with torch.no_grad():
        network.body[-1].weight *= 0.1
        network.body[-1].bias *= 0.1
    torch.save({"params": network.state_dict()}, tmp_path / "realesr-tiny-x4v3.pth")
    return network


def test_spandrel_recognises_weights(srvgg, tmp_path, capsys, photographs, pictures):
    path = tmp_path / "realesr-tiny-x4v3.pth"
    source, image = open_source(path), image_of(photographs)
    assert (source.name, source.scale) == ("realesr-tiny-x4v3", 4)
    np.testing.assert_allclose(source.run(image), computed(srvgg, image), atol=1e-6)
    code, _, err = ailsr_export(
        capsys, path, "--target=tflite", "--precision=float32", "--input-size=40x48",
        f"--output={tmp_path}", *pictures,
    )  # fmt: skip
    assert code == 0, err
    assert (tmp_path / "realesr-tiny-x4v3_x4_float32.tflite").exists()


def test_spandrel_says_when_it_knows_no_such_network(trained, tmp_path):
    import_or_skip()
    torch.save({f"their_{n}": t for n, t in trained.state_dict().items()}, tmp_path / "w.pth")
    with pytest.raises(ModelError, match="spandrel knows no network with such weights"):
        open_source(tmp_path / "w.pth")


def test_spandrel_tells_the_sides_that_a_network_takes(tmp_path):
    import_or_skip()
    safmn = importlib.import_module("spandrel.architectures.SAFMN.__arch.safmn")
    network = safmn.SAFMN(dim=8, n_blocks=1, ffn_scale=2.0, upscaling_factor=4)
    torch.save({"params": network.state_dict()}, tmp_path / "safmn.pth")
    assert open_source(tmp_path / "safmn.pth").multiple == 8


def test_sides_are_multiples_of_what_the_network_takes(trained, tmp_path):
    torch.save(trained.state_dict(), tmp_path / "w.pth")
    source = replace(open_source(tmp_path / "w.pth", "theirs:Compact(2)"), multiple=16)
    assert Exporter(source).input_size == (352, 640)
    with pytest.raises(UsageError, match=r"--input-size 360x640: w takes .* multiples of 16"):
        Exporter(source, (360, 640))
