import numpy as np
import pytest
import torch

from ailsr.runtime.errors import UsageError
from ailsr.runtime.imaging import metrics
from ailsr.runtime.imaging.color import Y_OFFSET, luma
from ailsr.runtime.imaging.metrics import shave
from ailsr.runtime.imaging.protocol import pairs
from ailsr.runtime.imaging.resize import enlarge, shrink
from ailsr.train.networks import NETWORKS, SCALES, create, rgb_to_luma
from ailsr.train.networks.skip import BicubicUpsampler, NearestAnchor
from ailsr.train.scoring import score

SIZED = ["sesr_m2_w12", "sesr3_m2_w12", "quicksrnet_d1_w9", "abpn_d2_w11"]
EVERY = [(name, scale) for name in [*NETWORKS, *SIZED] for scale in SCALES]


def network(name, scale, seed=0):
    """A network in which every layer counts: biases and last layers are not near zero."""
    torch.manual_seed(seed)
    made = create(name, scale)
    with torch.no_grad():
        for parameter in made.parameters():
            parameter += 0.02 * torch.randn_like(parameter)
    return made.eval()


@pytest.mark.parametrize(("name", "scale"), EVERY)
def test_fused_equals_trained_form(name, scale):
    net = network(name, scale)
    x = torch.rand(1, net.channels, 17, 23)
    with torch.no_grad():
        trained, fused = net(x), net.fuse()(x)
    assert trained.shape == (1, net.channels, 17 * scale, 23 * scale)
    torch.testing.assert_close(fused, trained, atol=1e-5, rtol=0)


@pytest.mark.parametrize("name", ["sesr_m3", "abpn"])
def test_a_fused_network_becomes_trainable_again(name):
    torch.manual_seed(0)
    fused, again = network(name, 2).fuse(), create(name, 2)
    again.unfuse(fused)
    x = torch.rand(1, fused.channels, 12, 12)
    torch.testing.assert_close(again(x), fused(x), atol=1e-5, rtol=0)
    again(x).square().sum().backward()
    assert all(p.grad is not None and p.grad.abs().max() > 0 for p in again.parameters())


@pytest.mark.parametrize(("name", "scale"), EVERY)
def test_deployed_form_is_the_luma_network_on_rgb(name, scale):
    net = network(name, scale)
    rgb = torch.rand(1, 3, 17, 23)
    with torch.no_grad():
        deployed = net.deploy()(rgb)
        assert deployed.shape == (1, 3, 17 * scale, 23 * scale)
        if net.color == "y":
            torch.testing.assert_close(
                rgb_to_luma(deployed), net(rgb_to_luma(rgb)), atol=2e-5, rtol=0
            )


