"""``python android_demo/apk_build.py APK [ASSETS]``: builds the app without Gradle's repositories.

The same sources, manifest and assets (or those in the folder ASSETS), with SDK levels and version
read from ``app/build.gradle``, compiled against the stubs of API 23 and ours of LiteRT, dexed,
aligned and signed with a debug key.
What comes out proves that the app compiles and is well-formed; it holds no LiteRT and so cannot
upscale. Tools of Debian 12 (see PACKAGES) and two packages of Debian 11, which are fetched into
build/android. Exit code 3, with a reason, where those cannot be had.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Sequence
from pathlib import Path

HERE = Path(__file__).parent
sys.path.append(str(HERE.parent / "tests"))

import debian  # noqa: E402
from debian import UnavailableError  # noqa: E402
from environments import alone  # noqa: E402

CACHE = HERE.parent / "build" / "android"
MAIN = HERE / "app" / "src" / "main"
FRAMEWORK = Path("/usr/share/android-framework-res/framework-res.apk")
PACKAGES = {
    "javac": "openjdk-17-jdk-headless",
    "aapt": "aapt",
    "zipalign": "zipalign",
    "apksigner": "apksigner",
}
"""The Debian package of each tool; FRAMEWORK is that of android-framework-res."""
BULLSEYE = ("dalvik-exchange", "libandroid-23-java")
"""The packages of the dexer and of Android's stubs, which Debian 12 does not have."""
JARS = (
    Path("usr/share/java/com.android.dx.jar"),
    Path("usr/share/java/com.android.android-23.jar"),
)
UNAVAILABLE = 3


def gradle(name: str) -> str:
    """The value of a setting in ``app/build.gradle``, for example of ``minSdk``."""
    text = (HERE / "app" / "build.gradle").read_text(encoding="utf-8")
    found = re.findall(rf"^\s*{name} '?([^'\n]+)'?$", text, re.MULTILINE)
    if len(found) != 1:
        raise SystemExit(f"app/build.gradle sets {name} {len(found)} times, not once")
    return str(found[0])


def build(apk: Path, assets: Path, work: Path) -> None:
    """Write ``apk``, with intermediate files in ``work``. Raises UnavailableError."""
    missing = [package for tool, package in PACKAGES.items() if shutil.which(tool) is None]
    if not FRAMEWORK.exists():
        missing.append("android-framework-res")
    if missing:
        raise UnavailableError(f"missing tools: apt-get install {' '.join(missing)}")
    unsigned, aligned = work / "unsigned.apk", work / "aligned.apk"
    (work / "generated").mkdir()
    _package_resources(work, assets, unsigned)
    _compile_litert(work / "litert")
    _compile_app(work)
    dex(work / "classes.dex", work / "app")
    with zipfile.ZipFile(unsigned, "a") as file:
        file.write(work / "classes.dex", "classes.dex", zipfile.ZIP_DEFLATED)
    _run("zipalign", "-f", "-p", "4", unsigned, aligned)
    apk.parent.mkdir(parents=True, exist_ok=True)
    _run("apksigner", "sign", "--v4-signing-enabled", "false", "--min-sdk-version",
         gradle("minSdk"), "--ks", _debug_key(),
         "--ks-pass", "pass:android", "--out", apk, aligned)  # fmt: skip


def build_libraries(output: Path, work: Path) -> None:
    """Write ``output``, a DEX of all that the app is compiled against. Raises UnavailableError.

    Android's API 23 and our stubs of LiteRT. It is for comparison and cannot be run.
    """
    _compile_litert(work / "litert")
    quickly = ["--no-optimize", "--no-locals", "--positions=none"]
    dex(output, _jars()[1], work / "litert", options=["--core-library", *quickly])


def dex(output: Path, *classes: Path, options: Sequence[str] = ()) -> None:
    """Write the class files of folders and jars as one DEX file. Raises UnavailableError."""
    _run("java", "-cp", _jars()[0], "com.android.dx.command.Main", "--dex", *options,
         f"--min-sdk-version={gradle('minSdk')}", f"--output={output}", *classes)  # fmt: skip


def _jars() -> list[Path]:
    """The dexer and Android's stubs, fetched on first use. Raises UnavailableError."""
    root = debian.unpack(CACHE / "bullseye", "bullseye", BULLSEYE, dependencies=False)
    return [root / jar for jar in JARS]


def _package_resources(work: Path, assets: Path, output: Path) -> None:
    """Manifest, resources, assets. Gradle has the package in its file, aapt in the manifest."""
    manifest = (MAIN / "AndroidManifest.xml").read_text(encoding="utf-8")
    package = gradle("namespace")
    (work / "AndroidManifest.xml").write_text(
        manifest.replace("<manifest ", f'<manifest package="{package}" ', 1), encoding="utf-8"
    )
    bundled = ["-A", assets] if assets.is_dir() else []
    _run("aapt", "package", "-f", "-m", "-J", work / "generated", "-S", MAIN / "res", *bundled,
         "-M", work / "AndroidManifest.xml", "-I", FRAMEWORK, "-0", gradle("noCompress"),
         "--min-sdk-version", gradle("minSdk"), "--target-sdk-version", gradle("targetSdk"),
         "--version-code", gradle("versionCode"), "--version-name", gradle("versionName"),
         "-F", output)  # fmt: skip


def _compile_litert(classes: Path) -> None:
    """LiteRT's stubs, apart from the app so that they are not packaged."""
    _javac("-d", classes, *sorted((HERE / "stubs").rglob("*.java")))


def _compile_app(work: Path) -> None:
    """The app with the core."""
    sources = [
        *sorted((MAIN / "java").rglob("*.java")),
        *sorted((HERE / "core" / "src" / "main").rglob("*.java")),
        *sorted((work / "generated").rglob("*.java")),
    ]
    _javac("-classpath", work / "litert", "-d", work / "app", *sources)


def _javac(*arguments: object) -> None:
    _run("javac", "-nowarn", "-Xlint:-options", "-source", "8", "-target", "8",
         "-encoding", "UTF-8", "-bootclasspath", _jars()[1], *arguments)  # fmt: skip


def _debug_key() -> Path:
    """A key that anyone may have: it proves nothing but that the file is whole."""
    key = CACHE / "debug.keystore"
    with alone(key):
        if not key.exists():
            _run("keytool", "-genkeypair", "-keystore", key, "-storepass", "android", "-alias",
                 "debug", "-keyalg", "RSA", "-keysize", "2048", "-validity", "10000", "-dname",
                 "CN=ailsr debug")  # fmt: skip
    return key


def _run(*command: object) -> None:
    done = subprocess.run(
        [str(part) for part in command], capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise SystemExit(f"{command[0]} failed:\n{done.stdout}{done.stderr}")


if __name__ == "__main__":
    try:
        with tempfile.TemporaryDirectory() as folder:
            assets = Path(sys.argv[2]) if len(sys.argv) > 2 else MAIN / "assets"
            build(Path(sys.argv[1]), assets, Path(folder))
    except UnavailableError as error:
        sys.stderr.write(f"SKIPPED: the app was not built: {error}\n")
        sys.exit(UNAVAILABLE)
