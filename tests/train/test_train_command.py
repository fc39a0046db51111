import json
import math
import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest
import skimage.data

from ailsr.runtime.errors import UsageError
from ailsr.runtime.imaging.image import write
from ailsr.train import option_file
from ailsr.train.recipe import Recipe

COMMAND = Path(sys.executable).with_name("ailsr-train")


def run(*arguments, cwd, **options):
    done = subprocess.run(
        [COMMAND, *map(str, arguments)], cwd=cwd, capture_output=True, text=True, check=False,
        env=os.environ | {"OMP_NUM_THREADS": "1", "COLUMNS": "100"}, **options,
    )  # fmt: skip
    return done.returncode, done.stdout, done.stderr


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("command")
    write(skimage.data.coffee()[50:200, 100:300], folder / "photos" / "coffee.png")
    return folder


def test_a_run_from_flags_and_its_continuation(folder):
    flags = ["--network", "sesr_m3", "--steps", 12, "--rounds", 2, "--batch", 2, "--patch", 16]
    code, out, err = run(
        *flags, "--train", "photos", "--val", "photos", "--output", "run", "--json", cwd=folder
    )
    assert code == 0, err
    card = json.loads(out)
    assert card["steps"] == 12
    assert {f.name for f in (folder / "run").iterdir()} == {
        "best.pt", "last.pt", "log.jsonl", "recipe.toml", "curves.png",
    }  # fmt: skip
    assert str(folder) not in json.dumps(card)
    (folder / "run" / "log.jsonl").unlink()
    code, out, err = run("--resume", "--output", "run", "--log-every", 5, cwd=folder)
    assert code == 0, err
    assert "sesr_m3 x2 by ail, 12 steps" in out
    code, _, err = run("--config", "run/recipe.toml", "--output", "again", "--json", cwd=folder)
    assert code == 0, err
    code, _, err = run("--resume", "--output", "run", "--batch", 8, cwd=folder)
    assert code == 1
    assert "--batch 8 differs from the run's own 2" in err
    code, _, err = run("--resume", "--output", "run", "--batch", 16, cwd=folder)  # the default
    assert code == 1
    assert "--batch 16 differs from the run's own 2" in err
    code, _, err = run(*flags, "--train", "photos", "--output", "run", cwd=folder)
    assert code == 1
    assert "--resume" in err
    (folder / "photos").rename(folder / "elsewhere")
    code, _, err = run("--resume", "--output", "run", cwd=folder)
    assert code == 1
    assert "photos, which the run takes its images from, is not there" in err
    moved = ["--train", "elsewhere", "--val", "elsewhere"]
    code, _, err = run("--resume", "--output", "run", *moved, cwd=folder)
    assert code == 0, err
    (folder / "elsewhere").rename(folder / "photos")
    (folder / "run" / "last.pt").unlink()
    code, _, err = run(*flags, "--train", "photos", "--output", "run", cwd=folder)
    assert code == 1
    assert "holds a run already" in err  # its best.pt would stand beside another recipe


