"""Android devices: Debian's own adbd behind the real adb, programs of a phone around it.

The app's part is played by its own core on a JVM. adbd is an unauthenticated root shell, so it runs
in a network of its own, which takes root and Debian.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import debian
import fastjsonschema
import numpy as np
import pytest

from ailsr.runtime.bench.harness import Plan, measure_files
from ailsr.runtime.bench.measurement import Measurement
from ailsr.runtime.bench.report_document import to_document
from ailsr.runtime.bench.results import Results
from ailsr.runtime.devices.adb_device import BENCH
from ailsr.runtime.devices.registry import open_device
from ailsr.runtime.errors import DeviceError
from ailsr.runtime.progress import silent

ROOT = Path(__file__).parents[2]
COMMAND = Path(sys.executable).with_name("ailsr-bench")
SERIAL = "127.0.0.1:5555"
SCHEMA = ROOT / "runtime" / "report.schema.json"
KINDS = ("int8 uint8", "float32 float32")
PACKAGES = ("adbd", "libc6", "bash", "coreutils")
SIZE = (48, 64)
ADB = shutil.which("adb")

PROGRAMS = {
    "getprop": "echo Linux",
    "pm": """
        case "$1" in
            path) [ -f /data/app ] && echo package:/data/app ;;
            install) shift $(($# - 1)); cp "$1" /data/app && echo Success ;;
        esac
    """,
    "pidof": """
        p=$(cat /data/pid 2>/dev/null) && [ -d /proc/$p ] || exit 1
        read _ _ state _ </proc/$p/stat
        [ "$state" != Z ] && echo $p
    """,
    "am": """
        case "$1" in
            force-stop) p=$(cat /data/pid 2>/dev/null) && kill -9 "$p"; true ;;
            start)
                while [ "$1" != request ]; do shift; done
                app "$2" </dev/null >/data/log 2>&1 &
                echo $! >/data/pid
                echo Status: ok ;;
        esac
    """,
}
"""What a phone has and Debian has not. ``app ID`` is the app: each test says what it does."""


@dataclass
class Phone:
    """A phone that ``adb`` on PATH finds."""

    folder: Path
    process: subprocess.Popen[bytes]

    def shell(self, command: str) -> str:
        done = subprocess.run(
            ["adb", "-s", SERIAL, "shell", command], capture_output=True, text=True, timeout=20
        )
        return done.stdout

    def left_behind(self) -> list[str]:
        """What a run should have removed."""
        command = f"ls {BENCH}/requests {BENCH}/progress {BENCH}/reports; ls {BENCH}/files/*.part"
        lines = self.shell(f"{{ {command}; }} 2>/dev/null").split("\n")
        return [line for line in lines if line and not line.endswith(":")]

    def vanish(self) -> None:
        self.process.kill()
        self.process.wait()


def eventually(condition: Callable[[], object], seconds: float = 20) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.05)


def connected_once() -> bool:
    """A server of adb may look for emulators before it reads that there are none: another, then."""
    if "connected to" not in run_adb("connect", SERIAL):
        return False
    if "emulator-" not in run_adb("devices"):
        return True
    run_adb("kill-server")
    return False


def run_adb(*arguments: str) -> str:
    return subprocess.run(["adb", *arguments], capture_output=True, text=True).stdout


@pytest.fixture(scope="session")
def adbd_root() -> Path:
    missing = [p for p in ("adb", "unshare", "nsenter", "ip") if shutil.which(p) is None]
    if missing or os.getuid():
        pytest.skip(f"ADB DEVICES NOT TESTED: be root, apt install adb iproute2 ({missing})")
    try:
        return debian.unpack(ROOT / "build" / "adbd", "trixie", PACKAGES)
    except debian.UnavailableError as error:
        pytest.skip(f"ADB DEVICES NOT TESTED, no adbd: {error}")


@pytest.fixture
def start_phone(adbd_root, tmp_path, monkeypatch) -> Iterator[Callable[..., Phone]]:
    """``start_phone(app="", installed=True, size="64m")``: a phone; ``app`` is a shell script."""
    started: list[Phone] = []

    def start(app: str = "", installed: bool = True, size: str = "64m") -> Phone:
        folder = tmp_path / "phone"
        programs = folder / "bin"
        programs.mkdir(parents=True)
        for name, script in {**PROGRAMS, "app": app}.items():
            (programs / name).write_text(f"#!/bin/sh\n{script}\n")
            (programs / name).chmod(0o755)
        unshare = ["unshare", "--net", "--mount", "--pid", "--fork", "--kill-child"]
        script = ["sh", Path(__file__).with_name("phone.sh"), adbd_root, folder, size]
        process = subprocess.Popen([*unshare, *script], stderr=subprocess.DEVNULL)
        started.append(Phone(folder, process))
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
        eventually(lambda: children.read_text().strip())
        inside = children.read_text().strip()
        host = tmp_path / "host"
        host.mkdir()
        network = os.open(f"/proc/{inside}/ns/net", os.O_RDONLY)  # outlives the phone
        stack.callback(os.close, network)
        enter = f"exec nsenter --net=/proc/{os.getpid()}/fd/{network} {ADB}"
        (host / "adb").write_text(f'#!/bin/sh\n{enter} "$@"\n')
        (host / "adb").chmod(0o755)
        monkeypatch.setenv("PATH", str(host), prepend=os.pathsep)
        monkeypatch.setenv("ANDROID_ADB_SERVER_PORT", "15037")
        monkeypatch.setenv("ADB_LOCAL_TRANSPORT_MAX_PORT", "5553")  # it is no emulator
        eventually(connected_once)
        if installed:
            started[-1].shell("touch /data/app")
        return started[-1]

    with ExitStack() as stack:
        yield start
        for phone in started:
            run_adb("kill-server")
            phone.vanish()


@pytest.fixture(scope="module")
def file(write_network) -> str:
    return str(write_network("tflite int8 uint8", SIZE))


def plan(files: tuple[str, ...], images: Path | None = None) -> Plan:
    return Plan(files, threads=1, runs=5, seconds=0.2, images=images and str(images))


def measure(
    files: tuple[str, ...], images: Path | None = None, name: str = f"adb:{SERIAL}", **how: Path
) -> tuple[Results, list[str]]:
    """The results, and what was said meanwhile."""
    said: list[str] = []
    told = plan(files, images)
    return open_device(name, **how).measure(told, lambda what, done, of: said.append(what)), said


@pytest.fixture(scope="module")
def app(tmp_path_factory) -> Callable[[Path], str]:
    """``app(folder)``: the app's core as the app of the phone in that folder."""
    if not shutil.which("javac"):
        pytest.skip("ADB DEVICES NOT TESTED WITH THE APP: apt install openjdk-17-jdk-headless")
    classes, demo = tmp_path_factory.mktemp("classes"), ROOT / "android_demo"
    subprocess.run([sys.executable, demo / "core_build.py", classes], check=True)
    engine = f"{sys.executable} {demo}/core/src/desktop/engine.py"

    def script(folder: Path) -> str:
        java = f"{shutil.which('java')} -cp {classes} org.ailsr.core.BenchMain"
        return f"exec chroot /host {java} {folder}/phone{BENCH} $1 -- {engine}"

    return script


