import dataclasses
import math
import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import skimage.data
import torch
from runs import at, interrupt, weights

from ailsr.runtime.engines.named_files import resolve
from ailsr.runtime.errors import ImageError, ModelError, TrainingError, UsageError
from ailsr.runtime.imaging.degradation import PHOTO, Degradation
from ailsr.runtime.imaging.degradation_steps import Blur, Jpeg, Resize
from ailsr.runtime.imaging.image import write
from ailsr.runtime.imaging.protocol import evaluate, pairs
from ailsr.runtime.imaging.resize import enlarge
from ailsr.train.checkpoint import load, training_summary
from ailsr.train.events import Events
from ailsr.train.networks import create
from ailsr.train.recipe import Recipe
from ailsr.train.state import State
from ailsr.train.training import Run, train


def test_rounds_of_the_paper_raise_the_importance(recipe):
    card = train(dataclasses.replace(recipe, importance="paper", teacher="self"))
    means = [v["mean_importance"] for v in card["validations"]]
    assert means[0] is None  # plain training comes first, to be its own teacher
    assert len(means) == 4
    assert 0 < means[1] < means[2] < means[3] <= 1
    assert card["steps"] == 24
    assert (recipe.output / "recipe.toml").exists()


def test_training_beats_bicubic(recipe, photos):
    longer = {"steps": 300, "batch": 8, "patch": 24, "learning_rate": 1e-3, "ema": 0.98}
    card = train(dataclasses.replace(recipe, **longer, rounds=1, method="mse", warmup=10))
    validation = list(pairs(photos / "val", 2))
    plain = evaluate(lambda lr: enlarge(lr, 2), validation)
    assert card["validations"][-1]["psnr"] > plain.psnr_db + 0.3


def test_abpn_keeps_its_relus_open(recipe, photos):
    # Without a start as the identity all but one of a layer shut before the first hundred steps.
    settings = {"network": "abpn", "method": "l1", "rounds": 1, "warmup": 100, "ema": 0.9}
    longer = {"steps": 150, "learning_rate": 1e-3, "log_every": 50}
    card = train(dataclasses.replace(recipe, **settings, **longer))
    anchor = evaluate(lambda lr: lr.repeat(2, 0).repeat(2, 1), list(pairs(photos / "val", 2)))
    assert card["validations"][-1]["psnr"] > anchor.psnr_db + 0.5


@pytest.mark.parametrize(("gradient", "fraction"), [(0.0, 1), (1e-10, 1), (1e-4, 0)])
def test_channels_with_hardly_a_gradient_are_dead(gradient, fraction):
    network = create("abpn", 2)
    for parameter in network.parameters():
        parameter.grad = torch.full_like(parameter, 1e-2 if parameter.ndim == 1 else gradient)
    state = State(network, network, torch.optim.Adam(network.parameters()), torch.Generator())
    assert state.dead_channel_fraction() == fraction


def test_a_network_of_dead_relus_stops_the_run(recipe):
    settings = {"optimizer": "adam", "method": "l1", "rounds": 1, "steps": 200, "log_every": 20}
    with pytest.raises(TrainingError, match=r"no longer learns .* lower --learning-rate \(0.1\)"):
        train(dataclasses.replace(recipe, **settings, learning_rate=0.1))


@pytest.mark.parametrize("rate", [0.1, 1e30])
def test_a_run_that_diverges_stops(recipe, rate):
    settings = {"method": "l1", "rounds": 1, "steps": 100, "learning_rate": rate}
    with pytest.raises(TrainingError, match=r"at step \d+: .*lower --learning-rate"):
        train(dataclasses.replace(recipe, **settings))


def test_a_gradient_that_is_not_finite_stops_the_run(recipe, monkeypatch):
    loss = Run._loss
    monkeypatch.setattr(Run, "_loss", lambda *given: loss(*given) * math.inf)
    with pytest.raises(TrainingError, match=r"the loss is nan at step 4: lower --learning-rate"):
        train(dataclasses.replace(recipe, method="l1", rounds=1))


@pytest.mark.parametrize("optimizer", ["soap", "adam"])
def test_each_optimiser_has_a_learning_rate_of_its_own(recipe, optimizer):
    settings = {"learning_rate": None, "method": "l1", "rounds": 1, "steps": 4}
    recipe = dataclasses.replace(recipe, optimizer=optimizer, **settings)
    assert train(recipe)["recipe"]["learning_rate"] == {"soap": 6e-3, "adam": 1e-3}[optimizer]


