"""Packages of any Debian, unpacked into a folder by a private apt: nothing is installed.

They come from this machine's own mirror, with lists, caches and state of their own, signed by the
installed archive keyring.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from environments import alone

KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")


class UnavailableError(Exception):
    """The packages cannot be had; the message says why in one line."""


def unpack(
    folder: Path,
    suite: str,
    packages: Sequence[str],
    architecture: str = "amd64",
    dependencies: bool = True,
) -> Path:
    """A root folder with ``packages``, and all that they depend on unless told not to.

    Made on first use; the packages' scripts are not run. Raises UnavailableError.
    """
    folder = folder.absolute()
    root = folder / "root"
    with alone(folder):
        if not root.is_dir():
            _fetch(folder, root, suite, packages, architecture, dependencies)
    return root


def _fetch(
    folder: Path,
    root: Path,
    suite: str,
    packages: Sequence[str],
    architecture: str,
    dependencies: bool,
) -> None:
    if shutil.which("apt-get") is None or not KEYRING.exists():
        raise UnavailableError("no apt-get with Debian's archive keyring: run on Debian")
    shutil.rmtree(folder, ignore_errors=True)
    archives = folder / "cache" / "archives"
    for path in ("lists/partial", "cache/archives/partial", "state", "unpacked/usr/lib"):
        (folder / path).mkdir(parents=True)
    (folder / "status").touch()
    (folder / "sources.list").write_text(f"deb [signed-by={KEYRING}] {_mirror()} {suite} main\n")
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
        "Acquire::Check-Valid-Until": "false",  # an old release is not signed anew
        "Acquire::Languages": "none",
        "Debug::NoLocking": "true",
    }
    apt = ["apt-get", *(w for key, value in options.items() for w in ("-o", f"{key}={value}"))]
    _run(*apt, "update")
    if dependencies:
        _run(*apt, "install", "--yes", "--download-only", *packages)
    else:
        _run(*apt, "download", *packages, cwd=archives)
    tree = folder / "unpacked"
    for name in ("bin", "sbin", "lib", "lib64"):  # merged into /usr, as base-files would do it
        (tree / "usr" / name).mkdir(exist_ok=True)
        (tree / name).symlink_to(f"usr/{name}")
    for package in sorted(archives.glob("*.deb")):
        _run("dpkg-deb", "--fsys-tarfile", str(package), into=tree)
    tree.rename(root)
    shutil.rmtree(folder / "cache")
    shutil.rmtree(folder / "lists")


def _mirror() -> str:
    """The address that this machine takes its own packages from."""
    listed = subprocess.run(
        ["apt-get", "indextargets", "--format", "$(SITE)"], capture_output=True, text=True,
        check=True,
    ).stdout.splitlines()  # fmt: skip
    sites = [site for site in listed if not site.rstrip("/").endswith("-security")]
    if not sites:
        raise UnavailableError("apt knows no mirror: see /etc/apt/sources.list")
    return sites[0]


def _run(*command: str, cwd: Path | None = None, into: Path | None = None) -> None:
    """Run ``command``; the archive that it writes is unpacked ``into`` a folder."""
    with subprocess.Popen(
        command, cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        if into is None:
            output, error = process.communicate()
            assert output is not None
        else:
            tar = ["tar", "-x", "--keep-directory-symlink", "-C", str(into)]
            subprocess.run(tar, stdin=process.stdout, check=True)
            error = process.communicate()[1]
    if process.returncode:
        lines = error.decode().strip().splitlines() or ["no reason given"]
        raise UnavailableError(f"{' '.join(command[-3:])} failed: {lines[-1]}")
