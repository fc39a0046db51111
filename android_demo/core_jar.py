"""``python android_demo/core_jar.py FOLDER``: the core as a library, for apps of others.

Writes ``ailsr-core-VERSION.jar`` (Java 8; the app brings LiteRT), ``…-sources.jar`` and
``…-javadoc.jar``, on the classes of API alone. The same sources give the same class files and the
same jars. Needs a JDK (Debian: openjdk-17-jdk-headless), and no repositories.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

from core_build import CORE, HERE, JAVAC, compile_stubs, java

MAIN = CORE / "main" / "java"
API = (
    "AilsrException",
    "Card",
    "Engine",
    "Fidelity",
    "Layout",
    "LiteRtEngine",
    "ModelFile",
    "Picture",
    "PixelSource",
    "PixelType",
    "Progress",
    "Session",
    "Size",
    "Upscaler",
    "VideoColors",
    "VideoFrame",
    "VideoPlane",
    "VideoSink",
    "VideoSource",
    "VideoUpscaler",
)
"""What others may rely on. No public signature of these names another class of the core."""
MANIFEST = """Manifest-Version: 1.0
Automatic-Module-Name: org.ailsr.core
Implementation-Title: ailsr-core
Implementation-Version: {version}
Bundle-License: Apache-2.0

"""
EPOCH = (1980, 1, 1, 0, 0, 0)


def build(folder: Path) -> Path:
    """The library's jar in ``folder``. Raises CalledProcessError after the JDK has said why."""
    name = f"ailsr-core-{version()}"
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as temporary:
        work = Path(temporary)
        compile_stubs(work / "litert")
        options = ("-Xlint:-options", "--release", "8", "-classpath", work / "litert")
        subprocess.run([*JAVAC, *options, "-d", work / "classes", *java(MAIN)], check=True)
        described = [MAIN / "org" / "ailsr" / "core" / f"{c}.java" for c in ("package-info", *API)]
        subprocess.run(
            ["javadoc", "-quiet", "-Xdoclint:all,-missing", "-Werror", "-notimestamp",
             "-noindex", "-encoding", "UTF-8", "--release", "8", "-sourcepath", MAIN,
             "-classpath", work / "litert", "-windowtitle", name, "-d", work / "javadoc",
             *described],
            check=True,
        )  # fmt: skip
        _pack(folder / f"{name}-sources.jar", MAIN)
        _pack(folder / f"{name}-javadoc.jar", work / "javadoc")
        return _pack(folder / f"{name}.jar", work / "classes")


def version() -> str:
    """As ``Version.java`` has it."""
    text = (MAIN / "org" / "ailsr" / "core" / "Version.java").read_text(encoding="utf-8")
    found = re.search(r'NAME = "([^"]+)"', text)
    assert found
    return found[1]


def _pack(jar: Path, folder: Path) -> Path:
    """The files of ``folder``, the manifest first, all of one date."""
    entries = {"META-INF/MANIFEST.MF": MANIFEST.format(version=version()).encode()}
    entries["META-INF/LICENSE"] = (HERE.parent / "LICENSE").read_bytes()
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        entries[path.relative_to(folder).as_posix()] = path.read_bytes()
    temporary = jar.with_suffix(".part")
    with zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in entries.items():
            file.writestr(zipfile.ZipInfo(name, EPOCH), content, zipfile.ZIP_DEFLATED)
    temporary.rename(jar)
    return jar


if __name__ == "__main__":
    sys.stdout.write(f"{build(Path(sys.argv[1]))}\n")
