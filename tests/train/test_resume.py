"""Runs that are stopped, killed or moved: they go on exactly, or say why not."""

import dataclasses
import shutil
import signal
import subprocess
import sys

import pytest
import torch
from PIL import Image
from runs import at, interrupt, kill, log, weights

from ailsr.runtime.errors import TrainingError, UsageError
from ailsr.runtime.imaging.degradation import PHOTO
from ailsr.runtime.stopping import Stopped
from ailsr.train import renewal
from ailsr.train.checkpoint import load
from ailsr.train.command import main
from ailsr.train.training import train


@pytest.mark.parametrize(
    "scheme",
    [
        {"teacher": "zoo"},
        {"teacher": "self"},
        {"importance": "none"},
        {"importance": "paper", "teacher": "self"},
        {"method": "l1"},
        {"method": "l1", "degradation": PHOTO},
        {"degradation": PHOTO, "teacher_sees": "clean"},
        {"degradation": PHOTO, "teacher_sees": "degraded"},
    ],
    ids=["ail", "self", "none", "paper", "l1", "photo", "photo-clean", "photo-degraded"],
)
@pytest.mark.parametrize("stop", [3, 12, 18])
def test_a_stopped_run_goes_on_exactly(recipe, scheme, stop, tmp_path, monkeypatch):
    monkeypatch.setattr(renewal, "EVERY", 5)
    whole = dataclasses.replace(recipe, **scheme, output=tmp_path / "whole")
    train(whole)
    stopped = dataclasses.replace(recipe, **scheme, output=tmp_path / "stopped")

    with pytest.raises(KeyboardInterrupt):
        train(stopped, at(stop, interrupt))
    assert load(stopped.output / "last.pt").progress["step"] == stop
    train(dataclasses.replace(stopped, resume=True))
    for name in ("last.pt", "best.pt"):
        one, other = weights(whole.output / name), weights(stopped.output / name)
        assert all(torch.equal(one[key], other[key]) for key in one)
    first, second = ([e for e in log(r.output) if e["event"] != "steps"] for r in (whole, stopped))
    assert first == second


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_what_ends_a_process_leaves_a_checkpoint(recipe, tmp_path, number, request):
    ignored = signal.signal(number, signal.SIG_DFL)  # under nohup it would be
    request.addfinalizer(lambda: signal.signal(number, ignored))
    recipe = dataclasses.replace(recipe, method="l1", rounds=1, checkpoint_every=1000)
    whole = dataclasses.replace(recipe, output=tmp_path / "whole")
    train(whole)

    def close_terminal():
        for _ in range(2):  # it sends two
            kill(number)

    with pytest.raises(Stopped, match=f"stopped by {number.name}"):
        train(recipe, at(7, close_terminal))
    assert load(recipe.output / "last.pt").progress["step"] in (7, 8)
    assert {f.name for f in recipe.output.iterdir()} == {"last.pt", "log.jsonl", "recipe.toml"}
    train(dataclasses.replace(recipe, resume=True))
    one, other = weights(whole.output / "last.pt"), weights(recipe.output / "last.pt")
    assert all(torch.equal(one[key], other[key]) for key in one)


def test_two_runs_do_not_share_a_folder(recipe):
    recipe = dataclasses.replace(recipe, method="l1", rounds=1)

    def begin():
        with pytest.raises(UsageError, match="is in use by process"):
            train(dataclasses.replace(recipe, steps=5))
        raise KeyboardInterrupt  # as if it were killed

    with pytest.raises(KeyboardInterrupt):
        train(recipe, at(2, begin))
    left = recipe.output / ".ailsr-0.tmp"
    left.mkdir()
    (left / "last.pt").write_text("half")
    card = train(dataclasses.replace(recipe, resume=True))
    assert card["recipe"]["steps"] == card["steps"] == 24
    assert not any(f.name.startswith(".") for f in recipe.output.iterdir())


