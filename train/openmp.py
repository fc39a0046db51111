"""Settings of OpenMP, which runs PyTorch's CPU threads."""

from __future__ import annotations

import os


def limit_spinning() -> None:
    """Shorten the spinning of waiting OpenMP threads, unless the environment sets it.

    By default a thread spins for milliseconds before it sleeps, and on a busy machine takes that
    time from the threads it waits for. No spinning at all makes a step on a quiet machine 13 %
    slower. OpenMP reads the setting when torch is imported: call this before.
    """
    if not {"OMP_WAIT_POLICY", "GOMP_SPINCOUNT"} & os.environ.keys():
        os.environ["GOMP_SPINCOUNT"] = "1000"
