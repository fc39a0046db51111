"""Dependencies run one way: between the packages, and between the folders inside them."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = ("runtime", "train", "export")


def folders():
    """The folders of CONTRIBUTING.md's table, from the lowest to the highest."""
    table = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8").partition("Their folders")[2]
    rows = re.findall(r"^\| (`.*?) \|", table, re.MULTILINE)
    return [name for row in rows for name in re.findall(r"`([^`]+)`", row)]


def imported(file):
    """The modules of ours that ``file`` imports, at its head or inside a function, as paths."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        names = []
        if isinstance(node, ast.ImportFrom) and node.module:
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        yield from (n.removeprefix("ailsr.").replace(".", "/") for n in names if "ailsr." in n)


@pytest.mark.parametrize("package", PACKAGES)
def test_a_package_uses_only_those_below_it(package):
    below = PACKAGES[: PACKAGES.index(package) + 1]
    files = list((ROOT / package).rglob("*.py"))
    assert files
    for file in files:
        used = {module.partition("/")[0] for module in imported(file)}
        assert used <= {*below}, file


def test_every_folder_is_in_the_table():
    holders = {file.parent.relative_to(ROOT) for p in PACKAGES for file in (ROOT / p).rglob("*.py")}
    assert {"/".join(f.parts[:2]) for f in holders if len(f.parts) > 1} == {*folders()}


@pytest.mark.parametrize("folder", folders())
def test_a_folder_uses_only_those_above_it_in_the_table(folder):
    every = folders()
    later = {*every[every.index(folder) + 1 :]}
    for file in (ROOT / folder).rglob("*.py"):
        used = {"/".join(module.split("/")[:2]) for module in imported(file)}
        assert not used & later, file
