"""Core ML packages as they are written: their parts, types, card and bytes."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from coreml_graphs import (
    GRAPHS,
    SPECIFICATION,
    WEIGHTS,
    abpn,
    calibrated,
    card_for,
    contents,
    model_at,
    random_image,
    saved,
)
from graph_reference import run, simulate, untied

from ailsr.export.graph.graph import (
    Graph,
    Pad,
)
from ailsr.export.targets.coreml import writer as coreml_writer
from ailsr.export.targets.coreml.coreml_reference import CoreMLReference
from ailsr.runtime.card import Card
from ailsr.runtime.errors import (
    ImageError,
    UsageError,
)


def operations(path: Path) -> list:
    function = model_at(path).mlProgram.functions["main"]
    return list(function.block_specializations[function.opset].operations)


@pytest.mark.parametrize(
    ("precision", "version", "opset"),
    [("float32", 6, "CoreML5"), ("float16", 6, "CoreML5"), ("int8", 8, "CoreML7")],
)
def test_a_package_is_an_image_to_image_model_of_the_oldest_system(
    precision, version, opset, tmp_path
):
    graph = abpn(20, 24)
    quantization = calibrated(graph, random_image(graph)) if precision == "int8" else None
    path = saved(graph, tmp_path, quantization, precision=precision)
    ct = coreml_writer.coremltools()
    spec = ct.models.MLModel(str(path), skip_model_load=True).get_spec()
    assert spec.specificationVersion == version  # 6: iOS 15, 8: iOS 17
    assert spec.mlProgram.functions["main"].opset == opset
    (source,), (result,) = spec.description.input, spec.description.output
    for feature, name, size in ((source, "image", (20, 24)), (result, "upscaled", (40, 48))):
        image = feature.type.imageType
        assert (feature.name, image.height, image.width) == (name, *size)
        assert image.colorSpace == image.RGB
        assert feature.shortDescription
    metadata = spec.description.metadata
    assert "abpn" in metadata.shortDescription and metadata.author == "ailsr"
    assert set(metadata.userDefined) == {"ailsr", "ailsr_seal"}
    assert not spec.mlProgram.attributes  # where coremltools puts its version and the date


def test_a_float16_program_is_float16_between_two_casts(tmp_path):
    half, single = 10, 11  # MIL.proto, DataType
    path = saved(abpn(8, 8), tmp_path, precision="float16")
    computing = [operation for operation in operations(path) if operation.inputs]
    types = [operation.outputs[0].type.tensorType.dataType for operation in computing]
    assert (computing[0].type, computing[-1].type) == ("cast", "cast")
    assert types == [half] * (len(types) - 1) + [single]
    result = CoreMLReference(path).evaluate(np.full((8, 8, 3), 0.3, np.float32))
    assert np.array_equal(result, result.astype(np.float16))


def test_an_int8_program_reads_and_writes_levels_around_every_operator(tmp_path):
    graph = abpn(8, 8)
    path = saved(graph, tmp_path, calibrated(graph, random_image(graph)), precision="int8")
    made_by = {"image": "image"} | {o.outputs[0].name: o.type for o in operations(path)}
    computing = ("conv", "add", "concat", "depth_to_space")
    for operation in operations(path):
        sources = {
            parameter: {made_by[binding.name] for binding in argument.arguments}
            for parameter, argument in operation.inputs.items()
            if parameter in ("x", "y", "values", "input", "weight")
        }
        if operation.type in computing:
            weight = sources.pop("weight", {"constexpr_affine_dequantize"})
            assert weight == {"constexpr_affine_dequantize"}
            assert all(source == {"dequantize"} for source in sources.values())
        elif operation.type == "dequantize":
            assert sources == {"input": {"quantize"}}
    assert [o.type for o in operations(path) if "relu" in o.type] == []  # levels saturate


def test_the_card_comes_back(tmp_path):
    graph = abpn(20, 24)
    card = Card(
        network="sesr_m5",
        scale=2,
        color="y",
        precision="float32",
        pixels="uint8",
        input_size=(20, 24),
        radius=7,
        protocol="Y-shave-s",
        psnr={"Set5": 37.39},
        training={"method": "ail"},
        licences=("CC0-1.0",),
        checkpoint_sha256="ab" * 32,
        ailsr_version="0.1.0",
    )
    coreml_writer.write(graph, card, tmp_path / "file.mlpackage")
    assert CoreMLReference(tmp_path / "file.mlpackage").card == card
    metadata = model_at(tmp_path / "file.mlpackage").description.metadata
    assert (metadata.versionString, metadata.license) == ("0.1.0", "CC0-1.0")


def test_a_float_card_says_that_pixels_are_uint8(tmp_path):
    graph = abpn(20, 24)
    card = Card("abpn", 2, "rgb", "float32", "float32", (20, 24), 4)
    coreml_writer.write(graph, card, tmp_path / "file.mlpackage")
    engine = CoreMLReference(tmp_path / "file.mlpackage")
    assert engine.card is not None and engine.card.pixels == engine.io_dtype == "uint8"


def test_the_same_graph_gives_the_same_bytes(tmp_path):
    graph = GRAPHS["names that are no identifiers"]
    quantization = untied(graph, run(graph, random_image(graph)))
    for quantized in (None, quantization):
        precision = "int8" if quantized else "float16"
        first = saved(graph, tmp_path / "first", quantized, precision=precision)
        CoreMLReference(first)  # coremltools counts names while it loads
        second = saved(graph, tmp_path / "second", quantized, precision=precision)
        assert contents(first) == contents(second)
        assert set(contents(first)) == {"Manifest.json", SPECIFICATION, WEIGHTS}


def test_another_weight_gives_another_identifier(tmp_path):
    roots = set()
    for channels in (12, 13):
        path = saved(abpn(8, 8, channels=channels), tmp_path)
        roots.add(json.loads((path / "Manifest.json").read_text())["rootModelIdentifier"])
    assert len(roots) == 2


def test_writing_replaces_a_package_and_failing_leaves_it(tmp_path):
    path = saved(abpn(8, 8), tmp_path)
    saved(abpn(8, 10), tmp_path)
    assert CoreMLReference(path).input_size == (8, 10)

    before = (path / SPECIFICATION).read_bytes()
    with pytest.raises(UsageError, match="precision int8 was given no quantisation"):
        saved(abpn(8, 8), tmp_path, precision="int8")
    assert (path / SPECIFICATION).read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["file.mlpackage"]


@pytest.mark.parametrize("precision", ["float32", "int8"])
def test_precision_and_quantisation_must_fit(precision, tmp_path):
    graph = abpn(8, 8)
    quantization = calibrated(graph, random_image(graph)) if precision == "float32" else None
    with pytest.raises(UsageError, match=f"precision {precision}"):
        saved(graph, tmp_path, quantization, precision=precision)
    assert not list(tmp_path.iterdir())


def test_nothing_is_printed_and_coremltools_waits_until_it_is_needed(tmp_path):
    script = """
