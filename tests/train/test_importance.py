"""The teacher's output as the mean over several views of a picture."""

import skimage.data
import torch

from ailsr.runtime.imaging.metrics import psnr
from ailsr.runtime.imaging.resize import shrink
from ailsr.train import checkpoint, zoo
from ailsr.train.importance import ensemble
from ailsr.train.networks.skip import BicubicUpsampler

HR = skimage.data.astronaut()[:240, 100:400]
LR = torch.from_numpy(shrink(HR, 2).copy()).permute(2, 0, 1)[None].float() / 255


def test_what_knows_no_direction_sees_the_same_in_every_view():
    bicubic = BicubicUpsampler(3, 2)
    for views in (1, 3, 8):
        torch.testing.assert_close(ensemble(bicubic, LR, views), bicubic(LR))


def test_eight_views_are_all_of_the_square_and_each_is_turned_back():
    seen = []

    def look(view):
        seen.append(view)
        return view

    torch.testing.assert_close(ensemble(look, LR[..., :100, :100], 8), LR[..., :100, :100])
    assert len({view.numpy().tobytes() for view in seen}) == 8


def test_eight_views_foresee_the_picture_better_than_one():
    network = checkpoint.load(zoo.resolve("zoo:sesr_m5_x2")).network.eval()
    y = torch.from_numpy(HR.copy()).permute(2, 0, 1)[None].float() / 255

    def quality(views):
        with torch.no_grad():
            out = ensemble(network.deploy(), LR, views)
        levels = [
            (t.clamp(0, 1) * 255).round().byte()[0].permute(1, 2, 0).numpy() for t in (out, y)
        ]
        return psnr(*levels)

    assert quality(8) > quality(1) + 0.02
