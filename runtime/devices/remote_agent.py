"""The agent on an ssh device (``on_device/agent.py``), as seen from here: greet, store, run.

Each of its messages is checked against its rules before it is used.
"""

from __future__ import annotations

import errno
import re
import threading
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any

from ailsr.runtime import documents
from ailsr.runtime.devices.content import Content
from ailsr.runtime.devices.ssh_connection import CHUNK, OLDEST_PYTHON, SshConnection
from ailsr.runtime.errors import DeviceError, one_line
from ailsr.runtime.progress import Progress
from ailsr.runtime.rules import Rule, check, integer, items, number, optional, text

AGENT = Path(__file__).parents[1] / "on_device" / "agent.py"
BEAT_SECONDS = 10
"""Between two signs of life; the agent waits for six of them."""
GREETING_SECONDS = 90.0
"""For the connection and the start of Python there, whatever a login script says before it."""
REPLY_SECONDS = 60.0
"""For taking a piece of a file, or telling that a file is stored."""
_GREETING = {
    "agent": integer(1, 1 << 30),
    "python": text(100),
    "missing": items(text(100), most=100),
    "stored": items(text(200), most=1_000_000),
}
_ERROR = {"error": text(10_000), "errno": optional(integer(-(1 << 31), 1 << 31))}
_STORED = {"stored": text(200)}
_PROGRESS = {"what": text(500), "done": number(0, 1e6), "of": number(0, 1e6)}


class RemoteAgent:
    """The agent at work on ``host``; ``with`` ends it."""

    def __init__(self, host: str, python: str) -> None:
        self._host, self._python = host, python
        source = AGENT.read_bytes()
        start = f"import sys; exec(sys.stdin.buffer.read({len(source)}))"
        self._connection = SshConnection(host, python, start)
        with self._connection.within(GREETING_SECONDS):
            self._connection.write(source)
            self._connection.flush()

    def __enter__(self) -> RemoteAgent:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._connection.close(orderly=error is None)

    def kill(self) -> None:
        """End the connection at once; a call that waits for it raises DeviceError."""
        self._connection.kill()

    def greet(self) -> set[str]:
        """Names of what is stored there. Raises DeviceError when its Python cannot be used."""
        found: Any = None
        with self._connection.within(GREETING_SECONDS):
            while not (isinstance(found, dict) and "agent" in found):
                line = self._connection.line()  # a login script may talk first
                with suppress(ValueError):
                    found = documents.parse(line)
                if isinstance(found, dict) and "error" in found:
                    raise self._error(found)
        self._connection.established = True
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
        self._connection.write_line(
            {"store": content.name, "bytes": content.size_bytes, "unpack": content.unpack}
        )
        with content.open() as file:
            while chunk := file.read(CHUNK):
                with self._connection.within(REPLY_SECONDS):
                    self._connection.write(chunk)
        with self._connection.within(REPLY_SECONDS):
            self._connection.flush()
            self._checked(self._message(), _STORED)

    def run(self, request: dict[str, Any], progress: Progress, silence: float) -> Any:  # noqa: ANN401
        """The report of a run on the device, as it came.

        Raises DeviceError when nothing comes for ``silence`` seconds.
        """
        self._connection.write_line(request)
        done = threading.Event()
        beat = threading.Thread(target=self._beat, args=(done,), daemon=True)
        beat.start()
        try:
            while True:
                with self._connection.within(silence):
                    message = self._message()
                if "report" in message:
                    return message["report"]
                told = self._checked(message, _PROGRESS)
                progress(told["what"], told["done"], told["of"])
        finally:
            done.set()
            beat.join()

    def _beat(self, done: threading.Event) -> None:
        """Tell the agent now and then that this side is there."""
        while not done.wait(BEAT_SECONDS):
            self._connection.write(b"\n")
            self._connection.flush()

    def _message(self) -> dict[str, Any]:
        try:
            message = documents.parse(self._connection.line())
        except ValueError as error:
            raise self._connection.nonsense(str(error)) from None
        if not isinstance(message, dict):
            raise self._connection.nonsense("a message is not an object")
        if "error" in message:
            raise self._error(message)
        return message

    def _checked(self, message: dict[str, Any], table: dict[str, Rule]) -> dict[str, Any]:
        """The fields of ``message`` that ``table`` has, all of them there and right."""
        try:
            return check(message, table, len(table))
        except ValueError as error:
            raise self._connection.nonsense(str(error)) from None

    def _error(self, message: dict[str, Any]) -> DeviceError:
        """The error that the agent sent."""
        try:
            said = check(message, _ERROR, 1)
        except ValueError as error:
            return self._connection.nonsense(str(error))
        if said.get("errno") in (errno.ENOSPC, errno.EDQUOT):
            return DeviceError(
                f"{self._host} is out of space: free some there; what earlier runs sent is in "
                f"~/.cache/ailsr"
            )
        return DeviceError(f"{self._host}: {one_line(said['error'], 500)}")
