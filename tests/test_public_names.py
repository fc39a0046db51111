"""Public names of ``ailsr.train`` and ``ailsr.export``: those of the pages, imported when used."""

from __future__ import annotations

import importlib
import inspect
import re
import subprocess
import sys
import typing
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[1] / "docs"
PACKAGES = ("ailsr.train", "ailsr.export")


def shown(package):
    """The names that the examples of the pages import from ``package`` itself."""
    text = "\n".join(page.read_text(encoding="utf-8") for page in DOCS.glob("*.md"))
    lines = re.findall(rf"^from {package} import (.+)$", text, re.MULTILINE)
    names = {name for line in lines for name in line.split(", ")}
    return {name for name in names if not inspect.ismodule(member(package, name))}


def member(package, name):
    module = importlib.import_module(package)
    return getattr(module, name, None) or importlib.import_module(f"{package}.{name}")


def returned(package, name):
    """The classes of ``package`` that ``name``, or a public method of it, returns."""
    value = member(package, name)
    methods = [f for n, f in inspect.getmembers(value, inspect.isfunction) if n[0] != "_"]
    results = {typing.get_type_hints(f).get("return") for f in (value, *methods)}
    ours = {r for r in results if inspect.isclass(r) and r.__module__.startswith(package)}
    return {result.__name__ for result in ours}


@pytest.mark.parametrize("package", PACKAGES)
def test_the_names_are_those_of_the_examples_and_what_they_return(package):
    names = shown(package)
    assert names
    for name in sorted(names):
        names |= returned(package, name)
    assert set(importlib.import_module(package).__all__) == names


@pytest.mark.parametrize("package", PACKAGES)
def test_another_name_is_missed_as_in_any_module(package):
    with pytest.raises(ImportError, match=f"cannot import name 'no_such' from '{package}'"):
        exec(f"from {package} import no_such")


@pytest.mark.parametrize("package", PACKAGES)
def test_the_package_alone_brings_no_torch(package):
    code = f"import sys, {package}; print(*sys.modules)"
    child = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = {name.partition(".")[0] for name in child.stdout.split()}
    assert "ailsr" in loaded
    assert not loaded & {"torch", "numpy", "typer", "onnx"}
