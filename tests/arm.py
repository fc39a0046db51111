"""Do exported files compute on Arm what they compute here? ``python tests/arm.py``

The harness's worker runs in an aarch64 environment under qemu-user (Debian's Python, the wheels of
numpy, Pillow, ai-edge-litert and onnxruntime), upscales pictures with files of the zoo, and every
pixel is compared with that of the same worker on this machine. Its latency means nothing and is not
told. Exits with 0 when int8 files agree in every bit and float ones within a level, with 1 when
they do not, and with 77, after a line that says why, when the environment cannot be had.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import debian
import numpy as np
from numpy.typing import NDArray

from ailsr.export.exporter import Exporter
from ailsr.export.reading.source import open_source
from ailsr.runtime.imaging import image, protocol
from ailsr.train import zoo

ROOT = Path(__file__).parents[1]
BUILD = ROOT / "build" / "arm"
QEMU = "qemu-aarch64-static"
WHEELS = ("numpy", "pillow", "ai-edge-litert", "onnxruntime")
GLIBC = (17, 27, 28)  # manylinux_2_17 and so on: what Debian 12 can load
CORES = {
    "Cortex-A72": "cortex-a72",  # Raspberry Pi 4: NEON
    "Cortex-A76": "cortex-a76",  # Raspberry Pi 5, phones of 2019: dot products
    "Armv8.6, no SVE": "max,sve=off,sme=off",  # phones of 2022: i8mm. qemu 7.2 errs in SVE and SME
}
"""Which kernels an engine takes depends on the core: its name here, and for qemu."""
FLOAT = "Cortex-A72"
"""The one core on which float files are compared, too."""
NETWORKS = {"sesr_m5_x2": ("int8", "float32"), "abpn_x3": ("int8",)}
SIDE = 64
"""Of the low-resolution pictures: the middle of those of the set."""
PICTURES = 3
CPUINFO = """processor\t: {n}
Features\t: fp asimd evtstrm crc32 cpuid
CPU implementer\t: 0x41
CPU architecture: 8
CPU variant\t: 0x0
CPU part\t: 0xd08
CPU revision\t: 3

