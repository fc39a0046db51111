"""A trial run of a TFLite file in a process of its own, which a damaged file may end.

``python -m ailsr.runtime.engines.trial FILE`` loads the file and runs it once; ``survives_trial``
reads how that went. Only files without a seal need it. It cannot promise that what went well once
goes well again, and it is no sandbox.
"""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import numpy as np

from ailsr.runtime.errors import AilsrError, ModelError

SECONDS = 120
"""After which a trial has failed: an inference takes seconds at most."""
_REFUSED = 3


def survives_trial(path: Path) -> None:
    """Raise ModelError when the file at ``path`` cannot be run once, or ends the process."""
    command = [sys.executable, "-P", "-m", "ailsr.runtime.engines.trial", str(path)]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, errors="replace", timeout=SECONDS, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise ModelError(
            f"it was still running after {SECONDS} s: it is damaged, or too large for this machine"
        ) from error
    if done.returncode == _REFUSED:
        raise ModelError(done.stdout.strip())
    if done.returncode != 0:
        how = f"exit code {done.returncode}"
        if done.returncode < 0:
            how = signal.Signals(-done.returncode).name
        raise ModelError(
            f"the interpreter crashes on it ({how}): it is damaged, or needs a newer runtime; "
            "copy or convert it again"
        )


def main(path: Path) -> int:
    """Load and run the file; the exit code."""
    from ailsr.runtime.engines.tflite import TFLiteEngine

    try:
        engine = TFLiteEngine(path, threads=1, trusted=True)
        engine.run(np.zeros((*engine.input_size, 3), engine.pixels))
    except AilsrError as error:
        sys.stdout.write(str(error))
        return _REFUSED
    return 0


if __name__ == "__main__":
    raise SystemExit(main(Path(sys.argv[1])))
