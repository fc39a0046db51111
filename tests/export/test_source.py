"""Networks from files of others: ONNX models and torch.export programs."""

from __future__ import annotations

import io
import json
import os
import re
import shlex
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
import torch.nn.functional as F
from graph_reference import run as run_graph
from onnx import TensorProto, helper
from torch import nn
from torch.export import Dim

from ailsr.export import command
from ailsr.export.reading.from_torch import graph_of, quiet, to_onnx
from ailsr.export.reading.source import open_source
from ailsr.export.targets.onnx import writer as onnx_writer
from ailsr.runtime import load
from ailsr.runtime.card import Card
from ailsr.runtime.commands import show
from ailsr.runtime.engines.encoding import RANGES, Encoding, Range
from ailsr.runtime.errors import AilsrError, ModelError, UsageError
from ailsr.runtime.imaging.image import write
from ailsr.train import zoo
from ailsr.train.networks.skip import NearestAnchor

SIZE = (24, 32)


class Theirs(nn.Module):
    """A network of someone else's, ×2; pixels up to ``white``, clamped there."""

    def __init__(self, white: float = 1.0) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.body = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 12, 3))
        self.nearest = NearestAnchor(3, 2)
        self.white = white
        with torch.no_grad():
            self.body[0].bias *= white
            self.body[2].weight *= 0.1
            self.body[2].bias *= 0.1 * white

    def forward(self, x):
        residual = self.body(F.pad(x, (1, 1, 1, 1), mode="reflect"))
        return F.pixel_shuffle(residual + self.nearest(x), 2).clamp(0.0, self.white)


def saved(network: nn.Module, path: Path, *, dynamic: bool = True) -> Path:
    """``network`` as the file ``path``, an ONNX model or a program."""
    sides = {2: Dim("h", min=4, max=2048), 3: Dim("w", min=4, max=2048)}
    shapes = ({0: None, 1: None, **sides},) if dynamic else None
    with quiet():
        program = torch.export.export(
            network.eval(), (torch.rand(1, 3, *SIZE),), dynamic_shapes=shapes
        )
        if path.suffix == ".pt2":
            torch.export.save(program, path)
    if path.suffix == ".onnx":
        onnx.save(to_onnx(program), path)
    return path


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("theirs")
    return {
        "onnx": saved(Theirs(), folder / "theirs_x2.onnx"),
        "pt2": saved(Theirs(), folder / "theirs.pt2"),
        "fixed": saved(Theirs(), folder / "fixed.pt2", dynamic=False),
        "levels": saved(Theirs(255.0), folder / "levels.onnx"),
    }


@pytest.fixture(scope="module")
def pictures(photographs, tmp_path_factory) -> list[str]:
    """The options that name small images."""
    folder = tmp_path_factory.mktemp("pictures")
    for option, name in (("images", "chelsea"), ("calibration", "astronaut")):
        write(photographs[name][60:156, 120:232], folder / option / f"{name}.png")
    return [f"--{option}={folder / option}" for option in ("images", "calibration")]


UNTRAINED = "--allow-worse-than-bicubic"
"""For networks of random weights."""


def ailsr_export(capsys, *arguments: object, untrained: bool = True) -> tuple[int, str, str]:
    more = [UNTRAINED] if untrained else []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["ailsr-export", *map(str, arguments), *more])
        with pytest.raises(SystemExit) as stopped:
            command.cli()
    return int(stopped.value.code or 0), *capsys.readouterr()


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
    arguments = zoo.path("quicksrnet_small_x2"), *arguments[1:]
    code, _, err = ailsr_export(capsys, *arguments, untrained=False)
    assert code == 0, err


@pytest.mark.parametrize("text", ["0..", "255", "imagenet2", "1..1", "mean=0.5"])
def test_a_range_that_cannot_be_read_is_one_line(files, tmp_path, capsys, text):
    code, _, err = ailsr_export(capsys, files["onnx"], f"--input-range={text}")
    assert code == 1 and len(err.splitlines()) == 1
    assert f"--input-range {text}: give one of 0..1, 0..255, -1..1, imagenet" in err


def test_a_checkpoint_has_no_range_to_give(capsys):
    code, _, err = ailsr_export(capsys, zoo.path("quicksrnet_small_x2"), "--channels=bgr")
    assert code == 1 and "leave --input-range, --output-range and --channels out" in err


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


# What cannot be exported ---------------------------------------------------------------------


def model_of(*operators: onnx.NodeProto, shapes=((1, 3, 8, 8), (1, 3, 16, 16)), opset=14) -> bytes:
    """An ONNX model of the tensors a (its input), b, c... as bytes."""
    names = [operators[0].input[0], operators[-1].output[0]]
    ends = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
        for name, shape in zip(names, shapes, strict=True)
    ]
    graph = helper.make_graph(operators, "g", ends[:1], ends[1:])
    imports = [helper.make_opsetid("", opset)]
    model = helper.make_model(graph, opset_imports=imports, ir_version=7)
    return bytes(model.SerializeToString())


def two_outputs() -> bytes:
    model = onnx.load_from_string(model_of(helper.make_node("Relu", ["a"], ["b"])))
    model.graph.output.append(model.graph.output[0])
    model.graph.output[1].name = "a"
    return bytes(model.SerializeToString())