def says(answer: str, before: str = "true") -> str:
    """An app that answers a request, after it has done something else, and stays."""
    reports = f"{BENCH}/reports"
    return (
        f"{before}; echo '{answer}' > {reports}/part; mv {reports}/part {reports}/$1.json; sleep 60"
    )


def test_a_phone_finds_what_this_machine_finds(start_phone, app, write_network, images, tmp_path):
    """The app's core in Java around the same engine: the same pixels, so the same PSNR."""
    start_phone(app(tmp_path / "phone"))
    files = tuple(str(write_network(f"tflite {kind}", SIZE)) for kind in KINDS)
    found, said = measure(files, images)
    here = measure_files(plan(files, images), silent)
    assert [file.file for file in found.files] == list(files)
    for there, mine in zip(found.files, here.files, strict=True):
        assert isinstance(there, Measurement) and isinstance(mine, Measurement), there
        assert there.quality.psnr_db == pytest.approx(mine.quality.psnr_db, abs=1e-6)
        assert there.quality.images.keys() == mine.quality.images.keys()
        assert (there.network, there.input_size) == (mine.network, mine.input_size)
        assert there.whole_path.n == 5 and there.whole_path.p50_ms > 0
        assert there.delegate  # as the app names it
    assert found.bicubic[2].psnr_db == pytest.approx(here.bicubic[2].psnr_db)
    assert (found.device, found.images) == (f"adb:{SERIAL}", str(images))
    assert found.host.python is None  # no Python runs on a phone
    fastjsonschema.compile(json.loads(SCHEMA.read_text()))(to_document(found))

    assert sum(what.startswith("sending") for what in said) == len(files) + 2 * 3
    again, said = measure(files[:1], images)
    assert not any(what.startswith("sending") for what in said)
    assert again.measured[0].quality == found.measured[0].quality


