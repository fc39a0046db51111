"""The interface of all engines. An engine runs one exported file; ``registry.py`` lists them."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from ailsr.runtime.card import Card, Layout, PixelType
from ailsr.runtime.engines.pixels import Pixels, from_pixels, to_pixels

ACCELERATORS = frozenset({"cuda", "tensorrt", "directml", "coreml", "qnn", "webgpu", "gpu", "npu"})
"""The names of engines that compute elsewhere than on the CPU."""


@dataclass(frozen=True)
class Backend:
    """A kernel library that computes some of a file's operators."""

    name: str
    """For example ``XNNPACK``; ``CPU``: the engine's own kernels."""
    operators: int
    types: tuple[str, ...] = ()
    """The kinds of these operators, by their names in the file's format; empty: not told."""

    @classmethod
    def of(cls, name: str, types: Iterable[str]) -> Backend:
        """The backend of the operators whose kinds are ``types``."""
        types = list(types)
        return cls(name, len(types), tuple(sorted(set(types))))


def fallback(backends: tuple[Backend, ...] | None) -> str | None:
    """What the first of ``backends``, which was to compute all operators, has left to others, in
    one line; None: nothing, or it is not known."""
    first, *others = backends or (None,)
    if first is None or not any(backend.operators for backend in others):
        return None
    rest = sum(backend.operators for backend in others)
    names = " and ".join(backend.name for backend in others if backend.operators)
    if first.operators == 0:
        return f"{first.name} took none of the {rest} operators: {names} computes them"
    types = ", ".join(sorted({name for backend in others for name in backend.types}))
    which = f": {types}" if types else ""
    return f"{first.name} left {rest} of {first.operators + rest} operators to {names}{which}"


def told(backends: tuple[Backend, ...] | None) -> str:
    """What computes a file's operators, in one line."""
    if left := fallback(backends):
        return left
    if not backends:
        return "it does not tell what computes the operators"
    return f"{backends[0].name} computes all {backends[0].operators} operators"


class Engine(ABC):
    """A loaded file that turns one image of a fixed size into one ``scale`` times larger."""

    name: str
    """Engine and version, for example ``onnxruntime 1.32.0``."""
    card: Card | None = None
    """None: the file is not one of ours."""
    measurable: bool = True
    """False: its latency means nothing here, as with a reference evaluator."""
    input_size: tuple[int, int]
    """(height, width)"""
    on_cpu: bool = True
    """False: an accelerator computes, which several engines only share."""
    resizable: bool = False
    """True: ``run`` takes images smaller than ``input_size`` as they are, without padding."""
    scale: int
    io_dtype: PixelType
    """Element type of input and output."""

    @property
    def layout(self) -> Layout:
        """Channels of input and output: of files without a card, RGB."""
        return self.card.layout if self.card else "rgb"

    @abstractmethod
    def run(self, image: Pixels) -> Pixels:
        """[h, w, C] -> [scale*h, scale*w, C], both of ``io_dtype``, C being the channels of
        ``layout``. Raises EngineError."""

    def evaluate(self, image: Pixels) -> Pixels:
        """float32 [h, w, C] -> [scale*h, scale*w, C], level 255 being 1, as exactly as can be.

        Input and output are rounded to the levels of an integer ``io_dtype``. Raises EngineError.
        """
        if self.io_dtype == "float32":
            return self.run(image)
        levels = np.rint(image * 255).astype(np.uint8)
        upscaled = from_pixels(self.run(to_pixels(levels, self.io_dtype)), self.io_dtype)
        return upscaled / np.float32(255)

    def backends(self) -> tuple[Backend, ...] | None:
        """The backends of the file's operators, first the one that was meant to compute them all,
        even if it computes none; None: not known. May take as long as loading."""
        return None


def available_cores() -> int:
    """The number of CPU cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
