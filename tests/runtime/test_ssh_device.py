"""Devices over ssh: a real OpenSSH server on loopback, a second, minimal environment behind it."""

from __future__ import annotations

import getpass
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import fastjsonschema
import numpy as np
import pytest

from ailsr.runtime.bench.harness import Plan, measure_files
from ailsr.runtime.bench.measurement import Measurement
from ailsr.runtime.bench.report_document import to_document
from ailsr.runtime.bench.results import Results
from ailsr.runtime.devices.registry import open_device
from ailsr.runtime.errors import DeviceError, UsageError
from ailsr.runtime.imaging import image, protocol
from ailsr.runtime.progress import silent

BENCH = Path(sys.executable).with_name("ailsr-bench")
SCHEMA = Path(__file__).parents[2] / "runtime" / "report.schema.json"
SSHD = shutil.which("sshd", path=f"{os.environ['PATH']}:/usr/sbin")
SIZE = (48, 64)

pytestmark = pytest.mark.skipif(
    not SSHD or not shutil.which("ssh"),
    reason="SSH DEVICES NOT TESTED: apt install openssh-server openssh-client",
)


@dataclass
class Server:
    """An sshd that lets this user in, and a home folder that it gives him."""

    folder: Path
    port: int
    process: subprocess.Popen[bytes]

    @property
    def cache(self) -> Path:
        return self.folder / "home" / ".cache" / "ailsr"

    def address(self, python: Path) -> str:
        return f"ssh://{getpass.getuser()}@127.0.0.1:{self.port}{python}"

    def agents(self) -> list[int]:
        """Processes that serve sessions, and their workers."""
        return [
            int(folder.name)
            for folder in Path("/proc").glob("[0-9]*")
            if f"HOME={self.folder}/home".encode() in _bytes(folder / "environ").split(b"\0")
        ]

    def left_behind(self) -> list[str]:
        """What a session should have taken along."""
        return [p.name for p in (self.cache / "sessions").glob("*")] if self.cache.exists() else []


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""


def eventually(condition: Callable[[], object], seconds: float = 20) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.05)


@pytest.fixture
def server(tmp_path, monkeypatch) -> Iterator[Server]:
    """Its own port, keys and configuration; ``ssh`` on PATH is the real one, configured for it."""
    (tmp_path / "home").mkdir()
    for key in ("host", "user"):
        command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", tmp_path / key]
        subprocess.run(command, check=True)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    (tmp_path / "sshd_config").write_text(
        f"""
        ListenAddress 127.0.0.1:{port}
        HostKey {tmp_path}/host
        AuthorizedKeysFile {tmp_path}/user.pub
        PidFile none
        UsePAM no
        StrictModes no
        PermitRootLogin prohibit-password
        SetEnv HOME={tmp_path}/home
        """
    )
    host_key = (tmp_path / "host.pub").read_text()
    (tmp_path / "known_hosts").write_text(f"[127.0.0.1]:{port} {host_key}")
    (tmp_path / "ssh_config").write_text(
        f"IdentityFile {tmp_path}/user\nIdentitiesOnly yes\n"
        f"UserKnownHostsFile {tmp_path}/known_hosts\nGlobalKnownHostsFile none\n"
    )
    programs = tmp_path / "bin"
    programs.mkdir()
    real = shutil.which("ssh")
    (programs / "ssh").write_text(f'#!/bin/sh\nexec {real} -F {tmp_path}/ssh_config "$@"\n')
    (programs / "ssh").chmod(0o755)
    monkeypatch.setenv("PATH", str(programs), prepend=os.pathsep)
    if os.getuid() == 0:
        Path("/run/sshd").mkdir(exist_ok=True)
    command = [str(SSHD), "-D", "-E", tmp_path / "log", "-f", tmp_path / "sshd_config"]
    process = subprocess.Popen(command)
    eventually(lambda: b"Server listening" in _bytes(tmp_path / "log"))
    yield Server(tmp_path, port, process)
    process.kill()
    process.wait()


@pytest.fixture(scope="module")
def files(write_network) -> tuple[str, ...]:
    kinds = ("tflite float32 float32", "tflite int8 uint8")
    return tuple(str(write_network(kind, SIZE)) for kind in kinds)


def plan(files: tuple[str, ...], images: Path | None = None, seconds: float = 0.2) -> Plan:
    return Plan(
        files,
        threads=1,
        runs=5 if seconds < 1 else 10**6,
        seconds=seconds,
        images=images and str(images),
    )


def measure(address: str, plan: Plan) -> tuple[Results, list[str]]:
    """The results, and what was said meanwhile."""
    said: list[str] = []
    return open_device(address).measure(plan, lambda what, done, of: said.append(what)), said