"""
"""Engines read this, and crash on what an x86 kernel says."""


def main() -> int:
    """Print the table of differences; the exit code."""
    pictures = Path(os.environ.get("AILSR_DATA") or "unset") / "benchmark" / "Set5"
    if len(sys.argv) > 1:
        pictures = Path(sys.argv[1])
    try:
        if not pictures.is_dir():
            raise debian.UnavailableError(f"no pictures at {pictures}: python tests/arm.py FOLDER")
        make_environment()
    except debian.UnavailableError as error:
        print(f"ARM NOT TESTED: {error}", file=sys.stderr)
        return 77
    with tempfile.TemporaryDirectory() as folder:
        return 1 if compare(Path(folder), pictures) else 0


def make_environment() -> None:
    """An aarch64 root and wheels under build/, on first use. Raises UnavailableError."""
    if shutil.which(QEMU) is None:
        raise debian.UnavailableError(f"no {QEMU}: apt install qemu-user-static")
    root = debian.unpack(BUILD / "debian", "bookworm", ("python3", "libstdc++6"), "arm64")
    (root / "proc").mkdir(exist_ok=True)  # what qemu finds in the root goes before the host's
    (root / "proc" / "cpuinfo").write_text("".join(CPUINFO.format(n=n) for n in range(4)))
    cpus = root / "sys" / "devices" / "system" / "cpu"
    cpus.mkdir(parents=True, exist_ok=True)
    for name in ("possible", "present"):
        (cpus / name).write_text("0-3\n")
    links = BUILD / "links" / "ailsr"
    shutil.rmtree(links, ignore_errors=True)
    links.mkdir(parents=True)
    (links / "runtime").symlink_to(ROOT / "runtime")
    site = BUILD / "site"
    if not site.exists():
        part = BUILD / "site.part"
        platforms = [f"--platform=manylinux_2_{n}_aarch64" for n in GLIBC]
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--only-binary=:all:"]
        pip += ["--python-version=3.11", *platforms, "--platform=manylinux2014_aarch64"]
        pip += ["--constraint", ROOT / "constraints.txt", "--target", part, *WHEELS]
        shutil.rmtree(part, ignore_errors=True)
        done = subprocess.run(pip, capture_output=True, text=True, check=False)
        if done.returncode:
            raise debian.UnavailableError(f"no aarch64 wheels: {done.stderr.strip()[-300:]}")
        part.rename(site)


def compare(folder: Path, pictures: Path) -> bool:
    """Print a line for each file and core; whether one differs more than it may."""
    for scale in {int(name[-1]) for name in NETWORKS}:
        write_pairs(folder, pictures, scale)
    exporters = {n: Exporter(open_source(zoo.path(n)), (SIDE, SIDE)) for n in NETWORKS}
    files = [
        Path(exporters[name].export(target, precision, folder / "files").file)
        for name, precisions in NETWORKS.items()
        for precision in precisions
        for target in ("tflite", "onnx")
    ]
    jobs = [
        (file, core) for file in files for core in CORES if core == FLOAT or "int8" in file.name
    ]
    bad = False
    print(
        f"{'file':28} {'core':16} {'pixels':>8} {'that differ':>12} {'by at most':>11}", flush=True
    )
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        here = dict(zip(files, pool.map(lambda file: upscale(folder, file), files), strict=True))
        there = pool.map(lambda job: upscale(folder, *job), jobs)
        for (file, core), pixels in zip(jobs, there, strict=True):
            difference = np.abs(here[file].astype(int) - pixels)
            count, most = np.count_nonzero(difference), difference.max()
            bad |= bool(most > ("float32" in file.name))
            print(f"{file.name:28} {core:16} {pixels.size:8} {count:12} {most:11}", flush=True)
    return bad


def write_pairs(folder: Path, pictures: Path, scale: int) -> None:
    """The middle of some pictures, as a set of their own in ``folder/x<scale>``."""
    for pair in protocol.pairs(pictures, scale)[:PICTURES]:
        top, left = ((side - SIDE) // 2 * scale for side in pair.lr.shape[:2])
        middle = pair.hr[top : top + SIDE * scale, left : left + SIDE * scale].copy()
        image.write(middle, folder / f"x{scale}" / f"{pair.name}.png")


def upscale(folder: Path, file: Path, core: str | None = None) -> NDArray[np.uint8]:
    """What the harness's worker makes of the pictures, here or on ``core``: all pixels in a row."""
    images = folder / f"x{file.name.partition('_x')[2][0]}"
    paths = [folder / str(core) / file.name / p.name for p in image.list_pictures(images)]
    request = {
        "task": "upscale",
        "file": str(file),
        "threads": 1,
        "images": str(images),
        "pictures": {path.stem: str(path) for path in paths},
    }
    done = subprocess.run(
        [*(emulated(core) if core else [sys.executable]), "-m", "ailsr.runtime.bench.worker"],
        input=json.dumps(request) + "\n",
        capture_output=True,
        text=True,
        check=False,
    )
    if '"result"' not in done.stdout:
        raise SystemExit(f"{file.name} on {core or 'this machine'}: {done.stdout}{done.stderr}")
    return np.concatenate([image.read(path).ravel() for path in paths])


def emulated(core: str) -> list[str | Path]:
    """The command that is Python on ``core``; it sees ``ailsr.runtime`` and the wheels."""
    links = BUILD / "links"
    root, path = BUILD / "debian" / "root", f"PYTHONPATH={links}:{BUILD / 'site'}"
    return [QEMU, "-cpu", CORES[core], "-L", root, "-E", path, root / "usr/bin/python3.11", "-B"]


if __name__ == "__main__":
    sys.exit(main())
