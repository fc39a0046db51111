"""``tests/cpus.py`` where something is missing. The rest is ``make cpus``."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).with_name("cpus.py")


def run(*cpus: str, path: Path) -> subprocess.CompletedProcess[str]:
    """The script where the commands in the folder ``path`` are all there are."""
    environment = {**os.environ, "PATH": str(path)}
    return subprocess.run(
        [sys.executable, SCRIPT, *cpus],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_missing_emulator_is_told_in_one_line(tmp_path):
    done = run("Nehalem", "Haswell", path=tmp_path)
    (line,) = done.stderr.splitlines()
    assert done.returncode == 77
    assert line.startswith("x86_64 CPUS NOT TESTED: no qemu-x86_64-static: apt install")


def test_an_emulator_without_avx2_is_not_taken_for_one_with_it(tmp_path):
    qemu = tmp_path / "qemu-x86_64-static"
    qemu.write_text("#!/bin/sh\necho qemu-x86_64 version 6.2.0\n")
    qemu.chmod(0o755)
    done = run("Haswell", path=tmp_path)
    (line,) = done.stderr.splitlines()
    assert done.returncode == 77
    assert "qemu-x86_64 version 6.2.0 is too old" in line


def test_an_unknown_cpu_is_an_error_that_names_the_known_ones(tmp_path):
    done = run("Pentium", path=tmp_path)
    assert done.returncode == 2
    assert "'Pentium': choose from Nehalem, Haswell" in done.stderr
