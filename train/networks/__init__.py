"""Networks by the names that their papers use: ``create("sesr_m5", scale=2)``."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from ailsr.runtime.errors import UsageError
from ailsr.train.networks.abpn import Abpn
from ailsr.train.networks.network import Color, Network, rgb_to_luma
from ailsr.train.networks.quicksrnet import QuickSRNet
from ailsr.train.networks.sesr import Sesr
from ailsr.train.networks.vdsr import Vdsr

NETWORKS: dict[str, Callable[[int], Network]] = {
    "abpn": Abpn,
    "quicksrnet_small": partial(QuickSRNet, width=32, depth=2),
    "quicksrnet_medium": partial(QuickSRNet, width=32, depth=5),
    "quicksrnet_large": partial(QuickSRNet, width=64, depth=11, anchor=True),
    "sesr_m3": partial(Sesr, blocks=3),
    "sesr_m5": partial(Sesr, blocks=5),
    "sesr_m7": partial(Sesr, blocks=7),
    "sesr_m11": partial(Sesr, blocks=11),
    "vdsr_f13": partial(Vdsr, width=13),
    "vdsr_f22": partial(Vdsr, width=22),
    "vdsr_f64": partial(Vdsr, width=64),
}
SCALES = (2, 3, 4)


def create(name: str, scale: int) -> Network:
    """A new network, randomly initialised by torch's current seed.

    Raises UsageError for a name or a scale that does not exist.
    """
    if name not in NETWORKS:
        raise UsageError(f"there is no network {name!r}: choose one of {', '.join(NETWORKS)}")
    if scale not in SCALES:
        raise UsageError(f"scale {scale} is not supported: choose 2, 3 or 4")
    network = NETWORKS[name](scale)
    network.name = name
    return network


__all__ = ["NETWORKS", "SCALES", "Color", "Network", "create", "rgb_to_luma"]
