"""Proof of an exported file: it is run on real images and compared with the network.

Both go through the same ``Upscaler``, at the same input size, so padding and tiling are the same
and only the file's own arithmetic differs.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from ailsr.export.graph.quantization import BITS
from ailsr.export.image_sets import GENERATED, ImageSet
from ailsr.export.int8.methods import Progress
from ailsr.export.reading.source import Source
from ailsr.runtime.card import Card, PixelType, Precision
from ailsr.runtime.engines.encoding import Run
from ailsr.runtime.engines.engine import Engine
from ailsr.runtime.engines.pixels import Pixels, to_pixels
from ailsr.runtime.errors import ModelError, ParityError
from ailsr.runtime.imaging.protocol import Quality, evaluate
from ailsr.runtime.imaging.resize import enlarge
from ailsr.runtime.upscaling.upscaler import Upscaler, load

MAX_DIFFERENCE: dict[Precision, float] = {
    "float32": 1e-4,
    "float16": 2e-2,
    "int8": np.inf,
    "int8x16": np.inf,
}
"""Of raw outputs, white being 1. float32 files come within 1e-6, float16 files within 2e-3."""
MAX_PSNR_DROP: dict[Precision, float] = {
    "float32": 0.01,
    "float16": 0.05,
    "int8": 0.1,
    "int8x16": 0.1,
}
"""dB of PSNR that a file may lose against the network, unless --max-drop says otherwise."""
HOPELESS = 3
"""Times the PSNR that may be lost: an int8 method that loses more on parts of the calibration
images is not worth a file, to be verified."""
ADVICE: dict[Precision, str] = {
    "float32": "this is a fault of ailsr: please report it with the model",
    "float16": "the network's values are beyond float16: use --precision float32",
    "int8": "calibrate on images like yours (--calibration DIR), see where it is lost with "
    "--sensitivity FILE.html, fine-tune with --qat STEPS, "
    "use --precision float16, or accept more with --max-drop DB",
    "int8x16": "calibrate on images like yours (--calibration DIR), use --precision float16, or "
    "accept more with --max-drop DB",
}
"""The next step for a file that is not good enough."""
COMPARED_RUNS = 4
"""Runs that are compared value by value."""

Tick = Callable[[], None]
"""Called after each image."""


def allowed_drop(precision: Precision, max_drop: float | None) -> float:
    """dB of PSNR that a file for --precision may lose; ``max_drop`` is --max-drop."""
    return MAX_PSNR_DROP[precision] if max_drop is None else max_drop


def hopeless_drop(precision: Precision, max_drop: float | None) -> float:
    """dB of PSNR by estimate from which on no file is written."""
    return HOPELESS * max(allowed_drop(precision, max_drop), MAX_PSNR_DROP[precision])


def ticks(progress: Progress, doing: str, images: ImageSet) -> Tick:
    """A function that tells ``progress`` of one more of ``images`` done each time it is called."""
    total, done = len(images.pairs), 0
    progress(doing, done, total)

    def tick() -> None:
        nonlocal done
        done += 1
        progress(doing, done, total)

    return tick


class PsnrDropError(ParityError):
    """An exported file that loses more PSNR than it may."""

    def __init__(self, message: str, psnr_drop: float) -> None:
        super().__init__(message)
        self.psnr_drop = psnr_drop
        """dB"""


class EngineParityError(ParityError):
    """An engine that computes a file wrongly on this CPU: the file may be right elsewhere.

    No other int8 method is tried then: none mends an engine.
    """


class SourceEngine(Engine):
    """The network that files are made from, as an engine."""

    name = "the network"
    measurable = False
    io_dtype: PixelType = "float32"

    def __init__(self, run: Run, card: Card) -> None:
        self.card = card
        self.input_size = card.input_size
        self.scale = card.scale
        self.samples: list[tuple[Pixels, Pixels]] = []
        """(input, output) of the first runs."""
        self._run = run

    def run(self, image: Pixels) -> Pixels:
        upscaled = self._run(image)
        if len(self.samples) < COMPARED_RUNS:
            self.samples.append((image, upscaled))
        return upscaled

    def take_sample(self, image: Pixels) -> None:
        """Run ``image`` to be compared value by value, however many there are already."""
        self.samples.append((image, self._run(image)))


@runtime_checkable
class ExactEngine(Protocol):
    """An engine that rounds to pixels when it runs, and can do without."""

    def evaluate(self, image: Pixels) -> Pixels:
        """``run`` in float32, white being 1, not rounded."""
        ...


@dataclass(frozen=True)
class Verification:
    """An exported file compared with the network that it was made from."""

    psnr: float
    """dB of the file, over the images"""
    psnr_drop: float
    """dB of PSNR that the file loses against the network; negative when it gains"""
    difference: float
    """Largest difference of two output values, white being 1"""


class Reference:
    """The network's own results, by ``run``, on the images; files are verified against them."""

    def __init__(self, run: Run, card: Card, images: ImageSet, tick: Tick = lambda: None) -> None:
        self.images = images
        self._engine = SourceEngine(run, card)
        for height, width in card.sizes if card.other_sizes else ():
            lr = images.pairs[0].lr  # as often as it takes to fill each size
            rows, columns = np.arange(height) % lr.shape[0], np.arange(width) % lr.shape[1]
            self._engine.take_sample(to_pixels(lr[rows[:, None], columns], "float32"))
        self.scores = self._evaluate(Upscaler(self._engine, Path(card.network)), tick)

    @property
    def input_psnr(self) -> float | None:
        """PSNR in dB of the images before a network of ×1 restores them; None for upscalers."""
        if self._engine.scale > 1:
            return None
        return evaluate(lambda rgb: rgb, self.images.pairs).psnr_db

    def verify(
        self,
        path: Path,
        precision: Precision,
        max_drop: float | None = None,
        tick: Tick = lambda: None,
    ) -> Verification:
        """The figures of the file at ``path``. Raises ParityError when it is not good enough,
        PsnrDropError, which is one, when that is a matter of PSNR, and EngineParityError, which is
        one, when it is the engine's fault.

        ``max_drop`` is the PSNR in dB that it may lose; None stands for MAX_PSNR_DROP.
        """
        upscaler = load(path, trusted=True)
        samples = self._engine.samples
        if upscaler.engine.layout == "rgba":  # of an alpha that is to be ignored
            samples = [(_with(0.25, image), _with(1, expected)) for image, expected in samples]
        difference = max(
            float(np.abs(upscaler.engine.evaluate(image) - _as_exact(expected, precision)).max())
            for image, expected in samples
        )
        if not difference <= MAX_DIFFERENCE[precision]:  # not: NaN is refused too
            raise ParityError(
                f"the {precision} file differs from the network by {difference:.2g} (white is 1), "
                f"allowed is {MAX_DIFFERENCE[precision]:.2g}: no file was written; "
                f"{ADVICE[precision]}"
            )
        fidelity = upscaler.fidelity()
        if fidelity is not None and fidelity.verdict == "wrong":
            raise EngineParityError(
                f"{upscaler.engine.name} on this CPU does not compute the {precision} file as "
                f"exported, it is {fidelity}: no file was written, though other engines and CPUs "
                "may compute it rightly; update the engine, or export to another target"
            )
        psnr = self._evaluate(upscaler, tick).psnr_db
        drop = self.scores.psnr_db - psnr if psnr != self.scores.psnr_db else 0.0  # both may be inf
        limit = MAX_PSNR_DROP[precision]
        if max_drop is not None:
            limit = max_drop if precision in BITS else min(max_drop, limit)
        if not drop <= limit:
            raise PsnrDropError(
                f"the {precision} file loses {drop:.3f} dB of PSNR ({psnr:.2f} instead of "
                f"{self.scores.psnr_db:.2f} on {self.images.name}), allowed is {limit:g}: no "
                f"file was written; {ADVICE[precision]}",
                drop,
            )
        return Verification(psnr, drop, difference)

    def _evaluate(self, upscaler: Upscaler, tick: Tick) -> Quality:
        def upscale(rgb: NDArray[np.uint8]) -> NDArray[np.uint8]:
            upscaled = upscaler.upscale(rgb)
            tick()
            return upscaled

        return evaluate(upscale, self.images.pairs)


