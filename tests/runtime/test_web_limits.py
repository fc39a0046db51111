"""The server's limits: memory, connections, error pages. It needs no built page."""

from __future__ import annotations

import http.client
import socket
import threading
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

import pytest

from ailsr.runtime import documents
from ailsr.runtime.bench.report_document import check_document
from ailsr.runtime.errors import UsageError
from ailsr.runtime.memory import resident_bytes
from ailsr.runtime.web import server
from ailsr.runtime.web.reports import ReportDesk
from ailsr.runtime.web.site import Resource, in_memory, on_disk

ROOT = Path(__file__).parents[2]


@contextmanager
def serving(site, receive=lambda body: "thanks"):
    """The port of a server of ``site``."""
    with server.WebServer("127.0.0.1", 0, site, "token", receive) as web:
        thread = threading.Thread(target=partial(web.serve_forever, 0.05))
        thread.start()
        try:
            yield web.server_address[1]
        finally:
            web.shutdown()
            thread.join()


def get(port, path):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    connection.request("GET", path)
    response = connection.getresponse()
    content = response.read()
    connection.close()
    return response.status, response.headers, content


def test_readers_that_do_not_read_hold_no_files(tmp_path):
    """Forty of them, of a file of 50 MB."""
    path = tmp_path / "model.onnx"
    path.write_bytes(bytes(50_000_000))
    site = {"model": Resource("application/octet-stream", on_disk(path))}
    with ExitStack() as stack:
        port = stack.enter_context(serving(site))
        before = resident_bytes()
        for _ in range(40):
            reader = stack.enter_context(socket.create_connection(("127.0.0.1", port), 20))
            reader.sendall(b"GET /token/model HTTP/1.1\r\nHost: x\r\n\r\n")
            assert reader.recv(12) == b"HTTP/1.1 200"
        assert resident_bytes() - before < 100_000_000
        assert len(get(port, "/token/model")[2]) == 50_000_000


def test_connections_are_bounded_and_wait(monkeypatch):
    monkeypatch.setattr(server, "MOST_CONNECTIONS", 2)
    with serving({"": Resource("text/plain", in_memory(b"hello"))}) as port:
        held = [socket.create_connection(("127.0.0.1", port), 20) for _ in range(2)]
        for connection in held:
            connection.sendall(b"GET /token/ HTTP/1.1\r\nHost: x\r\n\r\n")
            assert connection.recv(4096).startswith(b"HTTP/1.1 200")
        answers = []
        third = threading.Thread(target=lambda: answers.append(get(port, "/token/")))
        third.start()
        third.join(0.3)
        assert answers == []
        held[0].close()
        third.join(20)
        assert answers[0][2] == b"hello"
        held[1].close()


@pytest.mark.parametrize("request_line", [b"PUT /token/ HTTP/1.1", b"GET /\x1b[31m HTTP/9.9", b"x"])
def test_error_pages_tell_browsers_the_same_as_others(request_line):
    with serving({}) as port, socket.create_connection(("127.0.0.1", port), 20) as connection:
        connection.sendall(request_line + b"\r\nHost: x\r\n\r\n")
        with connection.makefile("rb") as answer:
            page = answer.read()
    if b"\r\n\r\n" in page:
        assert b"default-src 'none'" in page.partition(b"\r\n\r\n")[0]
    assert b"\x1b" not in page


def test_a_file_that_is_removed_is_one_line(tmp_path):
    site = {"model": Resource("application/octet-stream", on_disk(tmp_path / "gone"))}
    with serving(site) as port:
        status, _, content = get(port, "/token/model")
    assert (status, content.count(b"\n")) == (404, 1)


@pytest.mark.parametrize(
    "change",
    [
        (b'"cores": 2', b'"cores": 1e999'),
        (b'"cores": 2', b'"cores": ' + b"9" * 4000),
        (b'"cores": 2', b'"cores": ' + b"9" * 5000),
        (b'"os": "o"', b'"os": "\\ud800"'),
        (b'"os": "o"', b'"os": "' + b"x" * 100_000 + b'"'),
        (b'"seconds": 1.0', b'"seconds": NaN'),
        (b'"os": "o"', b'"os": [[[[{}]]]]'),
    ],
    ids=lambda change: change[1][:24].decode(),
)
def test_a_report_that_cannot_be_used_is_not_stored(tmp_path, change):
    report = documents.parse((ROOT / "tests" / "parity" / "report.json").read_bytes())
    report["files"] = report["files"][:1]
    check_document(report)
    body = documents.dump(report).encode()
    told = []
    desk = ReportDesk({"a"}, tmp_path / "latest.json", tmp_path / "all.jsonl", told.append)
    with pytest.raises(UsageError, match="that is no valid report") as caught:
        desk.receive(body.replace(*change))
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 400
    assert list(tmp_path.iterdir()) == [] and told == []
    assert desk.receive(body) and told == [report]
