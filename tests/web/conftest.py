"""The page of ailsr-web in a browser that looks like a phone: 360 pixels wide, with touch."""

from __future__ import annotations

import contextlib
import json
import re
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace

import onnx
import pytest
from environments import alone

from ailsr.export.exporter import Exporter
from ailsr.export.reading.source import open_source
from ailsr.runtime.card import METADATA_KEY
from ailsr.runtime.seal import SEAL_KEY, UNSEALED, sealed
from ailsr.runtime.web.reports import ReportDesk
from ailsr.runtime.web.server import WebServer
from ailsr.runtime.web.site import Measuring, build_site
from ailsr.train import zoo

ROOT = Path(__file__).parents[2]
PHONE = {
    "viewport": {"width": 360, "height": 740},
    "device_scale_factor": 2,
    "has_touch": True,
    "is_mobile": True,
}
FLAGS = [
    "--no-sandbox",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    # No other name is resolved; phone.test is this machine by a name that is no secure context.
    "--host-resolver-rules=MAP phone.test 127.0.0.1, MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
]
TOKEN = "token-of-the-tests"


@pytest.fixture(scope="session")
def node() -> str:
    """Node.js, with the page built from the sources as they are."""
    version = _output("node", "--version")
    if int(re.match(r"v(\d+)", version or "v0")[1]) < 18 or not shutil.which("npm"):
        pytest.skip(
            f"THE WEB PAGE IS NOT TESTED: Node.js {version or 'is missing'}; 18 or later and npm "
            f"are needed (apt-get install nodejs npm)"
        )
    with alone(ROOT / "build" / "web"):
        built = subprocess.run(["make", "web"], cwd=ROOT, capture_output=True, text=True)
    assert built.returncode == 0, built.stdout + built.stderr
    return "node"


@pytest.fixture(scope="session")
def chromium(node: str) -> str:
    names = ("chromium", "chromium-browser", "google-chrome")
    path = next(filter(None, map(shutil.which, names)), None)
    if path is None:
        pytest.skip("THE WEB PAGE IS NOT TESTED: no Chromium (apt-get install chromium)")
    return path


@pytest.fixture(scope="session")
def playwright():
    from playwright.sync_api import sync_playwright

    with sync_playwright() as started:
        yield started


@pytest.fixture(scope="session")
def launch(playwright, chromium):
    """``launch(*flags)``: a browser that finds nobody but this machine."""
    return lambda *flags: playwright.chromium.launch(
        executable_path=chromium, args=[*FLAGS, *flags]
    )


@pytest.fixture(scope="session")
def browser(launch):
    with launch("--disable-gpu") as started:
        yield started


@pytest.fixture(scope="session")
def models(tmp_path_factory) -> SimpleNamespace:
    """A network of the zoo as ONNX files with small inputs, so that images take many tiles."""
    folder = tmp_path_factory.mktemp("models")
    source = open_source(zoo.path("sesr_m3_x2"))
    turning = Exporter(source, (96, 128), other_sizes=[(128, 96)])
    return SimpleNamespace(
        float32=Path(turning.export("onnx", "float32", folder).file),
        int8=Path(Exporter(source, (96, 128)).export("onnx", "int8", folder).file),
    )


@pytest.fixture
def with_card(tmp_path) -> Callable[..., Path]:
    """``with_card(path, **changes)``: the ONNX file at ``path`` with another card, sealed again."""

    def change(path: Path, **changes) -> Path:
        model = onnx.load(path)
        metadata = {entry.key: entry for entry in model.metadata_props}
        card = json.loads(metadata[METADATA_KEY].value) | changes
        metadata[METADATA_KEY].value = json.dumps(card)
        metadata[SEAL_KEY].value = UNSEALED
        changed = tmp_path / f"changed_{path.name}"
        changed.write_bytes(sealed(model.SerializeToString()))
        return changed

    return change


