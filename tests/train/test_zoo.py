from pathlib import Path

import pytest
import skimage.data
import torch

from ailsr.runtime.errors import UsageError
from ailsr.runtime.imaging.image import write
from ailsr.train import option_file, zoo
from ailsr.train.checkpoint import Checkpoint, load, save
from ailsr.train.command import cli
from ailsr.train.digest import weights_digest
from ailsr.train.networks import create
from ailsr.train.recipe import Recipe
from ailsr.train.training import train
from ailsr.train.zoo.__main__ import ZooEntry, main


@pytest.fixture
def filled(tmp_path, monkeypatch):
    """A zoo of two, in place of the package's."""
    monkeypatch.setattr(zoo, "FOLDER", tmp_path)
    for name, scale in (("sesr_m5", 2), ("abpn", 3)):
        torch.manual_seed(1)  # not that of a run, which would start with the same weights
        save(Checkpoint(create(name, scale), {}), tmp_path / f"{name}_x{scale}.pt")
    return tmp_path


def test_names_lead_to_checkpoints(filled):
    assert zoo.names() == ["abpn_x3", "sesr_m5_x2"]
    assert zoo.path("abpn_x3") == zoo.resolve("zoo:abpn_x3") == filled / "abpn_x3.pt"
    assert zoo.resolve(Path("zoo:abpn_x3")) == filled / "abpn_x3.pt"
    assert load(zoo.path("sesr_m5_x2")).network.scale == 2
    assert zoo.resolve("runs/best.pt") == Path("runs/best.pt")


def test_training_starts_from_the_zoo(filled, tmp_path):
    write(skimage.data.coffee()[50:120, 100:200], tmp_path / "photos" / "coffee.png")
    recipe = Recipe(
        network="sesr_m5", train=[tmp_path / "photos"], output=tmp_path / "run", rounds=2, steps=2,
        batch=1, patch=16, threads=1, init=Path("zoo:sesr_m5_x2"), teacher="zoo:sesr_m5_x2",
        learning_rate=1e-9, final_learning_rate=1e-9,
    )  # fmt: skip
    card = train(recipe)
    assert card["recipe"]["init"] == card["recipe"]["teacher"] == "zoo:sesr_m5_x2"
    assert Recipe.from_dict(card["recipe"]) == recipe
    assert card["digests"]["teacher"] == weights_digest(load(zoo.path("sesr_m5_x2")).network)
    files = zoo.path("sesr_m5_x2"), tmp_path / "run" / "best.pt"
    start, end = (load(file).network.fuse().state_dict() for file in files)
    for name, tensor in start.items():
        torch.testing.assert_close(end[name], tensor, atol=1e-7, rtol=0)


def test_networks_that_know_their_teacher_were_taught_by_that_of_the_zoo():
    cards = {name: load(zoo.path(name)).card for name in zoo.names()}
    taught = {n: c for n, c in cards.items() if c.get("digests", {}).get("teacher")}
    assert {"sesr_m3_x2", "sesr_m5_x2", "sesr3_m4_w32_x2"} <= taught.keys()
    for card in taught.values():
        teacher = load(zoo.resolve(card["recipe"]["teacher"])).network
        assert card["digests"]["teacher"] == weights_digest(teacher)