def bad_onnx(files: dict[str, Path], folder: Path) -> dict[str, tuple[bytes, str]]:
    whole = files["onnx"].read_bytes()
    relu = helper.make_node("Relu", ["a"], ["b"])
    external = onnx.load(files["onnx"])
    onnx.save(
        external, folder / "e.onnx", save_as_external_data=True, location="w", size_threshold=0
    )
    (folder / "w").unlink()
    return {
        "truncated": (whole[: len(whole) // 2], "damaged"),
        "noise": (bytes(range(256)) * 8, "damaged"),
        "empty": (b"", ""),
        "outputs": (two_outputs(), "the outputs b, a: choose the image"),
        "two channels": (model_of(relu, shapes=((1, 2, 8, 8), (1, 2, 8, 8))), "one RGB image"),
        "uneven": (
            model_of(
                helper.make_node("Concat", ["a", "a"], ["b"], axis=2),
                shapes=((1, 3, 8, 8), (1, 3, 16, 8)),
            ),
            "no upscaler by a whole number",
        ),
        "same": (model_of(relu, shapes=((1, 3, 8, 8), (1, 3, 8, 8))), "of the size that it takes"),
        "opset": (model_of(relu, shapes=((1, 3, 8, 8),) * 2, opset=99), "cannot load it"),
        "external": ((folder / "e.onnx").read_bytes(), "cannot load it"),
        "operator": (
            model_of(
                helper.make_node("Concat", ["a"] * 4, ["b"], axis=1),
                helper.make_node("DepthToSpace", ["b"], ["c"], blocksize=2),
                helper.make_node("Softmax", ["c"], ["d"], axis=1, name="strange"),
            ),
            "Softmax (node 'strange')",
        ),
    }  # fmt: skip


@pytest.mark.parametrize(
    "kind",
    [
        "truncated",
        "noise",
        "empty",
        "outputs",
        "two channels",
        "uneven",
        "same",
        "opset",
        "external",
        "operator",
    ],
)
def test_an_onnx_model_that_cannot_be_used_is_one_line(files, tmp_path, capfd, kind):
    content, says = bad_onnx(files, tmp_path)[kind]
    model = tmp_path / "model.onnx"
    model.write_bytes(content)
    code, _, err = ailsr_export(capfd, model, f"--output={tmp_path / 'out'}")
    (line,) = err.strip().splitlines()
    assert code == 1 and line.startswith("error: ") and says in line and len(line) < 600
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("part", [0.3, 0.9])
def test_a_truncated_program_is_refused(files, tmp_path, part):
    whole = files["pt2"].read_bytes()
    (tmp_path / "cut.pt2").write_bytes(whole[: int(part * len(whole))])
    with pytest.raises(ModelError, match=r"cut\.pt2: a damaged torch.export program"):
        open_source(tmp_path / "cut.pt2")


def test_a_program_of_one_size_takes_no_other(files, tmp_path, capsys):
    arguments = [files["fixed"], "--input-size=40x40", f"--output={tmp_path / 'out'}"]
    code, _, err = ailsr_export(capsys, *arguments)
    assert code == 1 and "takes images of 24x32 pixels and no others" in err


def test_a_class_is_not_for_files(files):
    with pytest.raises(UsageError, match="leave --network out"):
        open_source(files["onnx"], "mine:Net")


def edited(path: Path, change) -> io.BytesIO:
    """The program at ``path`` after ``change(name, content)`` of each of its files."""
    result = io.BytesIO()
    with zipfile.ZipFile(path) as source, zipfile.ZipFile(result, "w") as target:
        for name in source.namelist():
            target.writestr(name, change(name.partition("/")[2], source.read(name)))
    return result


TRAP = "__import__('pathlib').Path('sprung').touch()"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'"torch.ops.aten.relu.default"', b'"torch.hub.os.system"'),
        (b'"guards_code": []', b'"guards_code": ["' + TRAP.encode() + b'"]'),
        (b'"name": "relu"', b'"name": "relu = ' + TRAP.encode() + b'; relu"'),
        (b'"expr_str": "', b'"expr_str": "' + TRAP.encode() + b" or "),
        (b'"context\\": \\"[]\\"', b'"context\\": \\"{\\\\\\"__enum__\\\\\\": true}\\"'),
    ],
)
def test_a_program_cannot_make_anything_run(files, tmp_path, monkeypatch, old, new):
    monkeypatch.chdir(tmp_path)

    def change(name: str, content: bytes) -> bytes:
        if name == "models/model.json":
            assert old in content or old.startswith(b'"guards')
            return content.replace(old, new)
        return content

    Path("evil.pt2").write_bytes(edited(files["pt2"], change).getvalue())
    if old.startswith(b'"guards'):
        assert open_source(Path("evil.pt2")).scale == 2  # guards are left out
    else:
        with pytest.raises(AilsrError):
            open_source(Path("evil.pt2"))
    assert not Path("sprung").exists()


class Trap:
    def __reduce__(self):
        return exec, (TRAP,)


def test_a_pickle_in_a_program_is_not_loaded(files, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    pickled = io.BytesIO()
    torch.save(Trap(), pickled)

    def inputs(name: str, content: bytes) -> bytes:
        return pickled.getvalue() if name.startswith("data/sample_inputs") else content

    def weights(name: str, content: bytes) -> bytes:
        if name == "data/weights/weight_0":
            return pickled.getvalue()
        return content.replace(b'"use_pickle": false', b'"use_pickle": true')

    Path("inputs.pt2").write_bytes(edited(files["pt2"], inputs).getvalue())
    assert open_source(Path("inputs.pt2")).scale == 2
    Path("weights.pt2").write_bytes(edited(files["pt2"], weights).getvalue())
    with pytest.raises(ModelError, match="pickled"):
        open_source(Path("weights.pt2"))
    assert not Path("sprung").exists()
