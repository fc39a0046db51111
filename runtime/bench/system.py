"""What Linux tells of the machine under /sys and /proc: clock, temperature, battery, load, cores.

Every figure is None where the system does not tell, as on servers, in containers and outside Linux.
"""

from __future__ import annotations

import contextlib
import os
import re
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path("/")
_CPU = "sys/devices/system/cpu"
_PROCESSOR = re.compile(r"cpu|soc|pkg|package|core|tctl|tdie", re.IGNORECASE)
"""Names of the temperatures that are the processor's."""


@dataclass(frozen=True)
class Condition:
    """The state of the machine at one time."""

    clock_mhz: float | None = None
    """Mean over the cores in use."""
    temperature_c: float | None = None
    """Of the processor at its hottest sensor, or of whatever is hottest where none is its own."""
    battery_percent: float | None = None
    thermal_status: str | None = None
    """Android's word for it, like the headroom: only the app can ask."""
    thermal_headroom: float | None = None
    governor: str | None = None
    """Frequency governor of the cores in use, for example ``performance``."""


@dataclass(frozen=True)
class Conditions:
    """The state of the machine before, while and after the latency was taken."""

    before: Condition
    after: Condition
    during: Condition | None = None
    """The mean clock of the blocks of runs, read between them, and their highest temperature."""

    @classmethod
    def of(cls, before: Condition, during: Sequence[Condition], after: Condition) -> Conditions:
        if not during:
            return cls(before, after)
        clocks = [c.clock_mhz for c in during if c.clock_mhz is not None]
        temperatures = [c.temperature_c for c in during if c.temperature_c is not None]
        middle = Condition(
            clock_mhz=round(statistics.fmean(clocks), 1) if clocks else None,
            temperature_c=max(temperatures, default=None),
            battery_percent=during[-1].battery_percent,
            governor=during[-1].governor,
        )
        return cls(before, after, middle)


@dataclass(frozen=True)
class Ticks:
    """Processor time of the whole machine since it started, in clock ticks, over all cores."""

    total: int
    busy: int
    """Spent on processes, by this machine's own account."""
    stolen: int
    """Given to other machines by the hypervisor."""


