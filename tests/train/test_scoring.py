import numpy as np
import pytest
import skimage.data
import torch

from ailsr.runtime.imaging.protocol import Pair
from ailsr.runtime.imaging.resize import shrink
from ailsr.runtime.upscaling.tiles import plan
from ailsr.train.networks import NETWORKS, create
from ailsr.train.scoring import score, upscale_tiles

PICTURE = skimage.data.coffee()[20:296, 30:390]  # 276×360


@pytest.fixture
def network(request):
    torch.manual_seed(0)
    network = create(*request.param)
    with torch.no_grad():  # fresh networks hardly differ from their skip; these reach far
        for tensor in network.parameters():
            tensor.add_(torch.randn_like(tensor) * 0.03)
    return network.eval()


@pytest.mark.parametrize(
    "network", [("sesr_m5", 2), ("abpn", 3), ("quicksrnet_small", 4), ("vdsr_f13", 2)],
    indirect=True,
)  # fmt: skip
def test_tiles_compute_what_the_whole_picture_does(network):
    scale, radius = network.scale, network.radius
    lr = shrink(PICTURE, scale)
    x = torch.from_numpy(lr.copy()).permute(2, 0, 1)[None]
    deployed = network.deploy()

    def levels(window, radius):
        tiles = plan(lr.shape[:2], (window, window), radius, scale)
        return upscale_tiles(deployed, x, tiles, scale).int()

    with torch.no_grad():
        whole = (deployed(x.float() / 255) * 255).round().clamp(0, 255).int()
        tiled, seamed = levels(4 * radius, radius), levels(4 * radius, 0)
    assert len(plan(lr.shape[:2], (4 * radius,) * 2, radius, scale)) > 4
    difference = (tiled - whole).abs()
    assert difference.max() <= 1  # sums of another order, just beside a half level
    assert float((difference > 0).float().mean()) < 1e-4
    assert (seamed - whole).abs().max() > 1  # the overlap is what removes the seams


def test_scores_do_not_depend_on_the_window():
    torch.manual_seed(1)
    network = create("sesr_m3", 2).eval()
    with torch.no_grad():
        for parameter in network.parameters():  # at its start it reaches no neighbour
            parameter += 0.02 * torch.randn_like(parameter)
    validation = [Pair("coffee", shrink(PICTURE, 2), np.ascontiguousarray(PICTURE))]
    whole, tiled = score(network, validation), score(network, validation, window=1)
    assert tiled.psnr_db == pytest.approx(whole.psnr_db, abs=1e-4)
    assert tiled.ssim == pytest.approx(whole.ssim, abs=1e-6)


def test_every_network_is_scored_in_tiles():
    assert all(4 * create(name, 2).radius <= 512 for name in NETWORKS)
