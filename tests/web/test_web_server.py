"""What the server refuses, and to whom it speaks."""

from __future__ import annotations

import http.client
import json
import os
import shutil
import signal
import ssl
import subprocess
import sys

import pytest
from PIL import Image

from ailsr.runtime.errors import AilsrError
from ailsr.runtime.web.server import MAX_REPORT_BYTES

CLI = [sys.executable, "-c", "from ailsr.runtime.commands.web import cli; cli()"]


@pytest.fixture
def served(models, serve, tmp_path):
    Image.new("RGB", (64, 48)).save(tmp_path / "gray.png")
    return serve([models.int8], tmp_path, output=tmp_path / "report.json")


def ask(served, path, method="GET", body=None, **headers):
    """(status, headers, content); the path is sent as it is."""
    connection = http.client.HTTPConnection("127.0.0.1", served.port, timeout=20)
    connection.putrequest(method, path, skip_accept_encoding=True)
    for name, value in headers.items():
        connection.putheader(name.replace("_", "-"), value)
    connection.endheaders(body)
    response = connection.getresponse()
    content = response.read()
    connection.close()
    return response.status, dict(response.getheaders()), content


def root(served):
    return "/" + served.url().split("/", 3)[3]


def test_the_page_comes_with_all_that_keeps_it_to_itself(served):
    status, headers, content = ask(served, root(served))
    assert status == 200
    assert b"<title>ailsr" in content
    policy = headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "http" not in policy
    assert "unsafe-inline" not in policy
    assert "'unsafe-eval'" not in policy
    assert headers["Cross-Origin-Opener-Policy"] == "same-origin"
    assert headers["Cross-Origin-Embedder-Policy"] == "require-corp"
    assert headers["Referrer-Policy"] == "no-referrer"
    compressed = ask(served, root(served), Accept_Encoding="gzip")
    assert compressed[1]["Content-Encoding"] == "gzip"
    assert len(compressed[2]) < len(content)


@pytest.mark.parametrize("path", [
    "/", "", "/token", "/token-of-the-test/", "/token-of-the-testsX/", "/%74oken-of-the-tests/",
    "/t%C3%B6ken/", "/setup.json", "/models/0.onnx",
])  # fmt: skip
def test_without_the_token_there_is_nothing(served, path):
    for method in ("GET", "POST"):
        status, headers, content = ask(served, path, method)
        assert status == 403
        assert b"ailsr-web prints" in content
        assert "default-src 'none'" in headers["Content-Security-Policy"]


@pytest.mark.parametrize("path", [
    "..", "../", "../../etc/passwd", "%2e%2e/%2e%2e/etc/passwd", "..%2f..%2fetc%2fpasswd",
    "assets", "assets/", "assets/../setup.json", "./setup.json", "/setup.json", "/etc/passwd",
    "models/", "models/1.onnx", "models/0.onnx%00", "pictures/", "pictures/x2/5_lr.png",
    "index.html.gz", "assets\\..\\setup.json", "report",
])  # fmt: skip
def test_only_what_is_served_has_an_address(served, path):
    status, _, content = ask(served, root(served) + path)
    assert status == 404
    assert content == b"there is nothing at this address\n"


def test_other_methods_are_refused(served):
    for method in ("PUT", "DELETE", "OPTIONS", "TRACE"):
        assert ask(served, root(served) + "report", method)[0] == 501


@pytest.mark.parametrize(("length", "status"), [
    (str(MAX_REPORT_BYTES + 1), 413), ("9" * 5000, 413), ("-1", 411), ("", 411), ("\u00b2", 411),
    (None, 411),
])  # fmt: skip
def test_uploads_are_bounded(served, length, status):
    headers = {} if length is None else {"Content_Length": length}
    assert ask(served, root(served) + "report", "POST", **headers)[0] == status


def report(served, **changes):
    setup = json.loads(ask(served, root(served) + "setup.json")[2])
    failure = {"file": setup["files"][0]["name"], "error": "out of memory"}
    return {**setup["report"], "files": [failure], **changes}


def post(served, body):
    if not isinstance(body, bytes):
        body = json.dumps(body).encode()
    return ask(served, root(served) + "report", "POST", body, Content_Length=str(len(body)))


