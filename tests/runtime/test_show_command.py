"""``ailsr-show``: what it tells of our files, of those of others, and without any library."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from ai_edge_litert import schema_py_generated as schema
from torch import nn

from ailsr.export.graph.graph import Conv, DepthToSpace, Graph
from ailsr.export.targets.coreml import writer as coreml_writer
from ailsr.runtime.anatomy.registry import anatomy
from ailsr.runtime.anatomy.tflite import OPERATORS, TYPES
from ailsr.runtime.card import Card
from ailsr.runtime.commands import show
from ailsr.runtime.errors import ModelError
from ailsr.train import checkpoint, zoo
from ailsr.train.checkpoint import Checkpoint
from ailsr.train.networks import create

KINDS = ["onnx float32 float32", "onnx int8 uint8", "tflite float16 float32", "tflite int8 uint8"]


def ailsr_show(*arguments: object) -> int:
    """The command's exit code."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["ailsr-show", *map(str, arguments)])
        with pytest.raises(SystemExit) as stopped:
            show.cli()
    return int(stopped.value.code or 0)


def shown(capsys: pytest.CaptureFixture[str], model: object) -> dict:
    assert ailsr_show(model, "--json") == 0
    return json.loads(capsys.readouterr().out)


@pytest.mark.parametrize("kind", KINDS)
def test_a_file_of_ours_tells_its_card_and_its_operators(write_network, capsys, kind):
    ending, precision, pixels = kind.split()
    path = write_network(kind, (20, 30), psnr={"Set5": 37.39}, training={"method": "ail"})
    document = shown(capsys, path)
    assert document["kind"] == {"onnx": "ONNX", "tflite": "TFLite"}[ending]
    assert document["bytes"] == path.stat().st_size
    assert document["sealed"] is True
    card = document["card"]
    assert (card["precision"], card["pixels"], card["input_size"]) == (precision, pixels, [20, 30])
    assert (card["psnr"], card["training"]) == ({"Set5": 37.39}, {"method": "ail"})
    convolutions = {name: n for name, n in document["operators"].items() if "conv" in name.lower()}
    # In TFLite the nearest-neighbour skip is a convolution, too.
    assert sum(convolutions.values()) == {"onnx": 3, "tflite": 4}[ending]
    source = document["inputs"][0]
    assert (source["name"], source["type"]) == ("image", pixels)
    assert source["shape"] == ([1, 3, 20, 30] if ending == "onnx" else [1, 20, 30, 3])


def test_weights_are_counted_by_hand(write_network):
    """Three convolutions: 3 to 8 of 3x3, 8 to 8 of 5x5, 8 to 12 of 3x3, with their biases."""
    numbers = (3 * 8 * 9 + 8) + (8 * 8 * 25 + 8) + (8 * 12 * 9 + 12)
    found = anatomy(str(write_network("onnx float32 float32", (12, 12))))
    assert (found.weights, found.weight_bytes) == (numbers, 4 * numbers)
    found = anatomy(str(write_network("tflite int8 int8", (12, 12))))
    skip = 3 * 12 + 12  # a 1x1 convolution
    biases = 8 + 8 + 12 + 12
    assert found.weights == numbers + skip
    assert found.weight_bytes == numbers + skip + 3 * biases


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_read_is_what_the_format_s_own_library_reads(write_network, kind):
    path = write_network(kind, (12, 16))
    found = anatomy(str(path))
    if path.suffix == ".onnx":
        model = onnx.load(path)
        assert [o.name for o in found.operators] == [node.op_type for node in model.graph.node]
        assert found.versions == {
            "IR": str(model.ir_version),
            "opset": str(model.opset_import[0].version),
        }
        shapes = [[d.dim_value for d in v.type.tensor_type.shape.dim] for v in model.graph.output]
    else:
        model = schema.ModelT.InitFromPackedBuf(path.read_bytes())
        names = {v: k for k, v in vars(schema.BuiltinOperator).items()}
        codes = [model.operatorCodes[o.opcodeIndex] for o in model.subgraphs[0].operators]
        assert [(o.name, o.version) for o in found.operators] == [
            (names[code.builtinCode], code.version) for code in codes
        ]
        shapes = [list(model.subgraphs[0].tensors[i].shape) for i in model.subgraphs[0].outputs]
    assert [list(tensor.shape) for tensor in found.outputs] == shapes


def test_operator_names_of_tflite_are_those_of_its_schema():
    assert {OPERATORS[i]: i for i in range(len(OPERATORS))}.items() <= vars(
        schema.BuiltinOperator
    ).items()
    assert {TYPES[i].upper(): i for i in range(len(TYPES))}.items() <= vars(
        schema.TensorType
    ).items()


def test_a_core_ml_package_tells_its_system(capsys, tmp_path):
    weight = np.zeros((12, 3, 1, 1), np.float32)
    convolution = Conv("image", "x", weight, np.zeros(12, np.float32))
    graph = Graph((convolution, DepthToSpace("x", "upscaled", 2)), (3, 10, 14))
    card = Card("tiny", 2, "rgb", "float16", "float32", (10, 14), 0)
    coreml_writer.write(graph, card, tmp_path / "tiny.mlpackage")
    document = shown(capsys, tmp_path / "tiny.mlpackage")
    assert document["versions"] == {"specification": "6", "iOS": "15"}
    assert document["operators"]["conv"] == document["operators"]["depth_to_space"] == 1
    assert (document["weights"], document["weight_bytes"]) == (48, 96)
    assert document["inputs"][0]["shape"] == ["10x14"]
    assert document["card"]["network"] == "tiny" and document["sealed"] is True


