"""The run of a file that ``trial.py`` judges: ``python -m ailsr.runtime.engines.trial_run``.

Arguments: the file, the engine's name or nothing, the bytes of memory that it may take.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ailsr.runtime.engines.engine import ACCELERATORS
from ailsr.runtime.engines.layouts import CHANNELS
from ailsr.runtime.engines.registry import open_engine
from ailsr.runtime.engines.trial import OUT_OF_MEMORY, REFUSED
from ailsr.runtime.errors import AilsrError


def _limit_memory(memory: int) -> None:
    """Let allocations fail that exceed ``memory``, on systems that can."""
    with contextlib.suppress(ImportError, ValueError, OSError):
        import resource

        resource.setrlimit(resource.RLIMIT_DATA, (memory, memory))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def main(arguments: Sequence[str]) -> int:
    """Load and run the file; the exit code."""
    path, engine, memory = arguments
    if engine not in ACCELERATORS:  # drivers of these reserve far more than they use
        _limit_memory(int(memory))
    try:
        opened = open_engine(Path(path), 1, trusted=True, engine=engine or None)
        opened.run(np.zeros((*opened.input_size, CHANNELS[opened.layout]), opened.io_dtype))
    except MemoryError:
        return OUT_OF_MEMORY
    except AilsrError as error:
        whole = f"{error} {error.__cause__}"  # which the error may shorten
        if "bad_alloc" in whole or "bad allocation" in whole or "Failed to allocate" in whole:
            return OUT_OF_MEMORY
        sys.stdout.write(str(error).removeprefix(f"{path}: "))
        return REFUSED
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
