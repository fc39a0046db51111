"""Networks by the names that their papers use: ``create("sesr_m5", scale=2)``.

Sizes between those of the papers are named by depth and width: ``sesr_m4_w24``.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from difflib import get_close_matches
from functools import partial
from typing import NamedTuple

from ailsr.runtime.errors import UsageError
from ailsr.train.networks.abpn import Abpn
from ailsr.train.networks.network import Color, Network, rgb_to_luma
from ailsr.train.networks.quicksrnet import QuickSRNet
from ailsr.train.networks.sesr import Sesr
from ailsr.train.networks.user_network import check_reference, create_user_network, is_reference
from ailsr.train.networks.vdsr import Vdsr

SCALES = (2, 3, 4)


class Family(NamedTuple):
    """Networks of one paper, of any depth and width."""

    name: str
    """For example ``sesr_m{depth}_w{width}``."""
    network: Callable[..., Network]
    depth: str
    """Parameter of the constructor for the number of 3×3 convolutions of ``width`` channels."""
    depths: range
    widths: range

    def shape(self, name: str) -> tuple[int, int] | None:
        """Depth and width of the network ``name``; None when ``name`` is not of the family."""
        pattern = self.name.format(depth=r"(\d{1,3})", width=r"(\d{1,3})")
        found = re.fullmatch(pattern, name, re.ASCII)
        if found is None:
            return None
        depth, width = int(found[1]), int(found[2])
        if depth not in self.depths or width not in self.widths:
            return None
        return depth, width


FAMILIES = {
    "sesr": Family("sesr_m{depth}_w{width}", Sesr, "blocks", range(1, 65), range(1, 257)),
    "sesr3": Family(
        "sesr3_m{depth}_w{width}", partial(Sesr, ends=3), "blocks", range(1, 65), range(1, 257)
    ),
    "quicksrnet": Family(
        "quicksrnet_d{depth}_w{width}", QuickSRNet, "depth", range(65), range(3, 257)
    ),
    "abpn": Family("abpn_d{depth}_w{width}", Abpn, "depth", range(65), range(1, 257)),
}


class Size(NamedTuple):
    """A network of FAMILIES."""

    family: str
    depth: int
    width: int

    @property
    def constructor(self) -> Callable[[int], Network]:
        """Scale -> the network."""
        family = FAMILIES[self.family]
        return partial(family.network, **{family.depth: self.depth, "width": self.width})


PAPERS = {
    "sesr_m3": Size("sesr", 3, 16),
    "sesr_m5": Size("sesr", 5, 16),
    "sesr_m7": Size("sesr", 7, 16),
    "sesr_m11": Size("sesr", 11, 16),
    "sesr_xl": Size("sesr", 11, 32),
    "abpn": Size("abpn", 4, 28),
    "quicksrnet_small": Size("quicksrnet", 2, 32),
    "quicksrnet_medium": Size("quicksrnet", 5, 32),
}
"""Those that papers name."""
NETWORKS: dict[str, Callable[[int], Network]] = {
    **{name: size.constructor for name, size in PAPERS.items()},
    "quicksrnet_large": partial(QuickSRNet, width=64, depth=11, anchor=True),
    "vdsr_f13": partial(Vdsr, width=13),
    "vdsr_f22": partial(Vdsr, width=22),
    "vdsr_f64": partial(Vdsr, width=64),
}
"""All networks that papers name."""


def size_of(name: str) -> Size | None:
    """What the network ``name`` is in FAMILIES; None: it is of none."""
    if name in PAPERS:
        return PAPERS[name]
    for family, of in FAMILIES.items():
        if (shape := of.shape(name)) is not None:
            return Size(family, *shape)
    return None


def create(name: str, scale: int) -> Network:
    """A new network, randomly initialised by torch's current seed.

    ``name`` is one of NETWORKS or FAMILIES, or ``package.module:Class``: that module is imported,
    so a name from a file goes through ``checkpoint.create_stored``. Raises UsageError for an
    unknown name or scale.
    """
    check_name(name)
    if scale not in SCALES:
        raise UsageError(f"scale {scale} is not supported: choose 2, 3 or 4")
    if is_reference(name):
        return create_user_network(name, scale)
    constructor = _constructor(name)
    assert constructor is not None  # by check_name
    network = constructor(scale)
    network.name = network.reference = name
    return network


def check_name(name: str) -> None:
    """Raise UsageError when ``name`` is neither known nor of the form ``package.module:Class``."""
    if is_reference(name):
        check_reference(name)
    elif not is_known(name):
        near = get_close_matches(name, NETWORKS, n=1)
        hint = f" (did you mean {near[0]}?)" if near else ""
        raise UsageError(
            f"--network {name}: there is no such network{hint}; choose one of "
            f"{', '.join(NETWORKS)}, one by its depth and width like sesr_m4_w24, or "
            "package.module:Class for a class of your own"
        )


def is_known(name: str) -> bool:
    """True for a name in NETWORKS or FAMILIES, which needs no import of a user's module."""
    return _constructor(name) is not None


def _constructor(name: str) -> Callable[[int], Network] | None:
    if name in NETWORKS:
        return NETWORKS[name]
    size = size_of(name)
    return size and size.constructor


__all__ = [
    "FAMILIES",
    "NETWORKS",
    "SCALES",
    "Color",
    "Network",
    "Size",
    "check_name",
    "create",
    "is_known",
    "is_reference",
    "rgb_to_luma",
    "size_of",
]
