"""This machine as a device."""

from __future__ import annotations

from ailsr.runtime.bench import harness
from ailsr.runtime.bench.harness import Plan
from ailsr.runtime.bench.results import Results
from ailsr.runtime.devices.device import LOCAL
from ailsr.runtime.progress import Progress


class LocalDevice:
    """``local``. It is measured in the main thread, where Ctrl-C ends it."""

    name = LOCAL

    def measure(self, plan: Plan, progress: Progress) -> Results:
        """As ``Device.measure``."""
        return harness.measure_files(plan, progress)

    def close(self) -> None:
        """Nothing to end."""
