"""From a trained network to verified ONNX, TFLite and Core ML files.

>>> from ailsr.export import Exporter, open_source
>>> file = Exporter(open_source(path)).export("tflite", "int8", folder)

These names are imported on first use: PyTorch takes seconds, which ``--help`` does not need.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ailsr.export.exported_file import ExportedFile
    from ailsr.export.exporter import Exporter
    from ailsr.export.reading.source import Source, open_source
else:
    MODULES = {
        "ExportedFile": "exported_file",
        "Exporter": "exporter",
        "Source": "reading.source",
        "open_source": "reading.source",
    }

    def __getattr__(name: str) -> object:
        if name not in MODULES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return getattr(import_module(f"{__name__}.{MODULES[name]}"), name)


__all__ = ["ExportedFile", "Exporter", "Source", "open_source"]
