"""The app's core on a desktop: its classes, and an int8 file for its engine behind a pipe."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from skimage import data

ROOT = Path(__file__).parent.parent.parent
APP = ROOT / "android_demo"


@pytest.fixture(scope="session")
def engine() -> list[str]:
    """The command of an engine behind a pipe."""
    return [sys.executable, str(APP / "core" / "src" / "desktop" / "engine.py")]


@pytest.fixture(scope="session")
def core(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., subprocess.CompletedProcess]:
    """``core(main, *arguments)`` runs a main class of the core in a JVM with a phone's heap."""
    if shutil.which("javac") is None:
        pytest.skip("no javac: apt-get install openjdk-17-jdk-headless")
    if not Path("/usr/share/java/junit4.jar").exists():
        pytest.skip("no JUnit: apt-get install junit4")
    classes = tmp_path_factory.mktemp("classes")
    subprocess.run([sys.executable, APP / "core_build.py", classes, "--test"], check=True)
    classpath = f"{classes}:/usr/share/java/junit4.jar:/usr/share/java/hamcrest-core.jar"

    def run(main: str, *arguments: object, stdin: str | None = None) -> Any:
        command = ["java", "-Xmx256m", "-cp", classpath, main, *map(str, arguments)]
        return subprocess.run(command, input=stdin, capture_output=True, text=True, check=False)

    return run


@pytest.fixture(scope="session")
def ask(core: Callable[..., Any]) -> Callable[..., list[Any]]:
    """``ask(question, ...)``: what the core answers to each."""

    def run(*questions: dict[str, Any]) -> list[Any]:
        done = core("org.ailsr.core.ParityMain", stdin=json.dumps(questions))
        assert done.returncode == 0, done.stderr
        answers: list[Any] = json.loads(done.stdout)
        return answers

    return run


@pytest.fixture(scope="session")
def photograph_files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of photographs as PNG files."""
    folder = tmp_path_factory.mktemp("photographs")
    for name in ("astronaut", "chelsea", "coffee"):
        Image.fromarray(getattr(data, name)()).save(folder / f"{name}.png")
    return folder


@pytest.fixture(scope="session")
def int8_file(tmp_path_factory: pytest.TempPathFactory, photograph_files: Path) -> Path:
    """The zoo's ``sesr_m5`` ×2 as an int8 TFLite file."""
    folder = tmp_path_factory.mktemp("int8")
    command = [sys.executable, "-c", "from ailsr.export.command import cli; cli()"]
    options = ["--target", "tflite", "--precision", "int8", "--no-int8x16"]
    subprocess.run(
        [*command, "zoo:sesr_m5_x2", *options, "--output", folder,
         "--calibration", photograph_files],
        check=True, capture_output=True,
    )  # fmt: skip
    return next(folder.glob("*.tflite"))
