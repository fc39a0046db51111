"""``python android_demo/core_build.py CLASSES [--test]``: compiles the core and its desktop tools.

CLASSES gets the class files of ``core/src/main`` and ``core/src/desktop``, with ``--test`` also of
``core/src/test``. Needs a JDK (Debian: openjdk-17-jdk-headless), the tests also junit4.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

CORE = Path(__file__).parent / "core" / "src"
JUNIT = [Path("/usr/share/java") / name for name in ("junit4.jar", "hamcrest-core.jar")]


def compile_core(classes: Path, *, tests: bool = False) -> None:
    """Compile into ``classes``. Raises CalledProcessError after javac has said why."""
    parts = ["main", "desktop"] + ["test"] * tests
    sources = [str(path) for part in parts for path in sorted((CORE / part).rglob("*.java"))]
    classpath = ":".join(map(str, JUNIT)) if tests else ""
    command = ["javac", "-Xlint:all", "-Werror", "--release", "9", "-encoding", "UTF-8"]
    subprocess.run([*command, "-classpath", classpath, "-d", str(classes), *sources], check=True)


if __name__ == "__main__":
    compile_core(Path(sys.argv[1]), tests="--test" in sys.argv[2:])