@dataclass
class Served:
    """A server that runs, and what came to it."""

    server: WebServer
    reports: list[dict] = field(default_factory=list)
    scheme: str = "http"

    @property
    def port(self) -> int:
        return self.server.server_address[1]

    def url(self, host: str = "127.0.0.1") -> str:
        return f"{self.scheme}://{host}:{self.port}/{TOKEN}/"


@pytest.fixture
def serve(node: str) -> Iterator[Callable[..., Served]]:
    """``serve(files, images=None, output=None, history=None, certificate=None)``."""
    with contextlib.ExitStack() as running:

        def start(files, images=None, output=None, history=None, certificate=None) -> Served:
            reports: list[dict] = []
            desk = ReportDesk({path.name for path in files}, output, history, reports.append)
            site = build_site(files, Measuring(images, pictures=5, runs=5, seconds=0.5))
            address = ("127.0.0.1", 0)
            server = WebServer(*address, site, TOKEN, desk.receive, certificate)
            running.enter_context(server)
            thread = threading.Thread(target=server.serve_forever, args=(0.05,))
            thread.start()
            running.callback(thread.join)
            running.callback(server.shutdown)
            return Served(server, reports, "https" if certificate else "http")

        yield start


@pytest.fixture
def open_page(browser) -> Iterator[Callable[..., object]]:
    """``open_page(served, host=..., **context)``: the page, ready; it must ask nobody else."""
    with contextlib.ExitStack() as opened:

        def start(served: Served, host: str = "127.0.0.1", browser=browser, **options):
            context = browser.new_context(**PHONE, **options)
            opened.callback(context.close)
            page = context.new_page()
            asked, wrong = [], []
            context.on("request", lambda request: asked.append(request.url))
            page.on("pageerror", lambda error: wrong.append(str(error)))
            page.on("console", lambda m: wrong.append(m.text) if is_wrong(m) else None)

            def check() -> None:
                own = (served.url(host), f"blob:{served.url(host).removesuffix(f'{TOKEN}/')}")
                assert len(asked) > 5
                assert [url for url in asked if not url.startswith(own)] == []
                assert wrong == []

            opened.callback(check)
            page.goto(served.url(host))
            ready = page.locator("#engine", has_text=re.compile("thread|GPU|cannot"))
            ready.wait_for(timeout=60_000)
            return page

        yield start


def is_wrong(message) -> bool:
    """An error, but not that over plain http browsers leave threads out: the page says so, too."""
    known = "The Cross-Origin-Opener-Policy header has been ignored"
    return message.type == "error" and not message.text.startswith(known)


@pytest.fixture(scope="session")
def in_node(node: str, tmp_path_factory) -> Callable[..., object]:
    """``in_node(module, function, arguments)``: what a function of the page's source returns for
    each of the ``arguments``, lists of its parameters."""

    def call(module: str, function: str, arguments: list[list]) -> object:
        script = tmp_path_factory.mktemp("node") / f"{module}.mjs"
        bundle = [ROOT / "web/node_modules/.bin/esbuild", ROOT / f"web/src/{module}.ts"]
        bundle += ["--bundle", "--format=esm", f"--outfile={script}", "--log-level=error"]
        subprocess.run(bundle, check=True)
        code = (
            f"import {{ {function} }} from '{script.as_uri()}';"
            "let text = ''; for await (const piece of process.stdin) text += piece;"
            f"const call = (a) => {{ try {{ return {function}(...a) }} catch {{ return null }} }};"
            "console.log(JSON.stringify(JSON.parse(text).map(call)));"
        )
        done = subprocess.run(
            [node, "--input-type=module", "-e", code],
            input=json.dumps(arguments), capture_output=True, text=True, check=True,
        )  # fmt: skip
        return json.loads(done.stdout)

    return call


def _output(*command: str) -> str | None:
    try:
        return subprocess.run(command, capture_output=True, text=True).stdout.strip()
    except OSError:
        return None
