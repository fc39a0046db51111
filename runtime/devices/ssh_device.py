"""A device that is reached by the user's own OpenSSH client, with numpy, Pillow and an engine.

One connection serves a run: ``agent.py`` goes over it as text and is run by the device's
Python, then what the device lacks of this package, of the files and of the pictures, by SHA-256.
There the harness measures as it does here and sends its report. When the connection ends, so does
all that ran there.

What the device replies is checked before it is used: each message against its rules, the report by
its schema. Lines have a largest length, and silence has an end.
"""

from __future__ import annotations

import errno
import json
import re
import shlex
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.parse import urlsplit

from ailsr.runtime import documents
from ailsr.runtime.bench.harness import Plan, Report
from ailsr.runtime.bench.results import Results, check_document
from ailsr.runtime.bench.results_reader import read_results
from ailsr.runtime.devices.content import Content
from ailsr.runtime.devices.device import patience, scales
from ailsr.runtime.errors import DeviceError, UsageError, one_line
from ailsr.runtime.imaging import image, protocol
from ailsr.runtime.rules import Rule, check, integer, items, number, optional, text

PACKAGE = Path(__file__).parents[1]  # ailsr.runtime
AGENT = Path(__file__).with_name("agent.py")
OLDEST_PYTHON = (3, 11)
BEAT_SECONDS = 10
"""Between two signs of life; the agent waits for six of them."""
OPTIONS = {
    "BatchMode": "yes",  # never asks: keys, ssh-agent and known hosts are the user's
    "ControlPath": "none",  # a connection of its own: nobody else's ends with it
    "ConnectTimeout": "15",
    "ServerAliveInterval": "5",
    "ServerAliveCountMax": "3",
    "LogLevel": "ERROR",
}
CHUNK = 1 << 16
LONGEST_LINE = 1 << 26
"""Bytes; a report with every single latency has some hundred thousand."""
GREETING_SECONDS = 90.0
"""For the connection and the start of Python there, whatever a login script says before it."""
REPLY_SECONDS = 60.0
"""For taking a piece of a file, or telling that a file is stored."""
_LAST_WORDS = 4096  # bytes kept of what ssh says
_GREETING = {
    "agent": integer(1, 1 << 30),
    "python": text(100),
    "missing": items(text(100), most=100),
    "stored": items(text(200), most=1_000_000),
}
_ERROR = {"error": text(10_000), "errno": optional(integer(-(1 << 31), 1 << 31))}
_STORED = {"stored": text(200)}
_PROGRESS = {"what": text(500), "done": number(0, 1e6)}


class SshDevice:
    """``ssh://user@host[:port][/path/to/python]``; ``/~/`` stands for the home folder there."""

    def __init__(self, name: str) -> None:
        """Raises UsageError for an address that is none; nothing is connected yet."""
        try:
            address = urlsplit(name)
            valid = address.hostname and address.port != 0
        except ValueError:
            valid = False
        if not valid or address.password or address.query or address.fragment:
            raise UsageError(
                f"{name} is no address: give ssh://user@host[:port][/path/to/python]; instead of a "
                f"password a key is used, from ssh-agent or ~/.ssh"
            )
        self.name = name
        self._host = f"ssh://{address.netloc}"
        self._python = address.path if address.path.strip("/") else "python3"
        self._agent: _Agent | None = None

    def measure(self, plan: Plan, report: Report) -> Results:
        """As ``Device.measure``."""
        report("connecting", 0)
        with tempfile.TemporaryDirectory(prefix="ailsr-") as folder:
            modules = {
                f"ailsr/runtime/{file.relative_to(PACKAGE)}": file for file in PACKAGE.rglob("*.py")
            }
            code = Content.packed(modules, "the harness")
            files = [Content.of(Path(file)) for file in plan.files]
            pictures = _pictures(plan, Path(folder))
            with _Agent(self._host, self._python) as self._agent:
                stored = self._agent.greet()
                for content in {c.name: c for c in (code, *files, *pictures.values())}.values():
                    if content.name not in stored:
                        report(f"sending {content.title}", 0)
                        self._agent.store(content)
                document = self._agent.run(
                    {
                        "run": {**asdict(plan), "files": [file.name for file in files]},
                        "code": code.name,
                        "pictures": {path: content.name for path, content in pictures.items()},
                    },
                    report,
                    patience(plan),
                )
        try:
            check_document(document)
        except ValueError as error:
            raise DeviceError(f"the report from {self.name} cannot be read ({error})") from None
        names = {there.name: here for here, there in zip(plan.files, files, strict=True)}

        def here(name: str) -> str:
            return names.get(Path(name).name, name)

        for entry in document["files"]:  # those of ``plan``, then baselines
            if entry["error"]:
                pattern = rf"\S*{re.escape(Path(entry['file']).name)}"
                entry["error"] = here(entry["file"]).join(re.split(pattern, entry["error"]))
            elif entry.get("ratio"):
                entry["ratio"]["to"] = here(entry["ratio"]["to"])
            entry["file"] = here(entry["file"])
        document["settings"]["images"] = plan.images
        return read_results(document, self.name)

    def close(self) -> None:
        """As ``Device.close``."""
        if self._agent is not None:
            self._agent.kill()