def test_a_device_finds_what_this_machine_finds(server, files, images, old_python):
    """numpy 1, Pillow and tflite-runtime 2.14 there; numpy 2 and LiteRT here."""
    address = server.address(old_python)
    found, said = measure(address, plan(files, images))
    here = measure_files(plan(files, images), silent)
    assert [file.file for file in found.files] == list(files)
    for there, mine in zip(found.files, here.files, strict=True):
        assert isinstance(there, Measurement) and isinstance(mine, Measurement), there
        assert there.engine == "tflite-runtime 2.14.0" != mine.engine
        assert there.whole_path.n == 5 and there.peak_memory_bytes > 15e6
        exact = there.precision == "float32"  # old int8 kernels round differently
        assert there.quality.psnr_db == pytest.approx(
            mine.quality.psnr_db, abs=1e-3 if exact else 0.1
        )
    # Two numpys may sum in another order, and a sample that is nearly a tie then rounds the other
    # way.
    assert found.bicubic[2].psnr_db == pytest.approx(here.bicubic[2].psnr_db, abs=1e-3)
    assert found.measured[1].ratio.to == found.baseline == files[0]
    assert (found.device, found.images) == (address, str(images))
    document = to_document(found)
    fastjsonschema.compile(json.loads(SCHEMA.read_text()))(document)
    assert document["host"].keys() == to_document(here)["host"].keys()
    assert document["files"][0].keys() == to_document(here)["files"][0].keys()

    assert sum(what.startswith("sending") for what in said) == 1 + len(files) + 2 * 3
    again, said = measure(address, plan(files[:1], images))
    assert not any(what.startswith("sending") for what in said)
    assert again.measured[0].quality == found.measured[0].quality
    eventually(lambda: not server.left_behind() and not server.agents())


def test_a_low_resolution_folder_goes_along(server, files, images, old_python, tmp_path):
    """Images as they are, not made anew: here the pixels of another reduction."""
    folder = tmp_path / "LR_bicubic" / "X2"
    for name, hr, _ in protocol.pairs(images, 2).sources:
        image.write(image.read(hr), tmp_path / "HR" / f"{name}.png")
        image.write(image.read(hr)[::2, ::2].copy(), folder / f"{name}x2.png")
    told = plan(files[:1], tmp_path)
    (there,) = measure(server.address(old_python), told)[0].measured
    (mine,) = measure_files(told, silent).measured
    assert there.quality.psnr_db == pytest.approx(mine.quality.psnr_db, abs=1e-3)


def test_several_devices_give_a_report_each(server, files, images, old_python, tmp_path):
    address, absent = server.address(old_python), "ssh://127.0.0.1:1"
    arguments = [*files, "--device", "local", "--device", address, "--images", images]
    arguments += ["--runs", "3", "--seconds", "0.1", "--threads", "1", "--json"]
    arguments += ["--csv", tmp_path / "figures.csv", "--history", tmp_path / "history.jsonl"]
    done = subprocess.run([BENCH, *arguments], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    documents = json.loads(done.stdout)
    assert [d["settings"]["device"] for d in documents] == ["local", address]
    assert [f["file"] for f in documents[1]["files"]] == list(files)
    assert len((tmp_path / "history.jsonl").read_text().splitlines()) == 2
    assert (tmp_path / "figures.local.csv").exists()
    assert len(list(tmp_path.glob("figures.ssh_*127.0.0.1*.csv"))) == 1

    arguments = [files[0], "--device", absent, "--device", "local", "--runs", "3", "--seconds", "0"]
    done = subprocess.run([BENCH, *arguments], capture_output=True, text=True)
    assert done.returncode == 1
    assert Path(files[0]).name in done.stdout  # what could be measured is shown
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"error: cannot use {absent} (ssh: connect to host 127.0.0.1 port 1")


def test_a_file_that_fails_there_is_one_line_with_its_own_name(server, files, old_python, tmp_path):
    damaged = tmp_path / "damaged.tflite"
    damaged.write_bytes(Path(files[0]).read_bytes()[:2000])
    found, _ = measure(server.address(old_python), plan((str(damaged), files[0])))
    (failed,) = found.failed
    assert failed.file == str(damaged) and len(found.measured) == 1
    assert "\n" not in failed.error and ".cache" not in failed.error