def test_a_run_goes_on_with_its_images_elsewhere_and_with_no_others(recipe, photos, tmp_path):
    whole = dataclasses.replace(recipe, method="l1", output=tmp_path / "whole")
    train(whole)
    stopped = dataclasses.replace(whole, output=tmp_path / "stopped", resume=False)

    def give_up():
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(stopped, at(12, give_up))
    moved = tmp_path / "moved"
    for folder in ("train", "val"):
        for number, path in enumerate(sorted((photos / folder).iterdir())):
            (moved / folder).mkdir(parents=True, exist_ok=True)
            Image.open(path).save(moved / folder / f"{number}.webp", lossless=True)
    resumed = dataclasses.replace(stopped, resume=True, train=[moved / "train"], val=moved / "val")
    for other, option in [
        ({"train": [moved / "val"]}, "train"),
        ({"train": [moved / "train", moved / "val"]}, "train"),
        ({"val": moved / "train"}, "val"),
    ]:
        with pytest.raises(UsageError, match=f"--{option}: these are not the images"):
            train(dataclasses.replace(resumed, **other))
    train(resumed)
    for name in ("last.pt", "best.pt"):
        one, other = weights(whole.output / name), weights(stopped.output / name)
        assert all(torch.equal(one[key], other[key]) for key in one)


def test_a_run_stopped_before_its_first_step_goes_on_without_its_sources(recipe, tmp_path):
    first = dataclasses.replace(recipe, method="l1", rounds=1, output=tmp_path / "first")
    train(first)
    source = first.output / "best.pt"
    whole = dataclasses.replace(recipe, init=source, teacher=str(source), output=tmp_path / "whole")
    train(whole)
    stopped = dataclasses.replace(whole, output=tmp_path / "stopped")

    with pytest.raises(KeyboardInterrupt):
        train(stopped, at(1, interrupt, "importance"))
    source.unlink()
    train(dataclasses.replace(stopped, resume=True))
    one, other = weights(whole.output / "last.pt"), weights(stopped.output / "last.pt")
    assert all(torch.equal(one[key], other[key]) for key in one)
    assert log(whole.output) == log(stopped.output)


def test_a_checkpoint_without_progress_is_not_resumed(recipe):
    train(dataclasses.replace(recipe, method="l1", rounds=1))
    last = recipe.output / "last.pt"
    content = torch.load(last, weights_only=True)
    for broken in (
        {},
        content["progress"] | {"generator": 5},
        content["progress"] | {"teacher": 5},
    ):
        torch.save(content | {"progress": broken}, last)
        with pytest.raises(TrainingError, match="holds no progress to resume from"):
            train(dataclasses.replace(recipe, method="l1", rounds=1, resume=True))
    last.unlink()
    with pytest.raises(UsageError, match=r"another --output and --init .*best\.pt$"):
        main(dataclasses.replace(recipe, resume=True))


def test_a_killed_run_leaves_a_checkpoint_and_goes_on_exactly(recipe, tmp_path):
    whole = dataclasses.replace(recipe, output=tmp_path / "whole")
    train(whole)
    script = (
        "import os, signal, sys\n"
        "from pathlib import Path\n"
        "from ailsr.train import option_file\n"
        "from ailsr.train.recipe import Recipe\n"
        "from ailsr.train.events import Events\n"
        "from ailsr.train.training import train\n"
        "def kill(activity, done, total, note):\n"
        "    if done == 15: os.kill(os.getpid(), signal.SIGKILL)\n"
        "recipe = Recipe.from_dict(option_file.read(Path(sys.argv[1]), Recipe))\n"
        "train(recipe, Events(progress=kill))\n"
    )
    config = tmp_path / "recipe.toml"
    config.write_text(recipe.to_toml())
    killed = subprocess.run([sys.executable, "-c", script, str(config)], check=False)
    assert killed.returncode == -signal.SIGKILL
    train(dataclasses.replace(recipe, resume=True))
    one, other = weights(whole.output / "last.pt"), weights(recipe.output / "last.pt")
    assert all(torch.equal(one[key], other[key]) for key in one)
    assert log(whole.output) == log(recipe.output)


@pytest.mark.skipif(not shutil.which("g++"), reason="NO COMPILER: apt-get install g++")
def test_a_compiled_run_learns_the_same_and_goes_on_exactly(recipe, tmp_path):
    recipe = dataclasses.replace(recipe, learning_rate=1e-3)
    plain = dataclasses.replace(recipe, output=tmp_path / "plain")
    whole = dataclasses.replace(recipe, compile=True, output=tmp_path / "whole")
    stopped = dataclasses.replace(whole, output=tmp_path / "stopped")
    before, after = (train(r)["validations"] for r in (plain, whole))
    for one, other in zip(before, after, strict=True):
        assert other["psnr"] == pytest.approx(one["psnr"], abs=1e-2)

    with pytest.raises(KeyboardInterrupt):
        train(stopped, at(10, interrupt))
    train(dataclasses.replace(stopped, resume=True))
    one, other = weights(whole.output / "last.pt"), weights(stopped.output / "last.pt")
    assert all(torch.equal(one[key], other[key]) for key in one)
