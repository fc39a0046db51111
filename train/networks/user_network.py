"""A network of the user's own, named ``package.module:Class``.

Its module is imported, which runs its code, so only for a name on the command line
(``--network``), never for one in a checkpoint (``checkpoint.load``) or a recipe
(``train/command.py``).
"""

from __future__ import annotations

import importlib
import re
import sys
from collections.abc import Callable
from difflib import get_close_matches
from pathlib import Path
from traceback import extract_tb
from typing import Any, NoReturn, TypeVar

import torch
from torch import Tensor, nn

from ailsr.runtime.errors import UsageError
from ailsr.train.networks.network import Network, rgb_to_luma

REFERENCE = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*")
LARGEST_RADIUS = 256
"""In low-resolution pixels; a larger receptive field leaves no room in a tile."""
TOLERANCE = 1e-4
"""Largest difference of the deploy form from the trained one, at outputs up to 1."""

Result = TypeVar("Result")


def is_reference(name: str) -> bool:
    """True for ``package.module:Class``, False for a registered name."""
    return ":" in name


def check_reference(name: str) -> None:
    """Raise UsageError when ``name`` is not of the form ``package.module:Class``."""
    if REFERENCE.fullmatch(name) and ".py:" not in name:
        return
    module, _, network = name.rpartition(":")
    module = module.removesuffix(".py").replace("\\", "/").strip("./").replace("/", ".")
    meant = f"{module}:{network}"
    hint = f" (did you mean {meant}?)" if REFERENCE.fullmatch(meant) else ""
    raise UsageError(
        f"--network {name}: a class of your own is named package.module:Class, as in python -m"
        f"{hint}"
    )


def create_user_network(name: str, scale: int) -> Network:
    """``Class(scale)`` for ``name`` = ``package.module:Class``, checked against the contract.

    The current directory is importable, as with ``python -m``. ``network.name`` is that of the
    class in lower case. Raises UsageError when there is no such class or it breaks the contract.
    """
    network_class = _import_class(name)
    network = called(name, f"{network_class.__name__}({scale})", lambda: network_class(scale))
    network.name, network.reference = network_class.__name__.lower(), name
    with torch.random.fork_rng(devices=[]):  # the check must not use up random numbers
        _check(network)
    return network


def _import_class(name: str) -> type[Network]:
    """The class called ``name``; imports its module."""
    found = import_named(name, _is_network)
    if not _is_network(found):
        raise UsageError(
            f"--network {name}: {name.rpartition(':')[2]} is not a subclass of "
            "ailsr.train.networks.Network"
        )
    network_class: type[Network] = found
    return network_class


def import_named(name: str, fits: Callable[[object], bool]) -> Any:  # noqa: ANN401
    """What is called ``name`` = ``package.module:Class`` in its module, which is imported.

    ``fits`` tells which others of the module to propose. Raises UsageError when there is none.
    """
    check_reference(name)
    module_name, class_name = name.split(":")
    if "" not in sys.path:  # a console script has its own folder there
        sys.path.insert(0, "")
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name and f"{module_name}.".startswith(f"{error.name}."):
            raise UsageError(
                f"--network {name}: there is no module {error.name} in the current folder or "
                "among the installed packages; call from the folder that holds it, or set "
                "PYTHONPATH"
            ) from error
        _refuse(name, f"importing {module_name} failed", error)
    except (Exception, SystemExit) as error:
        _refuse(name, f"importing {module_name} failed", error)
    found = getattr(module, class_name, None)
    if found is None:
        classes = [k for k, v in vars(module).items() if fits(v)]
        near = get_close_matches(class_name, classes, n=1)
        hint = f" (did you mean {near[0]}?)" if near else ""
        raise UsageError(
            f"--network {name}: {module_name} has no {class_name}{hint}; its networks are: "
            f"{', '.join(classes) or 'none'}"
        )
    return found


def _is_network(value: object) -> bool:
    return isinstance(value, type) and issubclass(value, Network) and value is not Network


