import itertools

import numpy as np
import pytest
import torch

from ailsr.runtime.errors import TrainingError
from ailsr.train.data import load_images
from ailsr.train.events import silent
from ailsr.train.patches import PatchSource

CPU = torch.device("cpu")


def ramp(height, width):
    """An image whose red is the row and green the column: every patch says where it is from."""
    picture = np.zeros((height, width, 3), np.uint8)
    picture[..., 0] = np.arange(height)[:, None]
    picture[..., 1] = np.arange(width)[None, :]
    return picture


def test_patches_are_squares_of_the_picture_under_the_eight_symmetries():
    source = PatchSource([ramp(60, 80)], 2, 8, CPU)
    batch = source.batch(64, torch.Generator().manual_seed(0))
    seen = set()
    for patch in (batch.hr * 255).round().int():
        rows, columns = patch[0].numpy(), patch[1].numpy()
        turned = rows[0, 0] == rows[0, 1] != rows[1, 0]
        if not turned:  # transposed: rows run along the second axis
            rows, columns = rows.T, columns.T
        down, right = rows[1, 0] - rows[0, 0], columns[0, 1] - columns[0, 0]
        assert {abs(int(down)), abs(int(right))} == {1}
        assert (np.diff(rows, axis=0) == down).all() and (np.diff(columns, axis=1) == right).all()
        seen.add((bool(turned), int(down), int(right)))
    assert seen == set(itertools.product((True, False), (1, -1), (1, -1)))


def test_low_resolution_patches_lie_on_their_high_resolution_ones():
    source = PatchSource([ramp(90, 120)], 3, 10, CPU)
    batch = source.batch(32, torch.Generator().manual_seed(1))
    centers = torch.nn.functional.avg_pool2d(batch.hr, 3)  # a ramp shrunk is its block means
    assert float((centers - batch.lr)[:, :, 2:-2, 2:-2].abs().max()) * 255 <= 1.01


def test_weight_and_taught_are_cut_where_the_pixels_are():
    source = PatchSource([ramp(40, 50), ramp(64, 36)], 2, 8, CPU)
    source.set_weights(source.pair(i)[1][:, :1] for i in range(len(source)))
    source.set_taught(source.pair(i)[1].flip(1) for i in range(len(source)))
    batch = source.batch(32, torch.Generator().manual_seed(2))
    torch.testing.assert_close(batch.weight, batch.hr[:, :1], atol=1e-3, rtol=0)
    torch.testing.assert_close(batch.taught, batch.hr.flip(1), atol=1e-3, rtol=0)
    torch.testing.assert_close(source.taught(1), source.pair(1)[1].flip(1), atol=1e-3, rtol=0)
    source.set_weights(None)
    batch = source.batch(32, torch.Generator().manual_seed(2))
    assert batch.weight is None
    assert batch.taught is not None


def test_pictures_are_drawn_by_their_area():
    black, white = np.zeros((32, 32, 3), np.uint8), np.full((32, 96, 3), 255, np.uint8)
    source = PatchSource([black, white], 2, 8, CPU)
    batch = source.batch(2000, torch.Generator().manual_seed(0))
    assert float(batch.hr[:, 0, 0, 0].mean()) == pytest.approx(0.75, abs=0.04)


def test_the_same_seed_draws_the_same_patches():
    source = PatchSource([ramp(60, 80)], 2, 8, CPU)
    one, other = (source.batch(4, torch.Generator().manual_seed(5)) for _ in range(2))
    assert torch.equal(one.hr, other.hr)


def test_pictures_smaller_than_a_patch_are_refused():
    with pytest.raises(TrainingError, match="96x96"):
        PatchSource([ramp(60, 80)], 2, 48, CPU)


def test_large_pictures_are_shrunk_and_unreadable_ones_counted(tmp_path):
    from ailsr.runtime.imaging.image import write

    write(ramp(200, 250), tmp_path / "large.png")
    (tmp_path / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\nnothing")
    (tmp_path / "more").mkdir()
    (tmp_path / "more" / "broken.png").write_bytes(b"")
    files = [tmp_path / name for name in ("broken.png", "large.png", "more/broken.png")]
    loaded = load_images([(file, None) for file in files], 2, 0.02, silent)
    assert [i.shape for i in loaded.images] == [(100, 125, 3)]
    assert loaded.shrunk == 1
    assert list(loaded.unreadable) == [files[0], files[2]]
    with pytest.raises(TrainingError, match="none of the 1"):
        load_images([(files[0], None)], 2, 1, silent)


def test_low_resolution_images_of_ones_own_are_trained_on():
    lr = 255 - ramp(30, 40)
    source = PatchSource([ramp(60, 80)], 2, 8, CPU, [lr])
    torch.testing.assert_close(
        source.pair(0)[0] * 255, torch.tensor(lr).permute(2, 0, 1)[None].float()
    )