class System:
    """The machine whose files lie under ``root``, as seen by a process on ``cores``."""

    def __init__(self, root: Path = ROOT, cores: Iterable[int] | None = None) -> None:
        """``cores``: those that count for clock and governor; None: all that there are."""
        self.root = root
        self.cores = sorted(self.all_cores() if cores is None else cores)

    def all_cores(self) -> list[int]:
        """The numbers of the machine's cores."""
        names = (path.name for path in (self.root / _CPU).glob("cpu[0-9]*"))
        return sorted(int(name.removeprefix("cpu")) for name in names)

    def strength(self, core: int) -> int | None:
        """How fast a core can be: its capacity by the kernel, else its highest clock in kHz."""
        capacity = self.number(f"{_CPU}/cpu{core}/cpu_capacity")
        clock = self.number(f"{_CPU}/cpu{core}/cpufreq/cpuinfo_max_freq")
        return clock if capacity is None else capacity

    def condition(self) -> Condition:
        """The state of the machine now. Takes a fraction of a millisecond for each core."""
        return Condition(
            clock_mhz=self._clock_mhz(),
            temperature_c=self._temperature_c(),
            battery_percent=self._battery_percent(),
            governor=self._governor(),
        )

    def ticks(self) -> Ticks | None:
        """Processor time so far; see proc(5), /proc/stat."""
        found = re.match(r"cpu +([\d ]+)", self.read("proc/stat") or "")
        fields = [int(field) for field in found[1].split()] if found else []
        if len(fields) < 8:
            return None
        idle, waiting, stolen = fields[3], fields[4], fields[7]
        total = sum(fields[:8])  # the guests' time after it is part of the users'
        return Ticks(total, total - idle - waiting - stolen, stolen)

    def read(self, path: str) -> str | None:
        """The text of a file without blanks and zeros around it; None when empty or unreadable."""
        try:
            return (self.root / path).read_text(errors="replace").strip(" \n\t\0") or None
        except OSError:
            return None

    def number(self, path: str) -> int | None:
        """The whole number that is all a file holds."""
        with contextlib.suppress(ValueError):
            return int(self.read(path) or "")
        return None

    def batteries(self) -> list[str]:
        """The folders of the batteries that feed this machine, under the root."""
        supplies = sorted((self.root / "sys/class/power_supply").glob("*"))
        folders = [str(path.relative_to(self.root)) for path in supplies]
        return [
            folder
            for folder in folders
            if self.read(f"{folder}/type") == "Battery"
            and self.read(f"{folder}/scope") != "Device"  # a mouse's
        ]

    def _clock_mhz(self) -> float | None:
        found = [self.number(f"{_CPU}/cpu{core}/cpufreq/scaling_cur_freq") for core in self.cores]
        clocks = [khz / 1e3 for khz in found if khz is not None]
        if not clocks:
            blocks = (self.read("proc/cpuinfo") or "").split("\n\n")
            for block in blocks:
                core = re.search(r"^processor\s*:\s*(\d+)$", block, re.MULTILINE)
                clock = re.search(r"^cpu MHz\s*:\s*([\d.]+)$", block, re.MULTILINE)
                if core and clock and int(core[1]) in self.cores:
                    clocks.append(float(clock[1]))
        return round(statistics.fmean(clocks), 1) if clocks else None

    def _temperature_c(self) -> float | None:
        sensors: list[tuple[str, float]] = []
        for zone in (self.root / "sys/class/thermal").glob("thermal_zone*"):
            sensors += self._sensor(zone, "type", "temp")
        for chip in (self.root / "sys/class/hwmon").glob("hwmon*"):
            for sensor in chip.glob("temp*_input"):
                sensors += self._sensor(chip, "name", sensor.name)
        own = [degrees for name, degrees in sensors if _PROCESSOR.search(name) or name == "k10temp"]
        return max(own or [degrees for _, degrees in sensors], default=None)

    def _sensor(self, folder: Path, name: str, value: str) -> list[tuple[str, float]]:
        place = folder.relative_to(self.root)
        degrees = self.number(f"{place}/{value}")  # in thousandths; some are off when asleep
        if degrees is None or not 0 < degrees < 150_000:
            return []
        return [(self.read(f"{place}/{name}") or "", degrees / 1e3)]

    def _battery_percent(self) -> float | None:
        levels = [self.number(f"{folder}/capacity") for folder in self.batteries()]
        return next((float(level) for level in levels if level is not None), None)

    def _governor(self) -> str | None:
        found = {self.read(f"{_CPU}/cpu{core}/cpufreq/scaling_governor") for core in self.cores}
        return ", ".join(sorted(name for name in found if name)) or None


class Watch:
    """What else the machine does during the blocks of runs that it is told of.

    Nothing of it runs inside a block: it reads the system's counters before and after.
    """

    def __init__(self, system: System) -> None:
        self._system = system
        self._total = self._stolen = self._others = 0.0
        self._preemptions: int | None = 0
        self.seen: list[Condition] = []

    def start(self) -> None:
        self._before = self._system.ticks(), _own_ticks(), _preemptions()

    def stop(self) -> None:
        self.seen.append(self._system.condition())  # first: the clock falls soon
        ticks, own, preemptions = self._before
        now = self._system.ticks()
        if ticks and now:
            self._total += now.total - ticks.total
            self._stolen += now.stolen - ticks.stolen
            self._others += (now.busy - ticks.busy) - (_own_ticks() - own)
        if preemptions is None or self._preemptions is None:
            self._preemptions = None
        else:
            self._preemptions += (_preemptions() or 0) - preemptions

    def noise(self) -> Noise:
        """Over all blocks so far."""
        if self._total <= 0:  # too short for the system's clock, or it does not tell
            return Noise(None, None, self._preemptions)
        percent = 100 / self._total
        return Noise(
            round(min(100.0, self._stolen * percent), 2),
            round(min(100.0, max(0.0, self._others * percent)), 2),
            self._preemptions,
        )


@dataclass(frozen=True)
class Noise:
    """What else the machine did while the latency was taken."""

    steal_percent: float | None
    """Of the machine's processor time, what its hypervisor gave to others."""
    others_percent: float | None
    """Of the machine's processor time, what other processes took."""
    preemptions: int | None
    """How often the system put this process off its core."""


def _own_ticks() -> float:
    times = os.times()
    return (times.user + times.system) * os.sysconf("SC_CLK_TCK")


def _preemptions() -> int | None:
    try:
        import resource
    except ImportError:  # Windows
        return None
    return resource.getrusage(resource.RUSAGE_SELF).ru_nivcsw
