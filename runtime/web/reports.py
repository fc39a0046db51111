"""Reports from phones: each is checked first, then kept."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ailsr.runtime import documents, json_lines
from ailsr.runtime.bench.report_document import check_document
from ailsr.runtime.errors import UsageError
from ailsr.runtime.files import atomic_output

Report = dict[str, Any]


class ReportDesk:
    """Receives reports on the files called ``names``, keeps and announces them.

    ``output`` always holds the latest as JSON, ``history`` all of them, one a line; both are read
    by ``ailsr-bench compare``.
    """

    def __init__(
        self,
        names: set[str],
        output: Path | None,
        history: Path | None,
        announce: Callable[[Report], None],
    ) -> None:
        self._names, self._output, self._history = names, output, history
        self._announce = announce
        self._lock = threading.Lock()  # phones may report at the same time

    def receive(self, body: bytes) -> str:
        """The answer to a phone that sent ``body``. Raises UsageError when that is no report."""
        report = self._checked(body)
        with self._lock:
            if self._output:
                with atomic_output(self._output) as temporary:
                    temporary.write_text(documents.dump(report) + "\n", encoding="utf-8")
            if self._history:
                json_lines.append(self._history, report, durable=True)
            self._announce(report)
        return "Report received by the desktop"

    def _checked(self, body: bytes) -> Report:
        try:
            report: Report = documents.parse(body)
            check_document(report)
        except ValueError as error:
            raise UsageError(f"that is no valid report: {' '.join(str(error).split())}") from None
        strangers = {file["file"] for file in report["files"]} - self._names
        if strangers:
            raise UsageError(f"the report is on files that are not served: {sorted(strangers)}")
        return report