def test_soap_trains_sesr_in_its_fused_form(recipe):
    deployed = sum(p.numel() for p in create("sesr_m3", 2).fuse().parameters())
    for optimizer in ("soap", "adam"):
        folder = recipe.output / optimizer
        settings = {"method": "l1", "rounds": 1, "steps": 2}
        train(dataclasses.replace(recipe, optimizer=optimizer, output=folder, **settings))
        last = load(folder / "last.pt")
        assert last.fused == (optimizer == "soap")
        count = sum(p.numel() for p in last.network.parameters())
        assert (count == deployed) == last.fused


def test_pictures_that_cannot_judge_a_round_are_left_out_before_the_first(recipe, photos, tmp_path):
    mixed = tmp_path / "mixed"
    shutil.copytree(photos / "val", mixed)
    write(skimage.data.coffee()[:10, :10], mixed / "small.png")
    (mixed / "broken.png").write_bytes((photos / "val" / "chelsea.png").read_bytes()[:500])
    said = []
    settings = {"method": "l1", "rounds": 1, "steps": 2}
    recipe = dataclasses.replace(recipe, val=mixed, **settings)
    card = train(recipe, Events(say=said.append))
    assert card["validations"][0]["psnr"] > 20
    assert said[0].startswith("left out of --val: 2, the first: ")
    for path in mixed.iterdir():
        if path.name != "small.png":
            path.unlink()
    with pytest.raises(ImageError, match=r"none of the images .* 10x10 pixels, too few"):
        train(dataclasses.replace(recipe, output=tmp_path / "none"))
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB.\nMore"),
        RuntimeError("[enforce fail at alloc_cpu.cpp:124] can't allocate memory: 9 bytes"),
    ],
)
def test_too_little_memory_is_one_line(recipe, monkeypatch, error):
    def train_step(*arguments: object) -> None:
        raise error

    monkeypatch.setattr(Run, "train_step", train_step)
    with pytest.raises(TrainingError, match=r"memory is full .* lower --batch") as caught:
        train(recipe)
    assert "\n" not in str(caught.value)


