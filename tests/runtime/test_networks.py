"""Networks for clean and for degraded images: which is taken, and what is said."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ailsr.runtime import UsageError, load
from ailsr.runtime.commands.upscale import Config, main
from ailsr.runtime.imaging import image
from ailsr.runtime.imaging.resize import shrink
from ailsr.train import zoo

COMMAND = Path(sys.executable).with_name("ailsr-upscale")
TRAINED = {"method": "l1", "steps": 9}


@pytest.fixture(scope="module")
def clean(write_network):
    return write_network("onnx float32 float32", (32, 32), network="sesr_m5", training=TRAINED)


@pytest.fixture(scope="module")
def photo(write_network):
    training = TRAINED | {"degradation": "photo-1"}
    return write_network(
        "tflite int8 uint8", (32, 32), network="sesr_m5_photo", training=training,
        degradation="photo-1",
    )  # fmt: skip


@pytest.fixture
def folder(tmp_path, photographs):
    """The same image: clean, saved well, saved badly, and noisy."""
    rgb = shrink(photographs["chelsea"][:200, :300], 2)
    noisy = rgb + np.random.default_rng(1).normal(0, 9, rgb.shape[:2])[..., None]
    path = tmp_path / "images"
    image.write(rgb, path / "clean.png")
    image.write(np.clip(np.rint(noisy), 0, 255).astype(np.uint8), path / "noisy.png")
    Image.fromarray(rgb).save(path / "fine.jpg", quality=97)
    Image.fromarray(rgb).save(path / "coarse.jpg", quality=40)
    return path


@pytest.fixture
def networks(tmp_path, monkeypatch):
    """``networks(name, ...)`` makes a zoo that holds networks of these names."""

    def made(*names: str) -> None:
        for name in names:
            (tmp_path / "zoo" / f"{name}.pt").touch()

    (tmp_path / "zoo").mkdir()
    monkeypatch.setattr(zoo, "FOLDER", tmp_path / "zoo")
    return made


@pytest.mark.parametrize("options", [[], ["--max-memory", "4G"]])
def test_each_image_takes_the_network_that_suits_it(clean, photo, folder, tmp_path, options):
    files = [photo, clean] if options else [clean, photo]
    command = [COMMAND, "--auto", *files, folder, "-o", tmp_path / "out", "--json", *options]
    child = subprocess.run(list(map(str, command)), capture_output=True, text=True)
    assert child.returncode == 0, child.stderr
    results = {Path(result["input"]).name: result for result in json.loads(child.stdout)}
    suited = {"clean.png": clean, "fine.jpg": clean, "coarse.jpg": photo, "noisy.png": photo}
    assert {name: result["network"] for name, result in results.items()} == {
        name: str(file) for name, file in suited.items()
    }
    assert results["coarse.jpg"]["condition"].startswith("JPEG quality 40, noise ")
    for name, file in suited.items():
        expected = load(file).upscale(image.read(folder / name))
        assert np.array_equal(image.read(Path(results[name]["output"])), expected)
        said = f"{folder / name}: {file.name} ({results[name]['condition']})"
        assert child.stderr.splitlines().count(said) == 1


def test_a_network_for_clean_images_says_once_what_would_do_better(
    clean, folder, tmp_path, networks, capsys
):
    Image.open(folder / "coarse.jpg").save(folder / "another.jpg", quality=30)

    def said() -> list[str]:
        main(Config(clean, [folder], tmp_path / "out", threads=1, overwrite=True))
        return [line for line in capsys.readouterr().err.splitlines() if "would do better" in line]

    (line,) = said()
    assert line == (
        f"{folder / 'another.jpg'}: a JPEG of quality 30, and sesr_m5 has only seen clean images: "
        "one trained with --degradation photo would do better"
    )
    networks("sesr_m5_x2", "sesr_m5_photo_x3", "sesr_m11_photo_x2")
    assert "--degradation photo" in said()[0]  # of another scale or network
    networks("sesr_m5_web_x2")
    assert said()[0].endswith("images: zoo:sesr_m5_web_x2 would do better, or --auto")
    networks("sesr_m5_photo_x2")
    assert said()[0].endswith("images: zoo:sesr_m5_photo_x2 would do better, or --auto")


def test_nothing_is_said_where_nothing_is_known(
    clean, photo, folder, tmp_path, networks, write_network, write_peer, capsys
):
    networks("sesr_m5_photo_x2")
    pairs_of_ones_own = TRAINED | {"train_lr": ["lr"]}
    files = [
        photo,
        write_network("onnx float32 float32", (32, 32)),  # of others: its training is not known
        write_network("onnx float32 float32", (32, 32), training=pairs_of_ones_own),
        write_peer([1, 3, "h", "w"]),  # without a card
    ]
    for file in files:
        main(Config(file, [folder], tmp_path / "out", threads=1, overwrite=True))
        assert "better" not in capsys.readouterr().err
    (folder / "coarse.jpg").unlink()
    main(Config(clean, [folder], tmp_path / "out", threads=1, overwrite=True))
    assert "better" not in capsys.readouterr().err


def test_auto_needs_one_network_of_each_kind(
    clean, photo, folder, tmp_path, networks, write_network
):
    other = write_network("onnx float32 float32", (32, 32), 3, training=TRAINED)
    unknown = write_network("onnx float32 float32", (32, 32))
    for files, message in [
        ([clean, clean], "x2.*clean images.*clean images"),
        ([other, photo], "×3, clean images.*×2, degraded images"),
        ([unknown, photo], "its card does not tell"),
        ([clean], "the zoo has no network for photographs like that of"),
        ([photo], "the zoo has no network for photographs like that of"),
    ]:
        model, *more = files
        with pytest.raises(UsageError, match=message.replace("x2", "×2")):
            main(Config(model, [*more, folder], tmp_path / "out", auto=True))
    with pytest.raises(UsageError, match="name the images to upscale"):
        main(Config(clean, [photo], tmp_path / "out", auto=True))
    with pytest.raises(UsageError, match="--auto is for images"):
        main(Config(clean, [photo, Path("-")], Path("-"), auto=True))
    assert not (tmp_path / "out").exists()
