"""What the methods see of a calibration set: of its images so many, and of these parts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property

import numpy as np
from torch import Tensor

from ailsr.export.graph.graph import Graph
from ailsr.export.graph.passes import macs
from ailsr.export.graph.sizes import fixed_size
from ailsr.export.image_sets import ImageSet
from ailsr.export.int8.correction import CROP
from ailsr.export.int8.crops import Place, crops
from ailsr.runtime.card import Layout
from ailsr.runtime.engines.layouts import Levels, levels_of
from ailsr.runtime.imaging.image import Rgb

MAX_IMAGES = 200
"""Number of images of a calibration folder that are used, evenly spaced by name."""
CALIBRATION_PRODUCTS = 15 * 10**10
"""Of one inference on all of them: networks of one size, which see whole tiles, see fewer."""
CORRECTION_IMAGES = 32
"""Number of these that weights and biases are corrected on, and ranges searched."""
SIDE = 48
"""Of the parts of images that ranges are searched on, in low-resolution pixels."""
PRODUCTS = 10**10
"""Of one inference on all of these parts: larger networks see fewer images."""
FIT_PRODUCTS = 3 * 10**10
"""The same of what ranges are fitted on."""
CORRECTION_PRODUCTS = 10**11
"""The same of a correction."""
FEW = 4
"""Of so many parts one is looked at for what is asked of every tensor."""
FEWEST = 2
"""Images that the largest networks see."""


class Samples:
    """Images in ``layout`` for the network ``graph``."""

    def __init__(self, images: ImageSet, graph: Graph, layout: Layout) -> None:
        self.pairs = images.pairs
        most = MAX_IMAGES
        if fixed_size(graph):
            products = CALIBRATION_PRODUCTS / max(sum(macs(graph).values()), 1)
            most = int(np.clip(products, CORRECTION_IMAGES, MAX_IMAGES))
        self.places = _evenly(range(len(images.pairs)), most)
        """Of the pairs that are looked at."""
        self._graph = graph
        self._layout: Layout = layout

    def low_resolution(self) -> Iterator[Levels]:
        """All of them."""
        return (self._levels(self.pairs[place].lr) for place in self.places)

    def to_correct(self, graph: Graph) -> list[Levels]:
        """Low-resolution images for a correction of ``graph``."""
        side = max(graph.input_shape[1:]) if fixed_size(graph) else CROP
        return self._few[: _images_for(graph, side, CORRECTION_PRODUCTS)]

    def parts(self, place: Place, every: int = 1, products: int = PRODUCTS) -> Tensor:
        """(images, C, h, w): parts of low-resolution images, of ``every`` so many one; as many as
        one inference of ``products`` sees."""
        parts = self._parts(self._few, place, 1, products)
        return parts[: -(-len(parts) // every)]

    def truth(self, place: Place) -> Tensor:
        """The high-resolution images of ``parts``."""
        images = [self._levels(self.pairs[i].hr) for i in _evenly(self.places, CORRECTION_IMAGES)]
        return self._parts(images, place, self.pairs[0].scale, PRODUCTS)

    @cached_property
    def _few(self) -> list[Levels]:
        return [self._levels(self.pairs[i].lr) for i in _evenly(self.places, CORRECTION_IMAGES)]

    def _parts(self, images: Sequence[Levels], place: Place, scale: int, products: int) -> Tensor:
        graph = self._graph
        height, width = graph.input_shape[1:] if fixed_size(graph) else (SIDE, SIDE)
        chosen = images[: _images_for(graph, max(height, width), products)]
        return crops(chosen, (scale * height, scale * width), place, graph.ends)

    def _levels(self, rgb: Rgb) -> Levels:
        return levels_of(rgb, self._layout)


def _images_for(network: Graph, side: int, products: int) -> int:
    """The number of images of ``side`` that one inference by ``network`` of so many products is."""
    _, height, width = network.input_shape
    per_image = sum(macs(network).values()) / (height * width) * side**2
    return int(np.clip(products / max(per_image, 1), FEWEST, CORRECTION_IMAGES))


def _evenly(places: Sequence[int], most: int) -> list[int]:
    """At most ``most`` of ``places``, evenly spaced."""
    count = min(len(places), most)
    return [places[i * len(places) // count] for i in range(count)]