def test_without_a_compiler_compile_is_one_line(photos, tmp_path):
    command = [
        Path(sys.executable).with_name("ailsr-train"), "--compile", "--network", "sesr_m3",
        "--train", photos / "train", "--patch", "16", "--method", "l1", "--device", "cpu",
        "--output", tmp_path / "run", "--steps", "5",
    ]  # fmt: skip
    nowhere = {"CXX": str(tmp_path / "c++"), "TORCHINDUCTOR_CACHE_DIR": str(tmp_path / "cache")}
    done = subprocess.run(command, env=os.environ | nowhere, capture_output=True, text=True)
    assert done.returncode == 1
    (line,) = (line for line in done.stderr.splitlines() if line.startswith("error"))
    assert "cannot be compiled here" in line
    assert "leave out --compile" in line and "--config a file of compile = false" in line
    assert not (tmp_path / "run" / "best.pt").exists()
    (tmp_path / "plain.toml").write_text("compile = false")
    command = [command[0], "--resume", "--config", tmp_path / "plain.toml", *command[-4:-2]]
    done = subprocess.run(command, env=os.environ | nowhere, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_a_teacher_of_another_colour_and_network_serves(recipe, tmp_path):
    teacher = dataclasses.replace(
        recipe, network="quicksrnet_small", method="l1", output=tmp_path / "teacher"
    )
    train(teacher)
    taught = dataclasses.replace(
        recipe, teacher=str(teacher.output / "best.pt"), output=tmp_path / "taught"
    )
    card = train(dataclasses.replace(taught, importance="paper"))
    means = [v["mean_importance"] for v in card["validations"]]
    assert len(means) == 3
    assert 0 < means[0] < means[-1] <= 1
    drawn = train(dataclasses.replace(taught, output=tmp_path / "drawn"))
    assert all(0 < v["mean_importance"] < 0.1 for v in drawn["validations"])


def test_a_student_comes_to_lack_less_of_its_teacher(photos, recipe):
    longer = dataclasses.replace(recipe, steps=150, learning_rate=1e-3, ema=0.9, batch=8)
    lacks = [v["mean_importance"] for v in train(longer)["validations"]]
    assert len(lacks) == 3
    assert lacks[2] < 0.9 * lacks[1]  # the first is that of plain enlargement


def test_init_starts_from_given_weights_and_teaches(recipe, tmp_path):
    first = dataclasses.replace(recipe, method="mse", output=tmp_path / "first")
    train(first)
    second = dataclasses.replace(
        recipe, init=first.output / "best.pt", learning_rate=1e-9, final_learning_rate=1e-9,
        teacher="self", output=tmp_path / "second",
    )  # fmt: skip
    card = train(second)
    assert len(card["validations"]) == 3  # no plain round: the given weights are the teacher
    one, other = weights(first.output / "best.pt"), weights(second.output / "best.pt")
    assert all(torch.allclose(one[k], other[k], atol=1e-5) for k in one)


def test_runs_that_cannot_start_say_why(recipe, photos, tmp_path):
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(ImageError, match="empty"):
        train(dataclasses.replace(recipe, train=[empty]))
    with pytest.raises(TrainingError, match="--patch"):
        train(dataclasses.replace(recipe, patch=400))
    with pytest.raises(ModelError, match="no such checkpoint"):
        train(dataclasses.replace(recipe, resume=True))
    with pytest.raises(UsageError, match="cannot be used here"):
        train(dataclasses.replace(recipe, device="nonsense"))
    other = dataclasses.replace(recipe, scale=3, method="mse", output=tmp_path / "x3")
    train(other)
    with pytest.raises(UsageError, match="enlarges 3 times"):
        train(dataclasses.replace(recipe, teacher=str(other.output / "best.pt")))


def test_a_loss_that_is_not_finite_stops_the_run(recipe):
    with pytest.raises(TrainingError, match="--learning-rate"):
        train(dataclasses.replace(recipe, method="mse", learning_rate=1e30, clip=1e30))


def test_a_degradation_of_ones_own_is_kept_in_recipe_and_card(recipe, tmp_path):
    steps = (Blur(sigma=(0.2, 0.8)), Resize(), Jpeg(quality=(70, 95), subsampling=("4:2:0",)))
    scanner = Degradation("scanner", steps, clean=0.2)
    recipe = dataclasses.replace(recipe, method="l1", rounds=1, steps=4, degradation=scanner)
    card = train(recipe)
    assert card["validations"][-1]["protocol"] == "Y-shave-s/scanner-1"
    for name in ("best.pt", "last.pt"):
        stored = load(recipe.output / name).card
        assert Recipe.from_dict(stored["recipe"]).degradation == scanner
        assert training_summary(stored)["degradation"] == "scanner-1"
    again = tomllib.loads((recipe.output / "recipe.toml").read_text())
    assert Degradation.from_json(again["degradation"]) == scanner


def test_a_file_of_any_engine_teaches_as_its_network_does(recipe, tmp_path):
    recipe = dataclasses.replace(recipe, optimizer="adam")  # less chaotic
    file = resolve(Path("zoo:sesr_m3_x2"), say=lambda text: None)
    teacher = Path(shutil.copy(file, tmp_path / "teacher.onnx"))
    by_file = dataclasses.replace(recipe, teacher=str(teacher), output=tmp_path / "file")
    card = train(by_file)
    network = dataclasses.replace(recipe, teacher="zoo:sesr_m3_x2", output=tmp_path / "network")
    for one, other in zip(card["validations"], train(network)["validations"], strict=True):
        # at the border of an image the file sees its mirror image, the network zeros
        assert one["mean_importance"] == pytest.approx(other["mean_importance"], rel=0.05)
        assert one["psnr"] == pytest.approx(other["psnr"], abs=0.1)

    with pytest.raises(UsageError, match="whole images"):
        dataclasses.replace(by_file, degradation=PHOTO, teacher_sees="degraded")
    again = dataclasses.replace(by_file, output=tmp_path / "again")
    with pytest.raises(KeyboardInterrupt):
        train(again, at(7, interrupt))
    shutil.copy(teacher, tmp_path / "kept.onnx")
    shutil.copy(resolve(Path("zoo:quicksrnet_small_research_x2"), say=lambda text: None), teacher)
    with pytest.raises(UsageError, match="another file"):
        train(dataclasses.replace(again, resume=True))
    shutil.copy(tmp_path / "kept.onnx", teacher)
    train(dataclasses.replace(again, resume=True))
    one, other = weights(by_file.output / "last.pt"), weights(again.output / "last.pt")
    assert all(torch.equal(one[key], other[key]) for key in one)


def test_the_number_of_threads_is_that_of_the_run_alone(recipe):
    before = torch.get_num_threads()
    within = []
    events = Events(progress=lambda *_: within.append(torch.get_num_threads()))
    train(dataclasses.replace(recipe, threads=before + 1), events)
    assert set(within) == {before + 1}
    assert torch.get_num_threads() == before
