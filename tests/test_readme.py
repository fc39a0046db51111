"""The README's commands do what it says, run as they stand there, only with fewer steps."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


def commands_under(heading):
    section = README.split(f"## {heading}\n")[1].split("\n## ")[0]
    block = re.search(r"```\n(.*?)```", section, re.DOTALL)[1]
    return block.replace("\\\n", " ").splitlines()


@pytest.fixture(scope="module")
def by_hand(tmp_path_factory):
    """The folder in which the commands of "By hand" have run, one after the other."""
    folder = tmp_path_factory.mktemp("readme")
    script = "\n".join(["set -e", *commands_under("By hand")])
    script, replaced = re.subn(r"--steps \d+", "--steps 88", script)
    assert replaced == 1
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-c", script], cwd=folder, env=os.environ | {"PATH": path},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return folder, done.stdout


def test_commands_leave_what_the_readme_says(by_hand):
    folder, printed = by_hand
    exported = {path.name for path in (folder / "exported").iterdir()}
    assert exported == {f"sesr_m5_x2_int8.{ending}" for ending in ("onnx", "tflite", "mlpackage")}
    assert "dB" in printed
    with (
        Image.open(folder / "photos" / "test" / "china.png") as small,
        Image.open(folder / "china_x2.png") as large,
    ):
        assert large.size == (2 * small.width, 2 * small.height)


def test_the_report_is_one_file_that_needs_no_network(by_hand):
    html = (by_hand[0] / "report.html").read_text(encoding="utf-8")
    assert "sesr_m5_x2_int8" in html
    assert "data:image/png;base64," in html
    assert not re.search(r"""(src|href)=["']?https?:""", html)


def test_the_two_commands_are_targets_of_the_makefile():
    targets = re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    assert set(commands_under("Try it")) == {"make demo", "make test"}
    assert {"demo", "test"} <= set(targets)
