"""The Core ML packages, loaded back and computed by the reference evaluator, against torch."""

from __future__ import annotations

import contextlib
import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import skimage.data
import torch
from graph_reference import error_bound, run, simulate, untied
from hypothesis import given, settings
from hypothesis import strategies as st

from ailsr.export.graph.graph import (
    UNBOUNDED,
    Add,
    Clamp,
    Clip,
    Concat,
    Conv,
    DepthToSpace,
    Graph,
    Node,
    Pad,
    PRelu,
)
from ailsr.export.graph.quantization import Quantization, quantization_of
from ailsr.export.targets.coreml import mil_operators
from ailsr.export.targets.coreml import writer as coreml_writer
from ailsr.export.targets.coreml.coreml_reference import CoreMLReference
from ailsr.runtime.anatomy.coreml import blobs
from ailsr.runtime.card import Card, Precision
from ailsr.runtime.errors import (
    AilsrError,
    EngineError,
    ImageError,
    ModelError,
    UnsupportedOperatorError,
    UsageError,
)
from ailsr.runtime.seal import UNSEALED, sealed

RELU: Clamp = (0.0, np.inf)
SPECIFICATION = "Data/com.apple.CoreML/model.mlmodel"
WEIGHTS = "Data/com.apple.CoreML/weights/weight.bin"
SLOPES = np.float32([0.1, 0.25, -0.3, 1.0, 0.0])
CLAMPS: list[Clamp] = [
    *(UNBOUNDED, RELU, (0.0, 6.0), (-1.0, 1.0), (0.0, 1.0), (-0.2, 0.3), (0.05, 0.2)),
    *((-np.inf, 0.2), (-0.1, np.inf)),
]


