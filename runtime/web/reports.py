"""Reports that come from a phone: checked before anything is done with them, then kept."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ailsr.runtime import json_lines
from ailsr.runtime.errors import EngineError, UsageError
from ailsr.runtime.files import atomic_output

Report = dict[str, Any]
SCHEMA = Path(__file__).parents[1] / "report.schema.json"


class ReportDesk:
    """Receives reports on the files called ``names``, keeps and announces them.

    ``output`` always holds the latest as JSON, ``history`` all of them, one a line; both are read
    by ``ailsr-bench compare``. Raises EngineError when the library that checks them is missing.
    """

    def __init__(
        self,
        names: set[str],
        output: Path | None,
        history: Path | None,
        announce: Callable[[Report], None],
    ) -> None:
        try:
            import fastjsonschema
        except ImportError as error:
            raise EngineError('ailsr-web needs fastjsonschema: pip install "ailsr[web]"') from error
        self._validate = fastjsonschema.compile(json.loads(SCHEMA.read_bytes()))
        self._names, self._output, self._history = names, output, history
        self._announce = announce
        self._lock = threading.Lock()  # phones may report at the same time

    def receive(self, body: bytes) -> str:
        """What to tell the phone of ``body``. Raises UsageError when it is no report of ours."""
        report = self._checked(body)
        with self._lock:
            if self._output:
                with atomic_output(self._output) as temporary:
                    text = json.dumps(report, allow_nan=False) + "\n"
                    temporary.write_text(text, encoding="utf-8")
            if self._history:
                json_lines.append(self._history, report, durable=True)
            self._announce(report)
        return "Report received by the desktop"

    def _checked(self, body: bytes) -> Report:
        try:
            report: Report = json.loads(body, parse_constant=_refuse)
            self._validate(report)
        except (ValueError, RecursionError) as error:
            raise UsageError(f"that is no valid report: {' '.join(str(error).split())}") from None
        strangers = {file["file"] for file in report["files"]} - self._names
        if strangers:
            raise UsageError(f"the report is on files that are not served: {sorted(strangers)}")
        return report


def _refuse(constant: str) -> float:
    raise ValueError(f"{constant} is no JSON")
