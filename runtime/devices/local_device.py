"""This machine as a device."""

from __future__ import annotations

from ailsr.runtime.bench import harness
from ailsr.runtime.bench.harness import Plan, Report
from ailsr.runtime.bench.results import Results
from ailsr.runtime.devices.device import LOCAL


class LocalDevice:
    """``local``. It is measured in the main thread, where Ctrl-C ends it."""

    name = LOCAL

    def measure(self, plan: Plan, report: Report) -> Results:
        """As ``Device.measure``."""
        return harness.measure_files(plan, report)

    def close(self) -> None:
        """Nothing to end."""
