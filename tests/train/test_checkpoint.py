import pickle
from pathlib import Path

import pytest
import torch

from ailsr.runtime.errors import ModelError, UsageError
from ailsr.train.checkpoint import Checkpoint, init_from, load, save
from ailsr.train.checkpoint_anatomy import checkpoint_anatomy
from ailsr.train.networks import create
from ailsr.train.recipe import Recipe


@pytest.fixture
def saved(tmp_path):
    torch.manual_seed(3)
    network = create("sesr_m3", 3)
    path = tmp_path / "model.pt"
    save(Checkpoint(network, {"steps": 7}), path)
    return network, path


def test_round_trip(saved):
    network, path = saved
    loaded = load(path)
    assert (loaded.network.name, loaded.network.scale, loaded.card) == ("sesr_m3", 3, {"steps": 7})
    for name, tensor in network.state_dict().items():
        assert torch.equal(loaded.network.state_dict()[name], tensor)


def test_a_fused_network_comes_back_fused(saved, tmp_path):
    network, path = saved
    save(Checkpoint(network.fuse(), {}, fused=True), tmp_path / "fused.pt")
    assert (tmp_path / "fused.pt").stat().st_size < path.stat().st_size / 10
    loaded = load(tmp_path / "fused.pt")
    assert loaded.fused
    x = torch.rand(1, 1, 12, 12)
    torch.testing.assert_close(loaded.network(x), network(x), atol=1e-5, rtol=0)


def test_a_network_starts_from_one_of_another_scale(tmp_path):
    torch.manual_seed(3)
    trained, student = create("sesr_m3", 2), create("sesr_m3", 4)
    init_from(student, Checkpoint(trained.fuse(), {}, fused=True), tmp_path)
    before, after = (dict(network.fuse().named_parameters()) for network in (trained, student))
    for name in set(before) - {"last.weight", "last.bias"}:
        torch.testing.assert_close(after[name], before[name], atol=1e-6, rtol=0)
    with pytest.raises(ModelError, match="same network"):
        init_from(create("abpn", 2), Checkpoint(trained, {}), tmp_path)


@pytest.mark.parametrize("name", ["sesr_m3", "abpn", "quicksrnet_small"])
@pytest.mark.parametrize(("trained", "wanted"), [(2, 4), (2, 3), (3, 4)])
def test_from_a_smaller_scale_it_starts_with_pixels_repeated(name, trained, wanted, tmp_path):
    torch.manual_seed(3)
    smaller, larger = create(name, trained), create(name, wanted)
    with torch.no_grad():
        for parameter in smaller.parameters():
            parameter += 0.02 * torch.randn_like(parameter)
        init_from(larger, Checkpoint(smaller, {}), tmp_path)
        x = torch.rand(1, smaller.channels, 9, 8)
        nearest = torch.arange(9 * wanted) // wanted * trained
        nearest += torch.arange(9 * wanted) % wanted * trained // wanted
        expected = smaller(x)[..., nearest, :][..., nearest[: 8 * wanted]]
        torch.testing.assert_close(larger(x), expected, atol=1e-5, rtol=1e-4)


def test_missing_and_foreign_files_are_refused(tmp_path, saved):
    with pytest.raises(ModelError, match="no such checkpoint"):
        load(tmp_path / "none.pt")
    text = tmp_path / "text.pt"
    text.write_text("hello")
    with pytest.raises(ModelError, match="damaged"):
        load(text)
    torch.save({"weights": torch.zeros(1)}, text)
    with pytest.raises(ModelError, match="not an ailsr checkpoint"):
        load(text)


def test_truncated_files_are_refused(saved):
    _, path = saved
    whole = path.read_bytes()
    for length in (0, 1, 100, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:length])
        with pytest.raises(ModelError):
            load(path)


def test_pickled_code_is_never_run(tmp_path):
    class Trap:
        def __reduce__(self):
            return (open, (str(tmp_path / "sprung"), "w"))

    path = tmp_path / "trap.pt"
    for write in (lambda: torch.save(Trap(), path), lambda: path.write_bytes(pickle.dumps(Trap()))):
        write()
        with pytest.raises(ModelError):
            load(path)
        assert not (tmp_path / "sprung").exists()


def test_weights_of_another_network_are_refused(saved):
    _, path = saved
    content = torch.load(path, weights_only=True)
    content["network"] = "sesr_m5"
    torch.save(content, path)
    with pytest.raises(ModelError, match="do not fit sesr_m5 x3"):
        load(path)
    content["network"] = "nonsense"
    torch.save(content, path)
    with pytest.raises(ModelError, match="nonsense"):
        load(path)


def _nested(value, *keys):
    for key in reversed(keys):
        value = {key: value}
    return value


@pytest.mark.parametrize(
    "entries",
    [
        {"format": "1"},
        {"format": 10**400},
        {"network": 7},
        {"network": ["sesr_m3"]},
        {"scale": "2"},
        {"scale": 2.5},
        {"scale": [2]},
        {"state": [1, 2]},
        {"state": {"x": "weights"}},
        {"state": {3: torch.zeros(1)}},
        {"card": []},
        {"card": {"recipe": 3}},
        {"card": {"recipe": None}},
        {"card": {"validations": 3}},
        {"card": {"validations": [{"psnr": "33"}]}},
        {"card": {"validations": [7]}},
        {"card": {"pictures": torch.zeros(3)}},
        {"card": _nested(1, *"abcdefghij")},
        {"progress": 3},
        {"fused": "yes"},
    ],
    ids=str,
)
def test_entries_of_other_types_are_refused_in_one_line(tmp_path, entries):
    path = tmp_path / "best.pt"
    save(Checkpoint(create("sesr_m3", 2), {"steps": 1}), path)
    torch.save(torch.load(path, weights_only=True) | entries, path)
    for use in (load, lambda path: checkpoint_anatomy(str(path))):
        with pytest.raises(ModelError) as caught:
            use(path)
        assert str(path) in str(caught.value)
        assert "\n" not in str(caught.value) and len(str(caught.value)) < 400


@pytest.mark.parametrize(
    "recipe",
    [{"train": [3]}, {"train": "photos"}, {"scale": "2"}, {"steps": 1.5}, {"method": "magic"},
     {"val": 3}, {"teacher": ["zoo"]}],
    ids=str,
)  # fmt: skip
def test_a_stored_recipe_of_other_types_is_refused(recipe):
    stored = Recipe(train=[Path("photos")]).to_dict()
    with pytest.raises(UsageError, match=f"the stored {next(iter(recipe))} is"):
        Recipe.from_dict(stored | recipe)
