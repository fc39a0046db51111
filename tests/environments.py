"""The Pythons of this machine, and clean environments made with them: standard library only."""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import subprocess
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
Version = tuple[int, int]


def project() -> dict[str, Any]:
    """The table ``project`` of pyproject.toml."""
    table: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    return table


@contextmanager
def alone(place: Path) -> Iterator[None]:
    """One process at a time, by a lock beside ``place``, which is made on first use."""
    place.parent.mkdir(parents=True, exist_ok=True)
    with place.with_name(f"{place.name}.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def pythons() -> dict[Version, Path]:
    """The interpreters that the package may be installed with, from the lowest to the newest.

    They are those on PATH, pyenv's and uv's.
    """
    names = [f"python3.{minor}" for minor in range(30)]
    found = [Path(there) for name in names if (there := shutil.which(name))]
    home = Path.home()
    for folder, pattern in ((".pyenv/versions", "3.*"), (".local/share/uv/python", "cpython-3.*")):
        for version in sorted((home / folder).glob(pattern)):
            found += sorted(version.glob("bin/python3.[0-9]*"))
    (lowest,) = re.findall(r">=3\.(\d+)", project()["requires-python"])
    usable: dict[Version, Path] = {}
    for path in found:
        if re.fullmatch(r"python3\.\d+", path.name) and (told := _version(path)):
            usable.setdefault(told, path)
    return {v: usable[v] for v in sorted(usable) if v >= (3, int(lowest))}


def _version(python: Path) -> Version | None:
    """What ``python`` says it is; None when it does not run."""
    code = "import ensurepip, sys; print(*sys.version_info[:2])"
    asked = subprocess.run([python, "-c", code], capture_output=True, text=True)
    if asked.returncode:
        return None
    major, minor = map(int, asked.stdout.split())
    return major, minor


class CommandError(Exception):
    """A command that did not end with 0; the message holds what it said last."""


def run(*command: str | Path, cwd: Path = ROOT) -> str:
    """What ``command`` prints, run outside of this environment. Raises CommandError."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "VIRTUAL"))}
    done = subprocess.run(
        [str(c) for c in command], cwd=cwd, env=environment, capture_output=True, text=True
    )
    if done.returncode:
        said = (done.stdout + done.stderr).strip().splitlines() or ["nothing"]
        raise CommandError(f"{' '.join(map(str, command))}\n  " + "\n  ".join(said[-12:]))
    return done.stdout


def environment(folder: Path, python: Path, *packages: str | Path) -> Path:
    """A new environment in ``folder`` with ``packages``: its folder of commands.

    Raises CommandError.
    """
    shutil.rmtree(folder, ignore_errors=True)
    run(python, "-m", "venv", folder)
    if packages:
        run(folder / "bin" / "python", "-m", "pip", "install", "--quiet", *packages)
    return folder / "bin"