@pytest.mark.parametrize(
    ("fault", "line"),
    [
        ("no server", "cannot use ssh://.*Connection refused.*check its address"),
        ("no name", "cannot use ssh://nowhere.invalid .*resolve"),
        ("unknown host", "Host key verification failed.*once by hand: ssh ssh://"),
        ("no key", "Permission denied.*ssh-copy-id"),
        ("no python", "has no /nowhere/python .*install Python 3.11, or name it"),
        ("no numpy", "has no numpy and no PIL: install numpy, pillow and an engine"),
    ],
)
def test_a_device_that_cannot_be_used_is_one_line(
    server, files, old_python, tmp_path, monkeypatch, fault, line
):
    address = server.address(old_python)
    if fault == "no server":
        server.process.kill()
        server.process.wait()
    elif fault == "no name":
        address = "ssh://nowhere.invalid"
    elif fault == "unknown host":
        (tmp_path / "known_hosts").write_text("")
    elif fault == "no key":
        (tmp_path / "user.pub").write_text("")
    elif fault == "no python":
        address = server.address(Path("/nowhere/python"))
    else:
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", tmp_path / "bare"])
        address = server.address(tmp_path / "bare" / "bin" / "python")
    with pytest.raises(DeviceError, match=line) as caught:
        measure(address, plan(files))
    assert "\n" not in str(caught.value)
    eventually(lambda: not server.left_behind() and not server.agents())


@pytest.mark.parametrize(
    "name", ["ssh://", "ssh://a:b@c", "ssh://host:port", "pi@host", "adbx", ""]
)
def test_what_is_no_device_is_refused(name):
    with pytest.raises(UsageError, match="give"):
        open_device(name)


def test_the_help_names_the_forms_of_a_device():
    done = subprocess.run([BENCH, "--help"], capture_output=True, text=True)
    words = "".join(re.split(r"[\s│]+", done.stdout))
    assert "local,ssh://user@host[:port]" in words and "adb[:serial]" in words, done.stderr


def busy(server: Server) -> bool:
    """A worker measures there."""
    return any(b"bench.worker" in _bytes(Path(f"/proc/{n}/cmdline")) for n in server.agents())


def connections(server: Server) -> list[int]:
    """The processes of sshd that serve a connection."""
    children = Path(f"/proc/{server.process.pid}/task/{server.process.pid}/children")
    return [int(n) for n in children.read_text().split()]


@pytest.mark.parametrize(
    "how", ["link", "ctrl-c", "ctrl-c, two devices", "harness killed", "ssh killed"]
)
def test_an_interruption_leaves_nothing_on_the_device(server, files, old_python, how):
    """Neither a process nor a part of a file, and one line here."""
    arguments = [files[0], "--device", server.address(old_python), "--runs", "100000"]
    arguments += ["--device", "local"] if "two" in how else []
    bench = subprocess.Popen(
        [BENCH, *arguments, "--seconds", "300"], stderr=subprocess.PIPE, stdout=subprocess.PIPE
    )
    eventually(lambda: busy(server))
    if how == "link":
        for process in connections(server):
            os.kill(process, signal.SIGKILL)
    elif how == "ssh killed":
        children = Path(f"/proc/{bench.pid}/task/{bench.pid}/children").read_text().split()
        for child in children:
            os.kill(int(child), signal.SIGKILL)
    else:
        bench.send_signal(signal.SIGINT if "ctrl-c" in how else signal.SIGKILL)
    output, error = bench.communicate(timeout=20)
    assert output == b""
    expected = {"ctrl-c": (130, "stopped by Ctrl-C"), "harness": (-9, "")}
    code, words = expected.get(how.split()[0].strip(","), (1, "the link to ssh://"))
    assert bench.returncode == code and words in error.decode()
    assert error.count(b"\n") == (how != "harness killed")
    eventually(lambda: not server.left_behind() and not server.agents())


def test_a_link_that_breaks_while_a_file_is_sent_leaves_no_part(
    server, files, old_python, tmp_path
):
    model = tmp_path / "large.tflite"
    model.write_bytes(np.random.default_rng(0).bytes(300_000_000))
    bench = subprocess.Popen(
        [BENCH, model, "--device", server.address(old_python)], stderr=subprocess.PIPE
    )
    eventually(
        lambda: any(p.stat().st_size > 1e6 for p in server.cache.glob("sessions/*/*.tflite"))
    )
    for process in connections(server):
        os.kill(process, signal.SIGKILL)
    _, error = bench.communicate(timeout=20)
    assert bench.returncode == 1 and b"the link to ssh://" in error and error.count(b"\n") == 1
    eventually(lambda: not server.left_behind() and not server.agents())
    assert not list(server.cache.glob("files/*.tflite"))


def test_a_device_without_space_is_one_line(server, old_python, tmp_path):
    home = server.folder / "home"
    mount = ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", home]
    mounted = subprocess.run(mount, capture_output=True, text=True)
    if mounted.returncode:
        pytest.skip(f"FULL DEVICE NOT TESTED, it takes root to mount: {mounted.stderr.strip()}")
    try:
        model = tmp_path / "large.tflite"
        model.write_bytes(np.random.default_rng(0).bytes(8_000_000))
        with pytest.raises(DeviceError, match="is out of space: free some there"):
            measure(server.address(old_python), plan((str(model),)))
        eventually(lambda: not server.agents())
        assert not server.left_behind()
        assert not list(server.cache.glob("files/*.tflite"))
    finally:
        subprocess.run(["umount", home], check=True)
