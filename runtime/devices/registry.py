"""The kinds of devices, and the choice of one by its name: ``local``, ``ssh://…`` or ``adb``."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ailsr.runtime.devices.adb_device import AdbDevice
from ailsr.runtime.devices.device import LOCAL, Delegate, Device
from ailsr.runtime.devices.local_device import LocalDevice
from ailsr.runtime.devices.ssh_device import SshDevice
from ailsr.runtime.errors import UsageError


@dataclass(frozen=True)
class DeviceKind:
    """Machines that are reached in the same way."""

    form: str
    """How ``--device`` names one, for people."""
    pattern: str
    """A regular expression of such names."""
    open: Callable[[str, Path | None, Delegate], Device]
    """The device of a name; nothing is connected yet. The options of the app follow the name."""
    takes_turns: bool = True
    """Files can be measured in turn, as ``--against`` does."""


DEVICES: dict[str, DeviceKind] = {
    LOCAL: DeviceKind(LOCAL, LOCAL, lambda name, apk, delegate: LocalDevice()),
    "ssh": DeviceKind(
        "ssh://user@host[:port][/path/to/python]",
        "ssh://.*",
        lambda name, apk, delegate: SshDevice(name),
    ),
    "adb": DeviceKind("adb[:serial]", "adb(:.*)?", AdbDevice, takes_turns=False),
}


def device_kind(name: str) -> DeviceKind:
    """The kind of the device ``name``. Raises UsageError for a name that is none."""
    for kind in DEVICES.values():
        if re.fullmatch(kind.pattern, name):
            return kind
    raise UsageError(f"no device {name!r}: give {forms()}")


def open_device(name: str, apk: Path | None = None, delegate: Delegate = "cpu") -> Device:
    """The device of that name; nothing is connected yet.

    ``apk`` is installed on an Android device before it measures with ``delegate``. Raises
    UsageError for a name that is none.
    """
    return device_kind(name).open(name, apk, delegate)


def forms() -> str:
    """``local, ssh://… or adb[:serial]``"""
    *first, last = (kind.form for kind in DEVICES.values())
    return f"{', '.join(first)} or {last}"
