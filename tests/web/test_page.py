"""Images and measurements on the page."""

from __future__ import annotations

import io
import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ailsr.export.exporter import Exporter
from ailsr.export.reading.source import open_source
from ailsr.runtime import load
from ailsr.runtime.commands.web import announce
from ailsr.runtime.imaging import image, protocol
from ailsr.runtime.imaging.resize import shrink
from ailsr.runtime.probe import Probe
from ailsr.train import zoo

WAIT = 90_000  # milliseconds; CI may be slow
COMPARE = "from ailsr.runtime.commands.bench import cli; cli()"


@pytest.fixture(scope="module")
def expect(playwright):
    from playwright.sync_api import expect

    expect.set_options(timeout=WAIT)
    return expect


def png(pixels) -> dict:
    """What Playwright takes for a chosen file."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "png")
    return {"name": "photo.1.png", "mimeType": "image/png", "buffer": buffer.getvalue()}


def upscale(page, pixels) -> np.ndarray:
    """The image that the page saves for ``pixels``."""
    page.set_input_files("#choose", png(pixels))
    return saved(page, "photo.1_x2.png").astype(np.uint8)


def saved(page, name: str | None = None) -> np.ndarray:
    """The image that the page saves, under ``name``, as integers."""
    page.locator("#save").wait_for(timeout=WAIT)
    with page.expect_download() as download:
        page.click("#save")
    assert name in (None, download.value.suggested_filename)
    return image.read(Path(download.value.path())).astype(int)


def largest_difference(page, file, pixels) -> int:
    expected = load(file).upscale(pixels)
    return int(np.abs(upscale(page, pixels).astype(int) - expected).max())


@pytest.mark.parametrize("precision", ["float32", "int8"])
def test_a_picture_comes_out_as_the_runtime_makes_it(
    models, serve, open_page, photographs, precision
):
    file = getattr(models, precision)
    page = open_page(serve([file]))
    assert "thread" in page.locator("#engine").inner_text()
    assert largest_difference(page, file, photographs["chelsea"]) <= 1  # 300×451: many tiles
    page.click("#another")
    small = np.ascontiguousarray(photographs["astronaut"][:70, 100:150])  # less than a tile
    assert largest_difference(page, file, small) <= 1


def test_a_large_photograph_has_no_seam(models, serve, open_page, photographs, tmp_path):
    large = np.asarray(Image.fromarray(photographs["rocket"]).resize((1500, 1000)))
    page = open_page(serve([models.float32]))
    expected = load(models.float32).upscale(large).astype(int)
    upscaled = upscale(page, large).astype(int)
    assert upscaled.shape == (2000, 3000, 3)
    assert np.abs(upscaled - expected).max() <= 1
    # A single, whole tile is right anywhere in the image, too.
    part = load(models.float32).upscale(np.ascontiguousarray(large[460:556, 700:828])).astype(int)
    inner = slice(20, -20)
    assert np.abs(upscaled[920:1112, 1400:1656] - part)[inner, inner].max() <= 1


def test_upscaling_is_stopped_and_begun_again(models, serve, open_page, photographs, expect):
    large = np.asarray(Image.fromarray(photographs["rocket"]).resize((3000, 2000)))
    page = open_page(serve([models.int8]))
    page.set_input_files("#choose", png(large))
    expect(page.locator("#what")).to_contain_text("tile")
    page.click("#cancel")
    expect(page.locator("#empty")).to_be_visible()
    assert largest_difference(page, models.int8, photographs["chelsea"][:120, :120]) <= 1


def test_each_picture_takes_the_network_that_suits_it(
    models, serve, open_page, photographs, with_card, tmp_path, expect
):
    photo = with_card(models.int8, degradation="photo-1")
    page = open_page(serve([models.float32, photo]))
    assert page.locator("#file").input_value() == "The one that suits the image"
    rgb = shrink(photographs["chelsea"][:200, :300], 2)
    Image.fromarray(rgb).save(tmp_path / "coarse.jpg", quality=30)
    Image.fromarray(rgb).save(tmp_path / "clean.png")
    for name, file, why in [
        ("clean.png", models.float32, "no JPEG, noise"),
        ("coarse.jpg", photo, "JPEG quality 30, noise"),
        ("clean.png", models.float32, "no JPEG, noise"),
    ]:
        page.set_input_files("#choose", tmp_path / name)
        expect(page.locator("#outcome")).to_contain_text(f"by {file.name} ({why}")
        expected = load(file).upscale(image.read(tmp_path / name)).astype(int)
        assert np.abs(saved(page) - expected).max() <= 1
        page.click("#another")
    page.locator("#file").select_option(label=photo.name)
    page.set_input_files("#choose", tmp_path / "clean.png")
    expect(page.locator("#outcome")).to_have_text(re.compile(r" s$"))
    assert np.abs(saved(page) - load(photo).upscale(rgb).astype(int)).max() <= 1


def test_what_is_no_picture_is_said_in_one_line(models, serve, open_page, expect):
    page = open_page(serve([models.float32]))
    expect(page.get_by_text("Take a photo")).to_be_visible()  # it has a touch screen
    text = {"name": "notes.png", "mimeType": "image/png", "buffer": b"no image"}
    page.set_input_files("#choose", text)
    expect(page.get_by_role("alert")).to_contain_text("cannot read that image")
    expect(page.locator("#empty")).to_be_visible()


def test_a_report_is_received_and_compared(models, serve, open_page, photographs, tmp_path, expect):
    for name, pixels in photographs.items():
        image.write(np.ascontiguousarray(pixels[:200, :150]), tmp_path / "hr" / f"{name}.png")
    output, history = tmp_path / "phone.json", tmp_path / "phones.jsonl"
    served = serve([models.float32, models.int8], tmp_path / "hr", output, history)
    page = open_page(served)
    for option in ("float32", "int8"):
        page.locator("#file").select_option(label=getattr(models, option).name)
        page.click("#measure")
        expect(page.locator("#sent")).to_have_text(re.compile("received"))
        expect(page.locator("#file")).to_be_enabled()
    measured = [[file["precision"] for file in report["files"]] for report in served.reports]
    assert measured == [["float32"], ["float32", "int8"]]
    assert json.loads(output.read_text()) == served.reports[-1]
    assert len(history.read_text().splitlines()) == 2

    upscaler = load(models.int8)
    scores = protocol.evaluate(upscaler.upscale, protocol.pairs(tmp_path / "hr", 2))
    measured = served.reports[-1]["files"][-1]
    assert measured["quality"]["psnr_db"] == pytest.approx(scores.psnr_db, abs=0.01)
    assert measured["quality"]["ssim"] == pytest.approx(scores.ssim, abs=1e-3)
    assert measured["whole_path"]["n"] >= 3
    assert measured["whole_path"]["p50_ms"] > 0

    compared = subprocess.run(
        [sys.executable, "-c", COMPARE, "compare", output, history],
        capture_output=True, text=True,
    )  # fmt: skip
    assert compared.returncode == 0, compared.stderr
    assert models.int8.name in compared.stdout


WRONG = re.compile(r"wrong \(\d+ levels\)")


@pytest.mark.parametrize("precision", ["float32", "int8"])
def test_files_of_the_zoo_are_computed_as_exported(models, serve, open_page, expect, precision):
    page = open_page(serve([getattr(models, precision)]))
    fidelity = page.locator("#fidelity")
    expect(fidelity).to_have_text(re.compile(r"^Computed as exported: (exact|within \d levels?)$"))
    expect(page.locator("#warning")).to_be_hidden()


@pytest.fixture
def wrong(models, with_card):
    """A file that computes something else than its card says: as if every answer were black."""
    return with_card(models.float32, probe=asdict(Probe.of(np.zeros((192, 256, 3), np.uint8))))


def test_a_file_that_is_computed_wrongly_is_not_used_silently(
    wrong, serve, open_page, photographs, expect, capsys
):
    served = serve([wrong])
    page = open_page(served)
    warning = page.locator("#warning")
    expect(page.locator("#fidelity")).to_have_text(WRONG)
    expect(warning).to_have_text(re.compile(f"CPU computes {wrong.name} {WRONG.pattern}"))
    upscale(page, np.ascontiguousarray(photographs["chelsea"][:60, :60]))
    expect(warning).to_be_visible()
    expect(page.locator("#outcome")).to_have_text(WRONG)
    page.click("#measure")
    expect(page.locator("#sent")).to_have_text(re.compile("received"))
    expect(page.locator("#facts")).to_contain_text(WRONG)
    fidelity = served.reports[-1]["files"][-1]["fidelity"]
    assert fidelity["verdict"] == "wrong"
    assert fidelity["levels"] > 100
    announce(served.reports[-1])
    assert f"wrong ({fidelity['levels']} levels)" in capsys.readouterr().out


def test_of_a_file_without_a_probe_nothing_is_known(models, with_card, serve, open_page, expect):
    older, other = with_card(models.int8, format=2, probe=None), models.float32
    served = serve([older, other])
    page = open_page(served)
    expect(page.locator("#fidelity")).to_have_text("Computed as exported: not known")
    expect(page.locator("#warning")).to_be_hidden()
    page.click("#measure")
    expect(page.locator("#sent")).to_have_text(re.compile("received"))
    assert served.reports[-1]["files"][-1]["fidelity"] is None
    page.locator("#file").select_option(label=other.name)
    expect(page.locator("#fidelity")).to_have_text(re.compile("exact|within"))


def swipe(page, *paths) -> None:
    """One finger for each path, a list of points in CSS pixels, all moving at once."""
    send = page.context.new_cdp_session(page).send
    steps = list(zip(*paths, strict=True))
    for kind, points in zip(["touchStart", *["touchMove"] * (len(steps) - 1)], steps, strict=True):
        touches = [{"x": x, "y": y, "id": i} for i, (x, y) in enumerate(points)]
        send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": touches})
    send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})


def line(start, end, steps=8):
    return [tuple(p) for p in np.linspace(start, end, steps).tolist()]


@pytest.fixture
def compared(models, serve, open_page, photographs):
    page = open_page(serve([models.float32]))
    upscale(page, photographs["chelsea"])
    box = page.locator("#stage").bounding_box()
    return page, lambda x, y: (box["x"] + x * box["width"], box["y"] + y * box["height"])


def test_the_line_is_moved_by_touch(compared, expect):
    page, at = compared
    slider = page.get_by_role("slider", name="Share of the image that shows it before")
    expect(slider).to_have_attribute("aria-valuenow", "50")
    swipe(page, line(at(0.5, 0.5), at(0.8, 0.5)))
    expect(slider).to_have_attribute("aria-valuenow", "80")
    expect(slider).to_have_attribute("aria-valuetext", "80 % before, 20 % after")


def test_two_fingers_zoom_and_one_moves_the_picture(compared):
    page, at = compared
    shown = lambda: [round(n, 1) for n in page.locator("#after").evaluate(  # noqa: E731
        "e => { const m = new DOMMatrix(getComputedStyle(e).transform); return [m.a, m.e, m.f] }"
    )]  # fmt: skip
    assert shown() == [1, 0, 0]
    swipe(page, line(at(0.4, 0.5), at(0.2, 0.5)), line(at(0.6, 0.5), at(0.8, 0.5)))
    zoom, x, _ = shown()
    assert zoom == pytest.approx(3, abs=0.1)
    swipe(page, line(at(0.2, 0.5), at(0.3, 0.5)))
    assert shown()[0] == zoom
    assert shown()[1] > x
    page.get_by_role("button", name="Zoom out").click(click_count=5)
    assert shown() == [1, 0, 0]


def test_the_line_is_moved_by_keys(compared, expect):
    page, _ = compared
    slider = page.get_by_role("slider")
    slider.focus()
    for key, value in (("ArrowRight", 52), ("PageDown", 42), ("Home", 0), ("ArrowLeft", 0),
                       ("End", 100), ("ArrowDown", 98)):  # fmt: skip
        page.keyboard.press(key)
        expect(slider).to_have_attribute("aria-valuenow", str(value))


def test_everything_has_a_name_and_fits_360_pixels(compared):
    page, _ = compared
    assert page.evaluate("() => document.documentElement.scrollWidth") == 360
    unnamed = page.locator("button, select, input, progress, [role=slider]").evaluate_all(
        "all => all.filter(e => !(e.labels?.length || e.textContent.trim() "
        "|| e.getAttribute('aria-label'))).map(e => e.outerHTML)"
    )
    assert unnamed == []


@pytest.fixture(scope="module")
def webgpu_browser(launch):
    """A browser with WebGPU, by SwiftShader where there is no GPU."""
    with launch(
        "--enable-unsafe-webgpu", "--use-webgpu-adapter=swiftshader", "--enable-unsafe-swiftshader"
    ) as started:
        yield started


def skip_without_gpu(page) -> None:
    if page.locator("option[value=webgpu]").is_disabled():
        pytest.skip(f"WEBGPU IS NOT TESTED: {page.locator('#limits').inner_text()}")


def test_webgpu_computes_the_same_picture(
    models, serve, open_page, webgpu_browser, photographs, expect
):
    page = open_page(serve([models.float32]), browser=webgpu_browser)
    skip_without_gpu(page)
    page.locator("#backend").select_option("webgpu")
    expect(page.locator("#engine")).to_have_text("GPU")
    expect(page.locator("#fidelity")).to_have_text(re.compile("exact|within"))
    picture = np.ascontiguousarray(photographs["chelsea"][:150, :200])
    assert largest_difference(page, models.float32, picture) <= 1


def test_what_the_gpu_computes_wrongly_runs_on_the_cpu(
    wrong, serve, open_page, webgpu_browser, photographs, expect
):
    served = serve([wrong])
    page = open_page(served, browser=webgpu_browser)
    skip_without_gpu(page)
    page.locator("#backend").select_option("webgpu")
    said = re.compile(f"GPU computes {wrong.name} {WRONG.pattern}: the CPU runs it instead")
    expect(page.locator("#warning")).to_have_text(said)
    expect(page.locator("#engine")).to_have_text(re.compile("CPU"))
    picture = np.ascontiguousarray(photographs["chelsea"][:60, :60])
    assert largest_difference(page, wrong, picture) <= 1
    page.click("#measure")
    expect(page.locator("#sent")).to_have_text(re.compile("received"))
    assert served.reports[-1]["files"][-1]["delegate"] == "WebAssembly"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_screenshots(models, serve, open_page, photographs, tmp_path, scheme, expect):
    """What docs/ shows, written there when AILSR_SCREENSHOTS names it."""
    folder = Path(os.environ.get("AILSR_SCREENSHOTS") or tmp_path)
    image.write(photographs["chelsea"], tmp_path / "hr" / "chelsea.png")
    page = open_page(serve([models.float32], tmp_path / "hr"), color_scheme=scheme)
    upscale(page, photographs["chelsea"])
    page.get_by_role("button", name="Zoom in").click(click_count=2)
    page.click("#measure")
    expect(page.locator("#sent")).to_have_text(re.compile("received"))
    page.evaluate("() => document.activeElement.blur()")
    shot = folder / f"web_{scheme}.png"
    page.screenshot(path=shot, full_page=True)
    small = Image.open(shot).quantize(256)
    small.save(shot, optimize=True)
    paper = small.convert("L").getpixel((4, 4))
    assert (paper > 200) == (scheme == "light")
    assert shot.stat().st_size < 200_000


def test_the_first_upscale_is_measured_and_little_is_sent(chromium, models):
    script = Path(__file__).parents[2] / "benchmarks" / "web_first_upscale.py"
    command = [sys.executable, script, models.float32, "--times", "1", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    figures = json.loads(done.stdout)
    assert figures["median_seconds"] == figures["seconds"][0] > 0
    assert figures["network_bytes"] < 100e3
    assert figures["sent_bytes"] < figures["unpacked_bytes"] < 15e6


def test_the_share_outside_inference_is_measured(chromium, models, tmp_path):
    if shutil.which("javac") is None:
        pytest.skip("THE CORE'S SHARE IS NOT MEASURED: apt-get install openjdk-17-jdk-headless")
    exporter = Exporter(open_source(zoo.path("sesr_m3_x2")), (96, 128), layout="rgba")
    tflite = exporter.export("tflite", "float32", tmp_path).file
    script = Path(__file__).parents[2] / "benchmarks" / "outside_inference.py"
    files = [tflite, models.float32]
    command = [sys.executable, script, *files, "--runs", "5", "--seconds", "0.5", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    figures = json.loads(done.stdout)
    places = [(Path(f["file"]).suffix, f["place"].partition(",")[0]) for f in figures]
    assert places == [
        (".tflite", "Python"), (".onnx", "Python"), (".tflite", "core"), (".onnx", "page"),
    ]  # fmt: skip
    for figure in figures:
        whole = figure["inference_ms"] + figure["outside_ms"]
        assert figure["share"] == pytest.approx(figure["outside_ms"] / whole)
    assert figures[2]["outside_ms"] > 0
    assert figures[2]["inference_ms"] == figures[0]["inference_ms"]
