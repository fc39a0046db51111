"""The part of an ssh device that runs on the device: sent there as text, run by its Python.

The standard library only, and the syntax of old versions, so that any Python 3 can say what it
lacks. Standard input and output carry JSON lines. The agent greets with what it is and has; then

    {"store": name, "bytes": n, "unpack": bool} and n bytes    ->  {"stored": name}
    {"run": plan, "code": name, "pictures": {path: name}}    ->  {"what": ..., "done": x, ...}
                                                                   {"report": document}

or ``{"error": why}``. Names are the SHA-256 of the content and an ending; what is stored stays in
``~/.cache/ailsr`` for the next run. Everything else lies in a folder of the session, which goes
with it. The other side sends an empty line now and then: when none comes for ``PATIENCE`` seconds,
or standard input ends, the session ends with all its processes.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import json
import os
import platform
import shutil
import signal
import sys
import tempfile
import threading
import time
import zipfile
from pathlib import Path
from typing import Any

PATIENCE = 60
"""Seconds without a sign of life after which the other side counts as gone."""
CACHE = Path.home() / ".cache" / "ailsr"
FILES = CACHE / "files"
SESSIONS = CACHE / "sessions"
STALE = 24 * 3600
"""Age in seconds of a session's folder that a device has left behind that lost its power."""


def main() -> None:
    """Serve one session."""
    os.umask(0o077)
    if os.getpgrp() != os.getpid():
        os.setpgid(0, 0)
    output = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # who prints, prints to standard error

    def emit(**message: object) -> None:
        with contextlib.suppress(BrokenPipeError):  # _listen tells that the link is gone
            output.write(json.dumps(message) + "\n")

    session = None
    try:
        FILES.mkdir(parents=True, exist_ok=True)
        SESSIONS.mkdir(exist_ok=True)
        _remove_stale()
        session = Path(tempfile.mkdtemp(dir=SESSIONS))
        _end_with_the_link(session)
        emit(
            agent=1,
            python=platform.python_version(),
            missing=[m for m in ("numpy", "PIL") if importlib.util.find_spec(m) is None],
            stored=sorted(path.name for path in FILES.iterdir()),
        )
        for line in sys.stdin.buffer:
            message = json.loads(line)
            if "store" in message:
                _store(message, session)
                emit(stored=message["store"])
            elif "run" in message:
                threading.Thread(target=_listen, daemon=True).start()
                emit(report=_run(message, session, emit))
                break
    except OSError as error:
        where = f" ({error.filename})" if error.filename else ""
        emit(error=f"{error.strerror or error}{where}", errno=error.errno)
    except Exception as error:
        emit(error=f"{type(error).__name__}: {error}")
    if session is not None:
        shutil.rmtree(session, ignore_errors=True)
    os._exit(0)  # a thread still waits for input


def _store(message: dict[str, Any], session: Path) -> None:
    """Take a file from standard input; it gets its name when it is whole."""
    name, left = message["store"], message["bytes"]
    part, digest = session / name, hashlib.sha256()
    with part.open("wb") as file:
        while left:
            chunk = sys.stdin.buffer.read(min(left, 1 << 16))
            if not chunk:
                os.kill(os.getpid(), signal.SIGTERM)
            signal.alarm(PATIENCE)
            digest.update(chunk)
            file.write(chunk)
            left -= len(chunk)
    if digest.hexdigest() != name.partition(".")[0]:
        raise ValueError(f"{name} was damaged on its way: try again")
    if message["unpack"]:
        folder = part.with_name("unpacked")
        with zipfile.ZipFile(part) as archive:
            archive.extractall(folder)
        with contextlib.suppress(FileExistsError):  # another session was faster
            folder.rename(FILES / name)
    else:
        part.replace(FILES / name)


def _run(message: dict[str, Any], session: Path, emit: Any) -> dict[str, Any]:  # noqa: ANN401
    """The report of a run of the harness, with the code that was sent."""
    code = str(FILES / message["code"])
    sys.path.insert(0, code)
    os.environ["PYTHONPATH"] = os.pathsep.join(
        filter(None, [code, os.environ.get("PYTHONPATH")])
    )  # for the workers
    from ailsr.runtime.bench.harness import Plan, measure_files
    from ailsr.runtime.bench.report_document import to_document

    plan = message["run"]
    plan["files"] = [str(FILES / name) for name in plan["files"]]
    if message["pictures"]:
        plan["images"] = str(session / "pictures")
        for path, name in message["pictures"].items():
            picture = session / "pictures" / path
            picture.parent.mkdir(parents=True, exist_ok=True)
            picture.symlink_to(FILES / name)
    results = measure_files(Plan(**plan), lambda what, done, of: emit(what=what, done=done, of=of))
    return to_document(results)


def _end_with_the_link(session: Path) -> None:
    """End this process and its workers when the other side goes, or a signal asks for it."""

    def end(*_: object) -> None:
        shutil.rmtree(session, ignore_errors=True)
        os.killpg(0, signal.SIGKILL)

    for number in (signal.SIGALRM, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, end)
    signal.alarm(PATIENCE)


def _listen() -> None:
    """Wait for signs of life while the harness runs."""
    while os.read(0, 4096):
        signal.alarm(PATIENCE)
    os.kill(os.getpid(), signal.SIGTERM)


def _remove_stale() -> None:
    for folder in SESSIONS.iterdir():
        with contextlib.suppress(OSError):
            if time.time() - folder.stat().st_mtime > STALE:
                shutil.rmtree(folder)


if __name__ == "__main__":
    main()
