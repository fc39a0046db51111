"""Networks, Adaptive Importance Learning and the training loop.

>>> from ailsr.train import Recipe, train
>>> card = train(recipe)  # writes best.pt

These names are imported on first use: PyTorch takes seconds, which ``--help`` does not need.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ailsr.train.events import Events
    from ailsr.train.networks import Network
    from ailsr.train.recipe import Recipe
    from ailsr.train.training import train
else:
    MODULES = {"Events": "events", "Network": "networks", "Recipe": "recipe", "train": "training"}

    def __getattr__(name: str) -> object:
        if name not in MODULES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return getattr(import_module(f"{__name__}.{MODULES[name]}"), name)


__all__ = ["Events", "Network", "Recipe", "train"]
