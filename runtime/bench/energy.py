"""Energy of an inference, where the machine has a meter: RAPL, or its battery.

Both count all that their part of the machine takes, idle power included: RAPL the packages of the
processor, the battery the whole device.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Protocol

from ailsr.runtime.bench.system import System

Source = Literal["rapl", "battery"]
_PAUSE = 0.1  # seconds between two readings


@dataclass(frozen=True)
class Energy:
    """What one inference takes, idle power included."""

    source: Source
    joules_per_inference: float


class Meter(Protocol):
    """A counter of energy."""

    source: Source

    def joules(self) -> float:
        """Taken since the last call, or since the meter was made."""
        ...


def find_meter(system: System) -> Meter | None:
    """The machine's meter; None where it has none that this process may read."""
    for meter in (Rapl, Battery):
        try:
            return meter(system)
        except LookupError:
            continue
    return None


def joules_per_call(call: Callable[[], object], meter: Meter, seconds: float) -> Energy | None:
    """Energy of one ``call``, repeated for ``seconds``; None when the meter stood still.

    Counters of packages are renewed every millisecond, fuel gauges of batteries once in seconds.
    """
    calls, joules, start = 0, 0.0, time.perf_counter()
    meter.joules()
    while (now := time.perf_counter()) - start < seconds:
        while time.perf_counter() - now < _PAUSE:
            call()
            calls += 1
        joules += meter.joules()
    return Energy(meter.source, joules / calls) if calls and joules > 0 else None


class Rapl:
    """The counters of the processor's packages, under /sys/class/powercap (microjoules)."""

    source: Source = "rapl"

    def __init__(self, system: System) -> None:
        """Raises LookupError when there are none, or only root may read them."""
        folder = "sys/class/powercap"
        zones = sorted((system.root / folder).glob("intel-rapl:*"))  # AMD's, too
        names = [f"{folder}/{zone.name}" for zone in zones if zone.name.count(":") == 1]
        self._system = system
        self._packages = [
            name for name in names if (system.read(f"{name}/name") or "").startswith("package")
        ]
        self._last = self._read()
        if not self._last:
            raise LookupError("no counter that can be read")

    def joules(self) -> float:
        now, micro = self._read(), 0
        for package, count in now.items():
            step = count - self._last.get(package, count)
            if step < 0:  # the counter has started anew
                step += self._system.number(f"{package}/max_energy_range_uj") or -step
            micro += step
        self._last = now
        return micro / 1e6

    def _read(self) -> dict[str, int]:
        counts = {name: self._system.number(f"{name}/energy_uj") for name in self._packages}
        return {name: count for name, count in counts.items() if count is not None}


class Battery:
    """The power that a discharging battery gives, under /sys/class/power_supply, over time."""

    source: Source = "battery"

    def __init__(self, system: System) -> None:
        """Raises LookupError when there is none, it is being charged, or it does not tell."""
        self._system = system
        for folder in system.batteries():
            self._folder = folder
            if system.read(f"{folder}/status") == "Discharging" and self._watts():
                break
        else:
            raise LookupError("no battery that tells its power")
        self._time = time.perf_counter()

    def joules(self) -> float:
        now = time.perf_counter()
        seconds, self._time = now - self._time, now
        return seconds * (self._watts() or 0)

    def _watts(self) -> float | None:
        power = self._system.number(f"{self._folder}/power_now")  # in µW; some drivers sign it
        if power is not None:
            return abs(power) / 1e6
        current = self._system.number(f"{self._folder}/current_now")  # in µA
        voltage = self._system.number(f"{self._folder}/voltage_now")  # in µV
        return None if current is None or voltage is None else abs(current) * voltage / 1e12
