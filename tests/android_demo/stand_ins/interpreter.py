"""``python interpreter.py FILE THREADS``: LiteRT, for the ``Interpreter.java`` beside this file.

Reads frames: a letter, a length in bytes (big-endian, of 4), and as many bytes. ``R`` has a shape
of big-endian integers and is answered with the number of bytes of the output, ``I`` has the input's
elements and is answered with the output's.
"""

from __future__ import annotations

import struct
import sys

import numpy as np
from ai_edge_litert.interpreter import Interpreter


def main(path: str, threads: int) -> None:
    """Answer frames until there are no more."""
    frames, answers = sys.stdin.buffer, sys.stdout.buffer
    interpreter = Interpreter(model_path=path, num_threads=threads)
    (source,), (result,) = interpreter.get_input_details(), interpreter.get_output_details()
    while header := frames.read(5):
        kind, length = struct.unpack(">ci", header)
        content = frames.read(length)
        if kind == b"R":
            shape = struct.unpack(f">{length // 4}i", content)
            interpreter.resize_tensor_input(source["index"], shape, strict=False)
            interpreter.allocate_tensors()
            content = struct.pack(">i", interpreter.get_tensor(result["index"]).nbytes)
        else:
            elements = np.frombuffer(content, source["dtype"]).reshape(shape)
            interpreter.set_tensor(source["index"], elements)
            interpreter.invoke()
            content = interpreter.get_tensor(result["index"]).tobytes()
        answers.write(struct.pack(">i", len(content)) + content)
        answers.flush()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
