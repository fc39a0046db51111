"""Two processes on the CPU, started by torchrun as a user starts them."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import skimage.data

from ailsr.runtime.imaging.image import write
from ailsr.train.checkpoint import load
from ailsr.train.recipe import Recipe
from ailsr.train.training import train

TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
COMMAND = str(Path(sys.executable).with_name("ailsr-train"))
COMPILER = pytest.mark.skipif(not shutil.which("g++"), reason="NO COMPILER: apt-get install g++")
SMALL = {
    "network": "sesr_m3", "steps": 24, "batch": 4, "patch": 16, "learning_rate": 1e-3, "warmup": 2,
    "arithmetic": "float32", "threads": 1, "checkpoint_every": 4, "log_every": 4,
}  # fmt: skip


def start(program, cwd, **options):
    """torchrun with ``program`` and ``options`` as flags."""
    flags = [(f"--{k.replace('_', '-')}", str(v)) for k, v in options.items() if v is not True]
    switches = [f"--{k}" for k, v in options.items() if v is True]
    return subprocess.Popen(
        [*TORCHRUN, *program, *(part for flag in flags for part in flag), *switches],
        cwd=cwd, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        env=os.environ | {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""},
    )  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("distributed")
    write(skimage.data.astronaut()[:160, 100:300], folder / "train" / "astronaut.png")
    write(skimage.data.coffee()[50:200, 100:300], folder / "train" / "coffee.png")
    write(skimage.data.chelsea()[60:180, 100:260], folder / "val" / "chelsea.png")
    return folder


def weights(run):
    last = load(run / "last.pt")
    return {
        **last.progress["student"],
        **{f"ema.{k}": v for k, v in last.network.state_dict().items()},
    }


def validations(run):
    entries = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    return [(e["step"], e["mean_importance"] or 0.0, e["psnr"]) for e in entries if "psnr" in e]


@pytest.mark.parametrize(
    ("method", "program", "options"),
    [
        ("mse", [COMMAND], SMALL),
        ("ail", ["-m", "ailsr.train"], SMALL),
        pytest.param("l1", [COMMAND], SMALL | {"compile": True}, marks=COMPILER),
    ],
)
def test_two_processes_train_as_one_does(folder, method, program, options):
    # By Adam: with SOAP, differences by rounding grow past the tolerance below.
    options = options | {"rounds": 3, "method": method, "optimizer": "adam"}
    two = start(program, folder, train="train", val="val", output=f"two_{method}", **options)
    train(
        Recipe(
            output=folder / f"one_{method}", train=[folder / "train"], val=folder / "val", **options
        )
    )
    out, err = two.communicate(timeout=600)
    assert two.returncode == 0, err
    assert out.count("24 steps") == 1  # one process speaks
    assert err.count("round 1/") == 1
    one, other = weights(folder / f"one_{method}"), weights(folder / f"two_{method}")
    for name, tensor in one.items():
        # Adam divides by the size of a gradient: where that is rounding alone, so is the step.
        assert (other[name] - tensor).norm() < 1e-4 * tensor.norm() + 1e-6, name
    curves = [validations(folder / f"{n}_{method}") for n in ("one", "two")]
    assert len(curves[0]) == len(curves[1]) == 3
    for single, double in zip(*curves, strict=True):
        assert double == pytest.approx(single, rel=1e-4)


def test_a_run_stopped_by_ctrl_c_goes_on(folder):
    options = SMALL | {"method": "mse", "steps": 300, "output": "stopped"}
    run = start(["-m", "ailsr.train"], folder, train="train", val="val", **options)
    log = folder / "stopped" / "log.jsonl"
    deadline = time.monotonic() + 100
    while run.poll() is None and time.monotonic() < deadline:
        if log.exists() and '"steps"' in log.read_text():
            break
        time.sleep(0.02)
    run.send_signal(signal.SIGINT)
    _, err = run.communicate(timeout=600)
    assert run.returncode != 0
    assert err.count("stopped by Ctrl-C") == 1, err
    step = load(folder / "stopped" / "last.pt").progress["step"]
    assert 0 < step < 300
    again = start(["-m", "ailsr.train"], folder, output="stopped", resume=True)
    out, err = again.communicate(timeout=600)
    assert again.returncode == 0, err
    assert f"resumed at step {step} of 300" in err
    assert "300 steps" in out


def test_a_killed_process_ends_the_other(folder):
    script = (
        "import os, signal, sys\n"
        "from pathlib import Path\n"
        "from ailsr.train.recipe import Recipe\n"
        "from ailsr.train import training\n"
        "original = training.Run.next_batch\n"
        "def next_batch(self):\n"
        "    if self.state.step == 9 and os.environ['RANK'] == '1':\n"
        "        os.kill(os.getpid(), signal.SIGKILL)\n"
        "    return original(self)\n"
        "training.Run.next_batch = next_batch\n"
        f"options = {SMALL | {'method': 'mse'}}\n"
        "training.train(Recipe(output=Path('killed'), train=[Path('train')], **options))\n"
    )
    (folder / "killed.py").write_text(script)
    run = start(["killed.py"], folder)
    _, err = run.communicate(timeout=600)
    assert run.returncode != 0
    assert "SIGKILL" in err
    assert load(folder / "killed" / "last.pt").progress["step"] == 8


def test_no_thread_of_the_connection_outlives_the_training(folder):
    # One that meets the interpreter's end aborts the process, now and then.
    script = (
        "from pathlib import Path\n"
        "from ailsr.train.recipe import Recipe\n"
        "from ailsr.train.training import train\n"
        f"options = {SMALL | {'method': 'mse'}}\n"
        "train(Recipe(output=Path('threads'), train=[Path('train')], **options))\n"
        "print([t.read_text() for t in Path('/proc/self/task').glob('*/comm')])\n"
    )
    (folder / "threads.py").write_text(script)
    run = start(["threads.py"], folder)
    out, err = run.communicate(timeout=600)
    assert run.returncode == 0, err
    assert "python" in out
    assert "gloo" not in out


def test_a_batch_that_cannot_be_shared_is_one_line(folder):
    run = start([COMMAND], folder, train="train", output="odd", **SMALL | {"batch": 3})
    out, err = run.communicate(timeout=600)
    assert run.returncode == 1
    assert out == ""
    assert err.count("--batch 3 cannot be shared equally by 2 processes") == 1
    assert not (folder / "odd" / "last.pt").exists()
