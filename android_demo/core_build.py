"""``python android_demo/core_build.py CLASSES [--test]``: compiles the core and its desktop tools.

CLASSES gets the class files of ``core/src/main`` and ``core/src/desktop``, with ``--test`` also of
``core/src/test``. Needs a JDK (Debian: openjdk-17-jdk-headless), the tests also junit4.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent
CORE = HERE / "core" / "src"
JUNIT = [Path("/usr/share/java") / name for name in ("junit4.jar", "hamcrest-core.jar")]
JAVAC = ("javac", "-Xlint:all", "-Werror", "-encoding", "UTF-8")


def compile_core(classes: Path, *, tests: bool = False) -> None:
    """Compile into ``classes``. Raises CalledProcessError after javac has said why."""
    parts = ["main", "desktop"] + ["test"] * tests
    sources = [path for part in parts for path in java(CORE / part)]
    with tempfile.TemporaryDirectory() as litert:
        compile_stubs(Path(litert))
        classpath = ":".join([litert, *map(str, JUNIT)] if tests else [litert])
        options = ("--release", "9", "-classpath", classpath, "-d", classes)
        subprocess.run([*JAVAC, *options, *sources], check=True)


def compile_stubs(classes: Path) -> None:
    """Compile our stubs of LiteRT, which are on the classpath and never in a jar or an APK."""
    options = ("-Xlint:-options", "--release", "8", "-d", classes)
    subprocess.run([*JAVAC, *options, *java(HERE / "stubs")], check=True)


def java(folder: Path) -> list[Path]:
    """The Java sources in ``folder``, sorted."""
    return sorted(folder.rglob("*.java"))


if __name__ == "__main__":
    compile_core(Path(sys.argv[1]), tests="--test" in sys.argv[2:])
