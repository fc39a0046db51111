"""A connection to another machine by the user's own OpenSSH client, with a Python program there.

Lines have a largest length, and silence has an end. When the connection ends, so does the program.
"""

from __future__ import annotations

import json
import shlex
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from ailsr.runtime.errors import DeviceError

OLDEST_PYTHON = (3, 11)
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
_LAST_WORDS = 4096  # bytes kept of what ssh says


class SshConnection:
    """A Python program at work on ``host``."""

    def __init__(self, host: str, python: str, program: str) -> None:
        """``program``: source text without single quotes. Raises DeviceError without ssh."""
        self.established = False
        """The program has answered: an error from now on is that of a broken link."""
        self._host, self._python = host, python
        self._given_up = ""
        python = f"~/{shlex.quote(python[3:])}" if python[:3] == "/~/" else shlex.quote(python)
        options = [f"-o{key}={value}" for key, value in OPTIONS.items()]
        try:
            self._ssh = subprocess.Popen(
                ["ssh", *options, host, f"exec {python} -c '{program}'"],
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

    def close(self, orderly: bool) -> None:
        """End the connection; ``orderly``: the program is about to end by itself."""
        if orderly:
            with suppress(subprocess.TimeoutExpired):
                self._ssh.wait(5)
        self.kill()
        with suppress(BrokenPipeError):
            self._input.close()
        self._ssh.wait()
        self._output.close()
        self._listener.join(1)

    def kill(self) -> None:
        """End the connection at once; a call that waits for it raises DeviceError."""
        self._ssh.kill()

    def nonsense(self, reason: str) -> DeviceError:
        """The error for output that is not the program's, or not as it should be."""
        return DeviceError(
            f"{self._host} replies what cannot be read ({reason}): does a login script print there "
            "after the start?"
        )

    def line(self) -> bytes:
        """The next line that the program prints. Raises DeviceError when there is none."""
        line = self._output.readline(LONGEST_LINE)
        if len(line) == LONGEST_LINE:
            raise self.nonsense(f"a line of more than {LONGEST_LINE} bytes")
        if not line.endswith(b"\n"):
            raise self._lost()
        return line

    @contextmanager
    def within(self, seconds: float) -> Iterator[None]:
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

    def write_line(self, message: dict[str, Any]) -> None:
        """Send ``message`` as JSON."""
        self.write(json.dumps(message).encode() + b"\n")
        self.flush()

    def write(self, data: bytes) -> None:
        """Send ``data``, at the latest with the next ``flush``."""
        with suppress(BrokenPipeError):  # ``line`` says why
            self._input.write(data)

    def flush(self) -> None:
        with suppress(BrokenPipeError):
            self._input.flush()

    def _listen(self) -> None:
        """Keep the last words of ssh: however much comes, the end of it says why."""
        assert self._ssh.stderr is not None
        with self._ssh.stderr as stream:
            while words := stream.read1(CHUNK):  # type: ignore[attr-defined]
                self._words = (self._words + words)[-_LAST_WORDS:]

    def _lost(self) -> DeviceError:
        """The reason why the connection ended, from ssh's exit code and its last words."""
        try:
            code = self._ssh.wait(5)
        except subprocess.TimeoutExpired:  # it has only closed its output
            self.kill()
            code = self._ssh.wait()
        self._listener.join(1)
        lines = self._words.decode(errors="replace").split("\n")
        words = self._given_up or next((w.strip() for w in reversed(lines) if w.strip()), "")
        if self.established:
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
