"""The methods that keep an int8 file close to the network, the best first.

    correction     channels equalised, weights rounded so that errors cancel, biases corrected
    calibration    scales from the furthest reach of the float network's activations, no more
    search         correction of exact other forms of the network, with ranges that were searched
    mixed precision  the same with the few nodes in float32 that int8 costs the most, or with all
                   that are no convolutions
    fine-tuning    training in int8 arithmetic, where the user asks for it; or
    int8x16        activations of 16 bits

All targets try them in the same order, each until its own file is good enough.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Literal, NamedTuple

import numpy as np
from torch import Tensor

from ailsr.export.graph.graph import Graph
from ailsr.export.graph.passes import forms, macs, resized, with_separate_convolutions
from ailsr.export.graph.quantization import SAME_SCALE, Bits, Quantization, quantization_of
from ailsr.export.graph.sizes import fixed_size
from ailsr.export.image_sets import ImageSet
from ailsr.export.int8.calibration import (
    ChannelRanges,
    channel_ranges,
    ranges,
    ranges_of_copies,
)
from ailsr.export.int8.correction import CROP, corrected
from ailsr.export.int8.crops import Place, crops
from ailsr.export.int8.equalization import equalized
from ailsr.export.int8.mixed_precision import in_float
from ailsr.export.int8.range_search import searched
from ailsr.export.int8.responses import Responses, square_error
from ailsr.export.int8.sensitivity import LayerLoss, sensitivity
from ailsr.export.int8.simulation import output_of
from ailsr.runtime.card import Layout, Precision
from ailsr.runtime.engines.layouts import Levels, levels_of
from ailsr.runtime.imaging.image import Rgb

MAX_IMAGES = 200
"""Number of images of a calibration folder that are used, evenly spaced by name."""
CORRECTION_IMAGES = 32
"""Number of these that weights and biases are corrected on, and ranges searched."""
SIDE = 48
"""Of the parts of images that ranges are searched on, in low-resolution pixels."""
PRODUCTS = 10**10
"""Of one inference on all of these parts: larger networks see fewer images."""
CORRECTION_PRODUCTS = 3 * 10**10
"""The same of a correction."""
FEWEST = 2
"""Images that the largest networks see."""
FAR = 0.5
"""PSNR in dB: a network that loses more by all of KNOWN is not searched for ranges, nor for single
nodes in float32. These bring it nearer, hardly ever near enough."""

Progress = Callable[[str, int, int | None], None]
"""Called with (name of the step, rounds done, rounds in all if known)."""


Int8Method = Literal[
    "calibration",
    "correction",
    "search",
    "mixed precision",
    "16-bit activations",
    "fine-tuning",
]


KNOWN: tuple[Int8Method, ...] = ("correction", "calibration")
"""The methods that a search starts from."""


def precision_of(method: Int8Method) -> Precision:
    """The precision of the files that ``method`` gives."""
    return "int8x16" if method == "16-bit activations" else "int8"


class QuantizedGraph(NamedTuple):
    """A graph for int8 and the parameters of its tensors."""

    graph: Graph
    quantization: Quantization


class Candidate(NamedTuple):
    """One way to quantise a network."""

    plain: QuantizedGraph
    """Before weights and biases are corrected."""
    made: QuantizedGraph


class Int8Methods:
    """One network quantised by each method, computed when it is first asked for."""

    def __init__(
        self,
        graph: Graph,
        images: ImageSet,
        progress: Progress,
        *,
        small: Graph | None = None,
        max_drop: float = 0.1,
        fall_back: bool = True,
        qat_steps: int = 0,
        layout: Layout = "rgb",
    ) -> None:
        """``graph`` is for int8, of images in ``layout``, and calibrated on ``images``; ``small``
        is the same network for images of a smaller size, to be searched in its place.
        ``max_drop`` is the PSNR in dB that a mixed precision aims at half of.

        ``fall_back`` allows int8x16 in place of int8; ``qat_steps`` of fine-tuning replace that.
        """
        self.graph = graph
        self.images = images
        self._progress = progress
        self._small = small or graph
        self._qat_steps = qat_steps
        self._fall_back = fall_back and not qat_steps
        self._max_drop = max_drop
        self._layout: Layout = layout
        self._made: dict[Int8Method, QuantizedGraph] = {}
        self._errors: dict[int, tuple[Quantization, float]] = {}
        """By the id of the quantisation, which is kept alive."""

    def order(self, precision: Precision) -> list[Int8Method]:
        """The methods to try for files of ``precision``, in this order."""
        if precision == "int8x16":
            return ["16-bit activations"]
        methods: list[Int8Method] = ["correction", "calibration", "search", "mixed precision"]
        if self._qat_steps:
            methods.append("fine-tuning")
        if self._fall_back:
            methods.append("16-bit activations")
        return methods

    def quantized(self, method: Int8Method) -> QuantizedGraph:
        """The network quantised by ``method``. Raises AilsrError as its part does."""
        small = self._quantized(method)
        if self._small is self.graph:
            return small
        return QuantizedGraph(resized(small.graph, self.graph), small.quantization)

    def _quantized(self, method: Int8Method) -> QuantizedGraph:
        """``quantized``, at the smaller size where there is one."""
        if method not in self._made:
            match method:
                case "calibration":
                    quantization = quantization_of(self._small, ranges(self._channels))
                    made = QuantizedGraph(self._small, quantization)
                case "correction":
                    made = self._corrected(bits=8)
                case "search":
                    made = self._best.made
                case "mixed precision":
                    made = self._mixed()
                case "16-bit activations":
                    made = self._corrected(bits=16)
                case "fine-tuning":
                    made = self._fine_tuned()
            self._made[method] = made
        return self._made[method]

    def expected_drop(self, method: Int8Method) -> float:
        """The PSNR in dB that ``method`` loses on parts of the calibration images."""
        return self._drop(self._quantized(method))

    def sensitivity(self) -> list[LayerLoss]:
        """What each layer loses by plain calibration, on parts of the calibration images."""
        quantization = quantization_of(self._small, ranges(self._channels))
        self._progress("rounding one layer after the other", 0, None)
        return sensitivity(self._small, quantization, self._responses, self._own_error)

    @cached_property
    def _channels(self) -> ChannelRanges:
        return channel_ranges(self._small, self._low_resolution())

    def _channels_of(self, form: Graph) -> ChannelRanges:
        """Of a ``form`` of the network: those that are known, if all that it adds are copies."""
        shapes = self._small.shapes
        same = {t: c for t, c in self._channels.items() if form.shapes.get(t) == shapes[t]}
        found = ranges_of_copies(form, same)
        wanted = {node.output for node in form.nodes if not isinstance(node, SAME_SCALE)}
        return found if found.keys() >= wanted else channel_ranges(form, self._low_resolution())

    @cached_property
    def _sample(self) -> list[Levels]:
        """The images that weights, biases and ranges are chosen on."""
        return [self._levels(self.images.pairs[i].lr) for i in self._sampled]

    def _levels(self, rgb: Rgb) -> Levels:
        return levels_of(rgb, self._layout)

    @cached_property
    def _sampled(self) -> list[int]:
        return [self._chosen[i] for i in _evenly(len(self._chosen), CORRECTION_IMAGES)]

    @cached_property
    def _chosen(self) -> list[int]:
        """Places of the calibration images that are looked at."""
        return _evenly(len(self.images.pairs), MAX_IMAGES)

    def _corrected(self, bits: Bits) -> QuantizedGraph:
        graph, channels = equalized(self._small, self._channels)
        plain = QuantizedGraph(graph, quantization_of(graph, ranges(channels), bits))
        return self._candidate(plain).made

    @cached_property
    def _best(self) -> Candidate:
        """The best of what is known so far, and of the corrections of each form of the network with
        its furthest ranges and with searched ones; judged where the search did not look."""
        return min(self._candidates(), key=lambda candidate: self._error(candidate.made))

    def _candidates(self) -> Iterator[Candidate]:
        for method in KNOWN:
            yield Candidate(self._quantized(method), self._quantized(method))
        if self.is_far:
            return
        for form in forms(self._small):
            self._progress("searching ranges", 0, None)
            graph, channels = equalized(form, self._channels_of(form))
            furthest = quantization_of(graph, ranges(channels))
            for quantization in (furthest, searched(graph, furthest, self._responses.image)):
                yield self._candidate(QuantizedGraph(graph, quantization))

    def _candidate(self, plain: QuantizedGraph) -> Candidate:
        self._progress("correcting weights and biases", 0, None)
        side = CROP
        if fixed_size(plain.graph):
            side = max(plain.graph.input_shape[1:])
        images = self._sample[: _images_for(plain.graph, side, CORRECTION_PRODUCTS)]
        return Candidate(plain, QuantizedGraph(*corrected(*plain, images)))

    @property
    def is_far(self) -> bool:
        """Whether all methods before the search lose more than FAR."""
        return min(map(self.expected_drop, KNOWN)) > max(FAR, self._max_drop)

    def _mixed(self) -> QuantizedGraph:
        """What was found by search, with the few nodes in float32 that it takes; else the network
        with all nodes in float32 but convolutions, and some of these."""
        found = [self._best]
        if not self.is_far:
            found.append(self._with_floats(self._best))
        if min(self._drop(candidate.made) for candidate in found) > self._max_drop:
            form, real = with_separate_convolutions(self._small)
            graph, channels = equalized(form, self._channels_of(form))
            quantization = replace(quantization_of(graph, ranges(channels)), real=real)
            found.append(self._candidate(QuantizedGraph(graph, quantization)))
            if self._drop(found[-1].made) > self._max_drop / 2:
                found.append(self._with_floats(found[-1]))
        return min((candidate.made for candidate in found), key=self._error)

    def _with_floats(self, candidate: Candidate) -> Candidate:
        self._progress("choosing layers for float32", 0, None)
        sufficient = self._own_error * (10 ** (self._max_drop / 2 / 10) - 1)
        real = in_float(*candidate.made, self._responses, sufficient)
        graph, quantization = candidate.plain
        return self._candidate(QuantizedGraph(graph, replace(quantization, real=real)))

    def _error(self, made: QuantizedGraph) -> float:
        """Mean square error of the output against that of the network."""
        graph, quantization = made
        if id(quantization) not in self._errors:
            image, wanted = self._judged
            error = square_error(output_of(graph, image, quantization), wanted)
            self._errors[id(quantization)] = quantization, error
        return self._errors[id(quantization)][1]

    def _drop(self, made: QuantizedGraph) -> float:
        """PSNR in dB that is lost, by ``_error``."""
        return 10 * math.log10(1 + self._error(made) / self._own_error)

    @cached_property
    def _responses(self) -> Responses:
        """On the parts of images that ranges are searched on."""
        return Responses(self._small, self._parts("first", self._sample, 1))

    @cached_property
    def _judged(self) -> tuple[Tensor, Tensor]:
        """(others, what the network makes of them), which choose between what was found."""
        image = self._parts("last", self._sample, 1)
        return image, output_of(self._small, image).clamp(0, 1)

    @cached_property
    def _own_error(self) -> float:
        """Mean square error of the float network on the parts that ranges are searched on."""
        scale = self.images.pairs[0].scale
        truth = self._parts(
            "first", [self._levels(self.images.pairs[i].hr) for i in self._sampled], scale
        )
        return square_error(self._responses.output, truth)

    def _parts(self, place: Place, images: Sequence[Levels], scale: int) -> Tensor:
        height, width = self._small.input_shape[1:] if fixed_size(self._small) else (SIDE, SIDE)
        chosen = images[: _images_for(self._small, max(height, width), PRODUCTS)]
        return crops(chosen, (scale * height, scale * width), place, self._small.ends)

    def _fine_tuned(self) -> QuantizedGraph:
        from ailsr.export.int8.qat import fine_tuned

        start, steps, done = self._quantized("search"), self._qat_steps, 0
        images = [self.images.pairs[i] for i in self._chosen]

        def tick() -> None:
            nonlocal done
            done += 1
            self._progress("fine-tuning in int8", done, steps)

        graph = fine_tuned(
            start.graph,
            start.quantization,
            self.graph,
            images,
            steps,
            tick,
        )
        return QuantizedGraph(graph, start.quantization)

    def _low_resolution(self) -> Iterator[Levels]:
        for done, index in enumerate(self._chosen):
            self._progress("calibrating", done, len(self._chosen))
            yield self._levels(self.images.pairs[index].lr)


def _images_for(network: Graph, side: int, products: int) -> int:
    """The number of images of ``side`` that one inference by ``network`` of so many products is."""
    _, height, width = network.input_shape
    per_image = sum(macs(network).values()) / (height * width) * side**2
    return int(np.clip(products / max(per_image, 1), FEWEST, CORRECTION_IMAGES))


def _evenly(count: int, most: int) -> list[int]:
    """At most ``most`` of the places 0 to ``count`` - 1, evenly spaced."""
    return [i * count // min(count, most) for i in range(min(count, most))]
