"""The registry of targets, and CONTRIBUTING.md's list of what a new one takes."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import get_args

import pytest
from every_target import EVALUATE, picture
from graph_reference import run
from test_every_node import SIZE, graph_with

from ailsr.export import targets
from ailsr.export.graph.graph import Conv
from ailsr.export.graph.quantization import BITS, quantization_of
from ailsr.export.targets import TARGETS, TargetName, check_precision
from ailsr.runtime.anatomy.registry import anatomy
from ailsr.runtime.card import Card, Precision
from ailsr.runtime.engines.registry import open_engine
from ailsr.runtime.errors import UsageError
from ailsr.runtime.formats import FORMATS

ROOT = Path(__file__).parent.parent.parent


def listed() -> set[str]:
    """The files that "Add a target" names, <target> being each of those that there are."""
    section = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8").partition("## Add a target")[2]
    names = re.findall(r"`([\w/<>]+\.(?:py|toml))`", section.partition("\n## ")[0])
    return {name.replace("<target>", target) for name in names for target in TARGETS}


def naming(words: set[str]) -> set[str]:
    """The modules outside of the writers in which one of ``words`` is a string."""
    found = set()
    for package in ("runtime", "train", "export"):
        for path in (ROOT / package).rglob("*.py"):
            tree = ast.parse(path.read_text(encoding="utf-8"))
            strings = {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant)}
            if words & strings:
                found.add(str(path.relative_to(ROOT)))
    return {name for name in found if not re.match(r"export/targets/\w+/", name)}


def test_every_name_has_an_entry_a_format_and_an_evaluator():
    assert list(get_args(TargetName)) == list(TARGETS) == list(EVALUATE)
    assert {target.ending for target in TARGETS.values()} <= {*FORMATS}


def test_the_files_of_the_list_exist():
    assert len(listed()) > 10
    assert [name for name in listed() if not (ROOT / name).is_file()] == []


PROVIDERS = {"runtime/engines/engine.py", "runtime/engines/providers.py"}
"""One of onnxruntime's execution providers is named as the target coreml is."""


@pytest.mark.parametrize("name", [name for name in TARGETS if name != "onnx"])
def test_no_other_file_names_a_target(name):
    """ONNX is also what networks are read from, and the zoo's files are made as."""
    target = TARGETS[name]
    words = {name, target.ending, target.ending.removeprefix("."), target.title}
    assert naming(words) <= listed() | PROVIDERS


@pytest.mark.parametrize("name", TARGETS)
def test_a_target_writes_the_precisions_of_its_entry_and_its_engine_reads_them(name, tmp_path):
    target, graph = TARGETS[name], graph_with(Conv)
    tensors = run(graph, picture(*SIZE))
    ranges = {tensor: (float(t.min()), float(t.max())) for tensor, t in tensors.items()}
    for precision in get_args(Precision):
        pixels = "uint8" if precision in BITS else "float32"
        card = Card("network", 2, "rgb", precision, pixels, SIZE, 1)
        path = tmp_path / f"{precision}{target.ending}"
        bits = BITS.get(precision)
        quantization = bits and quantization_of(graph, ranges, bits)
        if precision not in target.precisions:
            with pytest.raises(UsageError, match=f"{target.title} has no {precision}"):
                check_precision(name, precision)
            with pytest.raises(UsageError, match=f"{target.title} has no"):
                targets.write(name, graph, card, path, quantization)
            continue
        check_precision(name, precision)
        targets.write(name, graph, card, path, quantization)
        assert anatomy(str(path)).kind == target.title
        engine = open_engine(path, 1, trusted=True)
        assert (engine.card.precision, engine.input_size) == (precision, SIZE)
