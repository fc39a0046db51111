"""Networks that spandrel recognises by their weights alone: some fifty published architectures."""

from __future__ import annotations

import sys
from importlib import import_module
from types import ModuleType
from typing import Any

from torch import Tensor, nn

from ailsr.export.reading.state_dict import StateDict
from ailsr.runtime.errors import EngineError, ModelError, one_line


class SpandrelModule(nn.Module):
    """A network as spandrel calls it: pixels in [0, 1], one tensor in and one out."""

    def __init__(self, descriptor: Any) -> None:  # noqa: ANN401
        super().__init__()
        self.model = descriptor.model.float().eval().requires_grad_(False)
        self.multiple: int = descriptor.size_requirements.multiple_of
        # Some return more than the image, or shift its range: spandrel knows.
        self._call = descriptor._call_fn

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = self._call(self.model, x)
        return result


def spandrel_module(state: StateDict) -> SpandrelModule:
    """The network of the weights ``state``. Raises ModelError when spandrel knows none, EngineError
    when it is not installed."""
    spandrel = import_spandrel()
    try:
        descriptor = spandrel.MAIN_REGISTRY.load(spandrel.canonicalize_state_dict(state))
    except spandrel.UnsupportedModelError as error:
        raise ModelError(
            "spandrel knows no network with such weights: name its class with --network "
            "module:Class"
        ) from error
    except Exception as error:  # of some fifty constructors and load_state_dict
        raise ModelError(
            f"spandrel takes it for a network that its weights do not fit ({one_line(error)}): "
            "name its class with --network module:Class"
        ) from error
    if not isinstance(descriptor, spandrel.ImageModelDescriptor):
        raise ModelError(f"{descriptor.architecture.name} takes a mask beside the image")
    return SpandrelModule(descriptor)


def import_spandrel() -> Any:  # noqa: ANN401 - which is installed or not
    """The package. Raises EngineError when it is not installed.

    Where torchvision does not load, as its build for CUDA beside a torch for the CPU, it gets a
    stand-in: LaMa and RestoreFormer alone call it, and the others import it with them.
    """
    functional = ModuleType("torchvision.transforms.functional")
    vars(functional).update(InterpolationMode=None, rotate=None, normalize=None)
    names = ["torchvision", "torchvision.transforms", functional.__name__]
    try:
        import torchvision  # noqa: F401
    except (ImportError, OSError, RuntimeError):
        sys.modules.update(dict.fromkeys(names, functional))
    else:
        names = []
    try:
        return import_module("spandrel")
    except ImportError as error:
        raise EngineError(
            "these weights do not tell their network: name its class with --network module:Class, "
            "or, for a published architecture such as SRVGGNetCompact or SPAN, "
            'pip install "ailsr[spandrel]"'
        ) from error
    finally:
        for name in names:
            del sys.modules[name]
