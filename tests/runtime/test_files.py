"""What is written is whole or not there, and nothing is left behind or written over."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import textwrap
import time

import pytest

from ailsr.runtime import UsageError, json_lines
from ailsr.runtime.files import atomic_output, check_output, clear_leftovers, sha256, sole_writer
from ailsr.runtime.names import unless_shared


def child(code, *arguments, **options):
    """A process that runs ``code`` and has said "ready"."""
    process = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code), *map(str, arguments)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options,
    )  # fmt: skip
    if process.stdout.readline() != "ready\n":
        raise AssertionError(process.communicate()[1])
    return process


WRITES = """
    import sys
    from pathlib import Path
    from ailsr.runtime.files import atomic_output
    with atomic_output(Path(sys.argv[1])) as temporary:
        temporary.write_text("half")
        print("ready", flush=True)
        sys.stdin.readline()
"""


def test_what_a_killed_process_left_goes_and_what_a_living_one_writes_stays(tmp_path):
    killed, living = (child(WRITES, tmp_path / name) for name in ("killed.txt", "living.txt"))
    with killed, living:
        killed.kill()
        killed.wait()
        (tmp_path / ".ailsr-notes.tmp").write_text("of the user")
        assert len(list(tmp_path.iterdir())) == 3
        clear_leftovers(tmp_path)
        left = sorted(path.name for path in tmp_path.iterdir())
        assert len(left) == 2 and ".ailsr-notes.tmp" in left
        living.communicate("go on\n")
    assert living.returncode == 0
    assert sorted(p.name for p in tmp_path.iterdir()) == [".ailsr-notes.tmp", "living.txt"]


def test_the_first_output_in_a_folder_clears_it(tmp_path):
    with child(WRITES, tmp_path / "a.txt") as killed:
        killed.kill()
    with atomic_output(tmp_path / "b.txt") as temporary:
        temporary.write_text("whole")
    assert [path.name for path in tmp_path.iterdir()] == ["b.txt"]


def test_any_name_that_a_file_can_have_can_be_written(tmp_path):
    longest = os.pathconf(tmp_path, "PC_NAME_MAX")
    for name in ("x" * longest, "x" * (longest - 4) + ".png", "." + "x" * (longest - 1)):
        with atomic_output(tmp_path / name) as temporary:
            temporary.write_text("whole")
        assert (tmp_path / name).read_text() == "whole"


def test_a_folder_takes_the_place_of_a_folder(tmp_path):
    for text in ("old", "new"):
        with atomic_output(tmp_path / "x.mlpackage") as temporary:
            temporary.mkdir()
            (temporary / text).touch()
    assert [path.name for path in (tmp_path / "x.mlpackage").iterdir()] == ["new"]
    assert len(list(tmp_path.iterdir())) == 1


REPLACES = """
    import os, sys
    from pathlib import Path
    from ailsr.runtime.files import atomic_output
    print("ready", flush=True)
    path, end = Path(sys.argv[1]), sys.argv[2]
    seen = []

    def watch(event, arguments):
        if event == "os.rename" and Path(arguments[1]) == path and not seen:  # the old one is away
            seen.append(event)
            if end == "kill":
                os._exit(9)
            raise OSError("the disk fails")

    with atomic_output(path) as temporary:
        temporary.mkdir()
        (temporary / "new").touch()
        sys.addaudithook(watch)
"""


@pytest.mark.parametrize("end", ["kill", "fail"])
def test_a_folder_stays_or_comes_back_when_it_is_not_replaced(tmp_path, end):
    path = tmp_path / "x.mlpackage"
    path.mkdir()
    (path / "old").touch()
    with child(REPLACES, path, end) as replacing:
        _, errors = replacing.communicate()
    if end == "kill":
        assert replacing.returncode == 9
        assert not path.exists()
        assert {p.name for p in tmp_path.rglob("*")} >= {"old", "new"}  # neither is lost
        clear_leftovers(tmp_path)
    else:
        assert "the disk fails" in errors
    assert [p.name for p in path.iterdir()] == ["old"]
    assert [p.name for p in tmp_path.iterdir()] == ["x.mlpackage"]


def test_a_pipe_stays_a_pipe(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with subprocess.Popen(["cat", tmp_path / "pipe"], stdout=subprocess.PIPE) as reader:
        with atomic_output(tmp_path / "pipe") as temporary:
            temporary.write_text("whole")
        assert reader.communicate()[0] == b"whole"
    assert (tmp_path / "pipe").is_fifo()


LOCKS = """
    import sys
    from pathlib import Path
    from ailsr.runtime.files import sole_writer
    with sole_writer(Path(sys.argv[1])) as locked:
        print("ready" if locked else "no locks here", flush=True)
        sys.stdin.readline()
