"""SIGTERM and SIGHUP as exceptions: they end a command as Ctrl-C does, so that it clears up."""

from __future__ import annotations

import contextlib
import ctypes
import signal
import threading
from collections.abc import Callable, Iterator
from types import FrameType

SIGNALS = tuple(
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)
)
"""Those by which a user, a terminal or a system asks a process to end."""


class Stopped(KeyboardInterrupt):
    """The signal that stopped a command; for Ctrl-C it may be a plain KeyboardInterrupt."""

    def __init__(self, number: int = signal.SIGINT) -> None:
        self.number = number

    def __str__(self) -> str:
        is_key = self.number == signal.SIGINT
        return f"stopped by {'Ctrl-C' if is_key else signal.Signals(self.number).name}"


@contextlib.contextmanager
def handled(handle: Callable[[int], None]) -> Iterator[None]:
    """Let ``handle`` take the SIGNALS, but for those that are ignored (nohup), in the main thread.

    Elsewhere signals are the caller's. What ``ignore_more`` has set meanwhile stays.
    """

    def handler(number: int, frame: FrameType | None) -> None:
        handle(number)

    before = {}
    if threading.current_thread() is threading.main_thread():
        for number in SIGNALS:
            if signal.getsignal(number) not in (signal.SIG_IGN, None):
                before[number] = signal.signal(number, handler)
    try:
        yield
    finally:
        for number, old in before.items():
            if signal.getsignal(number) is handler:
                signal.signal(number, old)


@contextlib.contextmanager
def as_exceptions() -> Iterator[None]:
    """Raise Stopped for each of the SIGNALS.

    A terminal that closes sends SIGHUP twice, some systems SIGTERM and SIGHUP: after one of them,
    only Ctrl-C interrupts the clearing up.
    """
    asked: list[int] = []

    def handle(number: int) -> None:
        if number == signal.SIGINT or not asked:
            asked.append(number)
            raise Stopped(number)

    with handled(handle):
        yield


def ignore_more() -> None:
    """Ignore SIGTERM and SIGHUP from now on: a signal ends this process, a second changes nothing.

    Python takes its own handlers away before the process is gone; the system's ignoring stays.
    """
    if threading.current_thread() is not threading.main_thread():
        return
    later = [n for n in SIGNALS if n != signal.SIGINT and signal.getsignal(n) is not None]
    for number in later:  # first in the system alone: what came before still finds its handler
        ctypes.pythonapi.PyOS_setsig(number, ctypes.c_void_p(signal.SIG_IGN))
    for number in later:
        signal.signal(number, signal.SIG_IGN)


@contextlib.contextmanager
def restored() -> Iterator[None]:
    """Set the SIGNALS' handlers back at the end, for a command inside a process that goes on."""
    before = {number: signal.getsignal(number) for number in SIGNALS}
    try:
        yield
    finally:
        if threading.current_thread() is threading.main_thread():
            for number, old in before.items():
                if old is not None:
                    signal.signal(number, old)
