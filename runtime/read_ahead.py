"""Reading ahead: what comes next is made in a thread of its own, up to a number of items."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Generator, Iterable
from functools import partial
from typing import NoReturn, TypeVar

Item = TypeVar("Item")
_WAIT = 0.1  # seconds after which a thread that waits looks whether it is still wanted


def read_ahead(items: Iterable[Item], count: int) -> Generator[Item, None, None]:
    """``items``, of which ``count`` are made ahead in a thread of their own.

    Raises what ``items`` raises, after the items before. The thread ends when the iterator is
    closed, ``items``, if a generator, being closed in it.
    """
    made: queue.Queue[Callable[[], Item] | None] = queue.Queue(count)
    left = threading.Event()

    def put(entry: Callable[[], Item] | None) -> bool:
        while not left.is_set():
            try:
                made.put(entry, timeout=_WAIT)
                return True
            except queue.Full:
                continue
        return False

    def make() -> None:
        source = iter(items)
        try:
            for item in source:
                if not put(lambda item=item: item):  # type: ignore[misc]
                    return
            put(None)
        except BaseException as error:
            put(partial(_reraise, error))
        finally:
            if close := getattr(source, "close", None):
                close()

    thread = threading.Thread(target=make, daemon=True)
    thread.start()
    try:
        while (entry := made.get()) is not None:
            yield entry()
    finally:
        left.set()
        thread.join()


def _reraise(error: BaseException) -> NoReturn:
    raise error
