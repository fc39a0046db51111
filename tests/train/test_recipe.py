"""Recipes as TOML, and what is wrong in one."""

import pytest

from ailsr.runtime.errors import UsageError
from ailsr.runtime.imaging.degradation import PHOTO
from ailsr.train import option_file
from ailsr.train.recipe import Recipe


def test_recipe_round_trips_through_toml(recipe, tmp_path):
    path = tmp_path / "recipe.toml"
    path.write_text(recipe.to_toml())
    assert Recipe.from_dict(option_file.read(path, Recipe)) == recipe


def test_bad_recipes_name_the_flag(photos, tmp_path):
    folder = [photos / "train"]
    for wrong, says in [
        ({"network": "sesr_m55"}, "did you mean sesr_m5"),
        ({"scale": 7}, "2, 3 or 4"),
        ({"train": None}, "--train"),
        ({"method": "l1", "teacher": "x.pt"}, "--teacher x.pt goes with --method ail"),
        ({"method": "l1", "importance": "paper"}, "--importance paper goes with --method ail"),
        (
            {"importance": "paper", "degradation": PHOTO, "teacher_sees": "degraded"},
            "--importance paper .* leave out --teacher-sees degraded",
        ),
        ({"importance": "none", "teacher": "self"}, "--teacher self"),
        ({"steps": 1}, "--steps 1 are fewer than the 5 rounds"),
        ({"learning_rate": -1.0}, "--learning-rate"),
        ({"clip": float("nan")}, "--clip nan"),
        ({"max_megapixels": float("inf")}, "--max-megapixels inf"),
        ({"learning_rate": 1e-7}, "--final-learning-rate"),
    ]:
        with pytest.raises(UsageError, match=says):
            Recipe(**({"train": folder} | wrong))
    path = tmp_path / "recipe.toml"
    path.write_text("learning_rat = 1\n")
    with pytest.raises(UsageError, match="did you mean learning_rate"):
        option_file.read(path, Recipe)
    for line, says in [
        ("steps = true", "steps = true has to be a whole number"),
        ("clip = true", "a number"),
        ("compile = 1", "true or false"),
        ('train = "photos"', "a list of texts"),
        ("val = 5", "a text"),
        ('method = "ali"', "one of ail, mse, l1"),
        ('config = "other.toml"', "no option 'config'"),
    ]:
        path.write_text(line)
        with pytest.raises(UsageError, match=says):
            option_file.read(path, Recipe)
    path.write_text("rounds = 3\nclip = 1")
    assert option_file.read(path, Recipe) == {"rounds": 3, "clip": 1}
    path.write_text("= 1")
    with pytest.raises(UsageError, match="cannot be read"):
        option_file.read(path, Recipe)
