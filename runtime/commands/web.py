"""``ailsr-web``: a page on which a phone upscales images and measures itself, in its browser."""

from __future__ import annotations

import ipaddress
import secrets
import socket
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from ailsr.runtime.bench.table import milliseconds
from ailsr.runtime.commands.command import entry_point, message, stdout
from ailsr.runtime.errors import EngineError, UsageError, one_line
from ailsr.runtime.probe import Fidelity
from ailsr.runtime.web.reports import ReportDesk
from ailsr.runtime.web.server import WebServer
from ailsr.runtime.web.site import Measuring, build_site

LOOPBACK = "127.0.0.1"


@dataclass(frozen=True)
class WebConfig:
    """Serve a page on which a browser upscales images and measures the files, on its own device.

    Images never leave the phone; only the report of a measurement comes back. By default the page
    can be opened on this machine alone. --host opens it to the local network and draws a QR code;
    over plain http, others in that network can read and change all of it, and browsers allow one
    thread and no GPU: give a --certificate, or see docs/web.md for the way over USB.

    Examples:

    ailsr-web exported/*.onnx

    ailsr-web exported/*.onnx --host 0.0.0.0 --images photos/ --history phones.jsonl

    ailsr-bench compare desktop.json phones.jsonl
    """

    files: Annotated[list[Path], typer.Argument(help="Exported .onnx files.", metavar="FILE...")]
    host: Annotated[
        str, typer.Option(help="Address to listen at; 0.0.0.0 is the local network.")
    ] = LOOPBACK
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes a free one.")] = 8000
    certificate: Annotated[
        Path | None, typer.Option(help="Certificate (PEM): serve https.", metavar="FILE")
    ] = None
    key: Annotated[
        Path | None, typer.Option(help="Private key of the certificate (PEM).", metavar="FILE")
    ] = None
    images: Annotated[
        Path | None,
        typer.Option(
            help="Folder of high-resolution images for PSNR and SSIM, as in ailsr-bench; they "
            "are sent to the phone.",
            metavar="DIR",
        ),
    ] = None
    pictures: Annotated[
        int, typer.Option(min=1, help="At most so many of them, the first by name.")
    ] = 5
    runs: Annotated[
        int, typer.Option(min=1, help="Runs to time of the inference and of the whole path.")
    ] = 200
    seconds: Annotated[
        float,
        typer.Option(min=0, help="Time for each of the two; slow phones make fewer runs."),
    ] = 5.0
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="Write the latest report as JSON.", metavar="FILE"),
    ] = None
    history: Annotated[
        Path | None,
        typer.Option(help="Append each report to this file as one line.", metavar="FILE"),
    ] = None


def main(config: WebConfig) -> None:
    """Serve until Ctrl-C. Raises AilsrError when something that was named is of no use."""
    if (config.certificate is None) != (config.key is None):
        raise UsageError("--certificate and --key go together: give both or none")
    names = {path.name for path in config.files}
    if len(names) < len(config.files):
        raise UsageError("two of the files have the same name: rename one")
    desk = ReportDesk(names, config.output, config.history, announce)
    measuring = Measuring(config.images, config.pictures, config.runs, config.seconds)
    site = build_site(config.files, measuring)
    tls = (config.certificate, config.key) if config.certificate and config.key else None
    token = secrets.token_urlsafe(12)
    with WebServer(config.host, config.port, site, token, desk.receive, tls) as server:
        port = server.server_address[1]
        scheme = "https" if tls else "http"
        address = f"{scheme}://{_reachable(config.host)}:{port}/{token}/"
        if config.host != LOOPBACK:
            draw_code(address)
        stdout.print(address, soft_wrap=True)
        if config.host != LOOPBACK and not tls:
            message(
                "plain http: whoever is in this network can read and change the address, the page, "
                "the images and the reports; browsers allow one thread and no GPU (docs/web.md: "
                "what helps)"
            )
        message("Ctrl-C ends it")
        server.serve_forever()


def draw_code(address: str) -> None:
    """Draw ``address`` as a QR code on the terminal. Raises EngineError when segno is missing."""
    try:
        import segno
    except ImportError as error:
        raise EngineError('the QR code needs segno: pip install "ailsr[web]"') from error
    segno.make_qr(address, error="L").terminal(sys.stdout, border=2, compact=True)


def announce(report: dict[str, Any]) -> None:
    """Print in one line what a phone has just measured: the last file of ``report``."""
    if not report["files"]:
        return
    host, file = report["host"], report["files"][-1]
    figures = [f"{host['cpu']}, {host['os']}", file["file"]]
    if file["error"]:
        figures.append(file["error"])
    else:
        figures.append(f"{file['engine']}, {file.get('delegate')}, {file['threads']} threads")
        whole, quality = file["whole_path"], file["quality"]
        if whole:
            p50, p90 = (milliseconds(whole[name]).strip() for name in ("p50_ms", "p90_ms"))
            figures.append(f"whole path p50 {p50}, p90 {p90} ms")
        if quality and quality["psnr_db"] is not None:
            figures.append(f"{quality['psnr_db']:.2f} dB")
        if found := file.get("fidelity"):
            figures.append(str(Fidelity(found["verdict"], found["levels"])))
    stdout.print(one_line("; ".join(figures), 400), soft_wrap=True)


def _reachable(host: str) -> str:
    """``host`` as others write it: for any address (0.0.0.0, ::) that of the local network."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host  # a name
    if address.is_unspecified:
        probe = ("2001:db8::1", 9) if address.version == 6 else ("192.0.2.1", 9)
        family = socket.AF_INET6 if address.version == 6 else socket.AF_INET
        with socket.socket(family, socket.SOCK_DGRAM) as route:  # nothing is sent
            try:
                route.connect(probe)
                address = ipaddress.ip_address(route.getsockname()[0])
            except OSError:
                raise UsageError(
                    f"--host {host}: this machine is in no network; leave it out to serve here"
                ) from None
    return f"[{address}]" if address.version == 6 else str(address)


cli = entry_point(WebConfig, main)