import sys
from pathlib import Path
import numpy as np
from ailsr.export.targets.coreml import writer as coreml_writer
from ailsr.export.graph import graph
from ailsr.runtime.card import Card
assert not {"coremltools", "torch"} & set(sys.modules)
pad = graph.Pad("image", "upscaled", (1, 1, 1, 1))
card = Card("pad", 1, "rgb", "float32", "uint8", (8, 8), 0)
coreml_writer.write(graph.Graph((pad,), (3, 8, 8)), card, Path(sys.argv[1]))
from ailsr.export.targets.coreml.coreml_reference import CoreMLReference
assert CoreMLReference(Path(sys.argv[1])).run(np.zeros((8, 8, 3), np.uint8)).shape == (10, 10, 3)
"""
    path = tmp_path / "pad.mlpackage"
    command = [sys.executable, "-W", "error", "-c", script, str(path)]
    finished = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (finished.returncode, finished.stdout, finished.stderr) == (0, "", "")

    graph = Graph((Pad("image", "upscaled", (1, 1, 1, 1)),), (3, 8, 8))
    card = Card("pad", 1, "rgb", "float32", "uint8", (8, 8), 0)
    coreml_writer.write(graph, card, tmp_path / "here.mlpackage")
    assert contents(path) == contents(tmp_path / "here.mlpackage")  # also in another process


@pytest.mark.parametrize("precision", ["float16", "int8"])
def test_a_package_of_several_sizes_lists_and_takes_them(tmp_path, precision):
    sizes = ((20, 24), (24, 20), (9, 33))
    graph, path = abpn(*sizes[0]), tmp_path / "file.mlpackage"
    quantization = calibrated(graph, random_image(graph)) if precision == "int8" else None
    card = replace(card_for(graph, precision), other_sizes=sizes[1:])
    for name in ("other.mlpackage", "file.mlpackage"):
        coreml_writer.write(graph, card, tmp_path / name, quantization)
    assert contents(tmp_path / "other.mlpackage") == contents(path)
    description = model_at(path).description
    for feature, scale in ((description.input[0], 1), (description.output[0], 2)):
        image = feature.type.imageType
        assert (image.height, image.width) == (scale * 20, scale * 24)
        enumerated = {(size.height, size.width) for size in image.enumeratedSizes.sizes}
        assert enumerated == {(scale * height, scale * width) for height, width in sizes}
    engine = CoreMLReference(path)
    assert (engine.input_size, engine.scale) == ((20, 24), 2)
    for size in sizes:
        other = abpn(*size)
        image = random_image(other)
        expected = (
            run(other, image) if quantization is None else simulate(other, quantization, image)
        )
        difference = np.abs(engine.evaluate(image) - expected["upscaled"])
        assert np.quantile(difference, 0.95) < (5e-3 if precision == "float16" else 1e-5)
    with pytest.raises(ImageError, match=r"takes 20x24x3 or 24x20x3 or 9x33x3 pixels"):
        engine.run(np.zeros((20, 20, 3), np.uint8))
