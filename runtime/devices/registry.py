"""The kinds of devices, and the choice of one by its name: ``local``, ``ssh://…`` or ``adb``."""

from __future__ import annotations

from pathlib import Path

from ailsr.runtime.bench import harness
from ailsr.runtime.bench.harness import Plan, Report
from ailsr.runtime.bench.results import Results
from ailsr.runtime.devices.adb_device import AdbDevice
from ailsr.runtime.devices.device import LOCAL, Delegate, Device
from ailsr.runtime.devices.ssh_device import SshDevice
from ailsr.runtime.errors import UsageError


class LocalDevice:
    """This machine. It is measured in the main thread, where Ctrl-C ends it."""

    name = LOCAL

    def measure(self, plan: Plan, report: Report) -> Results:
        return harness.measure_files(plan, report)

    def close(self) -> None:
        """Nothing to end."""


def open_device(name: str, apk: Path | None = None, delegate: Delegate = "cpu") -> Device:
    """The device of that name; nothing is connected yet.

    ``apk`` is installed on an Android device before it measures with ``delegate``. Raises
    UsageError for a name that is none.
    """
    if name == LOCAL:
        return LocalDevice()
    if name.startswith("ssh://"):
        return SshDevice(name)
    if name.partition(":")[0] == "adb":
        return AdbDevice(name, apk, delegate)
    raise UsageError(
        f"no device {name!r}: give {LOCAL}, ssh://user@host[:port][/path/to/python] or adb[:serial]"
    )
