"""What the tests share: real images, and an old environment."""

from __future__ import annotations

import os
import signal
import subprocess
import venv
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from environments import alone
from hypothesis import settings
from numpy.typing import NDArray

from ailsr.runtime.stopping import restored
from ailsr.train.openmp import limit_spinning

limit_spinning()  # no test has loaded torch yet
ROOT = Path(__file__).parents[1]
# Started in the background, a process ignores Ctrl-C, and so would all that it starts.
signal.signal(signal.SIGINT, signal.default_int_handler)
# A busy machine takes its time.
settings.register_profile("ailsr", deadline=None)
settings.load_profile("ailsr")
OLD_PACKAGES = ("tflite-runtime==2.14.0", "numpy<2", "pillow")


@pytest.fixture(autouse=True)
def signals() -> Iterator[None]:
    """Signals as they were: a command that was stopped ignores them to its process's end."""
    with restored():
        yield


@pytest.fixture(scope="session")
def data() -> Path:
    """The folder named by AILSR_DATA: Set5, Set14 and the training sets."""
    folder = Path(os.environ.get("AILSR_DATA") or "unset")
    if not (folder / "benchmark").is_dir():
        pytest.skip(f"no benchmark images: AILSR_DATA is {folder}")
    return folder


@pytest.fixture(scope="session")
def photographs() -> dict[str, NDArray[np.uint8]]:
    """Photographs that come with scikit-image, H×W×3, by name."""
    from skimage import data

    return {"astronaut": data.astronaut(), "chelsea": data.chelsea(), "rocket": data.rocket()}


@pytest.fixture(scope="session")
def old_python() -> Path:
    """The Python of an environment with tflite-runtime 2.14, and hardly more."""
    folder = ROOT / "build" / "tflite-runtime-2.14"
    python = folder / "bin" / "python"
    check = [python, "-c", "import tflite_runtime.interpreter, PIL"]
    with alone(folder):
        if not python.exists() or subprocess.run(check, capture_output=True).returncode:
            venv.create(folder, with_pip=True, clear=True)
            install = [python, "-m", "pip", "install", "--quiet", *OLD_PACKAGES]
            done = subprocess.run(install, capture_output=True, text=True)
            if done.returncode:
                reason = done.stderr.strip()[-300:]
                pytest.skip(f"OLD RUNTIME NOT TESTED, no {OLD_PACKAGES[0]}: {reason}")
    return python
