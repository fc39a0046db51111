"""The registry of devices, and CONTRIBUTING.md's list of what a new one takes."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from ailsr.runtime.devices.adb_device import AdbDevice
from ailsr.runtime.devices.device import LOCAL
from ailsr.runtime.devices.local_device import LocalDevice
from ailsr.runtime.devices.registry import DEVICES, open_device
from ailsr.runtime.devices.ssh_device import SshDevice
from ailsr.runtime.errors import UsageError

ROOT = Path(__file__).parents[2]
OTHERS = [name for name in DEVICES if name != LOCAL]
"""This machine is tested as the harness is."""


def listed(device: str) -> set[str]:
    """The files that "Add a device" names."""
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8").partition("## Add a device")[2]
    names = re.findall(r"`([\w/<>]+\.(?:py|md))`", text.partition("\n## ")[0])
    return {name.replace("<device>", device) for name in names}


def naming(device: str) -> set[str]:
    """The modules, but those beside the device's own, in which its name opens a string."""
    found = set()
    for package in ("runtime", "train", "export"):
        for path in (ROOT / package).rglob("*.py"):
            nodes = ast.walk(ast.parse(path.read_text(encoding="utf-8")))
            strings = (node.value for node in nodes if isinstance(node, ast.Constant))
            if any(isinstance(s, str) and re.match(rf"{device}\b(?! )", s) for s in strings):
                found.add(str(path.relative_to(ROOT)))
    return {name for name in found if not re.match(rf"runtime/devices/{device}", name)}


@pytest.mark.parametrize("device", OTHERS)
def test_the_files_of_the_list_exist(device):
    assert len(listed(device)) >= 6
    assert [name for name in listed(device) if not (ROOT / name).is_file()] == []


@pytest.mark.parametrize("device", OTHERS)
def test_no_other_file_names_a_device(device):
    assert "runtime/devices/registry.py" in naming(device)
    assert naming(device) <= listed(device)


@pytest.mark.parametrize("device", DEVICES)
def test_each_form_is_described(device):
    page = (ROOT / "docs" / "devices.md").read_text(encoding="utf-8")
    start = DEVICES[device].form.partition("[")[0].partition("user@")[0]
    assert f"--device {start}" in page


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("local", LocalDevice),
        ("ssh://pi@raspberrypi.local", SshDevice),
        ("adb", AdbDevice),
        ("adb:emulator-5554", AdbDevice),
    ],
)
def test_a_name_chooses_its_kind(name, kind):
    device = open_device(name)
    assert (type(device), device.name) == (kind, name)


@pytest.mark.parametrize("name", ["", "here", "local:1", "ssh:pi", "ssh", "adbx", "usb://1"])
def test_a_name_of_no_kind_is_refused(name):
    with pytest.raises(UsageError, match=r"no device .*give local, ssh://user@host.* or adb\[:ser"):
        open_device(name)
