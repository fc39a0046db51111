"""The release as its users get it: ``python tests/release.py [FOLDER]``, standard library only.

Builds wheel and sdist into FOLDER (``dist``), checks both with twine, and installs the wheel into
clean environments (runtime alone, ``export``, all extras) on the lowest and the newest Python that
this machine has and the packages install on. Each is tried with an image. Exits with 1 when
something fails.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from environments import ROOT, CommandError, Version, environment, project, pythons, run

BUILD = ROOT / "build" / "release"
PICTURE = """
from PIL import Image, ImageDraw
image = Image.linear_gradient("L").resize((48, 32)).convert("RGB")
ImageDraw.Draw(image).ellipse((8, 6, 30, 26), fill=(200, 60, 20))
image.save("picture.png")
"""
DOUBLED = "from PIL import Image; size = Image.open('{}').size; assert size == (96, 64), size"
SIZE = ("--input-size", "32x48")


def build(folder: Path) -> list[Path]:
    """The wheel and the sdist of this source tree, checked by twine."""
    tools = environment(BUILD / "tools", Path(sys.executable), "build", "twine")
    shutil.rmtree(folder, ignore_errors=True)
    shutil.rmtree(ROOT / "build" / "lib", ignore_errors=True)  # modules that are gone
    run(tools / "python", "-m", "build", "--outdir", folder, ROOT)
    files = sorted(folder.iterdir())
    print(run(tools / "twine", "check", "--strict", *files), end="")
    if {file.suffix for file in files} != {".whl", ".gz"}:
        raise CommandError(f"{folder} holds {', '.join(file.name for file in files)}")
    return files


def try_runtime(bin: Path, work: Path) -> None:
    """Without an engine: it imports, explains itself, and shows a file that was exported before."""
    run(bin / "python", "-c", "import ailsr.runtime, ailsr.train, ailsr.export", cwd=work)
    run(bin / "ailsr-bench", "--help", cwd=work)
    shown = run(bin / "ailsr-show", "files/sesr_m5_x2_float32.onnx", cwd=work)
    if "DepthToSpace" not in shown:
        raise CommandError(f"ailsr-show says {shown}")
    try:
        run(bin / "ailsr-upscale", "files/sesr_m5_x2_float32.onnx", "picture.png", "-o", "no.png",
            cwd=work)  # fmt: skip
    except CommandError as error:
        if "onnxruntime" in str(error) and "Traceback" not in str(error):
            return
        raise
    raise CommandError("ailsr-upscale ran an ONNX file without onnxruntime")


def try_export(bin: Path, work: Path) -> None:
    """A network of the zoo as ONNX and TFLite files, which double an image."""
    run(bin / "ailsr-bench", "--help", cwd=work)
    run(bin / "python", "-c", PICTURE, cwd=work)
    run(bin / "ailsr-export", "zoo:sesr_m5_x2", "--precision", "float32", "--output", "files",
        *SIZE, cwd=work)  # fmt: skip
    for ending in ("onnx", "tflite"):
        large = f"{ending}.png"
        run(bin / "ailsr-upscale", f"files/sesr_m5_x2_float32.{ending}", "picture.png",
            "-o", large, cwd=work)  # fmt: skip
        run(bin / "python", "-c", DOUBLED.format(large), cwd=work)


def try_all(bin: Path, work: Path) -> None:
    """Every command explains itself; int8 files of all targets; a HEIC image; OpenCV beside."""
    for command in project()["scripts"]:
        run(bin / command, "--help", cwd=work)
    run(bin / "ailsr-export", "zoo:sesr_m5_x2", "--precision", "int8", "--output", "int8", *SIZE,
        cwd=work)  # fmt: skip
    heic = "import pillow_heif as h; from PIL import Image; h.register_heif_opener()"
    run(bin / "python", "-c", f"{heic}; Image.open('picture.png').save('p.heic')", cwd=work)
    run(bin / "ailsr-upscale", "int8/sesr_m5_x2_int8.tflite", "p.heic", "-o", "heic.png", cwd=work)
    run(bin / "python", "-c", DOUBLED.format("heic.png"), cwd=work)
    run(bin / "ailsr-bench", "int8/sesr_m5_x2_int8.onnx", "int8/sesr_m5_x2_int8.tflite",
        "--baseline", "opencv", "--runs", "5", "--seconds", "0.1", "--processes", "1",
        "--html", "report.html", cwd=work)  # fmt: skip


def extras() -> str:
    """All extras but those of the tests."""
    return ",".join(name for name in project()["optional-dependencies"] if name != "test")


# The export's file is shown by the runtime alone.
SETS: dict[str, tuple[str, Callable[[Path, Path], None]]] = {
    "export": ("[export]", try_export),
    "runtime alone": ("", try_runtime),
    "all extras": (f"[{extras()}]", try_all),
}


def try_python(version: Version, python: Path, wheel: Path) -> dict[str, str]:
    """What came of each set of extras on this Python: "ok", or what failed."""
    said = {}
    with tempfile.TemporaryDirectory() as folder:
        for name, (asked, attempt) in SETS.items():
            started = time.monotonic()
            place = BUILD / f"python{version[0]}.{version[1]}"
            try:
                bin = environment(
                    place, python, "--constraint", ROOT / "constraints.txt", f"{wheel}{asked}"
                )
                installed = time.monotonic()
                attempt(bin, Path(folder))
                size = int(run("du", "-sm", place).split()[0])
                said[name] = (
                    f"ok: installed in {installed - started:.0f} s ({size} MB), "
                    f"tried in {time.monotonic() - installed:.0f} s"
                )
            except CommandError as error:
                said[name] = f"FAILED: {error}"
            print(f"Python {version[0]}.{version[1]}, {name}: {said[name]}", flush=True)
            shutil.rmtree(place, ignore_errors=True)
    return said


def main() -> int:
    """The exit code."""
    every = pythons()
    if not every:
        print(f"no Python {project()['requires-python']} was found", file=sys.stderr)
        return 1
    print("found " + ", ".join(f"Python {major}.{minor}" for major, minor in every))
    try:
        wheel, *_ = sorted(build(Path(sys.argv[1] if len(sys.argv) > 1 else ROOT / "dist")),
                           key=lambda file: file.suffix != ".whl")  # fmt: skip
    except CommandError as error:
        print(error, file=sys.stderr)
        return 1
    said = [
        try_python(version, every[version], wheel) for version in sorted({min(every), max(every)})
    ]
    failed = [text for each in said for text in each.values() if not text.startswith("ok")]
    print(f"{wheel.name}: " + (f"{len(failed)} FAILED" if failed else "all is well"))
    return bool(failed)


if __name__ == "__main__":
    sys.exit(main())
