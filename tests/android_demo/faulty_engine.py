"""``python faulty_engine.py FAULT FILE THREADS DELEGATE``: ``engine.py`` with delegates that err.

On the CPU it computes what it should; on any other delegate as FAULTS says.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

sys.path.append(str(Path(__file__).parents[2] / "android_demo/core/src/desktop"))

import engine


def without_border(upscaled: np.ndarray) -> np.ndarray:
    inner = np.zeros_like(upscaled)
    inner[:, 2:-2, 2:-2] = upscaled[:, 2:-2, 2:-2]
    return inner


FAULTS = {
    "none": lambda upscaled: upscaled,
    "swapped colours": lambda upscaled: upscaled[..., ::-1],
    "missing border": without_border,
    "wrong scale": lambda upscaled: (upscaled * np.float32(0.98)).astype(upscaled.dtype),
    "not a number": lambda upscaled: np.full_like(upscaled, np.nan),
}
"""What becomes of the output [1, height, width, 3]."""


class FaultyInterpreter(engine.Interpreter):
    """An interpreter whose output is as the fault that the first argument names makes it."""

    def get_tensor(self, tensor_index: int) -> np.ndarray:
        """As of the interpreter."""
        return FAULTS[sys.argv[1]](super().get_tensor(tensor_index))


if __name__ == "__main__":
    path, threads, delegate = sys.argv[2:]
    if delegate != "cpu":
        engine.Interpreter = FaultyInterpreter
    engine.main(path, int(threads), "cpu")
