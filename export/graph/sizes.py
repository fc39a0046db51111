"""The sizes of image that a graph computes, and that a file takes."""

from __future__ import annotations

from collections.abc import Callable

from ailsr.export.graph.graph import Add, Concat, Graph, MinMax, Mul, Node, Resize, output_shape
from ailsr.runtime.errors import AilsrError
from ailsr.runtime.upscaling.tiles import Size

SMALL_SIZE = (96, 96)
"""(height, width) at which int8 is prepared for networks whose graphs are of one size."""
ODD = (1, 11)
"""Pixels more, along height and width, that a graph of no fixed size takes, too."""


def default_input_size(scale: int, multiple: int = 1) -> Size:
    """(height, width) that becomes 1280×720, or the most of it that ``scale`` allows for sides that
    are a ``multiple``."""
    height, width = (side // scale // multiple * multiple for side in (720, 1280))
    return height, width


def named(size: Size) -> str:
    """``size`` as options and messages have it: 360x640."""
    height, width = size
    return f"{height}x{width}"


def fixed_size(graph: Graph) -> bool:
    """True if ``graph`` computes images of its own size, and of others only if those are a
    multiple of something."""
    _, height, width = graph.input_shape
    return not takes(graph, (height + ODD[0], width + ODD[1]))


def takes(graph: Graph, size: tuple[int, int]) -> bool:
    """True if the nodes of ``graph`` fit together for an input of ``size``, (height, width)."""
    shapes = {graph.input: (graph.input_shape[0], *size)}
    for node in graph.nodes:
        inputs = [shapes[tensor] for tensor in node.inputs]
        extents = {shape[1:] for shape in inputs}
        if isinstance(node, Add | Mul):
            extents.discard((1, 1))
        if isinstance(node, Resize) and size != graph.input_shape[1:]:
            return False
        if _joins(node) and len(extents) > 1:
            return False
        shapes[node.output] = output_shape(node, inputs)
    scale = graph.shapes[graph.output][1] // graph.input_shape[1]
    return shapes[graph.output][1:] == (scale * size[0], scale * size[1])


def small_graph(graph: Graph, at: Callable[[tuple[int, int]], Graph]) -> Graph | None:
    """``graph``, which ``at`` makes for any (height, width), at a size that is soon computed; None:
    it takes that size itself, or is another graph there."""
    if not fixed_size(graph):
        return None
    try:
        small = at(SMALL_SIZE)
    except AilsrError:  # too small for a window of its own
        return None
    same = [node.output for node in small.nodes] == [node.output for node in graph.nodes]
    return small if same else None


def _joins(node: Node) -> bool:
    return isinstance(node, Add | Mul | MinMax | Concat)