def test_only_valid_reports_on_served_files_are_kept(served, tmp_path):
    kept = tmp_path / "report.json"
    for bad in (
        b"", b"{", b"[" * 100_000, b'{"a": NaN}', b"\xff\xfe", [], {},
        report(served, schema="other"), report(served, files=[{"file": "x"}]),
        report(served, files=[{"file": "../../secret.onnx", "error": "?"}]),
    ):  # fmt: skip
        status, _, content = post(served, bad)
        assert status == 422
        assert content.count(b"\n") == 1
    assert not kept.exists()
    assert served.reports == []
    assert post(served, report(served))[0] == 200
    assert json.loads(kept.read_text()) == served.reports[0] == report(served)


@pytest.fixture(scope="session")
def certificate(tmp_path_factory):
    """A certificate of its own making for phone.test, and its key."""
    if shutil.which("openssl") is None:
        pytest.skip("HTTPS IS NOT TESTED: no openssl (apt-get install openssl)")
    folder = tmp_path_factory.mktemp("certificate")
    paths = folder / "certificate.pem", folder / "key.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "30",
         "-subj", "/CN=phone.test", "-addext", "subjectAltName=DNS:phone.test",
         "-out", paths[0], "-keyout", paths[1]],
        check=True, capture_output=True,
    )  # fmt: skip
    return paths


def test_over_plain_http_in_the_network_the_page_says_what_is_missing(models, serve, open_page):
    page = open_page(serve([models.int8]), host="phone.test")
    assert page.locator("#engine").inner_text() == "CPU, 1 thread"
    assert "plain http" in page.locator("#limits").inner_text()
    assert page.locator("option[value=webgpu]").is_disabled()


def test_https_gives_threads_in_the_network(models, serve, open_page, certificate):
    served = serve([models.int8], certificate=certificate)
    page = open_page(served, host="phone.test", ignore_https_errors=True)
    assert page.evaluate("() => isSecureContext && crossOriginIsolated")
    assert "plain http" not in page.locator("#limits").text_content()
    context = ssl.create_default_context(cafile=certificate[0])
    context.check_hostname = False
    connection = http.client.HTTPSConnection("127.0.0.1", served.port, context=context)
    connection.request("GET", root(served))
    assert connection.getresponse().status == 200
    connection.close()


def test_the_command_prints_an_address_that_works_and_ends_by_ctrl_c(node, models):
    command = [*CLI, models.int8, "--port", "0"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env=os.environ | {"PYTHONUNBUFFERED": "1"},
    ) as process:  # fmt: skip
        address = process.stdout.readline().strip()
        assert address.startswith("http://127.0.0.1:")
        _, _, host, token, _ = address.split("/")
        assert len(token) >= 16
        connection = http.client.HTTPConnection(host, timeout=20)
        connection.request("GET", f"/{token}/setup.json")
        assert connection.getresponse().status == 200
        connection.close()
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 130
        assert "stopped by Ctrl-C" in process.stderr.read()


@pytest.mark.parametrize(("arguments", "what"), [
    (["missing.onnx"], "no model file"),
    (["missing.tflite"], "browsers run ONNX files"),
    (["MODEL", "MODEL"], "same name"),
    (["MODEL", "--certificate", "c.pem"], "go together"),
    (["MODEL", "--certificate", "c.pem", "--key", "k.pem"], "no certificate"),
    (["MODEL", "--images", "nowhere"], "no folder of images"),
    (["MODEL", "--host", "192.0.2.77"], "cannot listen"),
])  # fmt: skip
def test_what_cannot_be_served_is_said_in_one_line(node, models, tmp_path, arguments, what):
    command = [*CLI, *(str(models.int8) if a == "MODEL" else a for a in arguments)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert what in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_file_of_another_layout_is_refused(node, models, with_card):
    command = [*CLI, with_card(models.int8, layout="bgr")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert "its 'layout' is 'bgr', not one of rgb" in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_page_that_is_not_built_says_what_to_run(models, tmp_path, monkeypatch):
    from ailsr.runtime.web import site

    monkeypatch.setattr(site, "PAGE", tmp_path)
    with pytest.raises(AilsrError, match="make web"):
        site.build_site([models.int8], site.Measuring(None, 5, 5, 1))
