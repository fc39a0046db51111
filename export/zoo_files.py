"""Networks of the zoo as files that ``ailsr.runtime`` runs, each made on its first use."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from ailsr.runtime.errors import UsageError
from ailsr.runtime.files import cache_folder, sha256
from ailsr.runtime.version import VERSION
from ailsr.train import zoo


class ZooFiles:
    """As ``ailsr.runtime.engines.named_files.Maker``, of the prefix ``zoo``."""

    def __call__(self, model: str, say: Callable[[str], None]) -> Path:
        """The float32 ONNX file of ``model``, such as zoo:sesr_m5_x2, which loses nothing to it.

        ``say`` is called with a message when it has yet to be exported. Raises UsageError when
        there is no such network, EngineError when a package that exports it is missing.
        """
        checkpoint = zoo.path(model)
        folder = cache() / f"{checkpoint.stem}-{VERSION}-{sha256(checkpoint)[:12]}"
        if (made := next(folder.glob("*.onnx"), None)) is None:
            from ailsr.export.command import export
            from ailsr.export.options import ExportConfig

            say(f"{model}: exporting it to {folder}, this once")
            wanted = ExportConfig(
                Path(model), target=["onnx"], precision=["float32"], output=folder
            )
            made = Path(export(wanted, lambda doing, done, total: None).files[0].file)
        return made

    def names(self) -> list[str]:
        """The networks of the zoo, without ``zoo:``."""
        return zoo.names()


exported = ZooFiles()


def cache() -> Path:
    """The folder of the files that were made. Raises UsageError for a user without a home."""
    folder = cache_folder()
    if folder is None:
        raise UsageError(
            "this user has no home to keep the file in: set XDG_CACHE_HOME, or export it with "
            "ailsr-export"
        )
    return folder / "zoo"
