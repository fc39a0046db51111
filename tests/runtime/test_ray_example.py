"""The example with Ray, run as it stands there on a cluster of two workers."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from clips import frames_of, write_clip

EXAMPLE = Path(__file__).parents[2] / "examples" / "upscale_with_ray.py"
UPSCALE = [sys.executable, "-c", "from ailsr.runtime.commands.upscale import cli; cli()"]
STARTS = 3
"""Ray gives its own processes 15 s to start, which a busy machine may exceed."""
SECONDS = 300
"""After which a worker that should be there never comes."""


def workers(ancestor: int) -> list[int]:
    """The processes below ``ancestor`` in which Ray makes a part at this moment."""
    parents, working = {}, []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            parents[int(folder.name)] = int(
                (folder / "stat").read_text().rpartition(")")[2].split()[1]
            )
            if (folder / "cmdline").read_bytes().startswith(b"ray::upscale_part"):
                working.append(int(folder.name))
        except OSError:  # it has ended
            continue

    def is_below(process: int | None) -> bool:
        return process is not None and (process == ancestor or is_below(parents.get(process)))

    return [process for process in working if is_below(process)]


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="processes are found in /proc")
def test_ray_survives_the_death_of_a_worker(write_network, photographs, tmp_path):
    pytest.importorskip("ray", reason='RAY NOT TESTED: pip install "ailsr[ray]"')
    pytest.importorskip("av", reason="RAY NOT TESTED: no PyAV")
    picture = photographs["chelsea"]
    frames = [np.ascontiguousarray(picture[n : n + 64, n : n + 96]) for n in range(48)]
    clip = write_clip(tmp_path / "in.mkv", frames, rate=2, options={"g": "10", "sc_threshold": "0"})
    network = write_network("tflite int8 uint8", (64, 96))
    alone = [*UPSCALE, network, clip, "-o", tmp_path / "alone.mkv", "--threads", "1"]
    subprocess.run(alone, check=True, capture_output=True)

    output = tmp_path / "out.mkv"
    command = [sys.executable, EXAMPLE, network, clip, "-o", output, "--parts", "4"]
    for _ in range(STARTS):
        run = subprocess.Popen(
            [*command, "--workers", "2"],
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "RAY_AUTH_MODE": "disabled"},  # else it writes into the home
        )
        try:
            end = time.monotonic() + SECONDS
            while not (found := workers(run.pid)) and run.poll() is None:
                assert time.monotonic() < end, "no worker came"
                time.sleep(0.02)
            if found:
                os.kill(found[0], signal.SIGKILL)
            errors = run.communicate(timeout=SECONDS)[1]
        finally:
            run.kill()
        if found or "timed out during startup" not in errors:
            break
    else:
        pytest.skip(f"RAY NOT TESTED: its cluster did not start in {STARTS} tries, of 30 s each")
    assert found, errors
    assert run.returncode == 0, errors
    assert output.read_bytes() == (tmp_path / "alone.mkv").read_bytes()
    assert len(frames_of(output)) == len(frames)
    assert [f"part {n}/4: " in errors for n in range(1, 5)] == [True] * 4
    assert not output.with_name("out.mkv.parts").exists()
