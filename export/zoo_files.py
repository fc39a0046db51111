"""Networks of the zoo as files that ``ailsr.runtime`` runs, each made on its first use."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from ailsr.runtime.files import sha256
from ailsr.runtime.version import VERSION
from ailsr.train import zoo


def exported(model: str, say: Callable[[str], None]) -> Path:
    """The float32 ONNX file of ``model``, such as zoo:sesr_m5_x2, which loses nothing to it.

    ``say`` is told when it has yet to be exported. Raises UsageError when there is no such network,
    EngineError when what exports it is not installed.
    """
    checkpoint = zoo.path(model)
    folder = cache() / f"{checkpoint.stem}-{VERSION}-{sha256(checkpoint)[:12]}"
    if (made := next(folder.glob("*.onnx"), None)) is None:
        from ailsr.export.command import export
        from ailsr.export.options import ExportConfig

        say(f"{model}: exporting it to {folder}, this once")
        wanted = ExportConfig(Path(model), target="onnx", precision="float32", output=folder)
        made = Path(export(wanted, lambda doing, done, total: None).files[0].file)
    return made


def cache() -> Path:
    """The folder of the files that were made."""
    caches = os.environ.get("XDG_CACHE_HOME")
    return (Path(caches) if caches else Path.home() / ".cache") / "ailsr" / "zoo"
