"""The commands of the README and of its pages do what they say, run as they stand there, only with
fewer steps and shorter measurements."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

ROOT = Path(__file__).parent.parent
SHORTER = {
    r"(?<=--steps )\d+": "88",
    r"ailsr-bench (?!compare)": "ailsr-bench --runs 6 --seconds 0.1 --processes 2 ",
    r"(?<=--sustained )\d+": "0.05",
}


def blocks(page, heading=None, language=""):
    """The blocks of code of ``page``, or of its section under ``heading``."""
    text = (ROOT / page).read_text(encoding="utf-8")
    if heading:
        text = text.split(f"## {heading}\n")[1].split("\n## ")[0]
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)


def commands(*place):
    """The first block at that place as lines, one for each command."""
    return blocks(*place)[0].replace("\\\n", " ").splitlines()


def run(folder, lines):
    """What ``lines`` print, run by bash in ``folder``."""
    script = "\n".join(["set -e", *lines])
    for pattern, shorter in SHORTER.items():
        script = re.sub(pattern, shorter, script)
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-c", script], cwd=folder, env=os.environ | {"PATH": path},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def in_the_shell(tmp_path_factory):
    """The folder in which the commands of "In the shell" have run, one after the other."""
    folder = tmp_path_factory.mktemp("readme")
    return folder, run(folder, commands("README.md", "In the shell"))


def size(path):
    with Image.open(path) as image:
        return image.size


def doubled(path):
    width, height = size(path)
    return 2 * width, 2 * height


def test_commands_leave_what_the_readme_says(in_the_shell):
    folder, printed = in_the_shell
    exported = {path.name for path in (folder / "exported").iterdir()}
    assert exported == {f"sesr_m5_x2_int8.{ending}" for ending in ("onnx", "tflite", "mlpackage")}
    assert "dB" in printed
    assert "DEPTH_TO_SPACE" in printed  # ailsr-show
    assert size(folder / "china_x2.png") == doubled(folder / "photos" / "test" / "china.png")


def test_the_report_is_one_file_that_needs_no_network(in_the_shell):
    html = (in_the_shell[0] / "report.html").read_text(encoding="utf-8")
    assert "sesr_m5_x2_int8" in html
    assert "data:image/png;base64," in html
    assert not re.search(r"""(src|href)=["']?https?:""", html)


def test_the_python_of_the_readme(in_the_shell):
    folder, _ = in_the_shell
    (folder / "china_x2.png").unlink()
    (example,) = blocks("README.md", "In Python", "python")
    done = subprocess.run(
        [sys.executable, "-c", example], cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert re.fullmatch(r"\d\d\.\d\d dB, SSIM 0\.\d{4}\n", done.stdout)
    assert size(folder / "china_x2.png") == doubled(folder / "photos" / "test" / "china.png")


def test_upscaling_pictures_and_folders(in_the_shell):
    folder, _ = in_the_shell
    photos = folder / "photos" / "test"
    shutil.copytree(photos, folder / "holiday")
    shutil.copy(photos / "flower.png", folder / "huge.png")
    with Image.open(photos / "china.png") as image:
        image.save(folder / "holiday.jpg")
    run(folder, commands("docs/upscaling.md"))
    assert size(folder / "holiday_x2.png") == doubled(folder / "holiday.jpg")
    assert size(folder / "huge_x2.png") == doubled(folder / "huge.png")
    names = {path.name for path in (folder / "upscaled").iterdir()}
    assert names == {f"{path.stem}_x2.png" for path in photos.iterdir()}


def test_upscaling_frames(in_the_shell):
    """The middle of the pipe; ffmpeg is not ours."""
    folder, _ = in_the_shell
    block = next(b for b in blocks("docs/upscaling.md", "Video") if "ffmpeg" in b)
    (ours,) = re.findall(r"ailsr-upscale [^|]*(?= \|)", block)
    with Image.open(folder / "photos" / "test" / "chelsea.png") as image:
        image.save(folder / "frame.ppm")
    run(folder, [f"cat frame.ppm frame.ppm | {ours} > frames"])
    width, height = doubled(folder / "frame.ppm")
    assert (folder / "frames").read_bytes().count(b"P6\n%d %d\n255\n" % (width, height)) == 2


def test_measuring(in_the_shell):
    folder, _ = in_the_shell
    file, photo = "sesr_m5_x2_int8.tflite", folder / "photos" / "test" / "chelsea.png"
    for side in ("old", "new", "exported_alone", "one"):
        (folder / side).mkdir()
        shutil.copy(photo if side == "one" else folder / "exported" / file, folder / side)
    plain, *others = commands("docs/measuring.md")
    assert plain in commands("README.md", "In the shell")
    # A few short runs know nothing to 5 %, and a busy machine keeps no budget of 16 ms.
    for before, after in (
        ("exported/*", "exported_alone/*"), ("photos/test", "one"),
        ("--fail-on-slower 5", "--fail-on-slower 1e9"), ("--budget-ms 16", "--budget-ms 60000"),
    ):  # fmt: skip
        assert any(before in line for line in others)
        others = [line.replace(before, after) for line in others]
    sustained, against, budget = (run(folder, [line]) for line in others)
    assert "slowed" in sustained
    assert "old" in against
    assert "60000 ms" in budget
    assert file in budget


def test_the_two_commands_are_targets_of_the_makefile():
    targets = re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    assert set(commands("README.md", "Try it")) == {"make demo", "make test"}
    assert {"demo", "test"} <= set(targets)
