"""How long it takes from opening the page of ailsr-web to the first upscaled image, and what the
page measures of the file.

    python benchmarks/web_first_upscale.py exported/sesr_m5_x2_int8.onnx

Headless Chromium opens the page each time with an empty cache and is given an image of 640×360 as
soon as there is where to put it: the figure holds the transfer, the compilation of WebAssembly, the
opening of the file, decoding, upscaling, and encoding to PNG. Also printed: the bytes that were
sent, how many the same files have unpacked, and the latency that the page reports of the file.
"""

from __future__ import annotations

import io
import json
import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Annotated, Any

import skimage.data
import typer
from PIL import Image
from playwright.sync_api import Browser, FilePayload, Response, sync_playwright

from ailsr.runtime.bench.table import milliseconds
from ailsr.runtime.commands.command import entry_point, print_table, stdout
from ailsr.runtime.errors import EngineError
from ailsr.runtime.web.server import WebServer
from ailsr.runtime.web.site import Measuring, build_site

SIZE = (640, 360)
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]


@dataclass(frozen=True)
class FirstUpscale:
    """Time the first upscale of a 640×360 image, from opening the page of ailsr-web."""

    file: Annotated[Path, typer.Argument(help="Exported .onnx file.", metavar="FILE")]
    times: Annotated[int, typer.Option(min=1, help="How often the page is opened.")] = 5
    json: Annotated[bool, typer.Option("--json", help="Print the figures as JSON.")] = False


def main(config: FirstUpscale) -> None:
    """Print seconds and bytes."""
    buffer = io.BytesIO()
    photograph = skimage.data.rocket()  # type: ignore[no-untyped-call]
    Image.fromarray(photograph).resize(SIZE).save(buffer, "png")
    reports: list[dict[str, Any]] = []
    with (
        serving(config.file, reports) as address,
        sync_playwright() as playwright,
        playwright.chromium.launch(executable_path=chromium(), args=FLAGS) as browser,
    ):
        runs = [first_upscale(browser, address, buffer.getvalue()) for _ in range(config.times)]
        measure(browser, address)
        version = f"Chromium {browser.version}"
    (measured,) = reports[0]["files"]
    figures: dict[str, Any] = {
        "browser": version,
        "engine": runs[0]["engine"],
        "seconds": sorted(run["seconds"] for run in runs),
        "median_seconds": median(run["seconds"] for run in runs),
        "sent_bytes": runs[0]["sent"],
        "unpacked_bytes": runs[0]["unpacked"],
        "network_bytes": config.file.stat().st_size,
        "inference_ms": measured["inference"],
        "whole_path_ms": measured["whole_path"],
    }
    if config.json:
        stdout.print_json(json.dumps(figures))
        return
    rows = [["first upscale, s", f"{figures['median_seconds']:.2f}, median of {len(runs)}"]]
    for name in ("sent", "unpacked", "network"):
        rows.append([f"{name}, kB", f"{figures[f'{name}_bytes'] / 1e3:.1f}"])
    for name in ("inference", "whole_path"):
        latency = figures[f"{name}_ms"]
        quantiles = (milliseconds(latency[f"{p}_ms"]).strip() for p in ("p50", "p90", "p99"))
        title = f"{name.replace('_', ' ')}, ms (p50 / p90 / p99)"
        rows.append([title, " / ".join(quantiles)])
    print_table(["", "measured"], rows)
    stdout.print(f"{version}, {figures['engine']}")


def chromium() -> str:
    """The browser's command. Raises EngineError when there is none."""
    found = shutil.which("chromium") or shutil.which("google-chrome")
    if found is None:
        raise EngineError("this benchmark drives Chromium, and there is none: install chromium")
    return found


def first_upscale(browser: Browser, address: str, picture: bytes) -> dict[str, Any]:
    """One visit with an empty cache."""
    context = browser.new_context(viewport={"width": 360, "height": 740})
    answers: list[Response] = []
    context.on("response", lambda answer: answers.append(answer))  # wants an own attribute
    page = context.new_page()
    start = time.perf_counter()
    page.goto(address, wait_until="commit")
    page.locator("#file option").wait_for(state="attached")  # the script runs
    file: FilePayload = {"name": "rocket.png", "mimeType": "image/png", "buffer": picture}
    page.set_input_files("#choose", file)
    page.locator("#save").wait_for()
    seconds = time.perf_counter() - start
    own = [answer for answer in answers if answer.url.startswith(address)]
    figures = {
        "seconds": seconds,
        "engine": page.locator("#engine").inner_text(),
        "sent": sum(int(answer.headers["content-length"]) for answer in own),
        "unpacked": sum(len(answer.body()) for answer in own),
    }
    context.close()
    return figures


def measure(browser: Browser, address: str) -> None:
    """Let the page measure the file and report."""
    page = browser.new_page()
    page.goto(address)
    page.locator("#file option").wait_for(state="attached")
    with page.expect_response(f"{address}report", timeout=60_000):
        page.click("#measure")
    page.close()


@contextmanager
def serving(file: Path, reports: list[dict[str, Any]]) -> Iterator[str]:
    """The address of a page with ``file``, as ailsr-web serves it; what it reports is added."""

    def receive(body: bytes) -> str:
        reports.append(json.loads(body))
        return "received"

    site = build_site([file], Measuring(None, pictures=1, runs=200, seconds=3))
    with WebServer("127.0.0.1", 0, site, "benchmark", receive) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}/benchmark/"
        server.shutdown()
        thread.join()


cli = entry_point(FirstUpscale, main)

if __name__ == "__main__":
    cli()
