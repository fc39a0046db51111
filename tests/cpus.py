"""Do exported files compute on other CPUs what they compute here? ``python tests/cpus.py [CPU...]``

The harness's worker runs on CPUs that qemu-user emulates: x86-64 ones with this machine's Python
and packages, Arm ones with Debian's Python and the aarch64 wheels. It upscales photographs with
files of the zoo, and every sample is compared with what the TFLite file of the same precision
makes of it on this machine. Latency means nothing there and is not told. Exits with 0 when all
files agree (see ``allowed``), with 1 when one does not, and with 77, after a line that says why,
when they agree but some CPUs could not be had.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import debian
import numpy as np
from numpy.typing import NDArray

from ailsr.export.exporter import Exporter
from ailsr.export.image_sets import image_set
from ailsr.export.reading.source import open_source
from ailsr.runtime.card import Precision
from ailsr.runtime.imaging import image
from ailsr.train import zoo

ROOT = Path(__file__).parents[1]
BUILD = ROOT / "build" / "cpus"
OLDEST_QEMU = (7, 2)  # the first that emulates AVX2; an older Haswell would be one without
WHEELS = ("numpy", "pillow", "ai-edge-litert", "onnxruntime")
GLIBC = (17, 27, 28)  # manylinux_2_17 and so on: what Debian 12 can load


class Cpu(NamedTuple):
    """An emulated CPU: which kernels an engine takes depends on it."""

    machine: str
    """As ``platform.machine`` says it."""
    model: str
    """Its name for qemu."""
    part: int = 0
    """What Linux says of an Arm core in /proc/cpuinfo: engines choose kernels by it."""


CPUS = {
    "Nehalem": Cpu("x86_64", "Nehalem"),  # SSE4.2: the least that numpy's wheels take
    "Haswell": Cpu("x86_64", "Haswell"),  # AVX2 without VNNI: most PCs of 2013 to 2021
    "Cortex-A53": Cpu("aarch64", "cortex-a53", 0xD03),  # cheap phones: NEON, in order
    "Cortex-A72": Cpu("aarch64", "cortex-a72", 0xD08),  # Raspberry Pi 4: NEON
    "Cortex-A76": Cpu("aarch64", "cortex-a76", 0xD0B),  # Raspberry Pi 5: dot products
    # Phones of 2022: i8mm. qemu 7.2 errs in SVE and SME.
    "Armv8.6": Cpu("aarch64", "max,sve=off,sme=off", 0xD47),
}
HERE = "this machine"
NETWORKS: dict[str, tuple[Precision, ...]] = {
    "sesr_m5_x2": ("int8", "int8x16", "float32"),
    "abpn_research_x3": ("int8",),
    "quicksrnet_small_research_x2": ("int8",),  # kernels near the identity: the largest weights
}
SIDE = 64
"""Of the low-resolution images: the middle of each photograph."""
MAX_PSNR_DROP = 0.5
"""dB; the images are few, and the files need not be good ones."""
CPUINFO = """processor\t: {n}
Features\t: fp asimd evtstrm crc32 cpuid
CPU implementer\t: 0x41
CPU architecture: 8
CPU variant\t: 0x0
CPU part\t: {part:#x}
CPU revision\t: 3

"""
"""Engines read this, and crash on what an x86 kernel says."""


def allowed(file: Path) -> tuple[int, float]:
    """By how many levels a file may differ from the TFLite one here, and at what share of samples.

    TFLite files of integers: not at all. Float files sum in an order of their own; int8 in
    onnxruntime may round a tie to the other side; its int8x16 is computed in float.
    """
    if file.suffix == ".tflite" and "float" not in file.name:
        return 0, 0
    if "int8x16" in file.name:
        return 1, 0.02
    return (1 if "float" in file.name else 2), 1e-3


def main() -> int:
    """Print the table of differences; the exit code."""
    parser = argparse.ArgumentParser(description="Exported files on emulated CPUs, and here.")
    parser.add_argument("cpus", nargs="*", metavar="CPU", help=f"{', '.join(CPUS)}; default: all")
    names = parser.parse_args().cpus or list(CPUS)
    if unknown := sorted(set(names) - set(CPUS)):
        parser.error(f"no CPU {unknown[0]!r}: choose from {', '.join(CPUS)}")
    pythons, lacking = {HERE: [sys.executable]}, 0
    for machine in dict.fromkeys(CPUS[name].machine for name in names):
        try:
            make_environment(machine)
        except debian.UnavailableError as error:
            print(f"{machine} CPUS NOT TESTED: {error}", file=sys.stderr)
            lacking = 77
            continue
        pythons |= {n: emulated(CPUS[n]) for n in names if CPUS[n].machine == machine}
    if len(pythons) == 1:
        return lacking
    with tempfile.TemporaryDirectory() as folder:
        return 1 if differ(Path(folder), pythons) else lacking


def make_environment(machine: str) -> None:
    """What emulating ``machine`` takes, under build/ on first use. Raises UnavailableError."""
    qemu = f"qemu-{machine}-static"
    if shutil.which(qemu) is None:
        raise debian.UnavailableError(f"no {qemu}: apt install qemu-user-static")
    told = subprocess.run([qemu, "--version"], capture_output=True, text=True, check=True).stdout
    found = re.search(r"version (\d+)\.(\d+)", told)
    if found is None or tuple(map(int, found.groups())) < OLDEST_QEMU:
        raise debian.UnavailableError(f"{told.splitlines()[0]} is too old: 7.2 emulates AVX2")
    if machine == "aarch64":
        make_arm_environment()
    elif machine != platform.machine():
        raise debian.UnavailableError(f"this machine's Python is for {platform.machine()}")


def make_arm_environment() -> None:
    """An aarch64 root for each core, which share all but what the system says, and wheels."""
    debian_root = debian.unpack(BUILD / "debian", "bookworm", ("python3", "libstdc++6"), "arm64")
    for cpu in CPUS.values():
        if cpu.machine != "aarch64":
            continue
        root = arm_root(cpu)
        shutil.rmtree(root, ignore_errors=True)
        system = root / "sys" / "devices" / "system" / "cpu"
        for folder in (root / "proc", system):  # what qemu finds here goes before the host's
            folder.mkdir(parents=True)
        cpuinfo = "".join(CPUINFO.format(n=n, part=cpu.part) for n in range(4))
        (root / "proc" / "cpuinfo").write_text(cpuinfo)
        for name in ("possible", "present"):
            (system / name).write_text("0-3\n")
        for path in debian_root.iterdir():
            (root / path.name).symlink_to(path)
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


def arm_root(cpu: Cpu) -> Path:
    return BUILD / "roots" / f"{cpu.part:x}"


def emulated(cpu: Cpu) -> list[str | Path]:
    """The command that is Python on ``cpu``; it sees ``ailsr.runtime`` and the engines."""
    qemu = [f"qemu-{cpu.machine}-static", "-cpu", cpu.model]
    if cpu.machine != "aarch64":
        return [*qemu, sys.executable]
    path = f"PYTHONPATH={BUILD / 'links'}:{BUILD / 'site'}"
    python = BUILD / "debian" / "root" / "usr" / "bin" / "python3.11"
    return [*qemu, "-L", arm_root(cpu), "-E", path, python, "-B"]


def differ(folder: Path, pythons: dict[str, list[str | Path]]) -> bool:
    """Print a line for each file; whether one differs more than it may."""
    too_much = False
    print("difference from the TFLite file on this machine: levels at most (share of samples)")
    print(f"{'':32}", *(f"{cpu:>14}" for cpu in pythons), flush=True)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        made: dict[Path, dict[str, Future[NDArray[np.uint8]]]] = {}
        for network in NETWORKS:
            for file in write(folder, network):  # runs there while the next ones are made here
                made[file] = {c: pool.submit(upscale, folder, file, c, pythons[c]) for c in pythons}
        for file in made:
            right = made[file.with_suffix(".tflite")][HERE].result().astype(int)
            cells = []
            for cpu in pythons:
                difference = np.abs(made[file][cpu].result() - right)
                most, share = difference.max(), np.count_nonzero(difference) / difference.size
                most_allowed, share_allowed = allowed(file)
                wrong = most > most_allowed or share > share_allowed
                too_much |= bool(wrong)
                cells.append(f"{most} ({share:.2%})" if most else "0")
                cells[-1] += "!" if wrong else " "
            print(f"{file.name:32}", *(f"{cell:>14}" for cell in cells), flush=True)
    if too_much:
        print("! is more than allowed: that CPU computes another image", file=sys.stderr)
    return too_much


def write(folder: Path, network: str) -> list[Path]:
    """TFLite and ONNX files of ``network`` that hold the same numbers, and images for them."""
    source = open_source(zoo.path(network))
    scale, images = source.scale, folder / network
    for pair in image_set(None, "verification", scale).pairs:
        top, left = ((side - SIDE) // 2 for side in pair.lr.shape[:2])
        for pixels, times, place in (pair.hr, scale, "HR"), (pair.lr, 1, f"LR_bicubic/X{scale}"):
            rows, columns = (slice(n * times, (n + SIDE) * times) for n in (top, left))
            image.write(pixels[rows, columns].copy(), images / place / f"{pair.name}.png")
    exporter = Exporter(source, (SIDE, SIDE), images=images, max_drop=MAX_PSNR_DROP)
    files = []
    for precision in NETWORKS[network]:
        tflite = exporter.export("tflite", precision, folder)
        files.append(Path(tflite.file))
        if tflite.method is None:
            files.append(Path(exporter.export("onnx", precision, folder).file))
        else:  # not verified: onnxruntime may be what is wrong on this machine
            files.append(exporter.write_by(tflite.method, "onnx", folder))
    return files


def upscale(folder: Path, file: Path, cpu: str, python: list[str | Path]) -> NDArray[np.uint8]:
    """What the harness's worker makes of the images on ``cpu``: all samples in a row."""
    images = next(folder / name for name in NETWORKS if file.name.startswith(name))
    paths = [folder / cpu / file.name / p.name for p in image.list_images(images / "HR")]
    request = {
        "task": "upscale",
        "file": str(file),
        "threads": 1,
        "images": str(images),
        "pictures": {path.stem: str(path) for path in paths},
    }
    done = subprocess.run(
        [*python, "-m", "ailsr.runtime.bench.worker"],
        input=json.dumps(request) + "\n",
        capture_output=True,
        text=True,
        check=False,
    )
    if '"result"' not in done.stdout:
        raise SystemExit(f"{file.name} on {cpu}: {done.stdout}{done.stderr}")
    return np.concatenate([image.read(path).ravel() for path in paths])


if __name__ == "__main__":
    sys.exit(main())
