"""``ailsr-upscale``, mostly as it is installed."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from ailsr.runtime import ImageError, UsageError, image, load
from ailsr.runtime.resize import enlarge
from ailsr.runtime.upscale_command import Config, main

COMMAND = Path(sys.executable).with_name("ailsr-upscale")


def run(*arguments):
    return subprocess.run(
        [COMMAND, *map(str, arguments)], capture_output=True, text=True, check=False
    )


@pytest.fixture(scope="module")
def model(write_network):
    return write_network("tflite int8 uint8", (32, 32))


@pytest.fixture
def photo(tmp_path, photographs):
    path = tmp_path / "photo.png"
    image.write(photographs["chelsea"][:50, :70], path)
    return path


def test_one_picture_into_one_file(model, photo, tmp_path):
    output = tmp_path / "deep" / "large.png"
    child = run(model, photo, "-o", output, "--threads", 1)
    assert (child.returncode, child.stdout, child.stderr) == (0, f"{output}\n", "")
    expected = load(model, threads=1).upscale(image.read(photo))
    assert np.array_equal(image.read(output), expected)


def test_of_several_pictures_a_bad_one_does_not_stop_the_others(model, photo, tmp_path):
    bad = tmp_path / "bad[1].png"
    bad.write_bytes(photo.read_bytes()[:500])
    child = run(model, bad, photo, tmp_path / "missing.png", "-o", tmp_path / "out", "--json")
    assert child.returncode == 1
    first, second, third = json.loads(child.stdout)
    assert first["input"] == str(bad) and "bad[1].png cannot be read" in first["error"]
    assert second["output"] == str(tmp_path / "out" / "photo_x2.png")
    assert (second["width"], second["height"], second["notes"]) == (140, 100, [])
    assert "no picture at" in third["error"]
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["photo_x2.png"]
    lines = child.stderr.splitlines()
    assert len(lines) == 3
    assert lines[-1] == "error: 2 of 3 pictures failed, as said above"


@pytest.mark.parametrize("kind", ["missing model", "bad picture", "unknown ending", "bad threads"])
def test_bad_input_gets_a_clear_line_and_leaves_nothing(model, photo, tmp_path, kind):
    bad = tmp_path / "bad.png"
    bad.write_text("no picture")
    output = tmp_path / "out" / "large.png"
    arguments = {
        "missing model": (tmp_path / "no.onnx", photo, "-o", output),
        "bad picture": (model, bad, "-o", output),
        "unknown ending": (model, photo, "-o", output.with_suffix(".xyz")),
        "bad threads": (model, photo, "-o", output, "--threads", 0),
    }[kind]
    child = run(*arguments)
    assert child.returncode == (2 if kind == "bad threads" else 1)
    assert child.stdout == ""
    assert "Traceback" not in child.stderr
    if kind != "bad threads":
        assert child.stderr.startswith("error: ") and child.stderr.count("\n") == 1
    assert not output.parent.exists()


def test_the_help_names_every_flag_and_shows_an_example():
    child = run("--help")
    assert child.returncode == 0
    for word in ("FILE", "IMAGE", "--output", "--threads", "--json", "photo.jpg -o photo_x2.png"):
        assert word in child.stdout


def test_notes_go_to_stderr_and_alpha_is_upscaled(model, photo, tmp_path, capsys):
    rgb = image.read(photo)
    alpha = np.tile(np.arange(rgb.shape[1], dtype=np.uint8), (rgb.shape[0], 1))
    image.write(rgb, photo, alpha)
    main(Config(model, [photo], tmp_path / "large.png", threads=1))
    assert capsys.readouterr().err == f"{photo}: alpha upscaled by bicubic interpolation\n"
    large = image.read_picture(tmp_path / "large.png")
    assert np.array_equal(large.alpha, enlarge(alpha, 2))
    assert np.array_equal(large.rgb, load(model, threads=1).upscale(rgb))
    main(Config(model, [photo], tmp_path / "large.jpg", threads=1))
    assert "alpha dropped, put on white (.jpg holds none)" in capsys.readouterr().err


def test_the_input_is_never_overwritten(model, photo):
    before = photo.read_bytes()
    with pytest.raises(UsageError, match="is the picture itself"):
        main(Config(model, [photo], photo.parent / "." / "photo.png"))
    assert photo.read_bytes() == before


def test_outputs_that_do_not_fit_the_pictures_are_refused(model, photo, tmp_path):
    with pytest.raises(UsageError, match=r"2 pictures need a folder .* -o .*out/"):
        main(Config(model, [photo, photo], tmp_path / "out.png"))
    with pytest.raises(UsageError, match=r"written to .*photo_x2\.png"):
        main(Config(model, [photo, photo], tmp_path / "out"))
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match="need a folder"):
        main(Config(model, [photo, tmp_path / "other.png"], tmp_path / "file"))


def test_a_folder_may_be_named_for_one_picture(model, photo, tmp_path, capsys):
    main(Config(model, [photo], tmp_path / "out", threads=1))
    assert capsys.readouterr().out == f"{tmp_path / 'out' / 'photo_x2.png'}\n"


def test_a_single_bad_picture_raises_its_own_error(model, tmp_path):
    with pytest.raises(ImageError, match="no picture at"):
        main(Config(model, [tmp_path / "missing.png"], tmp_path / "out.png"))
