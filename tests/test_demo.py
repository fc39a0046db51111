"""``make demo`` ends with a report, whatever its training and its export come to.

Its own commands are run, with fewer steps, smaller files and shorter measurements.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

from PIL import Image

ROOT = Path(__file__).parent.parent
BIN = Path(sys.executable).parent
# Not as a part of the make that runs the tests, which would tell more than the commands.
ENVIRONMENT = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
DEADLY = "--learning-rate 1e9 --warmup 0"
SHORTER = {
    "--method ail --rounds 5": "--method l1 --rounds 1",
    "--batch 8 --patch 32": "--batch 2 --patch 16",
    "--target all --precision all": "--target all --precision all --input-size 120x160",
    "--html demo/report.html": "--html demo/report.html --runs 2 --seconds 0.1",
}


def demo(
    folder: Path, replaced: dict[str, str] | None = None, **changed: str
) -> subprocess.CompletedProcess[str]:
    """Run the demo's commands in ``folder``, ``replaced`` by others what is a key there, and each
    name in ``changed`` followed by its flags."""
    told = subprocess.run(
        ["make", "-f", ROOT / "Makefile", "--dry-run", "--old-file=.venv/demo", "demo",
         f"BIN={BIN}", "DEMO_STEPS=30"],
        cwd=folder, env=ENVIRONMENT, capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    for name, flags in changed.items():
        assert told.count(f"ailsr-{name} ") == 1
        told = told.replace(f"ailsr-{name} ", f"ailsr-{name} {flags} ")
    for before, after in (SHORTER | (replaced or {})).items():
        assert told.count(f"{before} ") == 1, before
        told = told.replace(before, after)
    commands = told.replace("\\\n", " ").splitlines()
    (folder / "demo.sh").write_text("\n".join(["set -e", *commands]))
    return subprocess.run(
        ["sh", "demo.sh"], cwd=folder, env=ENVIRONMENT, capture_output=True, text=True, check=False
    )


def report(folder: Path) -> str:
    return (folder / "demo" / "report.html").read_text(encoding="utf-8")


def test_files_that_are_not_good_enough_stand_in_the_report_as_failed(tmp_path):
    (tmp_path / "flat").mkdir()
    Image.new("RGB", (256, 256), "gray").save(tmp_path / "flat" / "gray.png")  # has no ranges
    calibrated = {"--calibration demo/photographs/train": "--calibration flat"}
    # The network of the zoo: one that has learnt nothing yet loses nothing either.
    done = demo(tmp_path, calibrated, train=DEADLY, export="--max-drop 0.01 --no-int8x16")
    assert done.returncode == 0, done.stderr
    exported = json.loads((tmp_path / "demo" / "export.json").read_text(encoding="utf-8"))
    refused = {Path(file["file"]).name for file in exported["refused"]}
    assert {f"sesr_m5_x2_int8.{kind}" for kind in ("onnx", "tflite", "mlpackage")} <= refused
    assert len(exported["files"]) + len(refused) == 9
    written = {path.name for path in (tmp_path / "demo" / "files").glob("*")}
    assert written == {Path(file["file"]).name for file in exported["files"]}
    for file in exported["refused"]:
        assert f"{Path(file['file']).name} failed: {file['reason']}" in done.stdout
    assert report(tmp_path).count('<tr class="failed">') == len(refused)


def test_a_training_that_fails_is_told_and_the_zoo_takes_its_place(tmp_path):
    done = demo(tmp_path, train=DEADLY)
    assert done.returncode == 0, done.stderr
    assert "error: the loss is" in done.stderr
    assert "The training failed, as said above: the demo goes on with zoo:sesr_m5_x2" in done.stdout
    exported = json.loads((tmp_path / "demo" / "export.json").read_text(encoding="utf-8"))
    assert exported["model"] == "zoo:sesr_m5_x2" and exported["files"]
    assert "sesr_m5" in report(tmp_path) and "data:image/png;base64," in report(tmp_path)
