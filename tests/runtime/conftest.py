"""Small networks with random weights, as files of every kind that the runtime runs; a report."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from bench_runs import bicubic_files, install_engines
from numpy.typing import NDArray
from report_runs import run

from ailsr.export.graph.graph import Add, Concat, Conv, DepthToSpace, Graph
from ailsr.export.graph.quantization import PIXELS, QParams, Quantization
from ailsr.export.targets.onnx import writer as onnx_writer
from ailsr.export.targets.tflite import writer as tflite_writer
from ailsr.runtime.card import Card
from ailsr.runtime.imaging import image

RADIUS = 4
CHANNELS = 8


@pytest.fixture(scope="session")
def write_network(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """``write_network(kind, size, scale=2, **card)``: the path of a file that upscales ``size``.

    ``kind`` is ending, precision and pixels, as in "onnx int8 uint8". The weights are the same
    for every size. ``card`` overrides what the card says.
    """
    folder = tmp_path_factory.mktemp("networks")

    def write(kind: str, size: tuple[int, int], scale: int = 2, **card: object) -> Path:
        ending, precision, pixels = kind.split()
        path = folder / f"{len(list(folder.iterdir()))}.{ending}"
        honest = Card("random", scale, "rgb", precision, pixels, size, RADIUS)
        quantization = _quantization() if precision == "int8" else None
        writer = {"onnx": onnx_writer, "tflite": tflite_writer}[ending]
        writer.write(_graph(size, scale), replace(honest, **card), path, quantization)
        return path

    return write


@pytest.fixture(scope="session")
def images(
    tmp_path_factory: pytest.TempPathFactory, photographs: dict[str, NDArray[np.uint8]]
) -> Path:
    """A folder of high-resolution images, small ones."""
    folder = tmp_path_factory.mktemp("images")
    for name, rgb in photographs.items():
        image.write(rgb[100:190, 150:280], folder / f"{name}.png")
    return folder


@pytest.fixture(scope="session")
def cubic_files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Files that compute bicubic interpolation ×2, by target and precision."""
    return bicubic_files(tmp_path_factory.mktemp("files"))


@pytest.fixture
def with_engines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Engines of another package, installed for the processes of a test; their files."""
    engines = install_engines(tmp_path / "site")
    monkeypatch.setenv("PYTHONPATH", str(engines), prepend=os.pathsep)
    return engines


@pytest.fixture(scope="session")
def reports(
    tmp_path_factory: pytest.TempPathFactory,
    write_network: Callable[..., Path],
    photographs: dict[str, NDArray[np.uint8]],
) -> Path:
    """A folder with the report of a real run in every form, one of its files damaged."""
    folder = tmp_path_factory.mktemp("reports")
    (folder / "images").mkdir()
    image.write(photographs["chelsea"][:80, :100], folder / "images" / "chelsea.png")
    models = [write_network(kind, (24, 32)) for kind in ("onnx int8 uint8", "tflite int8 uint8")]
    damaged = folder / "damaged.onnx"
    damaged.write_bytes(b"damaged")
    done = run(
        *models, damaged, "--runs", 20, "--seconds", 1, "--json", "--images", folder / "images",
        "--csv", folder / "r.csv", "--markdown", folder / "r.md", "--history", folder / "h.jsonl",
    )  # fmt: skip
    assert done.returncode == 1
    (folder / "r.json").write_text(done.stdout)
    return folder


@pytest.fixture(scope="session")
def write_peer(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """``write_peer(shape, white=1.0)``: an ONNX file without a card that doubles an image.

    ``shape`` is that of its input; names stand for open sides. Its output is the input, brightened
    by ``lift`` levels of 255 and clipped to [0, limit].
    """
    folder = tmp_path_factory.mktemp("peers")

    def write(
        shape: list[int | str], white: float = 1.0, lift: float = 20, limit: float | None = None
    ) -> Path:
        last = shape[-1] == 3
        scales = [1.0, 2.0, 2.0, 1.0] if last else [1.0, 1.0, 2.0, 2.0]
        doubled = [
            (2 * n if isinstance(n, int) else f"{n}2") if s == 2 else n
            for n, s in zip(shape, scales, strict=True)
        ]
        helper, floats = onnx.helper, onnx.TensorProto.FLOAT
        graph = helper.make_graph(
            [
                helper.make_node("Resize", ["in", "", "scales"], ["large"], mode="nearest"),
                helper.make_node("Add", ["large", "lift"], ["lifted"]),
                helper.make_node("Clip", ["lifted", "black", "white"], ["out"]),
            ],
            "peer",
            [helper.make_tensor_value_info("in", floats, shape)],
            [helper.make_tensor_value_info("out", floats, doubled)],
            [
                onnx.numpy_helper.from_array(np.asarray(value, np.float32), name)
                for name, value in (
                    ("scales", scales),
                    ("lift", lift / 255 * white),
                    ("black", 0.0),
                    ("white", white if limit is None else limit),
                )
            ],
        )
        path = folder / f"{len(list(folder.iterdir()))}.onnx"
        opset = [helper.make_opsetid("", 18)]
        onnx.save(helper.make_model(graph, ir_version=9, opset_imports=opset), path)
        return path

    return write


def _graph(size: tuple[int, int], scale: int) -> Graph:
    """Three convolutions with zero padding over a nearest-neighbour skip."""
    random = np.random.default_rng(scale)
    blocks = scale**2

    def conv(source: str, target: str, inputs: int, outputs: int, side: int, relu: bool) -> Conv:
        weight = random.normal(0, (2 / (inputs * side**2)) ** 0.5, (outputs, inputs, side, side))
        return Conv(
            source,
            target,
            weight.astype(np.float32),
            random.normal(0, 0.05, outputs).astype(np.float32),
            pads=(side // 2,) * 4,
            clamp=(0.0, np.inf) if relu else (-np.inf, np.inf),
        )

    return Graph(
        (
            conv("image", "a", 3, CHANNELS, 3, relu=True),
            conv("a", "b", CHANNELS, CHANNELS, 5, relu=True),
            conv("b", "residual", CHANNELS, 3 * blocks, 3, relu=False),
            Concat(("image",) * blocks, "skip"),
            Add("residual", "skip", "sum"),
            DepthToSpace("sum", "upscaled", scale),
        ),
        (3, *size),
    )


def _quantization() -> Quantization:
    wide = QParams.of_range(0, 2)
    signed = QParams.of_range(-1, 1)
    return Quantization(
        {
            "image": PIXELS,
            "a": wide,
            "b": wide,
            "residual": signed,
            "skip": PIXELS,
            "sum": PIXELS,
            "upscaled": PIXELS,
        }
    )
