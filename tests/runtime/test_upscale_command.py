"""``ailsr-upscale``, mostly as it is installed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import ExifTags, Image, ImageCms

from ailsr.runtime import ImageError, UsageError, load
from ailsr.runtime.commands.upscale import Config, main
from ailsr.runtime.imaging import image
from ailsr.runtime.imaging.resize import enlarge
from ailsr.runtime.upscaling.outputs import Job, Outputs, plan_folder

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
    assert "no image at" in third["error"]
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["photo_x2.png"]
    lines = child.stderr.splitlines()
    assert len(lines) == 3
    assert lines[-1] == "error: 2 of 3 images failed, as said above"


@pytest.mark.parametrize("kind", ["missing model", "bad image", "unknown ending", "bad threads"])
def test_bad_input_gets_a_clear_line_and_leaves_nothing(model, photo, tmp_path, kind):
    bad = tmp_path / "bad.png"
    bad.write_text("no image")
    output = tmp_path / "out" / "large.png"
    arguments = {
        "missing model": (tmp_path / "no.onnx", photo, "-o", output),
        "bad image": (model, bad, "-o", output),
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
    for word in (
        "FILE",
        "IMAGE",
        "--output",
        "--threads",
        "--max-memory",
        "--overwrite",
        "--size",
        "--json",
        "photo.jpg -o photo_x2.png",
    ):
        assert word in child.stdout


def test_notes_go_to_stderr_and_alpha_is_upscaled(model, photo, tmp_path, capsys):
    rgb = image.read(photo)
    alpha = np.tile(np.arange(1, rgb.shape[1] + 1, dtype=np.uint8), (rgb.shape[0], 1))
    image.write(rgb, photo, alpha)
    main(Config(model, [photo], tmp_path / "large.png", threads=1))
    assert capsys.readouterr().err == f"{photo}: alpha upscaled by bicubic interpolation\n"
    large = image.read_image(tmp_path / "large.png")
    assert np.array_equal(large.alpha, enlarge(alpha, 2))
    assert np.array_equal(large.rgb, load(model, threads=1).upscale(rgb))
    main(Config(model, [photo], tmp_path / "large.bmp", threads=1))
    assert "alpha dropped, put on white (.bmp holds none)" in capsys.readouterr().err
    expected = load(model, threads=1).upscale(image.read(photo))
    assert np.array_equal(image.read(tmp_path / "large.bmp"), expected)


@pytest.mark.parametrize("limit", [None, "64G"])
def test_colours_below_alpha_0_do_not_reach_what_is_visible(model, tmp_path, photographs, limit):
    rgb = np.ascontiguousarray(photographs["chelsea"][40:140, 100:220])
    y, x = np.mgrid[:100, :120]
    alpha = np.where((y - 50) ** 2 + (x - 60) ** 2 < 35**2, 255, 0).astype(np.uint8)
    large = []
    for hidden in (0, 255, rgb[::-1]):
        image.write(np.where(alpha[..., None] > 0, rgb, hidden), tmp_path / "sprite.png", alpha)
        output = tmp_path / "large.png"
        sprite = [tmp_path / "sprite.png"]
        main(Config(model, sprite, output, threads=1, max_memory=limit, overwrite=True))
        large.append(image.read_image(output))
    visible = enlarge(alpha, 2) > 0
    for other in large[1:]:
        assert np.array_equal(other.alpha, large[0].alpha)
        assert np.array_equal(other.rgb[visible], large[0].rgb[visible])
    center = (slice(80, 120), slice(100, 140))  # farther from the edge than the network sees
    untouched = load(model, threads=1).upscale(rgb)
    assert np.array_equal(large[0].rgb[center], untouched[center])


def test_the_input_is_never_overwritten(model, photo):
    before = photo.read_bytes()
    with pytest.raises(UsageError, match="is the image itself"):
        main(Config(model, [photo], photo.parent / "." / "photo.png"))
    assert photo.read_bytes() == before


def test_outputs_that_do_not_fit_the_pictures_are_refused(model, photo, tmp_path):
    with pytest.raises(UsageError, match=r"2 images need a folder .* -o .*out/"):
        main(Config(model, [photo, photo], tmp_path / "out.png"))
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match="need a folder"):
        main(Config(model, [photo, tmp_path / "other.png"], tmp_path / "file"))


def test_what_is_there_is_kept_unless_overwrite_says_so(model, photo, tmp_path, capsys):
    output = tmp_path / "large.png"
    output.write_text("mine")
    with pytest.raises(UsageError, match=r"large\.png exists: .* --overwrite"):
        main(Config(model, [photo], output, threads=1))
    assert output.read_text() == "mine"
    main(Config(model, [photo], output, threads=1, overwrite=True))
    assert image.read(output).shape == (100, 140, 3)
    output.unlink()
    output.symlink_to(tmp_path / "nowhere")
    with pytest.raises(UsageError, match="exists"):
        main(Config(model, [photo], output, threads=1))


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_picture_that_is_still_to_be_read_is_never_written_over(
    model, photo, tmp_path, capsys, overwrite
):
    folder = tmp_path / "d"
    folder.mkdir()
    for name in ("a.png", "a_x2.png"):
        (folder / name).write_bytes(photo.read_bytes())
    (tmp_path / "other").symlink_to(folder)
    with pytest.raises(ImageError, match="1 of 2 images failed"):
        main(Config(model, [folder], tmp_path / "other", threads=1, overwrite=overwrite))
    assert "a_x2.png, which" in capsys.readouterr().err
    assert (folder / "a_x2.png").read_bytes() == photo.read_bytes()
    assert sorted(p.name for p in folder.iterdir()) == ["a.png", "a_x2.png", "a_x2_x2.png"]


def test_one_bad_argument_does_not_stop_the_others(model, photo, tmp_path):
    for folder in ("empty", "one", "two", "out"):
        (tmp_path / folder).mkdir()
    for name in ("one/a.png", "one/a.jpg", "one/b.png", "two/a.png", "two/c.png"):
        (tmp_path / name).write_bytes(photo.read_bytes())
    (tmp_path / "out" / "c_x2.png").write_text("mine")
    paths = [tmp_path / name for name in ("empty", "one", "two", "one/b.png")]
    child = run(model, *paths, "-o", tmp_path / "out", "--threads", 1, "--json")
    assert child.returncode == 1
    found = json.loads(child.stdout)
    outcomes = [
        (Path(f["input"]).relative_to(tmp_path).as_posix(), Path(f.get("output", "")).name)
        for f in found
    ]
    assert outcomes == [
        ("empty", ""),
        ("one/a.jpg", "a.jpg_x2.png"),
        ("one/a.png", "a.png_x2.png"),
        ("one/b.png", "b_x2.png"),  # once, though it is named twice
        ("two/a.png", ""),
        ("two/c.png", ""),
    ]
    for index, reason in [(0, "no images in"), (4, "like"), (5, "c_x2.png exists")]:
        assert reason in found[index]["error"]
    assert (tmp_path / "out" / "c_x2.png").read_text() == "mine"
    assert child.stderr.splitlines()[-1] == "error: 3 of 6 images failed, as said above"
    assert len(child.stderr.splitlines()) == 4


class Counted(type(Path())):
    """A path that counts how often it is compared."""

    comparisons = 0

    def __eq__(self, other):
        Counted.comparisons += 1
        return super().__eq__(other)

    __hash__ = type(Path()).__hash__


def test_many_names_are_planned_in_linear_time(tmp_path):
    jobs = [Job(Counted(tmp_path, f"{n // 2}.{'png' if n % 2 else 'jpg'}")) for n in range(3000)]
    Counted.comparisons = 0
    outputs = Outputs([job.source for job in jobs])
    planned = plan_folder(jobs, Counted(tmp_path / "out"), 2, outputs)
    assert len({job.output.name for job in planned}) == 3000
    assert planned[0].output.name == "0.jpg_x2.png"
    assert Counted.comparisons < 10 * 3000


def test_the_longest_name_that_can_be_is_written(model, photo, tmp_path):
    longest = os.pathconf(tmp_path, "PC_NAME_MAX")
    fits, too_long = (tmp_path / f"{'x' * (longest - n)}.png" for n in (len("_x2.png"), 4))
    for path in (fits, too_long):
        path.hardlink_to(photo)
    with pytest.raises(ImageError, match="1 of 2 images failed"):
        main(Config(model, [fits, too_long], tmp_path / "out", threads=1))
    (output,) = (tmp_path / "out").iterdir()
    assert len(output.name) == longest


def test_a_folder_may_be_named_for_one_picture(model, photo, tmp_path, capsys):
    main(Config(model, [photo], tmp_path / "out", threads=1))
    assert capsys.readouterr().out == f"{tmp_path / 'out' / 'photo_x2.png'}\n"


def test_a_single_bad_picture_raises_its_own_error(model, tmp_path):
    with pytest.raises(ImageError, match="no image at"):
        main(Config(model, [tmp_path / "missing.png"], tmp_path / "out.png"))


def test_a_folder_of_pictures_goes_into_a_folder(model, photo, tmp_path):
    holiday = tmp_path / "holiday"
    holiday.mkdir()
    for name in ("b.jpg", "a.png", "notes.txt"):
        (holiday / name).write_bytes(photo.read_bytes())
    child = run(model, holiday, photo, "-o", tmp_path / "out", "--max-memory", "1G")
    said = f"{holiday}: 1 of 3 left out: 1 ending in .txt\n"
    assert (child.returncode, child.stderr) == (0, said)
    names = ["a_x2.png", "b_x2.png", "photo_x2.png"]
    assert child.stdout.split() == [str(tmp_path / "out" / name) for name in names]
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == names
    child = run(model, holiday, "-o", tmp_path / "one.png")
    assert child.returncode == 1 and "2 images need a folder to go to" in child.stderr


def test_the_parts_of_a_folder_are_the_whole(model, photo, tmp_path, capsys):
    folder = tmp_path / "photos"
    folder.mkdir()
    for name in ("a.png", "a.jpg", "b.png", "c.png", "d.png"):
        Image.fromarray(image.read(photo)[:12, : 12 + len(name)]).save(folder / name)
    made = []
    for part in ("1/3", "3/3", "2/3"):
        main(Config(model, [folder], tmp_path / "parts", threads=1, part=part))
        made.append(len(list((tmp_path / "parts").iterdir())))
    assert made == [1, 3, 5]
    main(Config(model, [folder], tmp_path / "whole", threads=1))
    whole, parts = (
        {file.name: file.read_bytes() for file in (tmp_path / name).iterdir()}
        for name in ("whole", "parts")
    )
    assert whole == parts and set(whole) >= {"a.jpg_x2.png", "a.png_x2.png", "b_x2.png"}
    main(Config(model, [folder], tmp_path / "none", threads=1, part="1/9"))
    assert not (tmp_path / "none").exists()
    with pytest.raises(UsageError, match="--part is of several images or a video"):
        main(Config(model, [photo], tmp_path / "large.png", part="1/2"))
    with pytest.raises(UsageError, match="--part 4/3: write which of how many"):
        main(Config(model, [folder], tmp_path / "parts", part="4/3"))


@pytest.mark.parametrize("ending", [".png", ".jpg", ".webp", ".tif"])
@pytest.mark.parametrize("limit", [None, "64G"])
def test_profile_exif_and_alpha_are_kept(model, photo, tmp_path, capsys, ending, limit):
    exif = Image.Exif()
    exif[ExifTags.Base.Make] = "Maker"
    exif[ExifTags.Base.Orientation] = 6
    exif.get_ifd(ExifTags.IFD.Exif).update(
        {ExifTags.Base.ISOSpeedRatings: 200, ExifTags.Base.ExifImageWidth: 70}
    )
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    swapped = profile.replace(b"rXYZ", b"?XYZ").replace(b"bXYZ", b"rXYZ").replace(b"?XYZ", b"bXYZ")
    rgb = image.read(photo)
    picture = Image.fromarray(rgb)
    picture.putalpha(100)
    picture.save(photo, exif=exif, icc_profile=swapped)
    output = tmp_path / f"large{ending}"
    main(Config(model, [photo], output, threads=1, max_memory=limit))
    notes = capsys.readouterr().err
    assert "turned as its EXIF orientation says" in notes and "colour profile" not in notes
    with Image.open(output) as large:
        assert large.info["icc_profile"] == swapped
        found = large.getexif()
        if ending == ".tif":
            return
        assert found[ExifTags.Base.Make] == "Maker"
        assert ExifTags.Base.Orientation not in found
        block = found.get_ifd(ExifTags.IFD.Exif)
        assert block[ExifTags.Base.ISOSpeedRatings] == 200
        assert ExifTags.Base.ExifImageWidth not in block
        if ending == ".jpg":
            return
        assert large.mode == "RGBA" and set(np.unique(large.getchannel("A"))) == {100}
        if ending != ".webp":
            turned = np.ascontiguousarray(np.rot90(rgb, -1))
            pixels = np.asarray(large.convert("RGB"))
            assert np.array_equal(pixels, load(model, threads=1).upscale(turned))


def test_what_holds_no_profile_gets_srgb(model, photo, tmp_path, capsys):
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    swapped = profile.replace(b"rXYZ", b"?XYZ").replace(b"bXYZ", b"rXYZ").replace(b"?XYZ", b"bXYZ")
    Image.fromarray(image.read(photo)).save(photo, icc_profile=swapped)
    main(Config(model, [photo], tmp_path / "large.bmp", threads=1))
    assert "converted from its colour profile to sRGB" in capsys.readouterr().err


def test_a_picture_of_one_pixel(model, tmp_path):
    image.write(np.full((1, 1, 3), 90, np.uint8), tmp_path / "one.png")
    child = run(model, tmp_path / "one.png", "-o", tmp_path / "two.png", "--max-memory", "1G")
    assert (child.returncode, child.stderr) == (0, "")
    assert image.read(tmp_path / "two.png").shape == (2, 2, 3)


def test_a_side_too_long_for_the_format_is_refused_before_the_work(model, tmp_path):
    image.write(np.zeros((2, 40000, 3), np.uint8), tmp_path / "wide.png")
    child = run(model, tmp_path / "wide.png", "-o", tmp_path / "wide.jpg")
    assert child.returncode == 1
    assert "holds 65535 pixels a side, this is 80000x4; write .png" in child.stderr
    assert [p.name for p in tmp_path.iterdir()] == ["wide.png"]


@pytest.mark.skipif(sys.platform == "win32", reason="needs a shell's ulimit")
def test_a_full_disk_leaves_nothing(model, photo, tmp_path):
    output = tmp_path / "out.png"
    limited = ["bash", "-c", 'ulimit -f 8; exec "$0" "$@"', COMMAND, model, photo, "-o", output]
    child = subprocess.run([str(a) for a in limited], capture_output=True, text=True)
    assert child.returncode == 1
    assert child.stderr == f"error: {output} cannot be written: File too large\n"
    assert [p.name for p in tmp_path.iterdir()] == ["photo.png"]


@pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX signals")
@pytest.mark.parametrize(
    ("number", "code", "name"), [(signal.SIGINT, 130, "Ctrl-C"), (signal.SIGTERM, 143, "SIGTERM")]
)
def test_a_signal_leaves_nothing(model, tmp_path, photographs, number, code, name):
    image.write(np.tile(photographs["chelsea"], (8, 8, 1)), tmp_path / "photo.png")
    with subprocess.Popen(
        [COMMAND, model, tmp_path / "photo.png", "-o", tmp_path / "out.png"],
        stderr=subprocess.PIPE, text=True,
    ) as child:  # fmt: skip
        while child.poll() is None and len(list(tmp_path.iterdir())) == 1:
            time.sleep(0.01)  # until it writes
        child.send_signal(number)
        assert child.stderr.read() == f"error: stopped by {name}\n"
    assert child.returncode == code
    assert [p.name for p in tmp_path.iterdir()] == ["photo.png"]