def test_a_finished_run_is_shipped(tmp_path, monkeypatch):
    monkeypatch.setattr(zoo, "FOLDER", tmp_path / "zoo")
    write(skimage.data.coffee()[50:120, 100:200], tmp_path / "photos" / "coffee.png")
    recipe = Recipe(
        network="sesr_m3", scale=3, train=[tmp_path / "photos"], output=tmp_path / "run",
        method="l1", steps=2, batch=1, patch=16, threads=1,
    )  # fmt: skip
    train(recipe)
    main(ZooEntry(tmp_path / "run"))
    shipped = load(zoo.path("sesr_m3_x3"))
    assert shipped.fused
    assert zoo.path("sesr_m3_x3").stat().st_size < 100_000
    assert (
        Recipe(**option_file.read(tmp_path / "zoo" / "sesr_m3_x3.toml", Recipe)).to_dict()
        == recipe.to_dict()
    )
    before = sorted((tmp_path / "zoo").iterdir())
    for name in ("sesr_m3_x2", "sesr_m3", "../sesr_m3_x3", "a b_x3"):
        with pytest.raises(UsageError, match="with the scale at its end, like sesr_m3_research_x3"):
            main(ZooEntry(tmp_path / "run", name))
    card = load(tmp_path / "run" / "best.pt").card
    network = create("sesr_m3", 3)
    save(Checkpoint(network, {}), tmp_path / "run" / "best.pt")
    with pytest.raises(UsageError, match="does not say how it was trained"):
        main(ZooEntry(tmp_path / "run"))
    network.reference = "nowhere_to_be_found:Net"
    save(Checkpoint(network, card), tmp_path / "run" / "best.pt")
    with pytest.raises(UsageError, match="the zoo holds those of ailsr alone"):
        main(ZooEntry(tmp_path / "run"))
    assert sorted((tmp_path / "zoo").iterdir()) == before


@pytest.mark.parametrize("name", ["zoo:sesr_m5_x3", "zoo:../abpn_x3", "zoo:"])
def test_an_unknown_name_lists_what_there_is(filled, name):
    (filled / "abpn_x4.pt").touch()
    with pytest.raises(UsageError, match=r"it has abpn_x3, x4; sesr_m5_x2$"):
        zoo.resolve(name)


def test_a_name_without_its_scale_gets_those_that_there_are(filled):
    (filled / "abpn_x4.pt").touch()
    with pytest.raises(UsageError, match=r"\(did you mean zoo:abpn_x3, x4\?\)"):
        zoo.resolve("zoo:abpn")


def test_a_network_that_is_not_free_to_use_is_named_in_full(filled):
    (filled / "abpn_x3.pt").rename(filled / "abpn_research_x3.pt")
    (filled / "abpn_photo_x3.pt").touch()
    with pytest.raises(UsageError, match=r"\(did you mean zoo:abpn_research_x3\?\)"):
        zoo.resolve("zoo:abpn_x3")


def test_an_empty_zoo_says_so(tmp_path, monkeypatch):
    monkeypatch.setattr(zoo, "FOLDER", tmp_path)
    with pytest.raises(UsageError, match="the zoo of this ailsr is empty"):
        zoo.path("sesr_m5_x2")


def test_what_the_package_ships_loads_under_its_name():
    for name in zoo.names():
        assert zoo.path(name).stat().st_size < 1_000_000
        network = load(zoo.path(name)).network
        assert name.startswith(network.name)
        assert name.endswith(f"_x{network.scale}")


@pytest.mark.parametrize("name", zoo.names())
def test_what_the_package_ships_has_the_recipe_it_was_made_by(name, tmp_path, monkeypatch, capsys):
    path = zoo.FOLDER / f"{name}.toml"
    values = option_file.read(path, Recipe)
    assert name.startswith(values["network"])
    assert name.endswith(f"_x{values['scale']}")
    assert load(zoo.path(name)).card["steps"] == values["steps"]
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", ["ailsr-train", "--config", str(path)])
    with pytest.raises(SystemExit) as end:
        cli()
    assert end.value.code == 1
    assert values["val"] in capsys.readouterr().err  # all it lacks here are the images


@pytest.mark.parametrize("name", zoo.names())
def test_a_network_names_the_licence_of_all_that_it_has_seen(name):
    card = load(zoo.path(name)).card
    seen = [Path(folder).name for folder in card["recipe"]["train"]]
    assert [text.partition(":")[0] for text in card["recipe"]["licence"]] == seen
    recipe = option_file.read(zoo.FOLDER / f"{name}.toml", Recipe)
    assert recipe["licence"] == card["recipe"]["licence"]


def test_every_network_was_judged_on_every_test_set():
    """``make zoo-table`` was run after the last change of the zoo."""
    found = {name: set(zoo.psnr(name)) for name in zoo.names()}
    assert set(map(frozenset, found.values())) == {frozenset({"Set5", "Set14", "Kodak24"})}
    assert zoo.psnr("zoo:sesr_m5_x2") == zoo.psnr("sesr_m5_x2") != {} == zoo.psnr("mine_x2")
