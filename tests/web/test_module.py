"""The package for pages of others, packed by npm, and the page of docs/in-your-app.md over it."""

from __future__ import annotations

import functools
import http.server
import json
import re
import subprocess
import tarfile
import threading
from pathlib import Path

import numpy as np
import pytest
from environments import alone
from PIL import Image

from ailsr.export.exporter import Exporter
from ailsr.export.reading.source import open_source
from ailsr.runtime import load
from ailsr.runtime.version import VERSION
from ailsr.train import zoo

ROOT = Path(__file__).parents[2]
WEB = ROOT / "web"
NAME = "sesr_m5_x2_rgba_int8.onnx"
USER = """
import { load, type Fidelity, type Upscaler } from "ailsr";
const upscaler: Upscaler = await load(new Uint8Array(), { backend: "webgpu", threads: 2 });
const fidelity: Fidelity | null = upscaler.fidelity;
const large: ImageData = await upscaler.upscale(new ImageData(1, 1), {
  progress: (done: number, of: number) => console.log(done, of, fidelity),
  signal: new AbortController().signal,
});
export default large;
"""


@pytest.fixture(scope="module")
def site(node, tmp_path_factory) -> Path:
    """A folder with the page of the docs, the package as npm installs it, and a file."""
    folder = tmp_path_factory.mktemp("site")
    with alone(ROOT / "build" / "web"):
        for command in (
            ["npm", "run", "--silent", "module"],
            ["npm", "pack", "--silent", "./module", "--pack-destination", folder],
        ):
            done = subprocess.run(command, cwd=WEB, capture_output=True, text=True)
            assert done.returncode == 0, done.stdout + done.stderr
    with tarfile.open(folder / f"ailsr-{VERSION}.tgz") as file:
        file.extractall(folder, filter="data")
    (folder / "node_modules").mkdir()
    (folder / "package").rename(folder / "node_modules" / "ailsr")
    for name in ("onnxruntime-web", "onnxruntime-common"):
        (folder / "node_modules" / name).symlink_to(WEB / "node_modules" / name)
    page = (ROOT / "docs" / "in-your-app.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"^```html\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    (folder / "index.html").write_text(example)
    source = open_source(zoo.path("sesr_m3_x2"))
    exporter = Exporter(source, (96, 128), other_sizes=[(128, 96)], layout="rgba")
    Path(exporter.export("onnx", "int8", folder).file).rename(folder / NAME)
    return folder


@pytest.fixture(scope="module")
def address(site):
    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *arguments) -> None:
            pass

    handler = functools.partial(Handler, directory=str(site))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}/"
        server.shutdown()
        thread.join()


@pytest.fixture
def page(browser, address):
    page = browser.new_page()
    page.set_default_timeout(90_000)
    wrong = []
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.goto(address)
    page.wait_for_function("document.querySelector('input').onchange !== null")
    yield page
    assert wrong == []
    page.close()


def test_the_package_holds_module_types_and_licence(site):
    package = site / "node_modules" / "ailsr"
    assert {path.name for path in package.iterdir()} == {
        "ailsr.js", "ailsr.d.ts", "package.json", "README.md", "LICENSE",
    }  # fmt: skip
    own = json.loads((package / "package.json").read_text())
    page = json.loads((WEB / "package.json").read_text())
    assert own["version"] == VERSION
    assert own["dependencies"]["onnxruntime-web"] == page["dependencies"]["onnxruntime-web"]


def test_its_types_are_those_of_a_user(site):
    (site / "user.ts").write_text(USER)
    (site / "wrong.ts").write_text(USER.replace("threads: 2", "threads: '2'"))
    compile_only = [WEB / "node_modules" / ".bin" / "tsc", "--noEmit", "--strict"]
    options = ["--target", "es2022", "--module", "esnext", "--moduleResolution", "bundler"]
    for name, right in (("user.ts", True), ("wrong.ts", False)):
        done = subprocess.run(
            [*compile_only, *options, name], cwd=site, capture_output=True, text=True
        )
        assert (done.returncode == 0) == right, done.stdout
    assert "Type 'string' is not assignable to type 'number'" in done.stdout


def test_the_example_page_upscales_as_the_runtime_does(page, site, photographs, tmp_path):
    rgb = np.ascontiguousarray(photographs["chelsea"][:250, :270])
    Image.fromarray(rgb).save(tmp_path / "small.png")
    page.set_input_files("#choose", tmp_path / "small.png")
    page.wait_for_function("document.getElementById('canvas').width === 540")
    pixels = page.evaluate(
        "[...document.getElementById('canvas').getContext('2d').getImageData(0, 0, 540, 500).data]"
    )
    large = np.array(pixels).reshape(500, 540, 4)
    assert np.abs(large[..., :3] - load(site / NAME).upscale(rgb)).max() <= 1
    assert (large[..., 3] == 255).all()
    count = len(load(site / NAME).plan(250, 270))
    assert count > 4
    assert page.title() == f"{count} of {count}"


def test_an_abort_ends_the_work(page):
    said = page.evaluate(
        f"""async () => {{
          const {{ load }} = await import("ailsr");
          const upscaler = await load("{NAME}");
          const stop = new AbortController();
          const seen = [];
          const progress = (done) => {{ seen.push(done); if (done === 2) stop.abort("enough"); }};
          const work = {{ progress, signal: stop.signal }};
          const reason = await upscaler.upscale(new ImageData(300, 300), work).catch((e) => e);
          const small = await upscaler.upscale(new ImageData(10, 20));
          await upscaler.close();
          const {{ fidelity, scale }} = upscaler;
          return [seen, reason, small.width, small.height, fidelity.verdict, scale];
        }}"""
    )
    assert said[:4] == [[1, 2], "enough", 20, 40]
    assert said[4] in ("exact", "within")
    assert said[5] == 2


def test_what_is_no_file_is_said_in_one_line(page, site):
    damaged = bytearray((site / NAME).read_bytes())
    damaged[damaged.index(b"ailsr-sha256:") - 2000] ^= 1
    (site / "damaged.onnx").write_bytes(damaged)
    (site / "text.onnx").write_text("no file")
    said = page.evaluate(
        """async () => {
          const { load } = await import("ailsr");
          const names = ["damaged.onnx", "text.onnx", "no_such.onnx"];
          return Promise.all(names.map((name) => load(name).catch((error) => error.message)));
        }"""
    )
    assert said[0].startswith("damaged.onnx: it is damaged")
    assert said[1].startswith("text.onnx: it is no file of ailsr-export")
    assert said[2].startswith("no_such.onnx: the server answers 404")
