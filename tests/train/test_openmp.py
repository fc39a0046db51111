"""How PyTorch's threads wait, as its OpenMP library was told when it was loaded."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

TRAIN = (Path(sys.executable).with_name("ailsr-train"), "--help")
EXPORT = (
    Path(sys.executable).with_name("ailsr-export"),
    *("zoo:sesr_m3_x2", "--target=onnx", "--precision=float32", "--input-size=40x40"),
)
PREDICT = (
    Path(sys.executable).with_name("ailsr-fit"),
    *("propose", "--budget-ms=1", "--table=missing.json"),
)


def spins(command, folder, **chosen) -> int:
    """How often a thread looks before it sleeps."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("OMP_WAIT", "GOMP_SPIN"))}
    told = subprocess.run(
        command, cwd=folder, env=kept | {"OMP_DISPLAY_ENV": "VERBOSE"} | chosen,
        capture_output=True, text=True, check=False,
    ).stderr  # fmt: skip
    found = re.search(r"GOMP_SPINCOUNT = '(\d+)'", told)
    if found is None:
        pytest.skip(f"torch's OpenMP is not libgomp: {told[:200]}")
    return int(found[1])


@pytest.mark.parametrize("command", [TRAIN, EXPORT, PREDICT], ids=["train", "export", "fit"])
def test_threads_that_wait_soon_sleep(command, tmp_path):
    assert spins(command, tmp_path) == 1000


def test_the_user_decides(tmp_path):
    assert spins(TRAIN, tmp_path, GOMP_SPINCOUNT="1234") == 1234
    assert spins(TRAIN, tmp_path, OMP_WAIT_POLICY="ACTIVE") > 1_000_000
