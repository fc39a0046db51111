"""Recipes as TOML, and what is wrong in one."""

import pytest

from ailsr.runtime.errors import UsageError
from ailsr.train.recipe import Recipe, read_toml


def test_recipe_round_trips_through_toml(recipe, tmp_path):
    path = tmp_path / "recipe.toml"
    path.write_text(recipe.to_toml())
    assert Recipe.from_dict(read_toml(path)) == recipe


def test_bad_recipes_name_the_flag(photos, tmp_path):
    folder = [photos / "train"]
    for wrong, says in [
        ({"network": "sesr_m55"}, "did you mean sesr_m5"),
        ({"scale": 7}, "2, 3 or 4"),
        ({"train": None}, "--train"),
        ({"method": "l1", "teacher": "x.pt"}, "--teacher"),
        ({"importance": "none", "teacher": "self"}, "--teacher self"),
        ({"steps": 3}, "--steps"),
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
        read_toml(path)
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
            read_toml(path)
    path.write_text("rounds = 3\nclip = 1")
    assert read_toml(path) == {"rounds": 3, "clip": 1}
    path.write_text("= 1")
    with pytest.raises(UsageError, match="cannot be read"):
        read_toml(path)
