"""Packages of any Debian, unpacked into a folder by a private apt: nothing is installed."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

MIRROR = "http://deb.debian.org/debian"
KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")


class UnavailableError(Exception):
    """The packages cannot be had; the message says why in one line."""


def unpack(folder: Path, suite: str, architecture: str, packages: Sequence[str]) -> Path:
    """A root folder with ``packages`` and all that they depend on; made on first use.

    Their scripts are not run. Raises UnavailableError.
    """
    root = folder / "root"
    if root.is_dir():
        return root
    if shutil.which("apt-get") is None or not KEYRING.exists():
        raise UnavailableError("no apt-get with Debian's archive keyring: run on Debian")
    shutil.rmtree(folder, ignore_errors=True)
    for path in ("lists/partial", "cache/archives/partial", "state", "unpacked/usr/lib"):
        (folder / path).mkdir(parents=True)
    (folder / "status").touch()
    (folder / "sources.list").write_text(f"deb [signed-by={KEYRING}] {MIRROR} {suite} main\n")
    options = {
        "Dir::Etc::sourcelist": folder / "sources.list",
        "Dir::Etc::sourceparts": "-",
        "Dir::State": folder / "state",
        "Dir::State::status": folder / "status",
        "Dir::State::lists": folder / "lists",
        "Dir::Cache": folder / "cache",
        "APT::Architecture": architecture,
        "APT::Architectures": architecture,
        "APT::Install-Recommends": "false",
        "APT::Sandbox::User": "root",
        "Acquire::Languages": "none",
        "Debug::NoLocking": "true",
    }
    apt = [
        "apt-get",
        *(word for key, value in options.items() for word in ("-o", f"{key}={value}")),
    ]
    _run(*apt, "update")
    _run(*apt, "install", "--yes", "--download-only", *packages)
    tree = folder / "unpacked"
    for name in ("bin", "sbin", "lib", "lib64"):  # merged into /usr, as base-files would do it
        (tree / "usr" / name).mkdir(exist_ok=True)
        (tree / name).symlink_to(f"usr/{name}")
    for package in sorted((folder / "cache" / "archives").glob("*.deb")):
        _run("dpkg-deb", "--fsys-tarfile", str(package), into=tree)
    tree.rename(root)
    shutil.rmtree(folder / "cache")
    shutil.rmtree(folder / "lists")
    return root


def _run(*command: str, into: Path | None = None) -> None:
    """Run ``command``; the archive that it writes is unpacked ``into`` a folder."""
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        if into is None:
            output, error = process.communicate()
            assert output is not None
        else:
            tar = ["tar", "-x", "--keep-directory-symlink", "-C", into]
            subprocess.run(tar, stdin=process.stdout, check=True)
            error = process.communicate()[1]
    if process.returncode:
        lines = error.decode().strip().splitlines() or ["no reason given"]
        raise UnavailableError(f"{' '.join(command[-3:])} failed: {lines[-1]}")
