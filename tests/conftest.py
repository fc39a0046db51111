"""What the tests share: real pictures."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray


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