class _Agent:
    """``agent.py`` at work on the other side; ``with`` ends it."""

    def __init__(self, host: str, python: str) -> None:
        self._host, self._python = host, python
        self._greeted = False
        self._given_up = ""
        source = AGENT.read_bytes()
        start = f"import sys; exec(sys.stdin.buffer.read({len(source)}))"
        python = f"~/{shlex.quote(python[3:])}" if python[:3] == "/~/" else shlex.quote(python)
        options = [f"-o{key}={value}" for key, value in OPTIONS.items()]
        try:
            self._ssh = subprocess.Popen(
                ["ssh", *options, host, f"exec {python} -c '{start}'"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
            )
        except FileNotFoundError:
            raise DeviceError(
                f"{host} needs the program ssh: install OpenSSH's client (openssh-client)"
            ) from None
        assert self._ssh.stdin is not None and self._ssh.stdout is not None
        self._input, self._output = self._ssh.stdin, self._ssh.stdout
        self._words = b""
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()
        with self._within(GREETING_SECONDS):
            self._write(source)
            self._flush()

    def __enter__(self) -> _Agent:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is None:  # the agent ends by itself
            with suppress(subprocess.TimeoutExpired):
                self._ssh.wait(5)
        self.kill()
        with suppress(BrokenPipeError):
            self._input.close()
        self._ssh.wait()
        self._output.close()
        self._listener.join(1)

    def kill(self) -> None:
        """End the connection at once; what waits for it raises DeviceError."""
        self._ssh.kill()

    def greet(self) -> set[str]:
        """Names of what is stored there. Raises DeviceError when its Python cannot be used."""
        found: Any = None
        with self._within(GREETING_SECONDS):
            while not (isinstance(found, dict) and "agent" in found):
                line = self._line()  # a login script may talk first
                with suppress(ValueError):
                    found = documents.parse(line)
                if isinstance(found, dict) and "error" in found:
                    raise self._error(found)
        self._greeted = True
        greeting = self._checked(found, _GREETING)
        version = greeting["python"]
        numbers = re.match(r"(\d{1,3})\.(\d{1,3})", version, re.ASCII)
        if numbers is None or (int(numbers[1]), int(numbers[2])) < OLDEST_PYTHON:
            raise DeviceError(
                f"{self._host} has Python {version}, {'.'.join(map(str, OLDEST_PYTHON))} or later "
                f"is needed: name another, {self._host}/path/to/python"
            )
        if greeting["missing"]:
            raise DeviceError(
                f"{self._python} on {self._host} has no {' and no '.join(greeting['missing'])}: "
                f"install numpy, pillow and an engine (ai-edge-litert, tflite-runtime or "
                f"onnxruntime) there, or name the Python that has them, {self._host}/path/to/python"
            )
        return set(greeting["stored"])

    def store(self, content: Content) -> None:
        """Send ``content``; the device keeps it under its name."""
        self._write_line(
            {"store": content.name, "bytes": content.size_bytes, "unpack": content.unpack}
        )
        with content.open() as file:
            while chunk := file.read(CHUNK):
                with self._within(REPLY_SECONDS):
                    self._write(chunk)
        with self._within(REPLY_SECONDS):
            self._flush()
            self._checked(self._message(), _STORED)

    def run(self, request: dict[str, Any], report: Report, silence: float) -> Any:  # noqa: ANN401
        """The report of a run on the device, as it came.

        Raises DeviceError when nothing comes for ``silence`` seconds.
        """
        self._write_line(request)
        done = threading.Event()
        beat = threading.Thread(target=self._beat, args=(done,), daemon=True)
        beat.start()
        try:
            while True:
                with self._within(silence):
                    message = self._message()
                if "report" in message:
                    return message["report"]
                progress = self._checked(message, _PROGRESS)
                report(progress["what"], progress["done"])
        finally:
            done.set()
            beat.join()

    def _beat(self, done: threading.Event) -> None:
        """Tell the agent now and then that this side is there."""
        while not done.wait(BEAT_SECONDS):
            self._write(b"\n")
            self._flush()

    def _message(self) -> dict[str, Any]:
        try:
            message = documents.parse(self._line())
        except ValueError as error:
            raise self._nonsense(str(error)) from None
        if not isinstance(message, dict):
            raise self._nonsense("a message is not an object")
        if "error" in message:
            raise self._error(message)
        return message

    def _checked(self, message: dict[str, Any], table: dict[str, Rule]) -> dict[str, Any]:
        """The fields of ``message`` that ``table`` has, all of them there and right."""
        try:
            return check(message, table, len(table))
        except ValueError as error:
            raise self._nonsense(str(error)) from None

    def _nonsense(self, reason: str) -> DeviceError:
        return DeviceError(
            f"{self._host} replies what cannot be read ({reason}): does a login script print there "
            "after the start?"
        )

    def _line(self) -> bytes:
        line = self._output.readline(LONGEST_LINE)
        if len(line) == LONGEST_LINE:
            raise self._nonsense(f"a line of more than {LONGEST_LINE} bytes")
        if not line.endswith(b"\n"):
            raise self._lost()
        return line

    @contextmanager
    def _within(self, seconds: float) -> Iterator[None]:
        """End the connection when the block takes longer; what waits for it raises DeviceError."""

        def give_up() -> None:
            self._given_up = f"nothing came from it for {seconds:g} s"
            self.kill()

        timer = threading.Timer(seconds, give_up)
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()

    def _listen(self) -> None:
        """Keep the last words of ssh: however much comes, the end of it says why."""
        assert self._ssh.stderr is not None
        with self._ssh.stderr as stream:
            while words := stream.read1(CHUNK):  # type: ignore[attr-defined]
                self._words = (self._words + words)[-_LAST_WORDS:]

    def _write_line(self, message: dict[str, Any]) -> None:
        self._write(json.dumps(message).encode() + b"\n")
        self._flush()

    def _write(self, data: bytes) -> None:
        with suppress(BrokenPipeError):  # _line says why
            self._input.write(data)

    def _flush(self) -> None:
        with suppress(BrokenPipeError):
            self._input.flush()

    def _error(self, message: dict[str, Any]) -> DeviceError:
        """What the agent said."""
        try:
            said = check(message, _ERROR, 1)
        except ValueError as error:
            return self._nonsense(str(error))
        if said.get("errno") in (errno.ENOSPC, errno.EDQUOT):
            return DeviceError(
                f"{self._host} is out of space: free some there; what earlier runs sent is in "
                f"~/.cache/ailsr"
            )
        return DeviceError(f"{self._host}: {one_line(said['error'], 500)}")

    def _lost(self) -> DeviceError:
        """Why the connection ended, from ssh's exit code and its last words."""
        try:
            code = self._ssh.wait(5)
        except subprocess.TimeoutExpired:  # it has only closed its output
            self.kill()
            code = self._ssh.wait()
        self._listener.join(1)
        lines = self._words.decode(errors="replace").split("\n")
        words = self._given_up or next((w.strip() for w in reversed(lines) if w.strip()), "")
        if self._greeted:
            return DeviceError(
                f"the link to {self._host} broke ({words or 'it was closed'}): nothing is left "
                f"running there; try again"
            )
        if code in (126, 127):
            return DeviceError(
                f"{self._host} has no {self._python} ({words}): install Python "
                f"{'.'.join(map(str, OLDEST_PYTHON))}, or name it, {self._host}/path/to/python"
            )
        advice = "check its address, and that it is on"
        if "Host key" in words or "HOST IDENT" in words:
            advice = f"check its key by connecting once by hand: ssh {self._host}"
        elif "Permission denied" in words:
            advice = f"give it your public key: ssh-copy-id, and try ssh {self._host}"
        return DeviceError(f"cannot use {self._host} ({words or f'exit code {code}'}): {advice}")


def _pictures(plan: Plan, folder: Path) -> dict[str, Content]:
    """What the protocol reads there, by its path: the pictures, and the low-resolution ones.

    Those that the protocol makes are made here, in ``folder``, so that all devices upscale the
    same pixels. (Not for names that differ in their ending only: the device then makes its own.)
    """
    if plan.images is None:
        return {}
    found: dict[str, Content] = {}
    for scale in scales(plan) or [1]:
        pairs = protocol.pairs(Path(plan.images), scale)
        unique = len({hr.stem for _, hr, _ in pairs.sources}) == len(pairs)
        for n, (_, hr, lr) in enumerate(pairs.sources):
            found[f"HR/{hr.name}"] = Content.of(hr)
            if lr is None and unique and scale > 1:
                lr = folder / f"{n}x{scale}.png"
                image.write(pairs[n].lr, lr)
            if lr is not None:
                found[f"LR_bicubic/X{scale}/{hr.stem}{lr.suffix}"] = Content.of(lr)
    return found
