"""Threads of PyTorch that do not hinder each other."""

from __future__ import annotations

import os


def let_waiting_threads_sleep() -> None:
    """Let OpenMP's threads soon sleep until the others are done, unless the user has said how long
    they spin before.

    By default they spin for milliseconds, on a busy machine in the very time that the others need.
    (Not to spin at all costs a step on a quiet machine some 13 %.) OpenMP reads this once, as torch
    is loaded: call it before.
    """
    if not {"OMP_WAIT_POLICY", "GOMP_SPINCOUNT"} & os.environ.keys():
        os.environ["GOMP_SPINCOUNT"] = "1000"
