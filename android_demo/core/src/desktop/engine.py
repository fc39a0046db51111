"""``python engine.py FILE THREADS DELEGATE``: an engine behind a pipe, for the core on a desktop.

Serves frames on standard input and output as ``PipeEngine.java`` describes. It hands elements to
the interpreter and back, and knows nothing of ailsr: what the core reads from a file is thereby
put to the test.
"""

from __future__ import annotations

import os
import struct
import sys
from importlib.metadata import version

import numpy as np
from ai_edge_litert.interpreter import Interpreter


def main(path: str, threads: int, delegate: str) -> None:
    """Answer frames until there are no more."""
    frames = sys.stdin.buffer
    # The interpreter may print: standard output stays ours alone.
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)

    def answer(content: bytes, sign: int = 1) -> None:
        answers.write(struct.pack(">i", sign * len(content)) + content)
        answers.flush()

    try:
        if delegate != "cpu":
            raise ValueError(f"no delegate {delegate!r} on a desktop: use cpu")
        interpreter = Interpreter(model_path=path, num_threads=threads)
        source, result = (
            details[0]
            for details in (interpreter.get_input_details(), interpreter.get_output_details())
        )
        interpreter.allocate_tensors()
        shape = tuple(source["shape"])
        channels = int(shape[3])
        element = np.dtype(source["dtype"])
        answer(f"ai-edge-litert {version('ai-edge-litert')}".encode())
        while header := frames.read(8):
            wanted = (1, *struct.unpack(">2i", header), channels)
            pixels = np.frombuffer(frames.read(int(np.prod(wanted)) * element.itemsize), element)
            if wanted != shape:
                interpreter.resize_tensor_input(source["index"], wanted)
                interpreter.allocate_tensors()
                shape = wanted
            interpreter.set_tensor(source["index"], pixels.reshape(wanted))
            interpreter.invoke()
            answer(interpreter.get_tensor(result["index"]).tobytes())
    except (RuntimeError, ValueError) as error:
        answer(f"the interpreter failed: {error}".encode(), -1)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), sys.argv[3])