"""


@pytest.mark.parametrize("end", [signal.SIGKILL, None])
def test_a_folder_has_one_writer_until_that_has_ended(tmp_path, end):
    folder = tmp_path / "deep" / "run"
    with child(LOCKS, folder) as other:
        for _ in range(2):
            with pytest.raises(UsageError, match=f"in use by process {other.pid} on "):
                sole_writer(folder).__enter__()
        if end:
            other.send_signal(end)
        else:
            other.communicate("go on\n")
        other.wait()
        assert folder.exists() == bool(end)  # nothing was written: an orderly end leaves nothing
    with sole_writer(folder) as locked:
        assert locked
        (folder / "result").touch()
    assert [path.name for path in folder.iterdir()] == ["result"]


def test_a_line_is_added_whole_or_not_at_all(tmp_path):
    path = tmp_path / "deep" / "history.jsonl"
    json_lines.append(path, {"run": 1}, durable=True)
    whole = path.read_bytes()
    code = """
        import resource, sys
        from pathlib import Path
        from ailsr.runtime import json_lines
        print("ready", flush=True)
        resource.setrlimit(resource.RLIMIT_FSIZE, (5000, 5000))  # as a disk that gets full
        json_lines.append(Path(sys.argv[1]), "x" * 9000)
    """
    with child(code, path) as full:
        assert "File too large" in full.communicate()[1]
    assert full.returncode == 1
    assert path.read_bytes() == whole
    json_lines.append(path, {"run": 2})
    assert json_lines.read(path) == ([{"run": 1}, {"run": 2}], 0)


def test_half_a_line_spoils_no_other(tmp_path):
    path = tmp_path / "history.jsonl"
    path.write_bytes(b'{"run": 1}\n{"run": 2, "ho')  # an earlier version, a full disk
    json_lines.append(path, {"run": 3})
    with path.open("ab") as file:
        file.write(b'\xff\xfe\n{"run": 4}')
    json_lines.append(path, {"run": 5})
    assert json_lines.read(path) == ([{"run": n} for n in (1, 3, 4, 5)], 2)
    json_lines.append(path, {"psnr": float("inf")})  # JSON has no such number
    assert path.read_bytes().endswith(b'\n{"run": 5}\n{"psnr": null}\n')


def test_several_processes_add_to_one_file(tmp_path):
    path = tmp_path / "history.jsonl"
    code = """
        import sys
        from pathlib import Path
        from ailsr.runtime import json_lines
        print("ready", flush=True)
        sys.stdin.readline()
        for number in range(50):
            json_lines.append(Path(sys.argv[1]), [sys.argv[2], number, "x" * 5000])
    """
    writers = [child(code, path, name) for name in "abc"]
    for writer in writers:
        writer.stdin.write("go on\n")
        writer.stdin.flush()
    for writer in writers:
        assert writer.communicate()[1] == ""
    values, broken = json_lines.read(path)
    assert broken == 0
    for name in "abc":
        assert [number for who, number, _ in values if who == name] == list(range(50))


def test_an_output_that_cannot_be_is_refused_at_once(tmp_path):
    (tmp_path / "file").touch()
    check_output(tmp_path / "file")
    check_output(tmp_path / "new" / "folder" / "file")
    for path, says in [
        (tmp_path, "is a folder"),
        (tmp_path / "file" / "below.json", "cannot be written"),
    ]:
        with pytest.raises(UsageError, match=says):
            check_output(path)


class Counted(str):
    """A text that counts how often it is compared."""

    __slots__ = ()
    comparisons = 0

    def __eq__(self, other):
        Counted.comparisons += 1
        return str.__eq__(self, other)

    __hash__ = str.__hash__


def test_names_are_told_apart_in_linear_time():
    short = [Counted(f"name {n // 2}" if n < 1000 else f"name {n}") for n in range(4000)]
    long = [f"long {n}" for n in range(4000)]
    assert unless_shared(short, long) == long[:1000] + [str(name) for name in short[1000:]]
    assert Counted.comparisons < 5 * 4000


STOPPABLE = """
    import sys
    from dataclasses import dataclass
    from pathlib import Path
    from ailsr.runtime.commands.command import entry_point
    from ailsr.runtime.files import atomic_output

    @dataclass(frozen=True)
    class Config:
        "Write."
        output: Path

    def main(config):
        with atomic_output(config.output) as temporary:
            temporary.write_text("half")
            print("ready", flush=True)
            sys.stdin.readline()

    entry_point(Config, main)()
"""


@pytest.mark.parametrize(
    ("number", "code", "name"),
    [
        (signal.SIGINT, 130, "Ctrl-C"),
        (signal.SIGTERM, 143, "SIGTERM"),
        (signal.SIGHUP, 129, "SIGHUP"),
    ],
)
def test_a_signal_ends_a_command_in_order(tmp_path, number, code, name):
    def heed():  # the tests themselves may run under nohup
        signal.signal(signal.SIGHUP, signal.SIG_DFL)

    with child(STOPPABLE, tmp_path / "out.txt", preexec_fn=heed) as command:
        command.send_signal(number)
        end = time.monotonic() + 60
        while command.poll() is None and time.monotonic() < end:  # up to its last moment
            command.send_signal(number if number != signal.SIGINT else signal.SIGTERM)
        command.kill()
        said = command.stderr.read()
    assert command.returncode == code
    assert said == f"error: stopped by {name}\n"
    assert list(tmp_path.iterdir()) == []


def test_a_signal_that_is_ignored_stays_ignored(tmp_path):
    def ignore():  # as nohup does
        signal.signal(signal.SIGHUP, signal.SIG_IGN)

    with child(STOPPABLE, tmp_path / "out.txt", preexec_fn=ignore) as command:
        command.send_signal(signal.SIGHUP)
        command.communicate("go on\n")
    assert command.returncode == 0
    assert (tmp_path / "out.txt").read_text() == "half"


def test_the_digest_of_a_folder_is_that_of_its_files(tmp_path):
    digests = set()
    for name, content in (("a", "1"), ("a", "2"), ("b", "2")):
        folder = tmp_path / f"{name}{content}" / "inner"
        folder.mkdir(parents=True)
        (folder / name).write_text(content)
        digests.add(sha256(folder.parent))
        shutil.copytree(folder.parent, tmp_path / "copy")
        assert sha256(tmp_path / "copy") in digests
        shutil.rmtree(tmp_path / "copy")
    assert len(digests) == 3
