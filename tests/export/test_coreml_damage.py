"""Core ML packages that are damaged or misused: one line, never another image."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from coreml_graphs import (
    SPECIFICATION,
    WEIGHTS,
    abpn,
    model_at,
    saved,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from ailsr.export.graph.graph import (
    Conv,
    Graph,
)
from ailsr.export.targets.coreml.coreml_reference import CoreMLReference
from ailsr.runtime.anatomy.coreml import blobs
from ailsr.runtime.errors import (
    AilsrError,
    EngineError,
    ImageError,
    ModelError,
)
from ailsr.runtime.seal import UNSEALED, sealed


def cut(path: Path, length: int) -> None:
    path.write_bytes(path.read_bytes()[:length])


def rewrite(package: Path, change: Callable[[Any], object]) -> None:
    spec = model_at(package)
    change(spec)
    (package / SPECIFICATION).write_bytes(spec.SerializeToString())
    seal_again(package)


def seal_again(package: Path) -> None:
    """Let the seal be right, where there still is one: so that what is behind it is reached."""
    content = (package / SPECIFICATION).read_bytes()
    prefix, digits = UNSEALED[:-64].encode(), UNSEALED[-64:].encode()
    before, found, after = content.partition(prefix)
    if found:
        content = before + prefix + digits + after[64:]
        whole = sealed(content, *blobs(package / SPECIFICATION))
        (package / SPECIFICATION).write_bytes(whole)


def unknown_operator(spec: Any) -> None:
    function = spec.mlProgram.functions["main"]
    for operation in function.block_specializations[function.opset].operations:
        operation.type = operation.type.replace("add", "fourier_transform")


def point_outside(package: Path) -> None:
    manifest = (package / "Manifest.json").read_text()
    (package / "Manifest.json").write_text(manifest.replace("com.apple.CoreML/m", "../../m"))


def other_output(spec: Any) -> None:
    spec.description.output[0].name = "nowhere"


def loop(package: Path) -> None:
    shutil.rmtree(package / "Data")
    (package / "Data").symlink_to("Data")


DAMAGES: dict[str, tuple[Callable[[Path], object], str]] = {
    "gone": (shutil.rmtree, "does not exist"),
    "a file": (lambda p: (shutil.rmtree(p), p.write_bytes(b"PK")), "not a package"),
    "no manifest": (lambda p: (p / "Manifest.json").unlink(), "Manifest.json"),
    "half a manifest": (lambda p: cut(p / "Manifest.json", 100), "damaged"),
    "a manifest of nothing": (lambda p: (p / "Manifest.json").write_text("[]"), "damaged"),
    "a manifest that points outside": (point_outside, "out of the package"),
    "no specification": (lambda p: (p / SPECIFICATION).unlink(), "model.mlmodel"),
    "half a specification": (lambda p: cut(p / SPECIFICATION, 3000), "damaged"),
    "an empty specification": (lambda p: cut(p / SPECIFICATION, 0), "no ML Program"),
    "no weights": (lambda p: (p / WEIGHTS).unlink(), "damaged"),
    "half the weights": (lambda p: cut(p / WEIGHTS, 400), "damaged"),
    "half a card": (
        lambda p: rewrite(p, lambda s: s.description.metadata.userDefined.update(ailsr="{")),
        "card",
    ),
    "two inputs": (lambda p: rewrite(p, lambda s: s.description.input.add()), "2 inputs"),
    "a grey image": (
        lambda p: rewrite(
            p, lambda s: setattr(s.description.output[0].type.imageType, "colorSpace", 10)
        ),
        "'upscaled' is not an RGB image",
    ),
    "a result that nothing computes": (lambda p: rewrite(p, other_output), "computes 'nowhere'"),
    "a loop of links": (loop, "damaged"),
    "a manifest of infinities": (
        lambda p: (p / "Manifest.json").write_text('{"itemInfoEntries": 1e999}'),
        "too large",
    ),
    "an unknown operator": (lambda p: rewrite(p, unknown_operator), "'fourier_transform'"),
}


@pytest.mark.parametrize(("damage", "reason"), DAMAGES.values(), ids=DAMAGES)
def test_a_damaged_package_gets_one_line(damage, reason, tmp_path):
    path = saved(abpn(8, 8), tmp_path)
    damage(path)
    with pytest.raises(ModelError) as caught:
        CoreMLReference(path)
    assert reason in str(caught.value)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


@settings(max_examples=60)
@given(data=st.data())
def test_random_damage_never_raises_anything_else(tmp_path_factory, data):
    graph = abpn(8, 8)
    path = saved(graph, tmp_path_factory.mktemp("damage"))
    file = path / data.draw(st.sampled_from(["Manifest.json", SPECIFICATION, WEIGHTS]))
    content = bytearray(file.read_bytes())
    place = data.draw(st.integers(0, len(content) - 1))
    content[place : place + data.draw(st.integers(0, 9))] = data.draw(st.binary(max_size=9))
    file.write_bytes(content)
    seal_again(path)
    with contextlib.suppress(AilsrError):
        CoreMLReference(path).run(np.zeros((8, 8, 3), np.uint8))


def test_what_is_not_a_number_is_not_turned_into_an_image(tmp_path):
    weight = np.full((3, 3, 1, 1), np.nan, np.float32)
    graph = Graph((Conv("image", "upscaled", weight, np.zeros(3, np.float32)),), (3, 8, 8))
    with pytest.raises(EngineError, match="not a number"):
        CoreMLReference(saved(graph, tmp_path)).run(np.zeros((8, 8, 3), np.uint8))


def test_an_image_of_another_size_is_refused(tmp_path):
    engine = CoreMLReference(saved(abpn(8, 10), tmp_path))
    with pytest.raises(ImageError, match=r"takes 8x10x3 pixels, not \(10, 8, 3\)"):
        engine.run(np.zeros((10, 8, 3), np.uint8))
