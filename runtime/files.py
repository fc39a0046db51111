"""Files and folders that are written whole or not at all, and locks on folders."""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
import shutil
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path

from ailsr.runtime.errors import UsageError
from ailsr.runtime.locks import try_lock

_PREFIX, _ENDING = ".ailsr-", ".tmp"
_REPLACED = ".replaced"  # of a temporary folder: where a folder that is replaced goes
_swept: set[Path] = set()
"""Folders that this process has cleared of what others left."""


@contextlib.contextmanager
def atomic_output(path: Path) -> Iterator[Path]:
    """A temporary path with the same name; moved to ``path`` when the block succeeds.

    Works for files and for folders such as ``.mlpackage``. When the block raises (a full disk,
    Ctrl-C), the temporary path is removed and what stood at ``path`` is untouched. It lies in a
    folder of its own beside ``path``; those of processes that were killed are removed when this
    one first writes there. A pipe or a device stays one, and gets what was written.
    """
    if path.exists() and not (path.is_file() or path.is_dir()):  # a pipe, a device
        with tempfile.TemporaryDirectory() as elsewhere:
            temporary = Path(elsewhere, path.name)
            yield temporary
            path.write_bytes(temporary.read_bytes())
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    if (parent := path.parent.absolute()) not in _swept:
        clear_leftovers(parent)
        _swept.add(parent)
    with _temporary_folder(path.parent) as folder:
        temporary = folder / path.name
        yield temporary
        if path.is_dir() and temporary.is_dir():
            _replace_folder(path, temporary, folder / _REPLACED)
        else:
            temporary.replace(path)


def clear_leftovers(folder: Path) -> None:
    """Remove what ``atomic_output`` left in ``folder`` when its process was killed.

    A folder that was moved away there, and not yet replaced, gets its place back.
    """
    for found in folder.glob(f"{_PREFIX}*{_ENDING}"):
        with contextlib.suppress(OSError), _opened(found) as descriptor:
            if try_lock(descriptor):  # a living process holds it
                for old in (found / _REPLACED).glob("*"):
                    if not (folder / old.name).exists():
                        old.rename(folder / old.name)
                remove(found)


def _replace_folder(path: Path, new: Path, aside: Path) -> None:
    """Move the folder ``new`` to ``path``; the old one goes into the folder ``aside`` first, since
    a folder that is not empty cannot be replaced in one step."""
    aside.mkdir()
    old = aside / path.name
    try:
        path.rename(old)
        new.rename(path)
    except BaseException:
        if old.exists() and not path.exists():
            old.rename(path)
        raise


@contextlib.contextmanager
def _temporary_folder(parent: Path) -> Iterator[Path]:
    """A new folder in ``parent``, locked as long as this process lives, then removed."""
    with contextlib.ExitStack() as stack:
        while True:
            folder = parent / f"{_PREFIX}{secrets.token_hex(8)}{_ENDING}"
            stack.callback(remove, folder)  # before it is there: a signal may come in between
            try:
                folder.mkdir(0o700)
            except OSError as error:  # its name would tell the user nothing
                raise type(error)(error.errno, error.strerror, str(parent)) from None
            with contextlib.suppress(OSError):  # where folders cannot be opened, none is cleared
                held = try_lock(stack.enter_context(_opened(folder)))
                if held is False or not folder.exists():  # another clears it at this moment
                    continue
            break
        yield folder


@contextlib.contextmanager
def _opened(folder: Path) -> Iterator[int]:
    only_folders = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_DIRECTORY", 0)
    descriptor = os.open(folder, os.O_RDONLY | only_folders)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def sole_writer(folder: Path) -> Iterator[bool]:
    """Keeps ``folder``, which is made if need be, to this process; whether the file system can.

    The lock is the kernel's and ends with the process, however that ends. Its file, and a folder in
    which nothing was written, are removed at the end. Raises UsageError when another process, on
    this machine or another, has the folder.
    """
    made = [parent for parent in (folder, *folder.parents) if not parent.exists()]
    path = folder / ".lock"
    try:
        with contextlib.ExitStack() as stack:
            while True:
                folder.mkdir(parents=True, exist_ok=True)
                file = stack.enter_context(path.open("a+", encoding="utf-8"))
                if (held := try_lock(file.fileno())) is False:
                    file.seek(0)
                    raise UsageError(
                        f"{folder} is in use by process {file.read(100).strip() or '?'}: wait "
                        "until it has ended, or choose another folder"
                    )
                # One who had it may have removed the file: a lock on that one keeps nobody out.
                with contextlib.suppress(FileNotFoundError):
                    if os.path.samestat(os.fstat(file.fileno()), path.stat()):
                        break
            file.truncate(0)
            file.write(f"{os.getpid()} on {socket.gethostname()}\n")
            file.flush()
            stack.callback(path.unlink, missing_ok=True)  # while it is held
            yield held is not None
    finally:
        for parent in made:
            with contextlib.suppress(OSError):  # something is in it
                parent.rmdir()


def check_output(path: Path) -> None:
    """Raise UsageError when no file can be written to ``path``, as far as that can be known."""
    if path.is_dir():
        raise UsageError(f"{path} is a folder: name a file in it")
    folder = next(parent for parent in path.absolute().parents if parent.exists())
    if not folder.is_dir() or not os.access(path if path.exists() else folder, os.W_OK):
        raise UsageError(f"{path} cannot be written: check its folder, or choose another")


def remove(path: Path) -> None:
    """Remove the file or folder at ``path`` if there is one."""
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def cache_folder() -> Path | None:
    """The folder for files that can be made again; None for a user without a home."""
    caches = os.environ.get("XDG_CACHE_HOME")
    try:
        return (Path(caches) if caches else Path.home() / ".cache") / "ailsr"
    except RuntimeError:
        return None


def sha256(path: Path) -> str:
    """Hexadecimal SHA-256 of the file at ``path``; of a folder, that of its files' digests."""
    if path.is_dir():
        files = sorted(file for file in path.rglob("*") if file.is_file())
        names = (f"{sha256(file)} {file.relative_to(path).as_posix()}\n" for file in files)
        return hashlib.sha256("".join(names).encode()).hexdigest()
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def size_bytes(path: Path) -> int:
    """Size in bytes of a file, or of all files in a folder."""
    if path.is_dir():
        return sum(f.stat().st_size for f in path.rglob("*") if f.is_file())
    return path.stat().st_size