def test_an_answer_of_the_app_is_one_line(start_phone, file, images):
    """The request and what it names are there when the app is started."""
    seen = f"cd {BENCH}; cat requests/$1.json > /data/seen; ls files > /data/files"
    phone = start_phone(says('{"error": "no engine for it"}', seen))
    with pytest.raises(DeviceError, match=r"the app on 127.0.0.1:5555 refused: no engine for it"):
        measure((file,), images)
    (request,) = [json.loads(phone.shell("cat /data/seen"))]
    files = phone.shell("cat /data/files").split()
    assert (request["schema"], request["schema_version"]) == ("ailsr-request", 1)
    assert (request["threads"], request["delegate"], request["protocol"]) == (1, "cpu", "Y-shave-s")
    assert [entry["sha256"] in files for entry in request["files"]] == [True]
    pairs = request["pictures"]["2"]
    assert [pair["name"] for pair in pairs] == ["astronaut", "chelsea", "rocket"]
    assert {pair[part] for pair in pairs for part in ("lr", "hr")} <= set(files)
    assert not phone.left_behind() and not phone.shell("pidof org.ailsr.demo")


def test_a_report_that_is_none_is_one_line(start_phone, file):
    start_phone(says("half a rep"))
    with pytest.raises(DeviceError, match=r"report of the app on .* cannot be read"):
        measure((file,))


def test_an_app_that_crashes_is_one_line(start_phone, file):
    phone = start_phone("exit 1")
    with pytest.raises(DeviceError, match="ended without a report; its engine may have crashed"):
        measure((file,))
    assert not phone.left_behind()


def test_a_missing_app_is_installed_by_copying_where_streaming_fails(start_phone, file, tmp_path):
    """Debian's adb streams to Android's services, which adbd alone has not."""
    phone = start_phone(says('{"error": "here I am"}'), installed=False)
    with pytest.raises(DeviceError, match=r"org.ailsr.demo is not installed .* add --apk FILE"):
        measure((file,))
    apk = tmp_path / "demo.apk"
    apk.write_bytes(b"an app")
    with pytest.raises(DeviceError, match="here I am"):
        measure((file,), apk=apk)
    assert phone.shell("cat /data/app") == "an app"


def test_a_phone_without_space_is_one_line(start_phone, tmp_path):
    phone = start_phone(size="2m")
    model = tmp_path / "large.tflite"
    model.write_bytes(np.random.default_rng(0).bytes(8_000_000))
    with pytest.raises(DeviceError, match=r"device 127.0.0.1:5555 is out of space"):
        measure((str(model),))
    assert not phone.left_behind() and not phone.shell(f"ls {BENCH}/files")


def test_a_phone_that_goes_away_is_one_line(start_phone, file):
    phone = start_phone("sleep 60")
    with subprocess.Popen(
        [COMMAND, file, "--device", f"adb:{SERIAL}"], stderr=subprocess.PIPE, text=True
    ) as bench:
        eventually(lambda: phone.shell("pidof org.ailsr.demo"))
        phone.vanish()
        error = bench.communicate(timeout=30)[1]
    assert bench.returncode == 1
    (line,) = error.splitlines()
    assert line.startswith(f"error: device {SERIAL} went away (adb ")


def test_ctrl_c_ends_the_app_and_leaves_nothing(start_phone, file):
    phone = start_phone("sleep 60")
    with subprocess.Popen(
        [COMMAND, file, "--device", f"adb:{SERIAL}"], stderr=subprocess.PIPE, text=True
    ) as bench:
        eventually(lambda: phone.shell("pidof org.ailsr.demo"))
        bench.send_signal(signal.SIGINT)
        error = bench.communicate(timeout=30)[1]
    assert (bench.returncode, error) == (130, "error: stopped by Ctrl-C\n")
    assert not phone.left_behind() and not phone.shell("pidof org.ailsr.demo")


def test_which_device_is_meant(start_phone, file, monkeypatch):
    """adb finds the phone twice: by its address, and as an emulator at its port."""
    start_phone(says('{"error": "here I am"}'))
    with pytest.raises(DeviceError, match="here I am"):  # the only one
        measure((file,), name="adb")
    with pytest.raises(DeviceError, match=r"no device 0123 is connected \(there are: 127.*plug it"):
        measure((file,), name="adb:0123")
    run_adb("disconnect")
    with pytest.raises(DeviceError, match="no Android device is connected: plug it in"):
        measure((file,), name="adb")
    with pytest.raises(DeviceError, match="here I am"):  # connected to again
        measure((file,))
    run_adb("kill-server")
    monkeypatch.delenv("ADB_LOCAL_TRANSPORT_MAX_PORT")
    run_adb("connect", SERIAL)
    with pytest.raises(DeviceError, match=r"2 Android devices are connected: choose --device adb:"):
        measure((file,), name="adb")


def test_without_adb_it_says_what_to_install(file, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(DeviceError, match="need the program adb: install"):
        measure((file,), name="adb")