def test_pictures_that_are_left_out_are_told(folder):
    (folder / "mixed" / "folder.png").mkdir(parents=True)
    (folder / "mixed" / "text.png").write_text("no image")
    write(skimage.data.coffee()[:20, :20], folder / "mixed" / "small.png")
    write(skimage.data.coffee()[:90, :90], folder / "mixed" / "large.png")
    code, out, err = run(
        "--network", "sesr_m3", "--method", "l1", "--steps", 2, "--batch", 2, "--patch", 16,
        "--train", "mixed", "--output", "left_out", "--max-megapixels", 0.008, "--json", cwd=folder,
    )  # fmt: skip
    assert code == 0, err
    assert "mixed: 1 of 4 left out: 1 a folder of its own" in err
    assert "left out: 1 unreadable" in err
    assert "text.png" in err
    assert "left out: 1 smaller than a patch" in err
    assert "shrunk: 1 of more than --max-megapixels 0.008" in err
    card = json.loads(out)
    assert (card["pictures"], card["skipped"]) == (1, 2)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--train", "missing"], "missing"),
        (["--network", "sesr_m4", "--train", "photos"], "choose one of"),
        (["--train", "photos", "--patch", "200"], "smaller --patch"),
        (["--train", "photos", "--init", "no.pt"], "no such checkpoint"),
        (["--config", "no.toml"], "no.toml"),
        (["--resume"], "holds no run to go on with"),
        (["--train", "photos", "--max-megapixels", "1e-9"], "larger --max-megapixels"),
        (["--train", "photos", "--device", "meta"], "--device meta cannot be used here"),
    ],
)
def test_bad_input_is_one_line(folder, arguments, says):
    code, out, err = run(*arguments, "--output", "bad", cwd=folder)
    assert code == 1
    assert out == ""
    assert err.startswith("error: ")
    assert len(err.splitlines()) == 1
    assert says in err


def test_a_module_that_a_recipe_names_is_imported_only_on_the_users_word(folder):
    (folder / "evil.py").write_text(
        "from pathlib import Path\nPath('ran').touch()\n"
        "from ailsr.train.networks import create\n"
        "class Net: pass\n"
    )
    (folder / "r.toml").write_text('network = "evil:Net"\ntrain = ["photos"]\n')
    for more in ([], ["--resume"]):
        code, _, err = run("--config", "r.toml", "--output", "never", *more, cwd=folder)
        assert code == 1
        assert "add --network evil:Net if you trust it" in err
        assert len(err.splitlines()) == 1
        assert not (folder / "ran").exists()
    code, _, err = run(
        "--config", "r.toml", "--network", "evil:Net", "--output", "never", cwd=folder
    )
    assert (code, "Net is not a subclass" in err) == (1, True)
    assert (folder / "ran").exists()


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_a_recipe_of_any_text_is_read_back(tmp_path, encoding):
    """An emoji, quotes, a control character, infinity; as each editor saves it."""
    names = ["photos 😀", 'a "quote" \\ \x7f\t', "[red]"]
    recipe = Recipe(train=[Path(name) for name in names], alpha=math.inf)
    path = tmp_path / "recipe.toml"
    path.write_bytes(recipe.to_toml().encode(encoding))
    values = option_file.read(path, Recipe)
    assert (values["train"], values["alpha"]) == (names, math.inf)


@pytest.mark.parametrize(
    "content",
    [b"\xff\xfe\x00", b"network = \xe9", b"steps = ", b"train = [1]", b"x = " + b"[" * 9000],
    ids=lambda content: ascii(content[:20]),
)
def test_a_recipe_that_cannot_be_read_is_one_line(tmp_path, content):
    path = tmp_path / "recipe.toml"
    path.write_bytes(content)
    with pytest.raises(UsageError, match=r"recipe\.toml") as caught:
        option_file.read(path, Recipe)
    assert len(str(caught.value)) < 500


def test_a_path_that_is_no_text_is_said():
    with pytest.raises(UsageError, match="is no UTF-8"):
        Recipe(train=[Path("a\udcff")]).to_toml()


def test_a_file_that_cannot_be_written_whole_is_not_there(folder):
    def allow_small_files_only():  # as on a full disk: the log fits, a checkpoint does not
        resource.setrlimit(resource.RLIMIT_FSIZE, (4000, 4000))

    code, _, err = run(
        "--network", "sesr_m3", "--steps", 2, "--rounds", 1, "--batch", 2, "--patch", 16,
        "--train", "photos", "--output", "full", cwd=folder, preexec_fn=allow_small_files_only,
    )  # fmt: skip
    assert code == 1
    assert err.startswith("error: File too large")
    assert len(err.splitlines()) == 1
    assert {f.name for f in (folder / "full").iterdir()} == {"recipe.toml"}
