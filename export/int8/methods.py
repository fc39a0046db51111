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
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cached_property
from typing import Literal, NamedTuple

from torch import Tensor

from ailsr.export.graph.graph import Graph
from ailsr.export.graph.passes import forms, resized, with_separate_convolutions
from ailsr.export.graph.quantization import SAME_SCALE, Bits, Quantization, quantization_of
from ailsr.export.image_sets import ImageSet
from ailsr.export.int8.calibration import (
    ChannelRanges,
    channel_ranges,
    ranges,
    ranges_of_copies,
    ranges_of_halves,
)
from ailsr.export.int8.correction import corrected
from ailsr.export.int8.equalization import equalized
from ailsr.export.int8.mixed_precision import in_float
from ailsr.export.int8.range_fit import fitted
from ailsr.export.int8.range_search import searched
from ailsr.export.int8.responses import Responses, square_error
from ailsr.export.int8.samples import FEW, FIT_PRODUCTS, Samples
from ailsr.export.int8.sensitivity import LayerLoss, sensitivity
from ailsr.export.int8.simulation import output_of
from ailsr.runtime.card import Layout, Precision
from ailsr.runtime.engines.layouts import Levels

FAR = 0.5
"""PSNR in dB: a network that loses more by all of KNOWN is not searched for ranges, nor for single
nodes in float32. These bring it nearer, hardly ever near enough."""