def conv(source: str, output: str, inputs: int, outputs: int, kernel: int = 3, **how) -> Conv:
    """A random convolution whose gain is at most 1.5."""
    rng = np.random.default_rng([inputs, outputs, kernel, *output.encode()])
    weight = rng.normal(size=(outputs, inputs // how.get("groups", 1), kernel, kernel))
    weight *= 1.5 / np.abs(weight).sum(axis=(1, 2, 3), keepdims=True)
    how.setdefault("pads", (kernel // 2,) * 4)
    return Conv(
        source, output, np.float32(weight), np.float32(rng.normal(size=outputs) / 10), **how
    )


def picture_to_picture(*nodes: Node, channels: int = 5) -> Graph:
    """``nodes``, which make the tensor y of x, between two convolutions: from RGB and to RGB."""
    body = Graph((conv("image", "x", 3, channels), *nodes), (3, 11, 9), output="y")
    last = conv("y", "upscaled", body.shapes["y"][0], 3, 1)
    return Graph((*body.nodes, last), body.input_shape)


GRAPHS = {
    "3x3": picture_to_picture(conv("x", "y", 5, 6)),
    "1x1": picture_to_picture(conv("x", "y", 5, 6, 1)),
    "no border": picture_to_picture(conv("x", "y", 5, 6, pads=(0, 0, 0, 0))),
    "uneven border": picture_to_picture(conv("x", "y", 5, 6, pads=(1, 2, 0, 3))),
    "stride": picture_to_picture(conv("x", "y", 5, 6, stride=(2, 1))),
    "dilation": picture_to_picture(conv("x", "y", 5, 6, dilation=(2, 3))),
    "groups": picture_to_picture(conv("x", "y", 6, 4, groups=2), channels=6),
    "depthwise": picture_to_picture(conv("x", "y", 6, 6, groups=6, clamp=RELU), channels=6),
    "prelu": picture_to_picture(PRelu("x", "y", SLOPES)),
    "concat": picture_to_picture(Concat(("x", "image", "x"), "y")),
    "depth to space": picture_to_picture(DepthToSpace("x", "y", 3), channels=27),
    "reflect": picture_to_picture(Pad("x", "y", (1, 2, 3, 4))),
    "reflect, sliced": picture_to_picture(Pad("x", "y", (1, 2, 3, 4), sliced=True)),
    "replicate, sliced": picture_to_picture(Pad("x", "y", (1, 0, 3, 2), "edge", sliced=True)),
    **{f"conv {c}": picture_to_picture(conv("x", "y", 5, 6, clamp=c)) for c in CLAMPS},
    **{f"add {c}": picture_to_picture(conv("x", "z", 5, 5), Add("x", "z", "y", c)) for c in CLAMPS},
    **{f"bound {c}": picture_to_picture(Clip("x", "y", c)) for c in CLAMPS[1:]},
    "relu6, reached": picture_to_picture(
        replace(conv("x", "y", 5, 6, clamp=(0.0, 6.0)), bias=np.float32([5, 5.5, 5.9, 6, 6.1, 7]))
    ),
    "names that are no identifiers": picture_to_picture(
        conv("x", "/body/conv.1", 5, 4),
        conv("x", "body conv 1", 5, 4),
        conv("x", "2", 5, 4),
        Add("/body/conv.1", "2", "é"),
        Concat(("é", "body conv 1"), "y"),
    ),
}


def abpn(height: int, width: int, scale: int = 2, channels: int = 12) -> Graph:
    """The deploy form of ABPN: convolutions, the image repeated, their sum, pixel shuffle."""
    pixels = 3 * scale**2
    return Graph(
        (
            conv("image", "features", 3, channels, clamp=RELU),
            conv("features", "deep", channels, pixels, clamp=RELU),
            conv("deep", "residual", pixels, pixels),
            Concat(("image",) * scale**2, "anchor"),
            Add("residual", "anchor", "sum"),
            DepthToSpace("sum", "upscaled", scale),
        ),
        (3, height, width),
    )


def photograph() -> np.ndarray:
    return np.ascontiguousarray(skimage.data.coffee()[150:230, 250:354])


def card_for(graph: Graph, precision: Precision = "float32") -> Card:
    scale = max(1, graph.shapes["upscaled"][1] // graph.input_shape[1])
    return Card("abpn", scale, "rgb", precision, "uint8", graph.input_shape[1:], 4)


def saved(graph: Graph, folder: Path, quantization: Quantization | None = None, **how) -> Path:
    path = folder / "file.mlpackage"
    coreml_writer.write(graph, card_for(graph, **how), path, quantization)
    return path


def calibrated(graph: Graph, image: np.ndarray) -> Quantization:
    values = run(graph, image)
    return quantization_of(graph, {n: (float(v.min()), float(v.max())) for n, v in values.items()})


def random_image(graph: Graph) -> np.ndarray:
    levels = np.random.default_rng(0).integers(0, 256, (*graph.input_shape[1:], 3))
    return np.float32(levels / 255)


def same_in_all_precisions(graph: Graph, folder: Path) -> None:
    image = random_image(graph)
    expected = run(graph, image)
    for precision, tolerance in (("float32", 1e-5), ("float16", 5e-3)):
        engine = CoreMLReference(saved(graph, folder, precision=precision))
        assert np.abs(engine.evaluate(image) - expected["upscaled"]).max() < tolerance

    quantization = untied(graph, expected)
    engine = CoreMLReference(saved(graph, folder, quantization, precision="int8"))
    difference = np.abs(engine.evaluate(image) - simulate(graph, quantization, image)["upscaled"])
    assert (difference < 1e-5).mean() > 0.9  # the others are ties, that float32 breaks its way
    assert difference.max() < 1.01 * error_bound(graph, quantization)


@pytest.mark.parametrize("graph", GRAPHS.values(), ids=GRAPHS)
def test_every_node_computes_what_torch_computes(graph, tmp_path):
    same_in_all_precisions(graph, tmp_path)


@settings(max_examples=20)
@given(
    kernel=st.integers(1, 4),
    pads=st.tuples(*[st.integers(0, 3)] * 4),
    stride=st.tuples(*[st.integers(1, 3)] * 2),
    dilation=st.tuples(*[st.integers(1, 2)] * 2),
    groups=st.sampled_from([1, 2, 6]),
    clamp=st.sampled_from(CLAMPS),
)
def test_any_convolution(tmp_path_factory, kernel, **how):
    graph = picture_to_picture(conv("x", "y", 6, 12, kernel, **how), channels=6)
    same_in_all_precisions(graph, tmp_path_factory.mktemp("convolution"))


@pytest.mark.parametrize(("channels", "kernel", "groups"), [(3, 5, 1), (64, 5, 1), (16, 3, 16)])
def test_a_convolution_of_levels_is_exact(channels, kernel, groups):
    rng = np.random.default_rng(channels)
    levels = torch.from_numpy(
        rng.choice([-128.0, 0, 127], (1, channels, 12, 14), p=[0.1, 0.1, 0.8])
    )
    weight = torch.from_numpy(
        rng.integers(100, 128, (16, channels // groups, kernel, kernel)) + 0.0
    )
    steps = torch.from_numpy(rng.uniform(1e-3, 1e-2, 16).astype(np.float32)).double()
    x = {"scale": 0.25, "zero_point": -128.0}
    bias = torch.from_numpy(rng.integers(-(2**20), 2**20, 16)) * steps * 0.25
    how = {"bias": bias, "pad_type": "custom", "pad": (1, 2, 0, 1), "groups": groups}
    w = {"quantized_data": weight, "scale": steps, "zero_point": 0 * steps, "axis": 0}
    dequantized = mil_operators.constexpr_affine_dequantize(**w)
    real = mil_operators.conv(mil_operators.dequantize(levels, **x), dequantized, **how)
    found = mil_operators.conv_of_levels(x, w, levels, **how)
    assert found.dtype == torch.float64
    assert (found - real).abs().max() <= 1e-12 * real.abs().max()

    step = np.float32(0.7)  # of the output: one float32 factor for the whole sum, as in kernels
    sums = (real / (steps * 0.25).reshape(-1, 1, 1)).round().numpy().astype(np.float32)
    factor = (steps.numpy().astype(np.float32) * np.float32(0.25) / step).reshape(-1, 1, 1)
    rounded = mil_operators.conv_of_levels(x, w, levels, **how, output_scale=float(step))
    assert np.array_equal(np.rint(rounded.numpy() / step.astype(float)), np.rint(sums * factor))


def test_depth_to_space_is_tensorflows():
    """The example in TensorFlow's documentation of depth_to_space, one pixel of 12 channels."""
    x = torch.arange(1.0, 13).reshape(1, 12, 1, 1)
    result = mil_operators.depth_to_space(x, 2).permute(0, 2, 3, 1)  # NHWC
    assert result.tolist() == [[[[1, 2, 3], [4, 5, 6]], [[7, 8, 9], [10, 11, 12]]]]


@pytest.mark.parametrize(
    ("size", "expected"), [(5, [0, 0.1, 0.5, 0.9, 1]), (6, [0, 0, 1 / 3, 2 / 3, 1, 1])]
)
def test_resize_bilinear_is_coremltools(size, expected):
    """The examples of sampling_mode UNALIGN_CORNERS in the documentation of resize_bilinear."""
    x = torch.tensor([0.0, 1.0]).reshape(1, 1, 1, 2)
    result = mil_operators.resize_bilinear(x, 1, size, "UNALIGN_CORNERS").flatten()
    assert result.tolist() == pytest.approx(expected, abs=1e-2 if size == 6 else 1e-6)


@pytest.mark.parametrize(
    ("operator", "arguments"),
    [
        ("resize_bilinear", {"sampling_mode": "ALIGN_CORNERS"}),
        ("max_pool", {"kernel_sizes": [3, 3], "pad_type": "same"}),
        ("gelu", {"mode": "SIGMOID_APPROXIMATION"}),
    ],
)
def test_another_mode_of_an_operator_is_refused(operator, arguments):
    with pytest.raises(UnsupportedOperatorError, match=next(reversed(arguments.values()))):
        mil_operators.OPERATORS[operator](torch.zeros(1, 1, 4, 4), **arguments)


@pytest.mark.parametrize("precision", ["float32", "float16"])
def test_a_photograph_comes_out_as_rounded_by_torch(precision, tmp_path):
    picture = photograph()
    graph = abpn(*picture.shape[:2])
    expected = np.clip(np.rint(255 * run(graph, picture / 255)["upscaled"]), 0, 255)
    engine = CoreMLReference(saved(graph, tmp_path, precision=precision), threads=1)
    result = engine.run(picture)
    assert (engine.scale, engine.io_dtype, result.dtype) == (2, "uint8", np.uint8)
    levels = np.abs(result - expected)
    assert levels.max() <= 1
    assert (levels > 0).mean() < {"float32": 1e-4, "float16": 0.1}[precision]


def test_an_int8_photograph_comes_out_as_simulated(tmp_path):
    picture = photograph()
    graph = abpn(*picture.shape[:2])
    quantization = calibrated(graph, picture / 255)
    expected = np.rint(255 * simulate(graph, quantization, picture / 255)["upscaled"])
    result = CoreMLReference(saved(graph, tmp_path, quantization, precision="int8")).run(picture)
    assert np.abs(result - expected).max() <= 1
    assert (result != expected).mean() < 1e-3


@pytest.mark.parametrize("precision", ["float32", "float16", "int8", "int8, not pinned"])
def test_the_output_is_whole_pixels_before_core_ml_converts_it(precision, tmp_path):
    graph = Graph((conv("image", "x", 3, 3), Add("x", "image", "upscaled")), (3, 11, 9))
    image = random_image(graph)
    tensors = run(graph, image)
    assert tensors["upscaled"].min() < 0 and tensors["upscaled"].max() > 1
    quantization = {
        "int8": calibrated(graph, image),
        "int8, not pinned": untied(graph, tensors),
    }.get(precision)
    precision = precision.partition(",")[0]
    engine = CoreMLReference(saved(graph, tmp_path, quantization, precision=precision))
    pixels = torch.from_numpy(255 * image.transpose(2, 0, 1))[None]
    result = engine.program.compute({"image": pixels}, "upscaled").numpy()
    assert np.array_equal(result, np.rint(result))
    assert (result.min(), result.max()) == (0, 255)


def model_at(path: Path):
    return coreml_writer.coremltools().utils.load_spec(str(path))


def contents(package: Path) -> dict[str, bytes]:
    files = [file for file in package.rglob("*") if file.is_file()]
    return {str(file.relative_to(package)): file.read_bytes() for file in files}


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
        training={"method": "ail", "license": "CC0-1.0"},
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


def test_what_is_not_a_number_is_not_turned_into_a_picture(tmp_path):
    weight = np.full((3, 3, 1, 1), np.nan, np.float32)
    graph = Graph((Conv("image", "upscaled", weight, np.zeros(3, np.float32)),), (3, 8, 8))
    with pytest.raises(EngineError, match="not a number"):
        CoreMLReference(saved(graph, tmp_path)).run(np.zeros((8, 8, 3), np.uint8))


def test_an_image_of_another_size_is_refused(tmp_path):
    engine = CoreMLReference(saved(abpn(8, 10), tmp_path))
    with pytest.raises(ImageError, match=r"takes 8x10x3 pixels, not \(10, 8, 3\)"):
        engine.run(np.zeros((10, 8, 3), np.uint8))


def test_threads_are_set_for_the_run_only(tmp_path):
    before = torch.get_num_threads()
    CoreMLReference(saved(abpn(8, 8), tmp_path), threads=before + 1).run(
        np.zeros((8, 8, 3), np.uint8)
    )
    assert torch.get_num_threads() == before


def test_the_engine_is_found_by_the_ending():
    (found,) = entry_points(group="ailsr.engines", name="mlpackage")
    assert found.load() is CoreMLReference


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
