"""What the offline build takes from Debian 11, by a private apt: the dexer and Android's stubs.

Debian 12 has neither. The packages are fetched from this machine's own mirror, with lists, caches
and state of their own, signed by the installed archive keyring, and unpacked; nothing is installed.
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

SUITE = "bullseye"
PACKAGES = ("dalvik-exchange", "libandroid-23-java")
KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
DX = Path("usr/share/java/com.android.dx.jar")
STUBS = Path("usr/share/java/com.android.android-23.jar")


class UnavailableError(Exception):
    """The packages cannot be had; the message says why in one line."""


def fetch(folder: Path) -> tuple[Path, Path]:
    """(dexer, stubs of API 23): jar files under ``folder``, fetched on first use.

    Raises UnavailableError.
    """
    tree = folder / "tree"
    jars = tree / DX, tree / STUBS
    if not all(jar.exists() for jar in jars):
        if shutil.which("apt-get") is None or not KEYRING.exists():
            raise UnavailableError("there is no apt-get with Debian's keyring")
        for path in ("lists/partial", "cache/archives/partial", "state", "packages", "tree"):
            (folder / path).mkdir(parents=True, exist_ok=True)
        (folder / "state" / "status").touch()
        (folder / "sources.list").write_text(
            f"deb [signed-by={KEYRING}] {_mirror()} {SUITE} main\n", encoding="utf-8"
        )
        _apt(folder, "update")
        _apt(folder, "download", *PACKAGES)
        for package in sorted((folder / "packages").glob("*.deb")):
            subprocess.run(["dpkg", "-x", str(package), str(tree)], check=True)
        if not all(jar.exists() for jar in jars):
            raise UnavailableError(f"{' and '.join(PACKAGES)} of {SUITE} hold other files")
    return jars


def _mirror() -> str:
    """The address that this machine takes its own packages from."""
    listed = subprocess.run(
        ["apt-get", "indextargets", "--format", "$(SITE)"],
        capture_output=True, text=True, check=True,
    ).stdout.splitlines()  # fmt: skip
    sites = [site for site in listed if not site.rstrip("/").endswith("-security")]
    if not sites:
        raise UnavailableError("apt knows no mirror: see /etc/apt/sources.list")
    return sites[0]


def _apt(folder: Path, *command: str) -> None:
    own = {
        "Dir::Etc::sourcelist": folder.absolute() / "sources.list",
        "Dir::Etc::sourceparts": "-",
        "Dir::State": folder.absolute() / "state",
        "Dir::State::status": folder.absolute() / "state" / "status",
        "Dir::State::lists": folder.absolute() / "lists",
        "Dir::Cache": folder.absolute() / "cache",
        "APT::Sandbox::User": "root",
        "Acquire::Languages": "none",
        "Acquire::Check-Valid-Until": "false",
    }
    options = [part for name, value in own.items() for part in ("-o", f"{name}={value}")]
    done = subprocess.run(
        ["apt-get", *options, *command], cwd=folder / "packages", capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    if done.returncode != 0:
        lines = done.stderr.strip().splitlines() or ["no reason given"]
        raise UnavailableError(f"apt-get {command[0]} of {SUITE} failed: {lines[-1]}")
