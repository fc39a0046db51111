import json
import subprocess
import sys

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from ailsr.train.run_log import RunLog


def curves(folder):
    """(step, value) of each scalar that TensorBoard reads from ``folder``."""
    events = EventAccumulator(str(folder / "tensorboard"))
    events.Reload()
    return {
        name: [(e.step, pytest.approx(e.value, rel=1e-6)) for e in events.Scalars(name)]
        for name in events.Tags()["scalars"]
    }


def lines(folder):
    return [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]


def fill(log, first, last):
    for step in range(first, last + 1):
        log.write("steps", step, loss=1 / step, learning_rate=1e-3)
        if step % 2 == 0:
            log.write("validation", step, psnr=30 + step, mean_importance=step / 10)
            log.write("round", step, mean_importance=step / 10 + 0.2)


def test_the_event_file_holds_the_scalars(tmp_path):
    with RunLog(tmp_path, tensorboard=True) as log:
        log.start()
        log.write("validation", 0, psnr=29.0, mean_importance=None)
        fill(log, 1, 4)
        # read before it is closed: a run that is killed has lost nothing
        assert curves(tmp_path) == {
            "loss": [(step, 1 / step) for step in (1, 2, 3, 4)],
            "learning_rate": [(step, 1e-3) for step in (1, 2, 3, 4)],
            "psnr": [(0, 29), (2, 32), (4, 34)],
            "mean_importance": [(2, 0.2), (4, 0.4)],
        }


def test_steps_after_the_checkpoint_are_replaced(tmp_path):
    with RunLog(tmp_path, tensorboard=True) as log:
        log.start()
        fill(log, 1, 7)
    with (tmp_path / "log.jsonl").open("a") as file:
        file.write('{"event": "ste')  # killed while writing
    with RunLog(tmp_path, tensorboard=True) as log:
        log.resume(4)
        log.write("steps", 5, loss=7.0, learning_rate=1e-3)
        log.write("steps", 8, loss=8.0, learning_rate=1e-3)
    steps = [(e["step"], e["loss"]) for e in lines(tmp_path) if e["event"] == "steps"]
    assert steps == [(1, 1.0), (2, 1 / 2), (3, 1 / 3), (4, 1 / 4), (5, 7.0), (8, 8.0)]
    assert [e["step"] for e in lines(tmp_path) if e["event"] == "validation"] == [2, 4]
    assert curves(tmp_path)["loss"] == steps


def test_a_process_that_keeps_no_log_writes_nothing(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with RunLog(None, tensorboard=True) as log:
        log.start()
        fill(log, 1, 2)
    assert list(tmp_path.iterdir()) == []


def test_without_tensorboard_the_extra_is_named(tmp_path):
    script = (
        "import sys\n"
        "sys.modules['tensorboard'] = None\n"  # as if it were not installed
        "sys.argv = ['ailsr-train', '--tensorboard', '--train', '.', '--output', 'run']\n"
        "from ailsr.train.command import cli\n"
        "cli()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert done.stderr == (
        'error: --tensorboard needs the package tensorboard: pip install "ailsr[tensorboard]"\n'
    )
    assert not (tmp_path / "run").exists()
