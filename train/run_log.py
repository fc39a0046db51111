"""Log of a run: ``log.jsonl`` and, with ``--tensorboard``, the same figures for TensorBoard."""

from __future__ import annotations

import shutil
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from ailsr.runtime import documents, json_lines
from ailsr.runtime.errors import UsageError
from ailsr.runtime.files import atomic_output

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter

SCALARS = {
    "steps": ("loss", "learning_rate"),
    "validation": ("psnr", "ssim", "mean_importance"),
}
"""By event: its scalars in TensorBoard."""


class RunLog:
    """The log of a run in its folder; a context manager."""

    def __init__(self, folder: Path | None, tensorboard: bool = False) -> None:
        """``folder`` is None in a process without a log.

        Raises UsageError when ``tensorboard`` is set and the package is missing.
        """
        self._folder = folder
        self._wants_scalars = tensorboard and folder is not None
        self._scalars: SummaryWriter | None = None
        if self._wants_scalars:
            _summary_writer()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:  # fmt: skip
        if self._scalars is not None:
            self._scalars.close()

    def start(self) -> None:
        """Start an empty log."""
        if self._folder is None:
            return
        self._path.unlink(missing_ok=True)
        shutil.rmtree(self._folder / "tensorboard", ignore_errors=True)
        self._open_scalars(None)

    def resume(self, step: int) -> None:
        """Continue after ``step``; later entries are dropped, since their steps run again."""
        if self._folder is None:
            return
        self._open_scalars(step + 1)
        if not self._path.exists():
            return
        kept = [
            documents.dump(entry) + "\n"
            for entry in json_lines.read(self._path).values  # the last may have been cut by a kill
            if entry["step"] < step or (entry["step"] == step and entry["event"] != "round")
        ]
        with atomic_output(self._path) as temporary:
            temporary.write_text("".join(kept), encoding="utf-8")

    def write(self, event: str, step: int, **values: Any) -> None:  # noqa: ANN401
        """Append one line of JSON values."""
        if self._folder is None:
            return
        json_lines.append(self._path, {"event": event, "step": step, **values})
        if self._scalars is not None:
            for name in SCALARS.get(event, ()):
                if values.get(name) is not None:
                    self._scalars.add_scalar(name, values[name], step)
            self._scalars.flush()

    @property
    def _path(self) -> Path:
        assert self._folder is not None
        return self._folder / "log.jsonl"

    def _open_scalars(self, purge_step: int | None) -> None:
        """Open TensorBoard's file; it replaces earlier values from ``purge_step`` on."""
        if self._wants_scalars and self._folder is not None:
            folder = str(self._folder / "tensorboard")
            self._scalars = _summary_writer()(folder, purge_step=purge_step)


def _summary_writer() -> type[SummaryWriter]:
    try:
        from torch.utils.tensorboard import SummaryWriter  # half a second that only this needs
    except ImportError as error:
        raise UsageError(
            '--tensorboard needs the package tensorboard: pip install "ailsr[tensorboard]"'
        ) from error
    return SummaryWriter
