"""Images in another layout: (1, height, width, channels), or (1, heads, channels, pixels)."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import onnx

from ailsr.export.graph.graph import Shape
from ailsr.export.reading.onnx_reader import OnnxReader
from ailsr.export.reading.rearrangement import Numbers, Rearrangement, gathered_channels


@dataclass(frozen=True)
class Layout:
    """The order of an image's samples in a tensor, each of whose axes counts pixels or channels.

    Sample (a, b, …) of the tensor is of the channel ``channels[a, b, …]`` and of the pixel
    ``pixels[a, b, …]``; the one is 1 long along the axes of the other.
    """

    channels: Numbers
    pixels: Numbers

    @classmethod
    def of(cls, moved: Rearrangement) -> Layout | None:
        """That of ``moved``; None when that is no image, or not with all of its pixels."""
        if len(moved.sources) > 1:
            return None
        _, height, width = moved.shapes[0]
        shape, pixels = moved.numbers.shape, moved.numbers
        for axis in range(len(shape)):
            pixels = _once_along(axis, pixels, pixels % np.int32(height * width))
        channels = moved.numbers
        for axis in range(len(shape)):
            channels = _once_along(axis, channels, channels // np.int32(height * width))
        pixels, channels = pixels % np.int32(height * width), channels // np.int32(height * width)
        sides = [1 if p > 1 else side for p, side in zip(pixels.shape, shape, strict=True)]
        try:
            channels = np.broadcast_to(channels, sides)
        except ValueError:  # an axis of both
            return None
        if pixels.size != height * width or len(np.unique(pixels)) != pixels.size:
            return None
        return cls(channels, pixels)

    @property
    def rank(self) -> int:
        """Axes of the tensor."""
        return self.pixels.ndim

    @property
    def pixel_axes(self) -> set[int]:
        """The axes of the pixels; none, where the image is of one pixel."""
        return _axes(self.pixels)

    @property
    def channel_axes(self) -> set[int]:
        """The axes of the channels that are longer than 1."""
        return _axes(self.channels)

    def with_rank(self, rank: int) -> Layout:
        """The same with axes of length 1 before it."""
        more = (1,) * (rank - self.rank)
        channels, pixels = (a.reshape(more + a.shape) for a in (self.channels, self.pixels))
        return Layout(channels, pixels)

    def numbers(self, shape: Shape) -> Numbers:
        """The samples of an image of ``shape``."""
        return self.channels * np.int32(shape[1] * shape[2]) + self.pixels

    def moved(self, image: str, shape: Shape) -> Rearrangement:
        """The tensor made of ``image``, of ``shape``."""
        return Rearrangement((image,), (shape,), self.numbers(shape))

    def with_channels(self, shape: tuple[int, ...]) -> Layout:
        """The same of an image whose channels are one after the other in an array of ``shape``."""
        count = np.arange(np.prod(shape, dtype=np.int32), dtype=np.int32)
        return replace(self, channels=count.reshape(shape))


def _once_along(axis: int, numbers: Numbers, values: Numbers) -> Numbers:
    """``numbers``, of which the first along ``axis`` alone where the ``values`` are equal there."""
    same = (values == values.take([0], axis)).all()
    return numbers.take([0], axis) if same else numbers


def _axes(numbers: Numbers) -> set[int]:
    return {axis for axis, side in enumerate(numbers.shape) if side > 1}


def laid_out(reader: OnnxReader, node: onnx.NodeProto, name: str) -> tuple[str, Layout]:
    """(our tensor, its layout in the ONNX tensor ``name``, which ``node`` reads). Raises
    UnsupportedOperatorError for a tensor that is no image in any layout."""
    layout = Layout.of(reader.moved(name))
    if layout is None:
        reader.settle(name)
        layout = Layout.of(reader.moved(name))
    if layout is None:
        raise reader.unsupported(node, "of images in this layout")
    return reader.moved(name).sources[0], layout


def gathered(reader: OnnxReader, image: str, channels: Numbers, output: str) -> str:
    """The image of those ``channels`` of our tensor ``image``, in their order; called ``output``
    unless it is the image itself."""
    nodes = gathered_channels(image, reader.shapes[image], channels.reshape(-1), output)
    return reader.emit(*nodes) if nodes else image