@torch.no_grad()
def _check(network: Network) -> None:
    """Run ``network`` on small inputs. Raises UsageError when it breaks the contract."""
    name = network.reference
    if not hasattr(network, "scale"):
        raise UsageError(f"--network {name}: its __init__ has to call super().__init__(scale)")
    scale = network.scale
    if not any(p.requires_grad for p in network.parameters()):
        raise UsageError(f"--network {name}: it has no parameters to train")
    if getattr(network, "color", None) not in ("rgb", "y"):
        raise UsageError(f'--network {name}: give the class color = "rgb" or "y" (luma)')
    radius = called(name, "radius", lambda: network.radius)
    if not isinstance(radius, int) or not 0 <= radius <= LARGEST_RADIUS:
        raise UsageError(
            f"--network {name}: radius is {radius!r}; it is a number of low-resolution pixels, "
            f"0 to {LARGEST_RADIUS}"
        )
    if any(isinstance(m, nn.modules.batchnorm._BatchNorm) for m in network.modules()):
        raise UsageError(
            f"--network {name}: batch normalisation is not supported, since what is exported is "
            "an average of the weights alone; leave it out, as super-resolution networks do"
        )
    training = network.training
    network.eval()
    height, width = 2 * radius + 7, 2 * radius + 10
    x = torch.rand(1, network.channels, height, width)
    y = _output(name, network, x, scale)
    changed = x.clone()
    changed[..., height // 2, width // 2] += 0.5
    reach = _reach(_output(name, network, changed, scale) - y, scale)
    if reach > radius:
        raise UsageError(
            f"--network {name}: radius is {radius}, but a pixel changes the output at least "
            f"{reach} pixels away: tiles would show seams"
        )
    _output(name, network, x[..., 1:, 1:], scale)  # sides of the other parity
    _check_deployed(network)
    network.train(training)


def _check_deployed(network: Network) -> None:
    """Compare the deploy form with ``network`` itself."""
    name, scale = network.reference, network.scale
    if network.color == "y" and type(network)._as_rgb is Network._as_rgb:
        raise UsageError(
            f'--network {name}: color = "y" needs _as_rgb(), the form that takes and returns RGB '
            "(ailsr.train.networks.luma has its two halves)"
        )
    rgb = torch.rand(1, 3, 2 * network.radius + 7, 2 * network.radius + 10)
    deployed = _output(name, called(name, "deploy()", network.deploy), rgb, scale)
    if network.color == "y":
        trained, deployed = network(rgb_to_luma(rgb)), rgb_to_luma(deployed)
    else:
        trained = network(rgb)
    difference = float((deployed - trained).abs().max())
    if not difference <= TOLERANCE * max(1.0, float(trained.abs().max())):
        what = "fuse()" if network.color == "rgb" else "fuse() with _as_rgb()"
        raise UsageError(
            f"--network {name}: {what} changes the output by {difference:.2g}; the exported form "
            "must compute what was trained (and weights start finite)"
        )


def _output(name: str, module: nn.Module, x: Tensor, scale: int) -> Tensor:
    """``module(x)``. Raises UsageError when its shape is wrong."""
    y = called(name, f"forward of {tuple(x.shape)}", lambda: module(x))
    expected = (*x.shape[:2], scale * x.shape[2], scale * x.shape[3])
    if not isinstance(y, Tensor) or tuple(y.shape) != expected:
        got = tuple(y.shape) if isinstance(y, Tensor) else type(y).__name__
        raise UsageError(
            f"--network {name}: forward of {tuple(x.shape)} at x{scale} gives {got}, expected "
            f"{expected}"
        )
    return y.float()


def _reach(difference: Tensor, scale: int) -> int:
    """Largest distance of a changed pixel from the middle, in low-resolution pixels."""
    size = difference.abs().amax(dim=(0, 1))
    farthest = 0
    for where, side in zip((size > 1e-5 * size.max()).nonzero().unbind(1), size.shape, strict=True):
        if len(where):
            farthest = max(farthest, int((where // scale - side // scale // 2).abs().max()))
    return farthest


def called(name: str, what: str, function: Callable[[], Result]) -> Result:
    """``function()``, a part of what ``--network name`` is; errors of the user's code become a
    UsageError of one line."""
    try:
        return function()
    except NotImplementedError as error:
        raise UsageError(f"--network {name}: the class does not define {what}") from error
    except (Exception, SystemExit) as error:
        _refuse(name, f"{what} failed", error)


def _refuse(name: str, what: str, error: BaseException) -> NoReturn:
    """Raise UsageError with the type of ``error`` and the line of the user's code."""
    others = (__file__, importlib.__file__, "<frozen", str(Path(torch.__file__).parent))
    frames = [f for f in extract_tb(error.__traceback__) if not f.filename.startswith(others)]
    place = f" at {Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else ""
    raise UsageError(
        f"--network {name}: {what}{place} ({type(error).__name__}: {error})"
    ) from error