def test_nothing_is_needed_to_read_exported_files(write_network):
    """Not even an engine: what must be left out is nothing."""
    code = """
import sys
for name in ("onnx", "onnxruntime", "flatbuffers", "ai_edge_litert", "coremltools", "torch"):
    sys.modules[name] = None
from ailsr.runtime.anatomy.registry import anatomy
print(*(len(anatomy(path).operators) for path in sys.argv[1:]))
"""
    paths = [str(write_network(kind, (12, 12))) for kind in KINDS]
    child = subprocess.run(
        [sys.executable, "-c", code, *paths], capture_output=True, text=True, check=True
    )
    assert [int(n) for n in child.stdout.split()] == [
        len(anatomy(path).operators) for path in paths
    ]


def test_the_table_says_what_the_json_says(write_network, capsys):
    path = write_network("tflite int8 uint8", (20, 30), psnr={"Set5": 37.39})
    assert ailsr_show(path) == 0
    out = capsys.readouterr().out
    for text in (
        "random x2, RGB inside",
        "int8; takes and returns uint8 RGB pixels",
        "20x30, becomes 40x60",
        "image uint8 [1, 20, 30, 3]",
        "37.390 dB on Set5",
        "4x CONV_2D v3",
        "1x DEPTH_TO_SPACE v2",
        "runtime 2.5.0",
        "intact",
    ):
        assert text in out


def test_files_of_others_are_shown_too(data, capsys):
    peers = [
        *data.parent.glob("peers/abpn_tflite/*.tflite"),
        *data.parent.glob("peers/sr_mobile_abpn_onnx/*.onnx"),
    ]
    if not peers:
        pytest.skip(f"no files of others beside {data}")
    for path in peers:
        document = shown(capsys, path)
        assert document["card"] is None and document["sealed"] is False
        assert document["weights"] > 10_000
        assert sum(n for name, n in document["operators"].items() if "conv" in name.lower()) == 7
    assert ailsr_show(peers[0]) == 0
    assert "none: the file is not one of ours" in capsys.readouterr().out


def test_a_checkpoint_is_shown_without_its_class(tmp_path, capsys):
    network = create("sesr_m3", 2)
    card = {
        "recipe": {"method": "ail", "steps": 7, "train": ["/home/someone/T91"]},
        "validations": [{"psnr": 31.5}, {"psnr": 30.0, "protocol": "Y-shave-s"}],
    }
    checkpoint.save(Checkpoint(network, card, {"step": 5}), tmp_path / "last.pt")
    facts = shown(capsys, tmp_path / "last.pt")["facts"]
    assert facts["network"] == "sesr_m3 x2"
    assert facts["training: train"] == "T91"
    assert facts["to resume from"] == "yes, at step 5"
    assert facts["PSNR on --val"] == "30.000 dB (Y-shave-s)"  # of these weights

    network.reference = "nowhere_to_be_found:Net"
    checkpoint.save(Checkpoint(network, card), tmp_path / "best.pt")
    assert "nowhere_to_be_found:Net" in shown(capsys, tmp_path / "best.pt")["facts"]["class"]


def test_a_name_of_the_zoo_is_shown(capsys):
    document = shown(capsys, "zoo:sesr_m5_x2")
    assert document["facts"]["network"] == "sesr_m5 x2"
    assert document["facts"]["parameters when fused"] == "13,620"  # tests/train/test_networks.py
    psnr = zoo.psnr("sesr_m5_x2")["Set14"]
    assert document["facts"]["PSNR on Set14"] == f"{psnr:.2f} dB (Y-shave-s)"


def test_a_program_is_shown(tmp_path, capsys):
    network = nn.Sequential(nn.Conv2d(3, 12, 3, padding=1), nn.PixelShuffle(2)).eval()
    program = torch.export.export(network, (torch.zeros(1, 3, 8, 10),))
    torch.export.save(program, tmp_path / "net.pt2")
    document = shown(capsys, tmp_path / "net.pt2")
    assert document["weights"] == 12 * 27 + 12
    assert document["operators"]["aten.pixel_shuffle.default"] == 1
    assert document["outputs"][0]["shape"] == [1, 3, 16, 20]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("missing.tflite", None, "no model file at"),
        ("empty.onnx", b"", "it is empty"),
        ("text.onnx", b"hello, world\n", "text.onnx: it is"),
        ("text.tflite", b"hello, world\n", "text.tflite: it is no TFLite file"),
        ("text.pt", b"hello, world\n", "a damaged checkpoint, or none"),
        ("text.pt2", b"hello, world\n", "a damaged torch.export program, or none"),
        ("text.mlpackage", b"hello, world\n", "it is not a package"),
        (
            "text.txt",
            b"hello, world\n",
            "nothing is known of such files; known are mlpackage",
        ),
        ("zoo:nothing", None, "there is no such network in the zoo"),
        ("zoo:", None, "there is no such network in the zoo; it has abpn_photo_x3; abpn"),
    ],
)
def test_what_cannot_be_shown_gets_one_line(tmp_path, capsys, name, content, message):
    path: Path | str = name if ":" in name else tmp_path / name
    if content is not None:
        Path(path).write_bytes(content)
    assert ailsr_show(path) == 1
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert line.startswith("error: ") and message in line


@pytest.mark.parametrize("kind", ["onnx float32 float32", "tflite int8 uint8"])
def test_damage_is_seen(write_network, tmp_path, kind):
    content = bytearray(write_network(kind, (12, 12)).read_bytes())
    content[len(content) // 2] ^= 1
    path = tmp_path / f"damaged.{kind.split()[0]}"
    path.write_bytes(content)
    with pytest.raises(ModelError, match=r"its bytes are not those that were exported"):
        anatomy(str(path))
