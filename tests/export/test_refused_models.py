"""Models of others that cannot be exported, or would run code: one line, and nothing runs."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import onnx
import pytest
import torch
from export_runs import ailsr_export, model_of
from onnx import helper

from ailsr.export.reading.source import open_source
from ailsr.runtime.errors import ModelError, UsageError


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
        "opset": (model_of(relu, shapes=((1, 3, 8, 8),) * 2, opset=99), "cannot load it"),
        "external": ((folder / "e.onnx").read_bytes(), "cannot load it"),
        "operator": (
            model_of(
                helper.make_node("Concat", ["a"] * 4, ["b"], axis=1),
                helper.make_node("DepthToSpace", ["b"], ["c"], blocksize=2),
                helper.make_node("Softmax", ["c"], ["d"], axis=2, name="strange"),
            ),
            "Softmax over the axis 2 (node 'strange')",
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


def evil(path: Path, old: bytes, new: bytes) -> Path:
    """The program at ``path`` with other words."""

    def change(name: str, content: bytes) -> bytes:
        if name == "models/model.json":
            assert old in content
            return content.replace(old, new)
        return content

    Path("evil.pt2").write_bytes(edited(path, change).getvalue())
    return Path("evil.pt2")


@pytest.mark.parametrize(
    "function",
    [
        "torch.hub.os.system",
        "os.system",
        "torch.ops.aten.__class__.mro",
        "torch.ops.aten.relu.__init__",
        "torch.ops.aten.from_file.default",
        "torch.ops.prims.add.default",
        "_operator.attrgetter",
    ],
)
def test_a_program_calls_pytorchs_operators_alone(files, tmp_path, monkeypatch, function):
    monkeypatch.chdir(tmp_path)
    path = evil(files["pt2"], b'"torch.ops.aten.relu.default"', b'"%s"' % function.encode())
    with pytest.raises(ModelError, match=rf"evil\.pt2: the program calls '{function}'"):
        open_source(path)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'"guards_code": [', b'"guards_code": ["' + TRAP.encode() + b'"], "further": ['),
        (b'"name": "relu"', b'"name": "relu = ' + TRAP.encode() + b'; relu"'),
        (b'"expr_str": "', b'"expr_str": "' + TRAP.encode() + b" or "),
        (b'"context\\": \\"[]\\"', b'"context\\": \\"{\\\\\\"__enum__\\\\\\": true}\\"'),
    ],
)
def test_the_words_of_a_program_are_never_run(files, tmp_path, monkeypatch, old, new):
    monkeypatch.chdir(tmp_path)
    assert open_source(evil(files["pt2"], old, new)).scale == 2
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
