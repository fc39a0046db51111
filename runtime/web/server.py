"""The server of ``ailsr-web``: it sends a site to those who know its token.

It takes nothing but reports, of bounded size. It tells browsers to load nothing from elsewhere and
to send nothing there: images stay on the phone. Its memory is bounded, however many connect and
however slowly they read: files are sent in pieces as they lie on the disk.
"""

from __future__ import annotations

import gzip
import hmac
import io
import socket
import ssl
import sys
import threading
from collections.abc import Callable, Iterator
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import IO, Any, cast

from ailsr.runtime.errors import AilsrError, UsageError
from ailsr.runtime.web.site import Resource, Site, in_memory

MAX_REPORT_BYTES = 1 << 20
MOST_CONNECTIONS = 64
"""At a time; more wait until one ends, at most for ``_Handler.timeout`` seconds of silence."""
_PIECE = 1 << 16
_HEADERS = {
    # WebAssembly is compiled; no script is, and none comes from elsewhere.
    "Content-Security-Policy": "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; "
    "worker-src 'self'; connect-src 'self'; style-src 'self'; img-src 'self' blob:; "
    "media-src blob:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    # Both are what browsers ask for before they allow threads (SharedArrayBuffer).
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Embedder-Policy": "require-corp",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",  # the address holds the token
    "X-Content-Type-Options": "nosniff",
}


class WebServer(ThreadingHTTPServer):
    """Serves ``site`` under ``/<token>/`` and hands what is posted to its ``report`` on.

    ``receive`` gets the bytes and returns a line for the phone; its AilsrError refuses them.
    With a certificate it speaks https. Raises UsageError when it cannot listen at ``host``.
    """

    daemon_threads = True
    request_queue_size = 16  # that wait for a place

    def __init__(
        self,
        host: str,
        port: int,
        site: Site,
        token: str,
        receive: Callable[[bytes], str],
        certificate: tuple[Path, Path] | None = None,
    ) -> None:
        self.site, self.token, self.receive = site, token, receive
        self._places = threading.BoundedSemaphore(MOST_CONNECTIONS)
        self.tls = _tls(*certificate) if certificate else None
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        try:
            super().__init__((host, port), _Handler)
        except OSError as error:
            reason = error.strerror or error
            raise UsageError(
                f"cannot listen at {host}, port {port} ({reason}): choose another --host or --port"
            ) from None

    def get_request(self) -> tuple[socket.socket, object]:
        """As the base class; the handshake is left to the thread that answers."""
        connection, address = super().get_request()
        if self.tls:
            connection = self.tls.wrap_socket(
                connection, server_side=True, do_handshake_on_connect=False
            )
        return connection, address

    def process_request(self, request: Any, client_address: Any) -> None:  # noqa: ANN401
        """As the base class, once there is a place."""
        self._places.acquire()
        try:
            super().process_request(request, client_address)
        except BaseException:  # no thread could be started
            self._places.release()
            raise

    def process_request_thread(self, request: Any, client_address: Any) -> None:  # noqa: ANN401
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._places.release()

    def handle_error(self, request: object, client_address: object) -> None:
        """Connections that break off are the phone's business; all else is said on stderr."""
        if not isinstance(sys.exception(), (ConnectionError, TimeoutError, ssl.SSLError)):
            error = sys.exception()
            sys.stderr.write(ascii(f"{type(error).__name__}: {error}")[1:-1] + "\n")


class _Handler(BaseHTTPRequestHandler):
    server: WebServer
    protocol_version = "HTTP/1.1"
    timeout = 60  # seconds of silence

    def do_GET(self) -> None:
        address = self._address()
        if address is None:
            return
        resource = self.server.site.get(address)
        if resource is None:
            self._say(HTTPStatus.NOT_FOUND, "there is nothing at this address")
        else:
            try:
                self._send(HTTPStatus.OK, resource)
            except FileNotFoundError:
                self._say(HTTPStatus.NOT_FOUND, "the file has been removed: start ailsr-web again")

    def do_POST(self) -> None:
        self.close_connection = True  # whatever was not read is not taken for the next request
        address = self._address()
        if address is None:
            return
        if address != "report":
            self._say(HTTPStatus.NOT_FOUND, "there is nothing at this address")
            return
        length = self.headers.get("Content-Length", "")
        if not (length.isascii() and length.isdigit()):
            self._say(HTTPStatus.LENGTH_REQUIRED, "a report has to tell its length")
        elif len(length) > 10 or int(length) > MAX_REPORT_BYTES:
            limit = f"a report may have {MAX_REPORT_BYTES} bytes"
            self._say(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, limit)
        else:
            try:
                answer = self.server.receive(self.rfile.read(int(length)))
                self._say(HTTPStatus.OK, answer)
            except AilsrError as error:
                self._say(HTTPStatus.UNPROCESSABLE_ENTITY, str(error))

    def _address(self) -> str | None:
        """The address below the token; None when the token was wrong, and that was said."""
        token, _, address = self.path.partition("?")[0].removeprefix("/").partition("/")
        if hmac.compare_digest(token.encode("utf-8", "replace"), self.server.token.encode()):
            return address
        self.close_connection = True
        self._say(
            HTTPStatus.FORBIDDEN, "open the address that ailsr-web prints; it is new each time"
        )
        return None

    def _say(self, status: HTTPStatus, text: str) -> None:
        self._send(status, Resource("text/plain; charset=utf-8", in_memory(f"{text}\n".encode())))

    def _send(self, status: HTTPStatus, resource: Resource) -> None:
        with resource.open() as file:
            compressed, content = resource.gzipped, file
            if compressed and "gzip" not in self.headers.get("Accept-Encoding", ""):
                compressed = False
                content = cast("IO[bytes]", gzip.GzipFile(fileobj=file))
                length = sum(len(piece) for piece in _pieces(content))
                content.seek(0)
            else:
                length = file.seek(0, io.SEEK_END)
                file.seek(0)
            self._send_head(status, resource.type, length, compressed)
            for piece in _pieces(content):
                self.wfile.write(piece)

    def _send_head(self, status: HTTPStatus, type: str, length: int, compressed: bool) -> None:
        self.send_response(status)
        # The token, and so every address, is new each time: what is there does not change.
        cached = "private, max-age=86400" if status == HTTPStatus.OK else "no-store"
        self.send_header("Cache-Control", cached)
        if compressed:
            self.send_header("Content-Encoding", "gzip")
        self.send_header("Content-Type", type)
        self.send_header("Content-Length", str(length))
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()

    def send_response(self, code: int, message: str | None = None) -> None:
        """As the base class, whose error pages come this way, too; with what browsers obey."""
        super().send_response(code, message)
        for name, value in _HEADERS.items():
            self.send_header(name, value)

    def version_string(self) -> str:
        """Nothing about this machine."""
        return "ailsr-web"

    def log_message(self, format: str, *args: object) -> None:
        """Nothing: reports are announced, requests are not."""


def _pieces(file: IO[bytes]) -> Iterator[bytes]:
    while piece := file.read(_PIECE):
        yield piece


def _tls(certificate: Path, key: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        context.load_cert_chain(certificate, key)
    except OSError as error:  # ssl.SSLError is one
        raise UsageError(
            f"{certificate} and {key} are no certificate with its key in PEM ({error.strerror}): "
            f"docs/web.md tells how to make them"
        ) from None
    return context
