"""The formats that are written: a package for each, with its ``writer.py`` at the head."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

from ailsr.export.graph.graph import Graph
from ailsr.export.graph.quantization import Quantization
from ailsr.runtime.card import Card


def write(
    target: str, graph: Graph, card: Card, path: Path, quantization: Quantization | None = None
) -> None:
    """Write ``graph`` to ``path``, in int8 where ``quantization`` is given.

    A writer is imported when it is needed: raises ImportError when a library is missing that it is
    made of.
    """
    import_module(f"{__name__}.{target}.writer").write(graph, card, path, quantization)