def _with(alpha: float, image: Pixels) -> Pixels:
    """``image`` with a fourth channel."""
    return np.dstack([image, np.full(image.shape[:2], alpha, np.float32)])


def _as_exact(expected: Pixels, precision: Precision) -> Pixels:
    """The network's output as a file of ``precision`` can give it: int8 ends at black and white."""
    return np.clip(expected, 0, 1) if precision in BITS else expected


def check_quality(source: Source, reference: Reference) -> None:
    """Raise ModelError when bicubic interpolation does better than ``source`` on the images of
    its ``reference``.

    So it does when a network is run in a wrong range, and when it is hardly trained. One that was
    trained for images of another degradation is not judged, nor is any by generated images, where
    bicubic interpolation does better than some of the zoo; nor one of ×1, which may be made for
    other noise than that of the images.
    """
    images = reference.images
    if source.scale == 1 or images.name == GENERATED or source.training.get("degradation"):
        return
    psnr = reference.scores.psnr_db
    bicubic = evaluate(partial(enlarge, scale=source.scale), images.pairs).psnr_db
    if psnr >= bicubic:  # not for NaN
        return
    advice = "train it longer"
    if not source.training:
        advice = f"if {source.encoding} is wrong, give --input-range, --output-range or --channels"
    raise ModelError(
        f"{source.name} does worse than bicubic interpolation, {psnr:.2f} dB against "
        f"{bicubic:.2f} on {images.name}: {advice}; for other images, give such as --images; "
        "export it all the same with --allow-worse-than-bicubic"
    )