VERY_FAR = 2.0
"""PSNR in dB: where the rule of equalisation loses more, no other one is tried."""

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
        ``max_drop`` is the PSNR in dB that search and mixed precision aim at half of, or at less
        where files turn out to lose more than was estimated (``verified``).

        ``fall_back`` allows int8x16 in place of int8; ``qat_steps`` of fine-tuning replace that.
        """
        self.graph = graph
        self.images = images
        self._progress = progress
        self._small = small or graph
        self._qat_steps = qat_steps
        self._fall_back = fall_back and not qat_steps
        self._max_drop = max_drop
        self._samples = Samples(images, self._small, layout)
        self._made: dict[Int8Method, QuantizedGraph] = {}
        self._sufficient = max_drop / 2
        """PSNR in dB by estimate with which a file is likely to be good enough"""
        self._even: dict[tuple[str, ...], QuantizedGraph] = {}
        """By the names of a form's tensors."""
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
                    made = self._correction.made
                case "search":
                    made = self._best.made
                case "mixed precision":
                    made = self._mixed()
                case "16-bit activations":
                    made = self._candidate(self._equalized_by_rule(bits=16)).made
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
        """Of a ``form`` of the network: those that are known, if all that it adds are copies or
        halves."""
        shapes, known = self._small.shapes, self._channels
        same = {t: c for t, c in known.items() if form.shapes.get(t) == shapes[t]}
        same |= {t: c for t, c in ranges_of_halves(self._small, known).items() if t in form.shapes}
        found = ranges_of_copies(form, same)
        wanted = {node.output for node in form.nodes if not isinstance(node, SAME_SCALE)}
        return found if found.keys() >= wanted else channel_ranges(form, self._low_resolution())

    @cached_property
    def _correction(self) -> Candidate:
        """Equalised by the rule; where that does not suffice, by what it costs."""
        found = self._candidate(self._equalized_by_rule(bits=8))
        if not self._sufficient < self._drop(found.made) < VERY_FAR:
            return found
        other = self._candidate(self._equalized(self._small))
        return min(found, other, key=lambda candidate: self._error(candidate.made))

    def _equalized_by_rule(self, bits: Bits) -> QuantizedGraph:
        graph, channels = equalized(self._small, self._channels)
        return QuantizedGraph(graph, quantization_of(graph, ranges(channels), bits))

    def _equalized(self, form: Graph) -> QuantizedGraph:
        """A ``form`` of the network with its furthest ranges, equalised by what it costs."""
        names = tuple(form.shapes)
        if names not in self._even:
            self._progress("equalising channels", 0, None)
            few = Responses(form, self._samples.parts("first", FEW))
            graph, channels = equalized(form, self._channels_of(form), few)
            self._even[names] = QuantizedGraph(graph, quantization_of(graph, ranges(channels)))
        return self._even[names]

    @cached_property
    def _best(self) -> Candidate:
        """The best of what is known so far, and of the corrections of each form of the network with
        its furthest ranges and with searched ones; judged where the search did not look."""
        return min(self._candidates(), key=lambda candidate: self._error(candidate.made))

    def _candidates(self) -> Iterator[Candidate]:
        yield self._correction
        yield Candidate(self._quantized("calibration"), self._quantized("calibration"))
        if self.is_far:
            return
        for form in forms(self._small):
            furthest = self._equalized(form)
            if form.shapes != self._small.shapes:  # else it is what correction gives
                yield (found := self._candidate(furthest))
                if self._drop(found.made) <= self._sufficient:
                    return
            self._progress("searching ranges", 0, None)
            narrowed = searched(*furthest, self._responses.image)
            yield (found := self._candidate(QuantizedGraph(furthest.graph, narrowed)))
            if self._drop(found.made) <= self._sufficient:
                return  # the other forms are slower

    def verified(self, method: Int8Method, drop: float) -> bool:
        """Take note that a file by ``method`` loses ``drop``, in dB, and so is not enough: a mixed
        precision aims lower in proportion. True if ``method`` now loses less by estimate."""
        expected, aim = self.expected_drop(method), self._sufficient
        if not 0 < expected < drop:
            return False
        self._sufficient = min(aim, self._max_drop / 2 * expected / drop)
        if method != "mixed precision" or ("_apart" in vars(self) and expected > aim):
            return False  # it had all in float32 that it may
        del self._made[method]
        return self.expected_drop(method) < expected

    def _candidate(self, plain: QuantizedGraph) -> Candidate:
        self._progress("correcting weights and biases", 0, None)
        images = self._samples.to_correct(plain.graph)
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
        if min(self._drop(candidate.made) for candidate in found) > 2 * self._sufficient:
            found.append(self._apart)
            if self._drop(self._apart.made) > self._sufficient:
                found.append(self._with_floats(self._apart))
        return min((candidate.made for candidate in found), key=self._error)

    @cached_property
    def _apart(self) -> Candidate:
        """All nodes but convolutions in float32, channels between the two at their furthest or
        where they err least."""
        form, real = with_separate_convolutions(self._small)
        self._progress("fitting ranges", 0, None)
        furthest = self._channels_of(form)
        images = self._samples.parts("middle", products=FIT_PRODUCTS)
        least = fitted(furthest, Responses(form, images))
        found = []
        for channels in (furthest, least):
            graph, even = equalized(form, channels, evenly=True)
            quantization = replace(quantization_of(graph, ranges(even)), real=real)
            found.append(QuantizedGraph(graph, quantization))
        return self._candidate(min(found, key=self._error))

    def _with_floats(self, candidate: Candidate) -> Candidate:
        self._progress("choosing layers for float32", 0, None)
        sufficient = self._own_error * (10 ** (self._sufficient / 10) - 1)
        graph, quantization = candidate.plain
        real = in_float(graph, *candidate.made, self._responses, sufficient)
        if real == quantization.real:
            return candidate
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
        return Responses(self._small, self._samples.parts("first"))

    @cached_property
    def _judged(self) -> tuple[Tensor, Tensor]:
        """(others, what the network makes of them), which choose between what was found."""
        image = self._samples.parts("last")
        return image, output_of(self._small, image).clamp(0, 1)

    @cached_property
    def _own_error(self) -> float:
        """Mean square error of the float network on the parts that ranges are searched on."""
        return square_error(self._responses.output, self._samples.truth("first"))

    def _fine_tuned(self) -> QuantizedGraph:
        from ailsr.export.int8.qat import fine_tuned

        start, steps, done = self._quantized("search"), self._qat_steps, 0
        images = [self.images.pairs[place] for place in self._samples.places]

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
        for done, image in enumerate(self._samples.low_resolution()):
            self._progress("calibrating", done, len(self._samples.places))
            yield image
