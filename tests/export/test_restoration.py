"""Networks of ×1, which restore images at their own size: through the whole chain."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
import torch.nn.functional as F
from export_runs import ailsr_export, model_of
from onnx import helper
from torch import nn

from ailsr.export.image_sets import image_set
from ailsr.export.reading.from_torch import quiet, to_onnx
from ailsr.export.reading.source import open_source
from ailsr.runtime import ModelError, load
from ailsr.runtime.card import Card
from ailsr.runtime.imaging import image, protocol
from ailsr.runtime.imaging.degradation import BICUBIC, PHOTO

SIZE = (96, 128)


class Denoiser(nn.Module):
    """A residual denoiser: it takes off what differs from the mean of 3×3 by less than
    ``threshold`` levels; pixels up to ``white``."""

    def __init__(self, channels=3, white=1.0, threshold=12.0):
        super().__init__()
        self.threshold = threshold / 255 * white
        mean = torch.full((channels, 1, 3, 3), 1 / 9)
        high = -mean
        high[:, :, 1, 1] += 1
        self.register_buffer("high", high)
        self.channels = channels

    def forward(self, x):
        padded = F.pad(x, (1, 1, 1, 1), mode="reflect")
        high = F.conv2d(padded, self.high, groups=self.channels)
        kept = F.relu(high - self.threshold) - F.relu(-high - self.threshold)
        return x - (high - kept)


def saved(network: nn.Module, path: Path, channels=3, size=SIZE) -> Path:
    with quiet():
        onnx.save(to_onnx(network.eval(), torch.rand(1, channels, *size)), path)
    return path


@pytest.fixture(scope="module")
def noisy(tmp_path_factory, photographs) -> Path:
    """Photographs with noise of 12 levels in LR_bicubic/X1 beside the clean ones in HR."""
    folder = tmp_path_factory.mktemp("noisy")
    random = np.random.default_rng(0)
    for part in ("HR", "LR_bicubic/X1"):
        (folder / part).mkdir(parents=True)
    for name, rgb in photographs.items():
        clean = rgb[60:180, 100:250]
        image.write(clean, folder / f"HR/{name}.png")
        noise = random.normal(0, 12, clean.shape)
        degraded = np.clip(np.rint(clean + noise), 0, 255).astype(np.uint8)
        image.write(degraded, folder / f"LR_bicubic/X1/{name}.png")
    return folder


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Path:
    return saved(Denoiser(), tmp_path_factory.mktemp("model") / "denoiser.onnx")


@pytest.fixture(scope="module")
def exported(model, noisy, tmp_path_factory) -> dict[str, Path]:
    """Files of every target and precision by their endings, and the report."""
    folder = tmp_path_factory.mktemp("exported")
    arguments = [model, "--target=all", "--precision=all", f"--output={folder}", "--json"]
    arguments += [f"--images={noisy}", f"--calibration={noisy}"]
    done = run("ailsr.export.command", *arguments)
    assert done.returncode == 0, done.stderr
    files = {p.name.partition("_x1_")[2]: p for p in folder.iterdir()}
    return {**files, "report": json.loads(done.stdout)}


def run(module: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    code = f"import sys; from {module} import cli; sys.exit(cli())"
    command = [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=600)


@pytest.fixture
def picture(noisy) -> np.ndarray:
    return image.read(noisy / "LR_bicubic/X1/chelsea.png")


def test_every_target_and_precision_keeps_the_gain(exported):
    report = exported["report"]
    assert (report["scale"], report["radius"], report["protocol"]) == (1, 1, "Y-shave-s")
    assert report["network_psnr"] > report["input_psnr"] + 1
    assert len(report["files"]) == 9 and max(file["loss"] for file in report["files"]) < 0.1


@pytest.mark.parametrize(
    "ending, levels",
    [("float32.onnx", 1), ("float16.onnx", 1), ("int8.onnx", 6), ("float32.tflite", 1)],
)
def test_an_image_larger_than_the_input_is_restored_as_by_the_network(
    exported, picture, ending, levels
):
    """In tiles: the receptive field of one pixel around is given to each."""
    tall = np.concatenate([picture, picture[::-1]])
    batch = torch.from_numpy(tall).permute(2, 0, 1)[None] / 255
    expected = 255 * Denoiser()(batch)[0].permute(1, 2, 0).clamp(0, 1).numpy()
    upscaler = load(exported[ending])
    assert upscaler.fidelity().verdict == "exact"
    difference = np.abs(upscaler.upscale(tall) - np.rint(expected))
    assert difference.max() <= levels and difference.mean() < levels / 4


def test_the_card_names_the_degradation_of_clean_images(model, noisy, tmp_path, capsys):
    """A network for stronger noise makes those worse: a remark, no error."""
    folder = tmp_path / "clean"
    folder.mkdir()
    for name in ("chelsea", "rocket"):
        image.write(image.read(noisy / f"HR/{name}.png"), folder / f"{name}.png")
    strong = saved(Denoiser(threshold=100), tmp_path / "strong.onnx")
    code, out, err = ailsr_export(
        capsys, strong, f"--output={tmp_path}", f"--images={folder}", "--target=onnx",
        "--input-range=0..1", "--output-range=0..1",
        "--precision=float32", untrained=False,
    )  # fmt: skip
    assert code == 0, err
    assert "strong makes the images worse (Y-shave-s/photo-1)" in err
    card = load(tmp_path / "strong_x1_float32.onnx").engine.card
    assert isinstance(card, Card) and (card.scale, card.protocol) == (1, "Y-shave-s/photo-1")
    degraded = image_set(folder, "verification", 1)
    assert degraded.degradation == PHOTO
    before = protocol.evaluate(lambda rgb: rgb, degraded.pairs).psnr_db
    assert 25 < card.psnr["clean"] < before < 45
    assert f"the images before it restores them: {before:.2f} dB" in out
    assert image_set(noisy, "calibration", 1).degradation == BICUBIC


@pytest.mark.parametrize("white, expected", [(1, None), (255, "0..255")])
@pytest.mark.parametrize("threshold", [6, 12, 24])
def test_the_range_is_that_in_which_it_takes_off_noise(tmp_path, white, expected, threshold):
    """In too large a range this network does nothing, in one too small it blurs."""
    network = Denoiser(white=white, threshold=threshold)
    path = saved(network, tmp_path / "denoiser.onnx")
    encoding = open_source(path).encoding
    assert (encoding.text("input"), encoding.text("output")) == (expected, expected)


def test_what_returns_no_image_is_refused_with_the_noise_beside_it(tmp_path):
    path = tmp_path / "negative.onnx"
    negative = helper.make_node("Neg", ["a"], ["b"])
    path.write_bytes(model_of(negative, shapes=((1, 3, 64, 64), (1, 3, 64, 64))))
    with pytest.raises(ModelError, match=r"by none of the ranges.* the noisy image that it is to"):
        open_source(path)


@pytest.mark.parametrize("kind", ["onnx", "pt2"])
def test_chroma_passes_by_a_network_of_luma(tmp_path, kind, picture):
    path, network = tmp_path / f"luma.{kind}", Denoiser(channels=1).eval()
    if kind == "onnx":
        saved(network, path, 1)
    else:
        with quiet():
            torch.export.save(torch.export.export(network, (torch.rand(1, 1, *SIZE),)), path)
    source = open_source(path)
    assert (source.scale, source.color, source.input_size) == (1, "y", SIZE)
    rgb = picture[: SIZE[0], : SIZE[1]].astype(np.float32) / 255
    luma = np.float32([0.299, 0.587, 0.114])
    y = torch.from_numpy(rgb @ luma)[None, None]
    restored = source.run(rgb)
    np.testing.assert_allclose(restored @ luma, network(y)[0, 0].numpy(), atol=1e-5)
    difference = restored - rgb  # the same for R, G and B
    np.testing.assert_allclose(difference, difference[..., :1].repeat(3, -1), atol=1e-5)
    assert np.abs(difference).max() > 0.02


def test_a_network_of_luma_is_exported_in_int8(tmp_path, capsys, noisy):
    path = saved(Denoiser(channels=1), tmp_path / "luma.onnx", 1)
    code, out, err = ailsr_export(
        capsys, path, "--target=tflite", "--precision=int8", f"--output={tmp_path}", "--json",
        f"--images={noisy}", f"--calibration={noisy}", untrained=False,
    )  # fmt: skip
    assert code == 0, err
    report = json.loads(out)
    assert report["files"][0]["loss"] < 0.1 and report["network_psnr"] > report["input_psnr"] + 1


def test_rgba_is_a_layout_of_it_and_luma_none(model, tmp_path, capsys, noisy):
    arguments = (model, "--target=onnx", "--precision=float32", f"--output={tmp_path}")
    images = (f"--images={noisy}", f"--calibration={noisy}")
    code, _, err = ailsr_export(capsys, *arguments, "--layout=rgba", *images, untrained=False)
    assert code == 0, err
    assert load(tmp_path / "denoiser_x1_rgba_float32.onnx").engine.layout == "rgba"
    code, _, err = ailsr_export(capsys, *arguments, "--layout=y", *images, untrained=False)
    assert code == 1 and "--layout y: denoiser computes RGB" in err


def test_alpha_is_kept_and_the_name_ends_in_x1(exported, picture, tmp_path):
    alpha = np.arange(picture.shape[0] * picture.shape[1]) % 256
    rgba = np.dstack([picture, alpha.reshape(picture.shape[:2]).astype(np.uint8)])
    from PIL import Image

    Image.fromarray(rgba).save(tmp_path / "a.png")
    file = exported["int8.tflite"]
    done = run("ailsr.runtime.commands.upscale", file, tmp_path / "a.png", "-o", tmp_path / "out")
    assert done.returncode == 0 and "alpha kept" in done.stderr, done.stderr
    restored = np.array(Image.open(tmp_path / "out/a_x1.png"))
    assert restored.shape == rgba.shape and (restored[..., 3] == rgba[..., 3]).all()


def test_a_video_is_restored(exported, picture, tmp_path):
    av = pytest.importorskip("av", reason='VIDEO NOT TESTED: pip install "ailsr[video]"')
    with av.open(str(tmp_path / "clip.mkv"), "w") as container:
        stream = container.add_stream("ffv1", rate=10)
        stream.height, stream.width, stream.pix_fmt = 120, 150, "bgr0"
        for _ in range(3):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())
    output = tmp_path / "out.mkv"
    file = exported["float32.onnx"]
    done = run("ailsr.runtime.commands.upscale", file, tmp_path / "clip.mkv", "-o", output)
    assert done.returncode == 0, done.stderr
    with av.open(str(output)) as container:
        frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    assert len(frames) == 3 and frames[0].shape == picture.shape
    restored = load(file).upscale(picture).astype(int)
    assert np.abs(frames[1] - restored).mean() < 6  # chroma has a quarter of its samples


def bench(*arguments: object) -> subprocess.CompletedProcess[str]:
    return run("ailsr.runtime.commands.bench", *arguments, "--runs=3", "--seconds=0.1", "--json")


def test_the_baseline_is_the_image_as_it_is(exported, noisy, tmp_path):
    page = tmp_path / "report.html"
    done = bench(exported["float32.onnx"], "--images", noisy, "--html", page)
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    (file,), (baseline,) = document["files"], document["baselines"]
    assert (baseline["name"], baseline["scale"]) == ("input", 1)
    report = exported["report"]
    assert file["quality"]["psnr_db"] == pytest.approx(report["network_psnr"], abs=0.01)
    assert baseline["quality"]["psnr_db"] == pytest.approx(report["input_psnr"], abs=0.01)
    text = page.read_text("utf-8")
    assert "above input" in text and "icubic" not in text


def test_clean_images_need_a_degradation(exported, noisy, tmp_path):
    clean = tmp_path / "clean"
    clean.mkdir()
    for path in sorted((noisy / "HR").iterdir())[:2]:
        image.write(image.read(path), clean / path.name)
    file = exported["float32.onnx"]
    done = bench(file, "--images", clean)
    assert done.returncode == 1
    reason = (
        "clean images tell nothing of a file of ×1, which restores images at their own size: "
        "add --degradation photo, or put those to restore into LR_bicubic/X1 beside HR"
    )
    assert done.stderr.splitlines()[-1] == f"error: PSNR and SSIM are missing: {reason}"
    (measured,) = json.loads(done.stdout)["files"]
    assert measured["quality"] is None and measured["whole_path"] is not None
    again = "--runs=3", "--seconds=0.1"
    page = tmp_path / "report.html"
    shown = run("ailsr.runtime.commands.bench", file, "--images", clean, "--html", page, *again)
    assert f"no quality on {clean}: {reason}" in shown.stdout.splitlines()
    assert " without " not in shown.stdout
    assert f"<dt>Quality</dt><dd>Not taken: {reason}.</dd>" in page.read_text("utf-8")
    done = bench(file, "--images", clean, "--degradation", "photo")
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert document["settings"]["protocol"] == "Y-shave-s/photo-1"
    before = protocol.evaluate(lambda rgb: rgb, protocol.pairs(clean, 1, PHOTO)).psnr_db
    assert document["baselines"][0]["quality"]["psnr_db"] == pytest.approx(before)
