import pickle

import pytest
import torch

from ailsr.runtime.errors import ModelError
from ailsr.train.checkpoint import Checkpoint, load, save
from ailsr.train.networks import create


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
    with pytest.raises(Exception, match="nonsense"):
        load(path)
