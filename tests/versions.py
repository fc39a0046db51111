"""Tests of the runtime on other versions: ``python tests/versions.py lowest`` or ``newest``.

Makes an environment with the dependencies of the runtime, and of the extras that only run files,
and runs those tests of tests/runtime and tests/parity there that need neither PyTorch nor a device:
``lowest`` on the lowest Python of this machine and each dependency at its lower bound, ``newest``
on the newest Python and the versions of constraints.txt. Further arguments go to pytest. Standard
library only. Exits as pytest does.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from environments import ROOT, CommandError, environment, project, pythons, run

BUILD = ROOT / "build" / "versions"
EXTRAS = ("onnx", "tflite", "opencv", "heif", "video", "web")
WRITERS = (
    "onnx", "flatbuffers", "coremltools", "scikit-image", "tensorboard",
    "fastjsonschema", "pytest", "hypothesis",
)  # fmt: skip
"""What the tests make their files and images with, at the newest version that fits."""
DEVICES = ("test_adb_device.py", "test_ssh_device.py")
TORCH = re.compile(r"^\s*(?:from|import) (?:torch|ailsr\.train)\b", re.MULTILINE)


def requirements() -> list[str]:
    """What the runtime and EXTRAS ask for, such as ``numpy>=1.24``."""
    table = project()
    asked = [*table["dependencies"]]
    for extra in EXTRAS:
        asked += table["optional-dependencies"][extra]
    return [requirement for requirement in asked if ">=" in requirement]


def install(python: Path, *asked: str | Path) -> Path:
    """The environment's folder of commands. Raises CommandError."""
    uv = environment(BUILD / "tools", python, "uv") / "uv"  # it resolves in seconds
    bin = environment(BUILD / "environment", python)
    run(uv, "pip", "install", "--quiet", "--python", bin / "python", *asked, *WRITERS)
    run(uv, "pip", "install", "--quiet", "--python", bin / "python", "--no-deps", "-e", ROOT)
    return bin


def tests() -> list[Path]:
    """The files of tests that need neither PyTorch nor a device."""
    every = [f for name in ("runtime", "parity") for f in (ROOT / "tests" / name).glob("test_*.py")]
    return [
        file
        for file in sorted(every)
        if file.name not in DEVICES and not TORCH.search(file.read_text("utf-8"))
    ]


def main() -> int:
    """The exit code."""
    which, *arguments = sys.argv[1:] or ["neither"]
    if which not in ("lowest", "newest"):
        print(f"{which}: say lowest or newest", file=sys.stderr)
        return 2
    every, asked = pythons(), requirements()
    (major, minor), python = (min if which == "lowest" else max)(every.items())
    if which == "lowest":
        asked = [requirement.replace(">=", "==") for requirement in asked]
    print(f"Python {major}.{minor}: {' '.join(asked)}", flush=True)
    constraint = ["--constraint", ROOT / "constraints.txt"] if which == "newest" else []
    try:
        bin = install(python, *constraint, *asked)
    except CommandError as error:
        print(error, file=sys.stderr)
        return 1
    clean = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")}
    # Old packages beside new ones deprecate each other: nothing of ours.
    quiet = ["-W", "ignore::DeprecationWarning"] if which == "lowest" else []
    command = [bin / "pytest", "-rs", *quiet, *arguments, *tests()]
    return subprocess.run(command, cwd=ROOT, env=clean).returncode


if __name__ == "__main__":
    sys.exit(main())
