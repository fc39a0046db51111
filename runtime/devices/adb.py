"""The program ``adb`` and one Android device behind it, with errors that say what to do."""

from __future__ import annotations

import subprocess
from contextlib import suppress
from pathlib import Path

from ailsr.runtime.errors import DeviceError

PATIENCE = 60.0
"""Seconds that adb may take for a command; for a file one more for each ``SLOWEST`` bytes."""
SLOWEST = 2e5

ADVICE = {
    "unauthorized": "unlock it and allow USB debugging from this computer",
    "offline": "unplug it and plug it in again",
    "no permissions": "give this user access to it (udev rules; the package adb has them)",
    "recovery": "start Android on it",
    "sideload": "start Android on it",
    "bootloader": "start Android on it",
}
"""Advice on a device that cannot be used, by the state that ``adb devices`` gives."""


class Adb:
    """One device; every method raises DeviceError when adb fails or takes too long."""

    def __init__(self, serial: str = "") -> None:
        """``serial`` as ``adb devices`` gives it; empty: the only device there is."""
        self.serial = serial
        self._running: subprocess.Popen[bytes] | None = None
        self._stopped = False

    def connect(self) -> None:
        """Find the device. Raises DeviceError when there is none, or several to choose from."""
        states = self._states()
        if ":" in self.serial and self.serial not in states:  # host:port
            self._run("connect", self.serial)
            states = self._states()
        if not self.serial and len(states) > 1:
            choice = ", ".join(f"--device adb:{serial}" for serial in states)
            raise DeviceError(f"{len(states)} Android devices are connected: choose {choice}")
        if (self.serial or not states) and self.serial not in states:
            which = f"device {self.serial}" if self.serial else "Android device"
            there = f" (there are: {', '.join(states)})" if states else ""
            raise DeviceError(
                f"no {which} is connected{there}: plug it in, with USB debugging allowed in its "
                f"developer options, until adb devices shows it"
            )
        self.serial = self.serial or next(iter(states))
        state = states[self.serial]
        if state != "device":
            advice = next((do for what, do in ADVICE.items() if state.startswith(what)), "check it")
            raise DeviceError(f"device {self.serial} is {state.partition(' (')[0]}: {advice}")

    def shell(self, command: str, *, check: bool = True) -> str:
        """The output of ``command`` there; ``check=False`` lets it fail, but not the way there."""
        return self._on_device("shell", command, check=check)

    def read(self, path: str) -> bytes:
        """The content of a file there."""
        return self._bytes("-s", self.serial, "exec-out", f"cat {path}")

    def push(self, path: Path, target: str) -> None:
        """Send a file; it gets its name when it is whole, and no part of it is left."""
        part = f"{target}.part"
        try:
            patience = PATIENCE + path.stat().st_size / SLOWEST
            self._on_device("push", str(path), part, patience=patience)
            self.shell(f"mv {part} {target}")
        except BaseException:
            self.tidy(f"rm -f {part}")
            raise

    def install(self, apk: Path) -> None:
        """Install an app; by copying it first where adb or the device cannot stream it."""
        if not apk.is_file():
            raise DeviceError(f"no app at {apk}: check the name")
        try:
            self._on_device("install", "-r", str(apk), patience=5 * PATIENCE)
        except DeviceError:
            self._on_device("install", "--no-streaming", "-r", str(apk), patience=5 * PATIENCE)

    def tidy(self, command: str) -> None:
        """Run ``command`` there if that is still possible, whatever happened before."""
        stopped, self._stopped = self._stopped, False
        with suppress(DeviceError):
            self.shell(command, check=False)
        self._stopped = stopped

    def stop(self) -> None:
        """End what another thread waits for; from then on every method raises DeviceError."""
        self._stopped = True
        if (running := self._running) is not None:
            running.kill()

    def _states(self) -> dict[str, str]:
        """State by serial, as ``adb devices`` lists them."""
        lines = self._run("devices").splitlines()
        return dict(line.split("\t", 1) for line in lines if "\t" in line)

    def _on_device(self, *arguments: str, check: bool = True, patience: float = PATIENCE) -> str:
        try:
            return self._run("-s", self.serial, *arguments, check=check, patience=patience)
        except DeviceError as error:
            if self._stopped or self._states().get(self.serial) == "device":
                raise
            raise DeviceError(
                f"device {self.serial} went away ({error}): plug it in again; the next run removes "
                f"what was left there"
            ) from error

    def _run(self, *arguments: str, check: bool = True, patience: float = PATIENCE) -> str:
        return self._bytes(*arguments, check=check, patience=patience).decode(errors="replace")

    def _bytes(self, *arguments: str, check: bool = True, patience: float = PATIENCE) -> bytes:
        what = "adb " + " ".join(arguments[2:4] if arguments[0] == "-s" else arguments)
        if self._stopped:
            raise DeviceError(f"{what} was stopped")
        try:
            self._running = subprocess.Popen(
                ["adb", *arguments],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
            )
        except FileNotFoundError:
            raise DeviceError(
                "Android devices need the program adb: install Android's platform tools "
                "(apt install adb)"
            ) from None
        try:
            output, errors = self._running.communicate(timeout=patience)
        except subprocess.TimeoutExpired:
            raise DeviceError(f"{what} did not end within {patience:.0f} s") from None
        finally:
            self._running.kill()
            self._running.wait()
        words = errors.decode(errors="replace")
        if self._running.returncode and (check or _is_adbs_own(words)):
            raise self._error(what, f"{words}\n{output.decode(errors='replace')}")
        return output

    def _error(self, what: str, words: str) -> DeviceError:
        if "No space left" in words or "INSUFFICIENT_STORAGE" in words:
            return DeviceError(f"device {self.serial} is out of space: free some there")
        lines = [line.strip() for line in words.splitlines() if line.strip()] or ["no reason given"]
        reason = next((line for line in lines if "rror" in line or "ail" in line), lines[0])
        reason = reason.removeprefix("adb: ").removeprefix("error: ")
        return DeviceError(f"{what} failed ({reason})")


def _is_adbs_own(words: str) -> bool:
    """True when adb failed, not the command on the device."""
    return any(line.startswith(("error:", "adb: error:")) for line in words.splitlines())
