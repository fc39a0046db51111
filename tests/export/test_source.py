"""Networks from files of others: ONNX models and torch.export programs."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from export_runs import SIZE, UNTRAINED, Theirs, ailsr_export, saved
from graph_reference import run as run_graph
from torch import nn

from ailsr.export.reading.from_torch import graph_of
from ailsr.export.reading.source import open_source
from ailsr.export.targets.onnx import writer as onnx_writer
from ailsr.runtime import load
from ailsr.runtime.card import Card
from ailsr.runtime.commands import show
from ailsr.runtime.engines.encoding import RANGES, Encoding, Range
from ailsr.runtime.errors import ModelError, UnsupportedOperatorError
from ailsr.train import zoo


@pytest.mark.parametrize(
    ("file", "name", "size"),
    [
        ("onnx", "theirs", None),
        ("pt2", "theirs", None),
        ("fixed", "fixed", SIZE),
        ("levels", "levels", None),
    ],
)
def test_a_source_tells_what_the_file_holds(files, photographs, file, name, size):
    source = open_source(files[file])
    assert (source.name, source.scale, source.color, source.input_size) == (name, 2, "rgb", size)
    assert source.sha256 is not None
    image = photographs["chelsea"][50:74, 100:132].astype(np.float32) / 255
    with torch.inference_mode():
        batch = torch.from_numpy(image).permute(2, 0, 1)[None]
        expected = Theirs()(batch)[0].permute(1, 2, 0).numpy()
    np.testing.assert_allclose(source.run(image), expected, atol=1e-5)
    graph = source.graph(SIZE)
    np.testing.assert_allclose(run_graph(graph, image)["upscaled"], expected, atol=1e-5)


class Recoded(nn.Module):
    """``Theirs`` in another encoding: RGB or BGR, its ranges normalised by means and deviations."""

    def __init__(self, encoding: Encoding) -> None:
        super().__init__()
        self.theirs, self.bgr = Theirs(), encoding.channels == "bgr"
        for name in ("input", "output"):
            ends = getattr(encoding, name)
            for number, value in (("offset", ends.offset), ("step", ends.step)):
                self.register_buffer(f"{name}_{number}", torch.from_numpy(value).view(1, 3, 1, 1))

    def forward(self, x):
        x = self.ordered(x)
        x = self.theirs((x - self.input_offset) / self.input_step)
        x = x * self.output_step + self.output_offset
        return self.ordered(x)

    def ordered(self, x):
        return torch.cat([x[:, 2:], x[:, 1:2], x[:, :1]], 1) if self.bgr else x


ENCODINGS = [
    Encoding(RANGES["0..255"]),
    Encoding(RANGES["-1..1"], RANGES["-1..1"]),
    Encoding(RANGES["imagenet"], RANGES["0..1"]),
    Encoding(Range.parse("mean=0.45,0.44,0.4/std=0.00392157"), RANGES["0..255"], "bgr"),
]


@pytest.mark.parametrize("encoding", ENCODINGS, ids=str)
@pytest.mark.parametrize("suffix", [".onnx", ".pt2"])
def test_the_graph_takes_and_returns_rgb_whatever_the_network_does(
    photographs, tmp_path, encoding, suffix
):
    path = saved(Recoded(encoding), tmp_path / f"net{suffix}")
    source = open_source(path, candidates=[encoding])
    assert source.encoding == encoding
    image = photographs["chelsea"][50:74, 100:132].astype(np.float32) / 255
    with torch.inference_mode():
        batch = torch.from_numpy(image).permute(2, 0, 1)[None]
        expected = Theirs()(batch)[0].permute(1, 2, 0).numpy()
    np.testing.assert_allclose(source.run(image), expected, atol=2e-5)
    graph = source.graph(SIZE)
    np.testing.assert_allclose(run_graph(graph, image)["upscaled"], expected, atol=2e-5)


def test_what_is_said_of_the_range_is_done_and_written_into_the_card(pictures, tmp_path, capsys):
    """Where only the input is said, the output is found."""
    model = saved(
        Recoded(Encoding(Range.between(-2, 2), RANGES["0..255"], "bgr")), tmp_path / "n.onnx"
    )
    code, _, err = ailsr_export(
        capsys, model, "--input-range=-2..2", "--channels=bgr", "--input-size=48x56",
        "--target=onnx", "--precision=float32", f"--output={tmp_path}", *pictures,
    )  # fmt: skip
    assert code == 0, err
    card = load(tmp_path / "n_x2_float32.onnx").card
    assert card is not None
    assert (card.input_range, card.output_range) == ("-2..2 BGR", "0..255 BGR")
    with pytest.MonkeyPatch.context() as patch, pytest.raises(SystemExit):
        patch.setattr(sys, "argv", ["ailsr-show", str(tmp_path / "n_x2_float32.onnx")])
        show.cli()
    assert "-2..2 BGR and returns 0..255 BGR" in capsys.readouterr().out


def test_a_network_that_makes_no_image_is_refused_or_taken_for_one_of_0_to_1(tmp_path):
    flat = nn.Conv2d(3, 3, 1)
    nn.init.constant_(flat.weight, 0.01)
    path = saved(nn.Sequential(Theirs(), flat, nn.Tanh()), tmp_path / "random.onnx")
    with pytest.raises(
        ModelError, match=r"none of the ranges 0\.\.1, 0\.\.255, -1\.\.1, imagenet: "
    ):
        open_source(path)
    assert open_source(path, must_fit=False).encoding == Encoding()


def test_a_network_worse_than_bicubic_interpolation_is_refused(files, pictures, tmp_path, capsys):
    arguments = (
        files["onnx"], "--input-size=48x56", "--target=onnx", "--precision=float32",
        f"--output={tmp_path}", *pictures,
    )  # fmt: skip
    code, _, err = ailsr_export(capsys, *arguments, untrained=False)
    assert code == 1 and not [*tmp_path.iterdir()]
    assert re.search(r"worse than bicubic interpolation, \d\d\.\d\d dB against \d\d\.\d\d", err)
    arguments = zoo.path("quicksrnet_small_research_x2"), *arguments[1:]
    code, _, err = ailsr_export(capsys, *arguments, untrained=False)
    assert code == 0, err


@pytest.mark.parametrize("text", ["0..", "255", "imagenet2", "1..1", "mean=0.5"])
def test_a_range_that_cannot_be_read_is_one_line(files, tmp_path, capsys, text):
    code, _, err = ailsr_export(capsys, files["onnx"], f"--input-range={text}")
    assert code == 1 and len(err.splitlines()) == 1
    assert f"--input-range {text}: give one of 0..1, 0..255, -1..1, imagenet" in err


def test_a_checkpoint_has_no_range_to_give(capsys):
    code, _, err = ailsr_export(capsys, zoo.path("quicksrnet_small_research_x2"), "--channels=bgr")
    assert code == 1 and "leave --input-range, --output-range and --channels out" in err


class Assigning(Theirs):
    """It assigns to a tensor that it reads again, and, if to ``parts``, to channels of one."""

    def __init__(self, parts: bool) -> None:
        super().__init__()
        self.parts = parts

    def forward(self, x):
        features = self.body[0](x)
        gate = features + 0.0
        F.relu_(features)
        gate = gate + features  # of features without the negative ones
        if self.parts:
            gate[:, :4] = gate[:, :4] * 0.5
        padded = F.pad(gate, (1, 1, 1, 1), mode="reflect")
        return F.pixel_shuffle(self.body[2](padded) + self.nearest(x), 2)


@pytest.mark.parametrize("parts", [False, True])
def test_what_a_program_assigns_to_tensors_is_exported(tmp_path, photographs, parts):
    network = Assigning(parts).eval()
    image = photographs["chelsea"][60:84, 120:152].astype(np.float32) / 255
    with torch.inference_mode():
        expected = network(torch.from_numpy(image).permute(2, 0, 1)[None])[0].permute(1, 2, 0)
    path = saved(network, tmp_path / "assigning.pt2", dynamic=False)
    source = open_source(path, candidates=[Encoding()])
    np.testing.assert_allclose(source.run(image), expected, atol=1e-6)
    found = run_graph(source.graph(SIZE), image)["upscaled"]
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_a_program_is_read_without_torchs_compiler(files):
    """Loading that, and tracing by it, took 5 s of processor time and more."""
    code = (
        "import sys; from pathlib import Path; from ailsr.export.reading.source import open_source;"
        f"open_source(Path({str(files['pt2'])!r})).graph((24, 32));"
        "print('torch._export.serde.serialize' in sys.modules, 'torch._dynamo' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]


def test_a_program_that_cannot_be_traced_is_refused_in_one_line(tmp_path, capfd):
    class Fourier(Theirs):
        def forward(self, x):
            return super().forward(torch.fft.irfft2(torch.fft.rfft2(x), s=SIZE))

    path = saved(Fourier(), tmp_path / "fourier.pt2", dynamic=False)
    with pytest.raises(UnsupportedOperatorError, match=r"DFT .* use a convolution in place of"):
        open_source(path, candidates=[Encoding()]).graph(SIZE)
    assert capfd.readouterr() == ("", "")


def test_a_program_takes_the_sizes_that_it_was_made_for(files, tmp_path):
    source = open_source(files["pt2"])
    with pytest.raises(
        ModelError, match=r"made for \(1, 3, \w+, \w+\), .* to 2048.*\(1, 3, 2, 8\)"
    ):
        source.run(np.zeros((2, 8, 3), np.float32))
    half = torch.export.Dim("half", min=4, max=512)
    for name, shapes in (("even", {2: 2 * half, 3: 2 * half}), ("wide", {2: 2 * half})):
        example = (torch.rand(1, 3, 32, 32),)
        program = torch.export.export(Theirs().eval(), example, dynamic_shapes=(shapes,))
        torch.export.save(program, tmp_path / f"{name}.pt2")
    even = open_source(tmp_path / "even.pt2")
    assert even.multiple == 2
    assert even.run(np.zeros((24, 24, 3), np.float32)).shape == (48, 48, 3)
    for height, width in ((25, 25), (24, 26)):
        with pytest.raises(ModelError, match=rf"not for \(1, 3, {height}, {width}\)"):
            even.run(np.zeros((height, width, 3), np.float32))
    with pytest.raises(ModelError, match=r"not for \(1, 3, 64, 64\)"):
        open_source(tmp_path / "wide.pt2")  # its width is always 32


def test_the_program_of_a_network_is_its_graph(files):
    ours, theirs = graph_of(Theirs().eval(), SIZE), open_source(files["pt2"]).graph(SIZE)
    assert [type(node) for node in ours.nodes] == [type(node) for node in theirs.nodes]


@pytest.mark.parametrize("file", ["onnx", "pt2"])
def test_files_of_others_are_exported_with_equal_bytes_each_time(files, pictures, tmp_path, file):
    for seed in ("1", "2"):
        done = subprocess.run(
            [
                sys.executable, "-c", "from ailsr.export.command import cli; cli()", files[file],
                "--name=mine", "--target=tflite", "--precision=int8", "--input-size=48x56",
                "--json", f"--output={tmp_path / seed}", UNTRAINED, *pictures,
            ],
            env=os.environ | {"PYTHONHASHSEED": seed}, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        assert done.stderr == ""
    report = json.loads(done.stdout)
    assert (report["network"], report["radius"]) == ("mine", 2)
    assert all(abs(entry["loss"]) < 0.1 for entry in report["files"])
    first, second = (tmp_path / seed / "mine_x2_int8.tflite" for seed in ("1", "2"))
    assert first.read_bytes() == second.read_bytes()
    card = load(first).card
    assert card is not None and (card.network, card.radius, card.training) == ("mine", 2, {})


def test_the_commands_of_the_page(files, pictures, tmp_path, monkeypatch, capsys):
    page = (Path(__file__).parents[2] / "docs" / "bring-your-network.md").read_text("utf-8")
    section = page.split("## A file instead of a class")[1]
    commands = re.search(r"```sh\n(.*?)```", section, re.DOTALL)[1].splitlines()
    assert [shlex.split(line)[1] for line in commands] == ["theirs.onnx", "theirs.pt2"]
    monkeypatch.chdir(tmp_path)
    for kind in ("onnx", "pt2"):
        Path(f"theirs.{kind}").write_bytes(files[kind].read_bytes())
    small = ["--input-size=48x56", "--target=onnx", "--precision=float32", *pictures]
    for line in commands:
        line = re.sub(r"--(target|precision) \S+", "", line)  # less than all of them
        code, _, err = ailsr_export(capsys, *shlex.split(line)[1:], *small)
        assert code == 0, err
    names = {path.name for path in Path("exported").iterdir()}
    assert names == {"theirs_x2_float32.onnx", "mynet_x2_float32.onnx"}


def test_the_peers_are_exported(data, pictures, tmp_path, capsys):
    folder = data.parent / "peers" / "sr_mobile_abpn_onnx"
    if not folder.is_dir():
        pytest.skip("no peers beside the benchmark images")
    code, out, err = ailsr_export(
        capsys, folder / "generator_x2_model.onnx", f"--output={tmp_path / 'out'}", "--json",
        "--precision=int8", "--target=all", "--input-size=48x56", *pictures,
    )  # fmt: skip
    assert code == 0, err
    assert len(json.loads(out)["files"]) == 3
    with pytest.raises(ModelError, match="quantised already"):
        open_source(folder / "generator_x2_model.quant.onnx")


def test_a_file_of_ours_keeps_its_card(sane, tmp_path):
    graph = graph_of(sane("sesr_m3").deploy(), SIZE)
    card = Card("sesr_m3", 2, "y", "float32", "float32", SIZE, 7, training={"method": "ail"})
    onnx_writer.write(graph, card, tmp_path / "file.onnx")
    source = open_source(tmp_path / "file.onnx", name="again")
    assert (source.name, source.radius, source.training) == ("again", 7, {"method": "ail"})
    assert source.color == "y" and source.input_size == SIZE


def test_the_model_is_not_written_over(files, pictures, tmp_path, capsys):
    model = tmp_path / "mine_x2_float32.onnx"
    model.write_bytes(files["onnx"].read_bytes())
    code, _, err = ailsr_export(
        capsys, model, "--name=mine", f"--output={tmp_path}", "--input-size=40x40",
        "--target=onnx", "--precision=float32", *pictures,
    )  # fmt: skip
    assert code == 1 and "would be written over the model" in err
    assert model.read_bytes() == files["onnx"].read_bytes()
