"""Each command under hostile names, encodings, streams and narrow terminals.

Whatever a file is called, the terminal is told nothing but text; JSON is strict; there is no
traceback; a terminal of 40 columns shows each figure with its file.
"""

from __future__ import annotations

import fcntl
import json
import os
import pty
import re
import shutil
import struct
import subprocess
import sys
import termios
from pathlib import Path

import numpy as np
import onnx
import pytest
from PIL import Image

from ailsr.runtime import documents
from ailsr.runtime.card import Card
from ailsr.runtime.commands.terminal import printable
from ailsr.runtime.seal import SEAL_KEY, UNSEALED, sealed

PROGRAMS = Path(sys.executable).parent
NAME = "a[/b][red]\x1b]0;x\x07é😀\udcff\n"
VISIBLE = r"b][red]\x1b]0;x\x07"
LEAST = ["--runs", "2", "--seconds", "0.05"]
COMMANDS = {
    "show": (["ailsr-show", "MODEL"], 0),
    "show json": (["ailsr-show", "MODEL", "--json"], 0),
    "upscale": (["ailsr-upscale", "MODEL", "PICTURE", "-o", "out", "--overwrite"], 0),
    "upscale json": (["ailsr-upscale", "MODEL", "PICTURE", "broken.png", "-o", "o", "--json"], 1),
    "bench": (["ailsr-bench", "MODEL", "broken.onnx", *LEAST, "--html", "r.html"], 1),
    "bench json": (["ailsr-bench", "MODEL", *LEAST, "--json", "--csv", "r", "--markdown", "m"], 0),
    "compare": (["ailsr-bench", "compare", "before.json", "after.json"], 0),
    "compare json": (["ailsr-bench", "compare", "before.json", "after.json", "--json"], 0),
    "export": (["ailsr-export", "MODEL.pt"], 1),
    "fit": (["ailsr-fit", "propose", "--budget-ms", "1", "--table", "MODEL"], 1),
    "train": (["ailsr-train", "--train", "PICTURE.d", "--output", "run"], 1),
    "web": (["ailsr-web", "MODEL.tflite"], 1),
    "help": (["ailsr-upscale", "--help"], 0),
    "usage": (["ailsr-upscale", "MODEL", "--no-such-flag"], 2),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder of a model, an image and reports with hostile names and texts."""
    folder = tmp_path_factory.mktemp("hostile")
    (folder / NAME).parent.mkdir()
    helper, floats = onnx.helper, onnx.TensorProto.FLOAT
    graph = helper.make_graph(
        [helper.make_node("Resize", ["in", "", "s"], ["\x1b[31mout"], mode="nearest")],
        "g",
        [helper.make_tensor_value_info("in", floats, [1, 3, 12, 14])],
        [helper.make_tensor_value_info("\x1b[31mout", floats, [1, 3, 24, 28])],
        [onnx.numpy_helper.from_array(np.float32([1, 1, 2, 2]), "s")],
    )
    model = helper.make_model(graph, ir_version=9, opset_imports=[helper.make_opsetid("", 18)])
    training = {"[/b]\x1b[5m" * 9: "\x1b]0;x\x07[link=x]", "deep": [[1, {"a": float(2**60)}]]}
    card = Card("[red]\x1b[31m", 2, "rgb", "float32", "float32", (12, 14), 1, training=training)
    helper.set_model_props(model, {"ailsr": card.to_json(), SEAL_KEY: UNSEALED})
    (folder / f"{NAME}.onnx").write_bytes(sealed(model.SerializeToString()))
    (folder / "broken.onnx").write_bytes(b"\x08\x07\x1b]0;x\x07")
    (folder / "broken.png").write_bytes(b"\x1b]0;x\x07")
    with (folder / f"{NAME}.png").open("wb") as file:
        Image.fromarray(np.zeros((20, 16, 3), np.uint8)).save(file, "png")
    report = json.loads((Path(__file__).parent / "parity" / "report.json").read_text())
    report["host"]["cpu"] = "\x1b]0;x\x07[/b]"
    report["files"][1]["file"] = "dir/[red]\x1b]0;x\x07"
    for name, encoding in (("before.json", "utf-16"), ("after.json", "utf-8-sig")):
        report["host"]["os"] = name
        (folder / name).write_text(json.dumps(report, ensure_ascii=False), encoding=encoding)
    return folder


def command_of(words: list[str]) -> list[str]:
    names = {"MODEL": f"{NAME}.onnx", "PICTURE": f"{NAME}.png"}
    words = [
        re.sub("MODEL|PICTURE", lambda found: names[found[0]], word) if word.isascii() else word
        for word in words
    ]
    return [str(PROGRAMS / words[0]), *words[1:]]


def environment(**changes: str) -> dict[str, str]:
    return {k: v for k, v in os.environ.items() if k != "COLUMNS"} | changes


def check_text(text: str) -> None:
    assert "Traceback" not in text
    assert "\x1b]0;" not in text and "\x1b[31mout" not in text and "\x1b[5m" not in text
    assert "\x07" not in text


@pytest.mark.parametrize("name", COMMANDS)
@pytest.mark.parametrize(
    "changes",
    [{"PYTHONIOENCODING": "ascii"}, {"FORCE_COLOR": "1", "LC_ALL": "C"}],
    ids=["ascii", "color"],
)
def test_what_is_printed_is_text_and_json_is_strict(folder, name, changes):
    words, code = COMMANDS[name]
    done = subprocess.run(
        command_of(words), cwd=folder, env=environment(**changes), stdin=subprocess.DEVNULL,
        capture_output=True, timeout=120,
    )  # fmt: skip
    out, err = (stream.decode("utf-8", "backslashreplace") for stream in (done.stdout, done.stderr))
    assert done.returncode == code, err
    check_text(out)
    check_text(err)
    if "ascii" in changes.values():
        assert (done.stdout + done.stderr).isascii()
    if "--json" in words:
        documents.parse(done.stdout)
    elif name in ("show", "upscale"):
        assert VISIBLE in out
    if code == 1:
        plain = re.sub(r"\x1b\[[?\d;]*[A-Za-z]", "", err)
        assert plain.strip().splitlines()[-1].startswith("error: ")


@pytest.mark.parametrize("name", [name for name in COMMANDS if "json" not in name])
def test_a_terminal_of_40_columns_shows_all_of_it(folder, name):
    words, code = COMMANDS[name]
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 40, 0, 0))
    process = subprocess.Popen(
        command_of(words), cwd=folder, env=environment(TERM="xterm"), stdin=theirs, stdout=theirs,
        stderr=theirs,
    )  # fmt: skip
    os.close(theirs)
    output = b""
    while True:
        try:
            piece = os.read(ours, 1 << 16)
        except OSError:  # the other end is closed
            break
        output += piece
    os.close(ours)
    assert process.wait(60) == code
    text = re.sub(r"\x1b\[[?\d;]*[A-Za-z]", "", output.decode("utf-8", "replace"))
    check_text(text)
    joined = "".join(text.split())
    if name in ("show", "upscale", "bench"):
        assert VISIBLE in joined
    if name == "bench":
        assert "inferencemsp50p90p99:" in joined
    if name == "compare":
        assert "[red]" in joined and "verdict:same" in joined


@pytest.mark.parametrize(
    ("name", "closed"),
    [("show", "<&-"), ("show", ">&-"), ("show", "2>&-"), ("show json", "<&- >&-"),
     ("upscale", ">&- 2>&-"), ("upscale", "<&- >&- 2>&-"), ("bench", "<&-"), ("bench", ">&-"),
     ("export", "2>&-")],
)  # fmt: skip
def test_closed_streams_are_no_trouble(folder, name, closed):
    words, code = COMMANDS[name]
    done = subprocess.run(
        ["sh", "-c", f'"$@" {closed}', "sh", *command_of(words)], cwd=folder, capture_output=True,
        env=environment(), timeout=120,
    )  # fmt: skip
    assert done.returncode == code, done.stderr
    check_text((done.stdout + done.stderr).decode("utf-8", "backslashreplace"))


def test_a_pipe_of_frames_that_is_closed_is_one_line(folder):
    command = command_of(["ailsr-upscale", "MODEL", "-", "-o", "-"])
    for closed in ("<&-", ">&-", "</dev/null"):
        done = subprocess.run(
            ["sh", "-c", f'"$@" {closed}', "sh", *command], cwd=folder, capture_output=True,
            stdin=subprocess.DEVNULL, timeout=120,
        )  # fmt: skip
        assert (done.returncode, done.stdout) == (1, b"")
        assert done.stderr.startswith(b"error: ") and done.stderr.count(b"\n") == 1


def test_a_full_disk_behind_stdout_is_one_line(folder):
    if not Path("/dev/full").exists():
        pytest.skip("NOT TESTED: no /dev/full")
    with open("/dev/full", "w") as full:  # noqa: PTH123
        done = subprocess.run(
            command_of(["ailsr-show", "MODEL", "--json"]), cwd=folder, stdout=full,
            stderr=subprocess.PIPE,
        )  # fmt: skip
    assert done.returncode == 1
    assert done.stderr.startswith(b"error: the disk is full") and done.stderr.count(b"\n") == 1


@pytest.mark.parametrize("size", ["9999999999x9999999999", "0x1", "1e9x2", "-1x2", "1x2x3", "²x2"])
def test_a_size_that_is_none_is_one_line(folder, size):
    done = subprocess.run(
        command_of(["ailsr-upscale", "MODEL", "-", "-o", "-", "--size", size]), cwd=folder,
        input=b"x", capture_output=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 1
    assert done.stderr.startswith(b"error: --size") and done.stderr.count(b"\n") == 1


def test_exif_data_that_a_jpeg_cannot_hold_is_said_and_left_out(folder):
    exif = Image.Exif()
    exif[0x010E] = "x" * 70_000
    Image.new("RGB", (20, 16), "red").save(folder / "large.png", exif=exif)
    done = subprocess.run(
        command_of(["ailsr-upscale", "MODEL", "large.png", "-o", "large.jpg"]), cwd=folder,
        capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert re.search(r"EXIF data dropped: 70\d{3} bytes, .jpg holds 64 kB", done.stderr)
    with Image.open(folder / "large.jpg") as picture:
        assert (picture.size, "exif" in picture.info) == ((40, 32), False)


def test_cells_of_a_csv_are_no_formulas(folder):
    name = "=cmd|' calc'!A0.onnx"
    shutil.copy(folder / f"{NAME}.onnx", folder / name)
    (folder / "-bad.onnx").write_bytes(b"x")
    subprocess.run(
        command_of(["ailsr-bench", *LEAST, "--csv", "cells.csv", "--", name, "-bad.onnx"]),
        cwd=folder, capture_output=True,
    )  # fmt: skip
    cells = (folder / "cells.csv").read_text()
    assert "'=cmd|" in cells and "'-bad.onnx" in cells
    assert not re.search(r'(^|,)"?[=+@-](?!\d)', cells, re.MULTILINE)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain é 😀 日本", "plain é 😀 日本"),
        ("\x1b[2J\x07", r"\x1b[2J\x07"),
        ("a\nerror: b\r\t", r"a\nerror: b\r\t"),
        ("\udcff", r"\udcff"),
        ("abc\u202etxt.exe", r"abc\u202etxt.exe"),
        ("\u3000\xa0", "\u3000\xa0"),
        ("\x9b31m", r"\x9b31m"),
    ],
)
def test_what_cannot_be_printed_is_shown_as_an_escape(text, shown):
    assert printable(text) == shown