@pytest.mark.parametrize(("name", "scale"), EVERY)
def test_nothing_beyond_the_radius_reaches_a_pixel(name, scale):
    net = network(name, scale)
    r = net.radius
    side = 2 * r + 9
    x = torch.rand(1, net.channels, side, side)
    changed = x.clone()
    changed[..., side // 2, side // 2] += 1
    with torch.no_grad():
        difference = (net(changed) - net(x)).abs().amax(dim=(0, 1))
    rows, columns = difference.nonzero().unbind(1)
    reach = [side // 2 - int(rows.min()) // scale, int(rows.max()) // scale - side // 2]
    reach += [side // 2 - int(columns.min()) // scale, int(columns.max()) // scale - side // 2]
    assert max(reach) <= r
    if not name.startswith("vdsr"):  # 20 layers deep, the outermost taps vanish in float32
        assert max(reach) == r


@pytest.mark.parametrize(
    ("name", "scale", "parameters"),
    [
        ("abpn", 2, 33_464),
        ("abpn", 3, 42_539),
        ("abpn", 4, 62_048),
        ("quicksrnet_small", 2, 22_860),
        ("quicksrnet_small", 4, 33_264),
        ("quicksrnet_medium", 2, 50_604),
        ("quicksrnet_large", 4, 435_696),
        ("sesr_m3", 2, 8_980),
        ("sesr_m5", 2, 13_620),
        ("sesr_m7", 2, 18_260),
        ("sesr_m11", 2, 27_540),
        ("sesr_xl", 2, 105_764),
        ("vdsr_f13", 2, 27_612 + 19 * 13 + 1),
        ("vdsr_f64", 2, 664_704 + 19 * 64 + 1),
    ],
)
def test_parameters_are_those_of_the_papers(name, scale, parameters):
    fused = create(name, scale).fuse()
    assert sum(p.numel() for p in fused.parameters()) == parameters


@pytest.mark.parametrize("scale", SCALES)
def test_bicubic_upsampler_is_matlabs_away_from_the_border(scale):
    picture = np.random.default_rng(0).integers(0, 256, (11, 14, 3), dtype=np.uint8)
    expected = enlarge(picture.astype(np.float64), scale)
    x = torch.from_numpy(picture).permute(2, 0, 1)[None].float()
    enlarged = BicubicUpsampler(3, scale)(x)[0].permute(1, 2, 0).numpy()
    inner = slice(2 * scale, -2 * scale)
    np.testing.assert_allclose(enlarged[inner, inner], expected[inner, inner], atol=1e-3)


def test_nearest_anchor_repeats_pixels():
    x = torch.rand(1, 3, 4, 5)
    up = torch.nn.functional.pixel_shuffle(NearestAnchor(3, 2)(x), 2)
    torch.testing.assert_close(up, x.repeat_interleave(2, 2).repeat_interleave(2, 3))


@pytest.mark.parametrize(
    ("name", "farthest"),
    [("quicksrnet_medium", 0.1), ("sesr_m5", 0), ("abpn", 0), ("vdsr_f13", 0.1)],
)
@pytest.mark.parametrize("scale", [2, 4])  # of 4, SESR's last block has as many outputs as inputs
def test_an_untrained_network_is_nearly_its_skip(name, farthest, scale):
    torch.manual_seed(0)
    net = create(name, scale)
    x = torch.rand(1, net.channels, 12, 12) * 0.6 + 0.2
    skip = x.repeat_interleave(scale, 2).repeat_interleave(scale, 3)
    if name.startswith("vdsr"):
        skip = BicubicUpsampler(1, scale)(x)
    with torch.no_grad():
        assert float((net(x) - skip).abs().mean()) <= farthest


def test_unknown_names_and_scales_are_refused():
    with pytest.raises(UsageError, match="sesr_m5"):
        create("sesr_m6", 2)
    with pytest.raises(UsageError, match="2, 3 or 4"):
        create("sesr_m5", 5)


def released(peers, scale):
    """The network of the AIL authors: convolutions (out, in, 3, 3) without biases.

    Its luma carries the studio offset of 16/255, ours does not: the first convolution's bias
    stands in for it.
    """
    stored = np.load(peers / "ail_authors" / f"vdsr_f13_ail_x{scale}.npz")
    net = create("vdsr_f13", scale)
    convs = [layer for layer in net.body if isinstance(layer, torch.nn.Conv2d)]
    assert len(convs) == 20
    with torch.no_grad():
        for i, conv in enumerate(convs):
            conv.weight.copy_(torch.from_numpy(stored[f"conv{i:02d}.weight"]))
            conv.bias.zero_()
        convs[0].bias.copy_(convs[0].weight.sum(dim=(1, 2, 3)) * 16 / 255)
    return net


@pytest.mark.parametrize(("scale", "psnr"), [(2, 37.42), (3, 33.37), (4, 31.02)])
def test_the_ail_authors_weights_give_their_psnr_on_set5(data, peers, scale, psnr):
    """As they were judged: luma reduced without rounding, nothing rounded after it."""
    net = released(peers, scale)
    figures = []
    for pair in pairs(data / "benchmark" / "Set5", scale):
        hr = luma(pair.hr) - Y_OFFSET
        lr = torch.from_numpy(shrink(hr, scale) / 255).float()[None, None]
        with torch.no_grad():
            upscaled = net(lr)[0, 0].numpy() * 255
        figures.append(metrics.psnr(shave(upscaled, scale), shave(hr, scale)))
    assert np.mean(figures) == pytest.approx(psnr, abs=0.03)


def test_the_ail_authors_weights_deployed_on_rgb(data, peers):
    """As they are exported: uint8 RGB in and out, and the protocol's rounding costs 0.08 dB."""
    net = released(peers, 2)
    scores = score(net, list(pairs(data / "benchmark" / "Set5", 2)))
    assert scores.psnr_db == pytest.approx(37.29, abs=0.02)


def test_names_give_depth_and_width():
    for sized, name in (
        ("sesr_m5_w16", "sesr_m5"),
        ("quicksrnet_d2_w32", "quicksrnet_small"),
        ("abpn_d4_w28", "abpn"),
    ):
        made = create(sized, 2)
        assert (made.name, made.reference) == (sized, sized)
        shapes = [{k: v.shape for k, v in n.state_dict().items()} for n in (made, create(name, 2))]
        assert shapes[0] == shapes[1]


@pytest.mark.parametrize(
    "name",
    ["sesr_m5_w0", "sesr_m0_w16", "sesr_m5_w999", "sesr_m99_w16", "abpn_d4"],
)
def test_a_depth_or_width_out_of_range_is_refused(name):
    with pytest.raises(UsageError, match="there is no such network"):
        create(name, 2)
